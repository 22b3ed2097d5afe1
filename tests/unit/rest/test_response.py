import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._secrets import Secret
from connectycube.errors import (
    ApiAuthenticationError,
    ApiResponseError,
    ApiTimeoutError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseTooLargeError,
    ServerError,
    UnexpectedResponseError,
    ValidationError,
)
from connectycube.models import User
from connectycube.rest._http import Request, Response
from connectycube.rest._response import (
    check_response,
    read_count,
    read_object,
    read_page,
    read_record,
)

URL = "https://api.example/chat/Dialog"


def reply(status=200, body=b"", headers=(), fault=""):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    request = Request(method="GET", url=URL)
    return Response(status, headers=dict(headers), body=body, fault=fault, request=request)


def answered(*arguments, secrets=(), **options):
    return check_response(reply(*arguments, **options), list(map(Secret, secrets)))


def refused(*arguments, secrets=(), **options):
    with pytest.raises(ApiResponseError) as caught:
        answered(*arguments, secrets=secrets, **options)
    return caught.value


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (301, UnexpectedResponseError),
        (304, UnexpectedResponseError),
        (400, ValidationError),
        (401, ApiAuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ApiResponseError),
        (413, ApiResponseError),
        (422, ValidationError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
    ],
)
def test_each_status_has_its_error(status, cls):
    error = refused(status)
    assert type(error) is cls
    assert (error.status, error.method, error.url) == (status, "GET", URL)
    assert str(status) in str(error) and URL in str(error)


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"errors": {"base": ["Forbidden. Need user."]}}, ("Forbidden. Need user.",)),
        ({"errors": {"login": ["is taken", "is short"]}}, ("login: is taken", "login: is short")),
        ({"errors": {"base": "one", "email": "bad"}}, ("one", "email: bad")),
        ({"errors": ["a", "b"]}, ("a", "b")),
        ({"errors": "a"}, ("a",)),
        ({"error": "a"}, ("a",)),
        ({"message": "a", "code": 3}, ("a",)),
        (["a", 5, None, {"base": ["b"]}], ("a", "b")),
        ("a string", ("a string",)),
        ({"errors": None}, ()),
        ({"errors": None, "message": "a"}, ("a",)),
        ({"errors": {}, "error": "", "message": "a"}, ("a",)),
        ({"errors": {"base": []}, "error": {"base": ["b"]}, "message": "a"}, ("b",)),
        ({"errors": {"base": [None, 5, {}, []]}}, ()),
        (b"", ()),
        (b"plain\n  words", ("plain words",)),
        (b"<!DOCTYPE html><p>token", ()),
        (
            b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Invalid'
            b" according to Policy: Policy expired.</Message><RequestId>1</RequestId></Error>",
            ("AccessDenied: Invalid according to Policy: Policy expired.",),
        ),
        (
            b"<Error><Code>EntityTooLarge</Code><Message>5 &lt; 6 &amp;\n so</Message></Error>",
            ("EntityTooLarge: 5 < 6 & so",),
        ),
        (b"<Error><Code>AccessDenied</Code></Error>", ("AccessDenied",)),
        (b"<html><Message>a</Message></html>", ()),
        (b"\xff\x00", ("\ufffd\\x00",)),
        (
            b"<Error><Code><![CDATA[A]]></Code><Message><![CDATA[b < c]]></Message></Error>",
            ("A: b < c",),
        ),
        ("<Error><Code>A</Code><Message>é</Message></Error>".encode("utf-16"), ("A: é",)),
        (b"\xef\xbb\xbf<Error><Code>A</Code><Message>b</Message></Error>", ("A: b",)),
        (b"<Error><!--x--><Code a='1'>A</Code><x>n</x><Message>b</Message></Error>", ("A: b",)),
        (b"<Error><Message>b</Message><Code>A</Code></Error>", ("A: b",)),
        (b"<s:Error xmlns:s='u'><s:Code>A</s:Code><s:Message>b</s:Message></s:Error>", ("A: b",)),
        (b"<Error><Code>A</Code><Message>b</Message><cut", ("A: b",)),
        (b"<!DOCTYPE Error [<!ENTITY e 'x'>]><Error><Code>&e;</Code></Error>", ()),
        ("plain é".encode("utf-16"), ("plain é",)),
        ({"errors": {"a": {"b": {"c": ["x"]}}}}, ("a.b.c: x",)),
        ({"errors": {"user": {"login": ["is taken"]}}}, ("user.login: is taken",)),
        ({"errors": {"login": {"message": "taken"}}}, ("login: taken",)),
        ({"errors": [{"field": "login", "message": "is taken"}]}, ("login: is taken",)),
        ({"errors": [{"message": "is taken", "code": 5}]}, ("is taken",)),
        (
            {"errors": {"message": ["is too long"], "name": "x"}},
            ("message: is too long", "name: x"),
        ),
        ({"errors": ["a\r\nb\u202e\x1b[31m"]}, ("a\\r\\nb\\u202e\\x1b[31m",)),
        (b'{"errors": {"base": ["cut', ('{"errors": {"base": ["cut',)),
        (b"[" * 100_000, ("[" * 499 + "…",)),
    ],
)
def test_messages_are_read_from_any_error_body(body, messages):
    assert refused(422, body).messages == messages


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    "body",
    [
        {"errors": ["Bad Authentication data. Status: 401."]},
        {"errors": {"base": ["Bad Authentication data. Status: 401."]}},
        {"errors": "Bad Authentication data. Status: 401.", "code": 401},
        {"errors": ["Bad Authentication data. Status: 401."], "status": "failed", "message": "x"},
        {"error": "Bad Authentication data. Status: 401."},
        {"message": "Bad Authentication data. Status: 401."},
        {"errors": [], "message": "Bad Authentication data. Status: 401."},
        {"success": False, "message": "Bad Authentication data. Status: 401."},
        {"errors": ["Bad Authentication data. Status: 401."], "items": [], "skip": 0, "limit": 9},
        {"errors": ["Bad Authentication data. Status: 401."], "_id": None, "user": {}},
    ],
)
def test_a_success_that_holds_only_errors_is_a_refusal(status, body):
    error = refused(status, body)
    assert type(error) is ValidationError
    assert (error.status, error.messages) == (status, ("Bad Authentication data. Status: 401.",))


@pytest.mark.parametrize(
    "body",
    [
        {"_id": "1", "errors": ["a field of the application"]},
        {"errors": [5, 6]},  # a reaction of that name
        {"_id": "1", "success": False, "limit": 2, "message": "x"},  # fields of the application
        {"message": [5, 6]},
        {"errors": None},
        {"items": [], "errors": []},
        {"items": [{}], "errors": ["one"]},
        {"success": True, "message": "it is deleted"},
        {"success": True},
        {"status": "ok"},
        {},
        "it is deleted",
    ],
)
def test_a_success_that_holds_more_than_errors_is_a_success(body):
    assert answered(200, body).json() == body


def test_a_success_that_says_it_is_none_is_a_refusal():
    assert "did not say why" in str(refused(200, {"success": False}))


@pytest.mark.parametrize("body", [{}, {"user": {}}, {"id": None}, {"id": 0}, {"id": "x"}, {"a": 1}])
def test_a_record_without_its_id_is_unexpected(body):
    with pytest.raises(UnexpectedResponseError, match="a User with its id was expected"):
        read_record(reply(body=body), User.from_json)


@pytest.mark.parametrize("body", [{"id": 5}, {"user": {"id": "5"}, "message": "welcome"}])
def test_a_record_with_its_id_is_read(body):
    assert read_record(answered(200, body), User.from_json).id == 5


def test_reprs_do_not_show_what_was_answered():
    body = {"session": {"token": "T0K"}}
    assert "T0K" not in repr(reply(200, body)) + repr(answered(200, body))


def test_error_without_body_says_so():
    assert "did not say why" in str(refused(500))


def test_messages_are_bounded():
    error = refused(422, {"errors": ["x" * 10_000] * 1_000})
    assert len(error.messages) == 20
    assert set(map(len, error.messages)) == {500}
    assert len(str(error)) < 12_000


def test_deeply_nested_errors_do_not_exhaust_the_stack():
    body = b'{"errors":' + b"[" * 400 + b'"deep"' + b"]" * 400 + b"}"
    assert refused(422, body).messages == ()


def test_secrets_are_masked_in_messages():
    error = refused(
        401, {"errors": ["bad token T0K", "password hunter2"]}, secrets=["T0K", "hunter2"]
    )
    assert error.messages == ("bad token ***", "password ***")
    assert "T0K" not in str(error) and "hunter2" not in str(error)


def test_a_cut_off_refusal_is_still_the_refusal():
    assert type(refused(503, b'{"errors"', fault="cut off")) is ServerError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 2.5 ", 2.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Thu, 99 Foo 2026", None),
        (formatdate(1_000_000_030, usegmt=True), 30.0),
        (formatdate(999_999_000, usegmt=True), 0.0),
    ],
)
def test_retry_after_is_seconds_whatever_its_form(value, seconds):
    headers = {"Retry-After": value, "Date": formatdate(1_000_000_000, usegmt=True)}
    assert refused(429, headers=headers).retry_after == seconds


def test_retry_after_date_counts_from_our_clock_without_a_date():
    error = refused(503, headers={"Retry-After": formatdate(usegmt=True)})
    assert 0 <= error.retry_after < 2


VALUES = st.text(alphabet="0123456789 :,+-.eGMTadnSubFoct", max_size=30)


@given(VALUES, VALUES)
def test_no_header_value_breaks_the_error(retry_after, date):
    error = refused(429, headers={"Retry-After": retry_after, "Date": date})
    assert error.retry_after is None or error.retry_after >= 0


# --- successes


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
@pytest.mark.parametrize("body", [b"", b" ", b"\r\n"])
def test_an_empty_success_is_no_data(status, body):
    assert answered(status, body).json() is None


@pytest.mark.parametrize(
    ("fault", "kind"), [("cut off", UnexpectedResponseError), ("too large", ResponseTooLargeError)]
)
def test_a_success_that_is_not_whole_is_unexpected(fault, kind):
    error = refused(200, b'{"a": 1}', fault=fault)
    assert type(error) is kind and isinstance(error, UnexpectedResponseError)
    assert fault in str(error)


def test_a_success_that_is_not_whole_in_time_is_a_timeout():
    with pytest.raises(ApiTimeoutError, match="in time"):
        answered(200, b"{", fault="late")


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"a": ', b"\xff\xfe\xfd", b"[" * 100_000, b"9" * 100_000, b"{} x"]
)
def test_what_is_not_json_is_unexpected(body):
    error = refused(200, body)
    assert type(error) is UnexpectedResponseError
    assert "not JSON" in str(error)


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ([], "a list"),
        ("x", "a string"),
        (5, "a number"),
        (True, "a number or boolean"),
        (b"", "nothing"),
    ],
)
def test_another_shape_than_an_object_is_named(body, shape):
    with pytest.raises(UnexpectedResponseError, match=f"object was expected, not {shape}"):
        read_object(answered(200, body))


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": {}}, {"items": 5}])
def test_a_page_without_a_list_of_items_is_not_an_empty_page(body):
    with pytest.raises(UnexpectedResponseError, match="list of items"):
        read_page(answered(200, body), dict)


def test_a_page_keeps_its_numbers_and_its_objects():
    items = [{"a": 1}, None, "x", {"b": 2}]
    body = {"items": items, "total_entries": "4", "skip": 0, "limit": None}
    page = read_page(answered(200, body), dict)
    assert page.items == ({"a": 1}, {"b": 2})
    assert (page.total_entries, page.skip, page.limit) == (4, 0, None)


def test_a_count_is_read():
    assert read_count(answered(200, {"items": {"count": 12}})) == 12


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": {"count": None}}, {"items": {}}])
def test_a_count_that_is_missing_is_unexpected(body):
    with pytest.raises(UnexpectedResponseError, match="count"):
        read_count(answered(200, body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.integers(300, 599), JSON)
def test_any_refusal_is_an_api_response_error(status, body):
    assert refused(status, body).status == status


@given(st.integers(300, 599), st.binary(max_size=200))
def test_any_bytes_of_a_refusal_are_an_api_response_error(status, body):
    assert refused(status, body).status == status
