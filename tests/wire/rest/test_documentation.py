"""Every example of the server documentation: sent as it says, read to the last key, and damaged.

The pages show this many examples, a request with its answer being one: chat.md 28, users.md 31 (twelve of
them bare queries), auth.mdx 4, storage.md 9, push_notifications.md 6, address_book.md 3, custom_objects.md
15, meetings.md 6 (one of them a webhook), videochat.md 1; and those of the Administration API: chat.md 3,
user.md 1, statistics.md 4, meeting.md 3. The tables are in ``documentation``, a module for each page or two
(chat.md has two). Beyond that, the pages' tables of parameters show values: chat.md 49, users.md 12,
storage.md 1, custom_objects.md 13.
"""

import json
import socket
from email.parser import BytesParser
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube import ConnectyCube
from connectycube.config import Config, RetryPolicy
from connectycube.errors import (
    ApiNetworkError,
    ApiResponseError,
    UnexpectedResponseError,
    ValidationError,
)
from connectycube.models import Session
from connectycube.rest import Response
from tests.support.damage import JSON, damaged
from tests.support.inside import api_of
from tests.support.scripted_http import answer
from tests.wire.rest.documentation import (
    ADMIN_KEY,
    APP_ID,
    AUTH_KEY,
    ME,
    STORAGE,
    TOKEN,
    Raw,
    Refused,
    Table,
    address_book,
    admin,
    auth,
    chat_dialogs,
    chat_messages,
    custom_objects,
    meetings,
    parameters,
    push_notifications,
    storage,
    users,
)

PAGES = {
    "chat.md": (28, [chat_dialogs, chat_messages]),
    "users.md": (31, [users]),
    "auth.mdx": (4, [auth]),
    "storage.md": (9, [storage]),
    "push_notifications.md": (6, [push_notifications]),
    "address_book.md": (3, [address_book]),
    "custom_objects.md": (15, [custom_objects]),
    "meetings.md": (6, [meetings]),
    "videochat.md": (1, [Table(meetings.CALLS)]),
    "admin_api/chat.md": (3, [Table(admin.CHAT)]),
    "admin_api/user.md": (1, [Table(admin.USER)]),
    "admin_api/statistics.md": (4, [Table(admin.STATISTICS)]),
    "admin_api/meeting.md": (3, [Table(admin.MEETINGS)]),
}
EXAMPLES = [
    pytest.param(example, id=f"{page}: {example.name}")
    for page, (_, modules) in PAGES.items()
    for module in modules
    for example in module.EXAMPLES
]
VALUES_OF = {"chat.md": 49, "users.md": 12, "storage.md": 1, "custom_objects.md": 13}
# Keys that the documentation shows and no field has: deprecated, of no use, or of one answer only.
IN_EXTRA = {
    "User": {"external_user_id", "blob_id", "_id", "address_book_name"},
    "Session": {"ts"},
    "AdminDialog": {"is_e2ee"},
    "PushEvent": {
        *("date", "period", "occured_count", "end_date", "application_id", "kind", "tag_query"),
    },
}


@pytest.fixture
def ada(cube):
    """A client with a session."""
    api_of(cube).adopt(Session(token=TOKEN, user_id=ME))
    return cube


def reply_of(reply, status):
    """Return status, headers and content of an answer."""
    if isinstance(reply, Raw):
        return reply.status, reply.headers, reply.content
    return status, (), b"" if reply is None else json.dumps(reply).encode()


def form_of(request):
    """Read the fields of a multipart form, in their order; texts, and bytes for the file."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    fields = []
    for part in BytesParser().parsebytes(head + request.content).get_payload():
        content = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        fields.append((name, content.decode() if part.get_filename() is None else content))
    return fields


# --- the tables


@pytest.mark.parametrize("page", PAGES)
def test_no_example_of_a_page_is_forgotten(page):
    count, modules = PAGES[page]
    names = [name for module in modules for entry in module.EXAMPLES for name in entry.names]
    exempt = [name for module in modules for name in module.EXEMPT]
    assert len(set(names)) == len(names)
    assert len(set(exempt)) == len(exempt)
    assert len({*names, *exempt}) == count


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_sent_and_read_as_documented(ada, server, example):
    for reply in example.replies:
        status, headers, content = reply_of(reply, example.status)
        moved = [(name, value.replace(STORAGE, server.url)) for name, value in headers]
        content = content.replace(STORAGE.encode(), server.url.encode())
        server.play(answer(status, headers=moved, content=content))
    if isinstance(example.reads, Refused):
        with pytest.raises(example.reads.error) as caught:
            example.call(ada)
        assert caught.value.messages == example.reads.messages
    else:
        result = example.call(ada)
        assert result == example.reads
        for model in models_in(result) if example.shows else ():
            assert {name: getattr(model, name) for name in example.shows} == example.shows
    for sent, expected in zip(server.requests, example.requests, strict=True):
        check(sent, expected)


def check(sent, expected):
    assert (sent.method, sent.path, sent.query) == (
        expected.method,
        expected.path,
        expected.query,
    )
    credentials = {
        "cb-token": TOKEN,
        "cb-authkey": AUTH_KEY,
        "cb-administration-api-key": ADMIN_KEY,
    }
    shown = {name: sent.headers[name] for name in credentials if name in sent.headers}
    asked = (expected.authorization or "").lower()
    assert shown == {name: value for name, value in credentials.items() if name == asked}
    if expected.form is not None:
        assert form_of(sent) == expected.form
    elif expected.body is not None:
        assert sent.headers["content-type"] == "application/json"
        assert sent.json == expected.body
    else:
        assert sent.content == b""


def models_in(value):
    """Yield a model and all models within it."""
    if attrs.has(type(value)):
        yield value
        for entry in attrs.fields(type(value)):
            yield from models_in(getattr(value, entry.name))
    elif isinstance(value, tuple):
        for entry in value:
            yield from models_in(entry)


def test_no_documented_key_is_without_a_field_by_accident():
    left_over = {}
    for example in (parameter.values[0] for parameter in EXAMPLES):
        for model in models_in(example.reads):
            names = getattr(model, "extra", {})
            if names:
                left_over.setdefault(type(model).__name__, set()).update(names)
    assert left_over == IN_EXTRA


# --- without a socket


class FromMemory:
    """Answers from memory: what is given, and then empty bodies."""

    def __init__(self, replies):
        self.replies = iter(replies)
        self.requests = []

    def send(self, request):
        self.requests.append(request)
        status, headers, content = next(self.replies, (200, (), b""))
        return Response(status, headers=dict(headers), body=content)


CONFIG = Config(
    app_id=APP_ID,
    auth_key=AUTH_KEY,
    admin_key=ADMIN_KEY,
    api_url="http://localhost",  # TLS would load the certificates of all authorities
    retry=RetryPolicy(max_retries=0),
)


def client_of(*replies):
    """Make a client with a session whose answers come from memory."""
    cube = ConnectyCube(config=CONFIG, transport=FromMemory(replies))
    api_of(cube).adopt(Session(token=TOKEN, user_id=ME))
    return cube


@pytest.mark.parametrize(("page", "count"), VALUES_OF.items())
def test_no_value_of_the_parameters_is_forgotten(page, count):
    assert len(parameters.VALUES[page]) == count


def test_every_page_with_values_is_counted():
    assert parameters.VALUES.keys() == VALUES_OF.keys()
    assert parameters.EXEMPT.keys() <= PAGES.keys()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(value, id=f"{page}: {value.section} {[*value.query, *value.body]}")
        for page, values in parameters.VALUES.items()
        for value in values
    ],
)
def test_a_value_of_the_parameters_is_sent(value):
    cube = client_of(reply_of(value.answers, 200))
    value.call(cube)
    request = api_of(cube).transport.requests[0]
    sent = parse_qsl(urlsplit(request.url).query)
    assert [pair for pair in sent if pair in value.query] == value.query
    content = request.json() or {}
    assert {name: content[name] for name in value.body} == value.body


# --- damage

DAMAGEABLE = [
    parameter
    for parameter in EXAMPLES
    if not isinstance(parameter.values[0].replies[0], Raw) and parameter.values[0].status < 300
]


def at(data, path):
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def is_useful(example, data):
    """Tell whether the outer shape is whole: the list or object itself, and what the call is about."""
    whole = example.replies[0]
    if example.is_strict and data != whole:
        return False
    for path in ((), *example.needs):
        found, needed = at(data, path), at(whole, path)
        if needed is None:
            continue
        if isinstance(needed, (dict, list)):
            if type(found) is not type(needed):
                return False
        elif found != needed:
            return False
    return True


def check_damaged(example, data):
    """Call with a damaged answer: it is read, or, where the outer shape is gone, unexpected."""
    replies = [reply_of(reply, example.status) for reply in (data, *example.replies[1:])]
    cube = client_of(*replies)
    try:
        result = example.call(cube)
    except (UnexpectedResponseError, ValidationError):
        assert not is_useful(example, data)
        return
    repr(result)
    for model in models_in(result):
        for name in ("download_url", "udid", "platform"):
            getattr(model, name, None)


@pytest.mark.parametrize("example", DAMAGEABLE)
def test_a_damaged_answer_is_read_or_is_unexpected(example):
    first = example.replies[0]

    @settings(max_examples=10)
    @given(st.one_of(damaged(first), damaged(first), JSON))
    def call(data):
        check_damaged(example, data)

    call()


ODD = [
    *(
        None,
        True,
        0,
        -1,
        1.5,
        float("nan"),
        10**30,
        "",
        "x",
        "-1",
        "9" * 5000,
        "\ud800",
        "https://[",
    ),
    *([], {}, [None], {"id": []}),
]


def with_one_odd(value):
    """Yield a JSON value with each of its parts, one at a time, missing or odd."""
    if isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            copy = value.copy()
            del copy[key]
            yield copy
            for odd in (*ODD, *with_one_odd(part)):
                copy = value.copy()
                copy[key] = odd
                yield copy


@pytest.mark.parametrize("example", DAMAGEABLE)
def test_each_part_of_an_answer_may_be_missing_or_odd(example):
    for data in (*ODD, *with_one_odd(example.replies[0])):
        check_damaged(example, data)


IMPORTANT = [parameter for parameter in DAMAGEABLE if parameter.values[0].needs]


@pytest.mark.parametrize("example", DAMAGEABLE)
@pytest.mark.parametrize("word", ["errors", "error", "message"])
def test_a_success_that_says_an_error_is_one_of_every_call(example, word):
    cube = client_of(reply_of({word: "wrong"}, example.status))
    with pytest.raises(ApiResponseError) as caught:
        example.call(cube)
    assert caught.value.messages == ("wrong",)


@pytest.mark.parametrize("example", IMPORTANT)
def test_a_success_that_holds_nothing_is_unexpected(example):
    cube = client_of(reply_of({}, example.status))
    with pytest.raises(UnexpectedResponseError):
        example.call(cube)


def file_at(address):
    return {"blob": {"id": 6001, "blob_object_access": {"params": address}}}


@pytest.mark.parametrize("address", [f"{STORAGE}/x?key=\ud800", f"{STORAGE}/x?\udfff=1"])
def test_half_a_character_in_the_address_of_the_storage_is_unexpected(address):
    cube = client_of(reply_of(file_at(address), 201))
    with pytest.raises(UnexpectedResponseError, match="not a URL"):
        cube.files.upload(b"knight c3.", name="board.jpeg")


@pytest.mark.parametrize("host", ["a..example", "a" * 64 + ".example"])
def test_a_storage_whose_name_cannot_be_is_not_reached(ada, server, monkeypatch, host):
    resolve = socket.getaddrinfo

    def as_without_a_guard(name, *arguments, **options):
        name.encode("idna")  # what getaddrinfo does before it asks anybody
        return resolve(name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", as_without_a_guard)
    server.play(answer(201, file_at(f"https://{host}/x?key=1")), answer(200))
    with pytest.raises(ApiNetworkError, match="the host name has no address"):
        ada.files.upload(b"knight c3.", name="board.jpeg")
    assert [request.method for request in server.requests] == ["POST", "DELETE"]
