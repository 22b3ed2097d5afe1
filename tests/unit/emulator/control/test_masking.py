"""No secret reaches the log of exchanges, whatever form it is sent in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.control.masking import (
    MASK,
    masked_body,
    masked_headers,
    masked_text,
)

SECRET = "hunter2-5ec4e7"
JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f'{{"user": {{"login": "alice", "password": "{SECRET}"}}}}', JSON),
        (f'{{"password": "{SECRET}"', JSON),  # not JSON as a whole
        (f'{{"password": "{SECRET}', JSON),
        (f'[{{"token": "{SECRET}"}}]', JSON),
        (f'{{"a": [{{"Auth_Key": "{SECRET}"}}]}}', JSON),
        (f'{{"token": {{"inner": 1}}, "old_password": "{SECRET}"}}', JSON),
        (f'{{"url": "https://x.test/a?token={SECRET}&b=1"}}', JSON),
        (f'{{"params": "https://x.test/?Policy=a&X-Amz-Signature={SECRET}"}}', JSON),
        (f"user[login]=alice&user[password]={SECRET}", FORM),
        (f"user%5Bpassword%5D={SECRET}&user%5Blogin%5D=alice", FORM),
        (f"auth_key={SECRET}", ""),
        (f"auth_key={SECRET}", "text/plain"),
        (f'{{"password": "{SECRET}"}}', FORM),
        (f"password={SECRET}", JSON),
    ],
)
def test_no_secret_of_a_body_stays(body, kind):
    masked = masked_body(body.encode(), kind)
    assert SECRET not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        ('{"message": "Hello = you", "n": 1.5}', JSON, '{"message": "Hello = you", "n": 1.5}'),
        ("message=Hello+you&a[in][]=1", FORM, "message=Hello%20you&a[in][]=1"),
        ("", "", ""),
        ("plain words", "text/plain", "plain words"),
        (b"\xff\xfe\x00", "image/png", "(3 bytes that are no text)"),
        (b"GIF89a", "image/gif", "(6 bytes of image/gif)"),
    ],
)
def test_the_rest_of_a_body_is_shown(body, kind, shown):
    assert masked_body(body if isinstance(body, bytes) else body.encode(), kind) == shown


@pytest.mark.parametrize(
    "name",
    ["CB-Token", "cb-authkey", "AUTHORIZATION", "Cookie", "CB-Administration-API-Key"],
)
def test_headers_that_let_somebody_in_are_masked(name):
    assert masked_headers({name: SECRET, "Accept": "*/*"}) == {name: MASK, "Accept": "*/*"}


def test_a_secret_in_an_address_is_masked():
    text = masked_text(f"/files/a?token={SECRET}&X-Amz-Signature={SECRET}")
    assert text == f"/files/a?token={MASK}&X-Amz-Signature={MASK}"
    assert masked_text("/users?tokens=5&my_password_hint=x") == "/users?tokens=5&my_password_hint=x"


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=_values, name=st.sampled_from(["password", "token", "auth_key"]))
def test_a_secret_is_masked_wherever_it_is_in_json(value, name):
    body = json.dumps({"a": [value, {"b": {name: SECRET}}]}).encode()
    masked = masked_body(body, JSON)
    assert SECRET not in masked
    assert json.loads(masked)["a"][1] == {"b": {name: MASK}}


@given(st.binary(max_size=60), st.sampled_from([JSON, FORM, "", "text/xml", "multipart/form-data"]))
def test_every_body_can_be_shown(body, kind):
    assert isinstance(masked_body(body, kind), str)
