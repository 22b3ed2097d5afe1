import contextlib
import io
import os
import re
import tracemalloc
from email.parser import BytesParser
from urllib.parse import urlencode

import pytest

from connectycube.errors import (
    ApiAuthenticationError,
    ApiError,
    ApiNetworkError,
    ArgumentTypeError,
    ArgumentValueError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    UnexpectedResponseError,
)
from connectycube.models import File, Session
from tests.support.inside import api_of
from tests.support.scripted import ScriptedServer
from tests.support.scripted_http import answer, refusal, reset

TOKEN = "S3CRET-T0KEN"
FIELDS = {
    "Content-Type": "image/jpeg",
    "Expires": "Mon, 10 Dec 2018 11:26:01 GMT",
    "acl": "public-read",
    "key": "uid-1",
    "policy": "eyJ=+/ä",
    "success_action_status": "201",
}


def blob(storage, **changes):
    params = f"{storage.url}/bucket?{urlencode(FIELDS)}"
    access = {"id": 9, "object_access_type": "Write", "params": params}
    return {"blob": {"id": 9, "uid": "uid-1", "blob_object_access": access, **changes}}


def form_of(request):
    """The parts of a multipart request, in their order: (name, filename, content type, content)."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.content)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get("Content-Type"),
            part.get_payload(decode=True),
        )
        for part in message.get_payload()
    ]


@pytest.fixture
def cube(cube):
    api_of(cube).adopt(Session(token=TOKEN, user_id=11))
    return cube


@pytest.fixture
def bucket(server, storage):
    """The API and its storage, which take one upload."""
    server.play(answer(201, blob(storage)), answer(200))
    storage.play(answer(201, content=b"<PostResponse/>"))
    return storage


def paths(server):
    return [(request.method, request.path) for request in server.requests]


# --- upload


def test_an_upload_is_create_form_and_complete(cube, server, bucket):
    file = cube.files.upload(b"content", name="cat.jpeg")
    assert (file.id, file.uid, file.size, file.access) == (9, "uid-1", 7, None)
    assert paths(server) == [("POST", "/blobs"), ("PUT", "/blobs/9/complete")]
    assert server.requests[0].json == {"blob": {"content_type": "image/jpeg", "name": "cat.jpeg"}}
    assert server.requests[1].json == {"blob": {"size": 7}}
    (form,) = bucket.requests
    assert (form.method, form.path, form.query) == ("POST", "/bucket", [])
    *fields, file_part = form_of(form)
    assert {name: value.decode() for name, _, _, value in fields} == FIELDS
    assert [name for name, *_ in fields] == list(FIELDS)
    assert file_part == ("file", "cat.jpeg", "image/jpeg", b"content")


def test_the_token_stays_with_the_api(cube, server, bucket):
    cube.files.upload(b"content", name="cat.jpeg")
    assert all(request.headers["cb-token"] == TOKEN for request in server.requests)
    for request in bucket.requests:
        assert TOKEN not in repr(request.headers) + request.raw_path
        assert TOKEN.encode() not in request.content
        assert not [name for name in request.headers if name.startswith("cb-")]


def test_a_path_is_read_and_names_the_file(cube, server, bucket, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"words")
    cube.files.upload(path, public=True)
    created = {"content_type": "text/plain", "name": "notes.txt", "public": True}
    assert server.requests[0].json == {"blob": created}
    assert form_of(bucket.requests[0])[-1][3] == b"words"


def test_a_file_object_is_read_from_where_it_stands_and_left_open(cube, bucket, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"skipped-rest")
    with path.open("rb") as source:
        source.seek(8)
        assert cube.files.upload(source).size == 4
        assert not source.closed
    assert form_of(bucket.requests[0])[-1][3] == b"rest"


def test_an_empty_file_is_a_file(cube, bucket):
    assert cube.files.upload(b"", name="empty").size == 0
    assert form_of(bucket.requests[0])[-1][3] == b""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "image/png"),
        ("a.unheard-of", "application/octet-stream"),
        ("none", "application/octet-stream"),
        ("a.tar.gz", "application/octet-stream"),
    ],
)
def test_the_content_type_is_guessed_with_a_fallback(cube, server, bucket, name, kind):
    cube.files.upload(b"x", name=name)
    assert server.requests[0].json["blob"]["content_type"] == kind
    assert form_of(bucket.requests[0])[-1][2] == kind


def test_a_name_with_quotes_and_letters_of_all_kinds_arrives(cube, server, bucket):
    cube.files.upload(b"x", name='grüße "👋".txt')
    assert server.requests[0].json["blob"]["name"] == 'grüße "👋".txt'
    assert 'filename="grüße %2293%22'.encode()[:15] in bucket.requests[0].content
    assert len(form_of(bucket.requests[0])) == len(FIELDS) + 1


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot 2024-05-01 at 3.04.05\u202fPM.png",  # macOS
        "a\u00a0b.png",
        "\U0001f469\u200d\U0001f4bb.png",  # one emoji of two
        "\ufeffa.png",
        "\u202eb.png",
        "a\u2028b.png",
    ],
)
@pytest.mark.parametrize("given_as", ["name", "path"])
def test_a_name_may_hold_what_cannot_be_printed(cube, server, bucket, tmp_path, name, given_as):
    (tmp_path / name).write_bytes(b"x")
    if given_as == "path":
        cube.files.upload(tmp_path / name)
    else:
        cube.files.upload(b"x", name=name)
    assert server.requests[0].json["blob"] == {"content_type": "image/png", "name": name}
    assert f'filename="{name}"'.encode() in bucket.requests[0].content


@pytest.mark.parametrize("character", ["\x00", "\t", "\n", "\x1b", "\x7f", "\x85"])
def test_a_control_character_in_a_name_is_named_with_its_position(cube, server, character):
    words = rf"^name holds the control character U\+00{ord(character):02X} at position 1"
    with pytest.raises(ArgumentValueError, match=words):
        cube.files.upload(b"x", name=f"a{character}b")
    assert server.connections == []


def test_the_words_of_the_storage_are_told_without_secrets(cube, server, storage):
    secret = FIELDS["policy"]
    text = f"<Error><Code>AccessDenied</Code><Message>Policy {secret} expired.</Message></Error>"
    server.play(answer(201, blob(storage)), answer(200))
    storage.play(answer(403, content=text.encode()))
    with pytest.raises(PermissionDeniedError) as caught:
        cube.files.upload(b"x", name="a")
    assert caught.value.messages == ("AccessDenied: Policy *** expired.",)


def test_progress_is_told_in_bytes_up_to_the_end(cube, bucket):
    told = []
    cube.files.upload(b"x" * 300_000, name="a", progress=lambda *step: told.append(step))
    assert told[-1] == (300_000, 300_000)
    assert told == sorted(set(told))
    assert len(told) > 3


class Broken(io.BytesIO):
    def read(self, size=-1):
        raise OSError("the disk is gone")


class Shrinking(io.BytesIO):
    def read(self, size=-1):
        return super().read(min(size, 10))[: 10 if self.tell() <= 10 else 0]


class Text(io.BytesIO):
    def read(self, size=-1):
        return "text"


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (Broken(b"x" * 50), OSError, "the disk is gone"),
        (Shrinking(b"x" * 50), ArgumentValueError, "source ended after 10 bytes; it had 50"),
        (Text(b"x" * 50), ArgumentTypeError, "source must give bytes"),
    ],
    ids=["fails", "shrinks", "gives text"],
)
def test_a_source_that_breaks_is_the_callers_error_and_the_file_is_deleted(
    cube, server, storage, source, error, words
):
    server.play(answer(201, blob(storage)), answer(200))
    storage.play(lambda conn, request: None)
    with pytest.raises(error, match=words):
        cube.files.upload(source, name="a")
    assert paths(server) == [("POST", "/blobs"), ("DELETE", "/blobs/9")]


def test_a_progress_callback_may_end_the_upload(cube, server, storage):
    def stop(sent, size):
        raise KeyError("enough")

    server.play(answer(201, blob(storage)), answer(200))
    with pytest.raises(KeyError, match="enough"):
        cube.files.upload(b"x", name="a", progress=stop)
    assert paths(server)[-1] == ("DELETE", "/blobs/9")


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (answer(403, content=b"<Error><Code>AccessDenied</Code></Error>"), PermissionDeniedError),
        (answer(500), ServerError),
        (
            answer(302, headers=[("Location", "https://elsewhere.example/")]),
            UnexpectedResponseError,
        ),
        (reset, ApiNetworkError),
    ],
)
def test_a_storage_that_refuses_leaves_no_file(cube, server, storage, step, error):
    server.play(answer(201, blob(storage)), answer(200))
    storage.play(step)
    with pytest.raises(error):
        cube.files.upload(b"x", name="a")
    assert paths(server) == [("POST", "/blobs"), ("DELETE", "/blobs/9")]
    assert len(storage.requests) == 1


def test_a_file_that_could_not_be_completed_is_deleted(cube, server, storage):
    server.play(answer(201, blob(storage)), answer(500), answer(200))
    storage.play(answer(204))
    with pytest.raises(ServerError):
        cube.files.upload(b"x", name="a")
    assert paths(server)[-1] == ("DELETE", "/blobs/9")


def test_a_clean_up_that_fails_is_logged_and_hides_nothing(cube, server, storage, caplog):
    server.play(answer(201, blob(storage)), answer(500))
    storage.play(refusal(403, "no"))
    with pytest.raises(PermissionDeniedError):
        cube.files.upload(b"x", name="a")
    assert "file 9 of a failed upload was not deleted" in caplog.text


@pytest.mark.parametrize(
    "params",
    [
        None,
        5,
        "",
        "nonsense",
        "ftp://localhost/x",
        "http://bucket.example/x?key=1",
        "//host/x",
        "http://[/",
        "javascript:alert(1)",
    ],
)
def test_a_storage_that_is_not_safe_is_not_spoken_to(cube, server, params):
    data = {"blob": {"id": 9, "uid": "u", "blob_object_access": {"params": params}}}
    server.play(answer(201, data), answer(200))
    with pytest.raises(UnexpectedResponseError) as caught:
        cube.files.upload(b"x", name="a")
    assert (caught.value.method, caught.value.status) == ("POST", 201)
    assert paths(server)[-1] == ("DELETE", "/blobs/9")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"source": 5}, "source"),
        ({"source": None}, "source"),
        ({"source": io.StringIO("text"), "name": "a"}, "source"),
        ({"source": b"x"}, "name"),
        ({"source": b"x", "name": ""}, "name"),
        ({"source": b"x", "name": "a" * 101}, "name"),
        ({"source": b"x", "name": "a\r\nb"}, "name"),
        ({"source": b"x", "name": 5}, "name"),
        ({"source": b"x", "name": "a", "content_type": "image"}, "content_type"),
        ({"source": b"x", "name": "a", "content_type": "image/png\r\nx: y"}, "content_type"),
        ({"source": b"x", "name": "a", "public": 1}, "public"),
        ({"source": b"x", "name": "a", "progress": 5}, "progress"),
        ({"source": b"x", "name": "a", "timeout": 0}, "timeout"),
    ],
)
def test_wrong_arguments_of_upload_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.files.upload(**arguments)
    assert server.connections == []


def test_what_is_too_large_is_refused_before_anything_is_sent(cube, server, tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(104_857_601)
    with pytest.raises(ArgumentValueError, match="104857601 bytes"):
        cube.files.upload(path)
    assert server.connections == []


def test_a_stream_that_cannot_seek_is_refused(cube, server):
    reader, writer = os.pipe()
    os.close(writer)
    with open(reader, "rb") as pipe, pytest.raises(ArgumentValueError, match="seek"):
        cube.files.upload(pipe, name="a")
    assert server.connections == []


def test_a_path_that_is_not_there_is_the_systems_error(cube, server, tmp_path):
    with pytest.raises(FileNotFoundError):
        cube.files.upload(tmp_path / "none")
    assert server.connections == []


# --- download


def test_a_download_follows_to_the_storage_without_the_token(
    cube, server, storage, monkeypatch, tmp_path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password netrc-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    target = f"{storage.url}/bucket/uid-1?X-Amz-Signature=abc"
    server.play(answer(301, headers=[("Location", target), ("Set-Cookie", "a=b")]))
    storage.play(answer(302, headers=[("Location", "/moved")]), answer(200, content=b"content"))
    assert cube.files.download("uid-1") == b"content"
    assert paths(server) == [("GET", "/blobs/uid-1/download")]
    assert server.requests[0].headers["cb-token"] == TOKEN
    assert [request.path for request in storage.requests] == ["/bucket/uid-1", "/moved"]
    for request in storage.requests:
        assert TOKEN not in repr(request.headers) + request.raw_path
        assert {"authorization", "cookie", "cb-token", "cb-sdk"} & set(request.headers) == set()


def test_a_service_that_answers_with_the_file_itself_is_fine(cube, server):
    server.play(answer(200, content=b"content"))
    assert cube.files.download(File(id=9, uid="uid-1")) == b"content"


def test_a_download_to_a_path_is_there_when_it_is_whole(cube, server, tmp_path):
    path = tmp_path / "copy"
    told = []
    server.play(answer(200, content=b"x" * 200_000))
    assert cube.files.download("u", to=path, progress=lambda *step: told.append(step)) == 200_000
    assert path.read_bytes() == b"x" * 200_000
    assert os.listdir(tmp_path) == ["copy"]
    assert told[-1] == (200_000, 200_000)


def test_a_download_to_a_file_object_is_written_and_left_open(cube, server):
    server.play(answer(200, content=b"content"))
    target = io.BytesIO(b"")
    assert cube.files.download("u", to=target) == 7
    assert target.getvalue() == b"content"


def cut(conn, request):
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    conn.fin()


@pytest.mark.parametrize("step", [cut, refusal(404, "no such file")])
def test_a_download_that_fails_leaves_what_was_there(cube, server, tmp_path, step):
    path = tmp_path / "copy"
    path.write_bytes(b"before")
    server.play(step)
    with pytest.raises(ApiError):
        cube.files.download("u", to=path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["copy"]


class Full(io.BytesIO):
    def write(self, data):
        raise OSError("no space left")


def test_a_disk_that_is_full_is_not_the_networks_fault(cube, server):
    server.play(answer(200, content=b"content"))
    with pytest.raises(OSError, match="no space left") as caught:
        cube.files.download("u", to=Full())
    assert not isinstance(caught.value, ApiError)


def test_a_progress_callback_may_make_calls_and_may_end_the_download(cube, server):
    def stop(received, size):
        assert cube.users.get(5).id == 5
        raise KeyError("enough")

    server.play(answer(200, content=b"content"), answer(200, {"user": {"id": 5}}))
    with pytest.raises(KeyError, match="enough"):
        cube.files.download("u", progress=stop)


@pytest.mark.parametrize(
    "target", ["http://storage.example/x", "ftp://localhost/x", "http://[/", "file:///etc/passwd"]
)
def test_a_redirect_to_what_is_not_safe_is_not_followed(cube, server, target):
    server.play(answer(302, headers=[("Location", target)]))
    with pytest.raises(UnexpectedResponseError, match="not safe"):
        cube.files.download("u")


def test_redirects_without_end_end(cube, server, storage):
    again = answer(302, headers=[("Location", f"{storage.url}/again")])
    server.play(again)
    storage.respond(lambda request: again)
    with pytest.raises(UnexpectedResponseError, match="redirect"):
        cube.files.download("u")
    assert len(storage.requests) == 5


def test_a_session_that_ended_is_renewed_for_a_download_as_well(cube, server):
    api_of(cube).adopt(
        Session(token="old", user_id=11), lambda deadline: Session(token="new", user_id=11)
    )
    server.play(refusal(401, "gone"), answer(200, content=b"content"))
    assert cube.files.download("u") == b"content"
    assert [request.headers["cb-token"] for request in server.requests] == ["old", "new"]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"file": 5}, "file"),
        ({"file": "a/b"}, "file"),
        ({"file": File(id=9)}, "file"),
        ({"file": "u", "to": 5}, "to"),
        ({"file": "u", "progress": 5}, "progress"),
    ],
)
def test_wrong_arguments_of_download_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.files.download(**arguments)
    assert server.connections == []


# --- memory


class Zeros(io.RawIOBase):
    """A file of zeros that is in nobody's memory."""

    def __init__(self, size):
        self.size, self.at = size, 0

    def read(self, size=-1):
        piece = min(size, self.size - self.at)
        self.at += piece
        return bytes(piece)

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = offset if whence == 0 else self.size
        return self.at


SIZE = 90_000_000


@contextlib.contextmanager
def peak_of_memory():
    """Give a function that says how much memory was taken since then at most."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.fixture
def drain():
    """A storage that forgets what it is sent: its URL, and how much that was."""
    counted = []

    def script(conn):
        length = int(conn.expect(r"(?i)\r\ncontent-length: (\d+).*?\r\n\r\n")[1])
        conn.skip(length)
        counted.append(length)
        conn.send(answer(201))

    with ScriptedServer(script) as scripted:
        yield f"http://127.0.0.1:{scripted.port}/bucket?key=1", counted


def test_90_mb_go_up_in_less_than_10_mb_of_memory(cube, server, drain):
    url, counted = drain
    data = {"blob": {"id": 9, "uid": "u", "blob_object_access": {"params": url}}}
    server.play(answer(201, data), answer(200))
    with peak_of_memory() as peak:
        assert cube.files.upload(Zeros(SIZE), name="zeros").size == SIZE
        assert peak() < 10_000_000
    assert counted[0] > SIZE


def test_90_mb_come_down_in_less_than_10_mb_of_memory(cube, server):
    def answer_with_zeros(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        piece = bytes(1_000_000)
        for _ in range(SIZE // len(piece)):
            conn.send(piece)

    class Forgetful:
        def write(self, piece):
            pass

    server.play(answer_with_zeros)
    with peak_of_memory() as peak:
        assert cube.files.download("u", to=Forgetful()) == SIZE
        assert peak() < 10_000_000


# --- the rest


def test_a_file_is_looked_up_by_id_and_by_uid(cube, server):
    url = "https://s3.example/uid?X-Amz-Signature=abc"
    server.play(
        answer(200, {"blob": {"id": 9, "uid": "u", "name": "a.txt"}}),
        answer(200, {"blob": {"id": 9, "uid": "u", "blob_object_access": {"dowload_url": url}}}),
    )
    assert cube.files.get(9) == File(id=9, uid="u", name="a.txt")
    found = cube.files.get_by_uid("u")
    assert found.download_url == url
    assert "X-Amz" not in repr(found)
    assert server.requests[1].path == "/blobs/u/object"
    assert server.requests[1].query == [("download_url", "1")]


def test_files_are_listed_by_pages(cube, server):
    page = {"current_page": 2, "per_page": 10, "total_entries": 11, "items": [{"blob": {"id": 9}}]}
    server.play(answer(200, page))
    found = cube.files.list(page=2, per_page=10)
    assert (found[0].id, found.skip, found.limit, found.total_entries) == (9, 10, 10, 11)
    assert server.requests[0].query == [("page", "2"), ("per_page", "10")]


def test_iter_asks_for_pages_of_sizes_that_overlap(cube, server):
    def respond(request):
        query = dict(request.query)
        size, page = int(query["per_page"]), int(query["page"])
        numbers = range(250)[size * (page - 1) : size * page]
        return answer(200, {"items": [{"blob": {"id": number}} for number in numbers]})

    server.respond(respond)
    assert [file.id for file in cube.files.iter()] == list(range(250))
    queries = [dict(request.query) for request in server.requests]
    pages = [(int(query["page"]), int(query["per_page"])) for query in queries]
    assert pages[:3] == [(1, 100), (2, 95), (3, 92)]
    assert len(pages) <= 4


def test_iter_ends_where_the_service_gives_the_same_page_for_ever(cube, server):
    server.respond(lambda request: answer(200, {"items": [{"blob": {"id": 1}}]}))
    assert [file.id for file in cube.files.iter()] == [1]


def test_a_file_is_renamed_and_deleted(cube, server):
    server.play(answer(200, {"blob": {"id": 9, "name": "My photo"}}), answer(204))
    assert cube.files.update(9, name="My photo").name == "My photo"
    cube.files.delete(File(id=9))
    assert server.requests[0].json == {"blob": {"name": "My photo"}}
    assert paths(server) == [("PUT", "/blobs/9"), ("DELETE", "/blobs/9")]


@pytest.mark.parametrize(
    ("call", "arguments", "name"),
    [
        ("get", {"file": "9"}, "file"),
        ("get", {"file": 0}, "file"),
        ("delete", {"file": File()}, "file"),
        ("update", {"file": 9}, "nothing to update"),
        ("update", {"file": 9, "name": ""}, "name"),
        ("update", {"file": 9, "content_type": "x"}, "content_type"),
        ("list", {"page": 0}, "page"),
        ("list", {"per_page": 101}, "per_page"),
        ("public_url", {"file": ""}, "file"),
    ],
)
def test_other_wrong_arguments_send_nothing(cube, server, call, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        getattr(cube.files, call)(**arguments)
    assert server.connections == []


def test_a_file_that_is_not_there_is_not_found(cube, server):
    server.play(refusal(404, "Not found"))
    with pytest.raises(NotFoundError):
        cube.files.get(9)


@pytest.mark.parametrize("data", [{}, {"blob": {}}, {"blob": {"id": "x"}}, []])
def test_an_answer_without_a_file_is_unexpected(cube, server, data):
    server.play(answer(200, data))
    with pytest.raises(UnexpectedResponseError):
        cube.files.get(9)


def test_urls_of_a_file(cube, server):
    assert cube.files.public_url("u") == f"{server.url}/blobs/u"
    assert cube.files.private_url(File(uid="u")) == f"{server.url}/blobs/u?token={TOKEN}"
    api_of(cube).forget(cube.session)
    with pytest.raises(ArgumentValueError, match=r"cube\.login"):
        cube.files.private_url("u")
    assert server.connections == []


def test_without_a_session_nothing_is_uploaded(cube, server):
    api_of(cube).forget(cube.session)
    with pytest.raises(ApiAuthenticationError, match=r"cube\.login"):
        cube.files.upload(b"x", name="a")
    assert server.connections == []


def test_no_secret_of_the_storage_is_in_errors(cube, server, storage):
    target = f"{storage.url}/x?X-Amz-Credential=CR3D&X-Amz-Signature=S1GN"
    server.play(answer(302, headers=[("Location", target)]))
    storage.play(answer(403))
    with pytest.raises(PermissionDeniedError) as caught:
        cube.files.download("u")
    assert not re.search("CR3D|S1GN", str(caught.value) + caught.value.url)
