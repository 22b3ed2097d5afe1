import pytest

from connectycube.rest._http import Request, Response


def test_a_request_shows_its_path_parameters_and_json():
    request = Request(
        method="PUT",
        url="https://api.example/chat/Dialog/5?a=1&b=&a=2",
        headers={"CB-Token": "T0KEN"},
        body=b'{"name": "x"}',
    )
    assert (request.path, request.params) == ("/chat/Dialog/5", {"a": "2", "b": ""})
    assert request.headers["CB-Token"] == "T0KEN"
    assert request.json() == {"name": "x"}
    assert "T0KEN" not in repr(request)
    assert "S3CRET" not in repr(Request(method="GET", url="https://s3.example/u?token=S3CRET"))


def test_a_request_without_a_body_has_no_json():
    assert Request(method="GET", url="https://api.example/users").json() is None


def test_a_request_whose_body_is_streamed_has_no_json():
    request = Request(method="POST", url="https://s3.example", body=iter([b"{}"]))
    with pytest.raises(TypeError, match="streamed"):
        request.json()


def test_a_response_is_made_of_json_or_bytes():
    assert Response(json={"a": "grüße"}).json() == {"a": "grüße"}
    assert Response(404, body=b"no").body == b"no"
    assert Response(204).json() is None
    assert Response(headers={"Retry-After": "3"}).headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("status", "is_success"), [(199, False), (200, True), (299, True), (300, False)]
)
def test_two_hundred_to_299_are_success(status, is_success):
    assert Response(status).is_success is is_success
