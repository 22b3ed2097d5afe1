"""Requests: where the parameters of a request stand, and how each place is read."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.api import Request
from connectycube.emulator.domain.api_error import ApiError


def parameters(query="", body=b"", *, method="GET", content_type=None):
    headers = {} if content_type is None else {"content-type": content_type}
    request = Request(method=method, path="users", query=query, headers=headers, body=body)
    return request.parameters()


PAIRS = st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1)


@given(PAIRS)
def test_a_get_has_parameters_in_its_query_and_as_a_form(pairs):
    form = urlencode(pairs)
    assert parameters(form) == pairs
    assert parameters(body=form.encode()) == pairs


@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded", "application/json"]
)
def test_the_form_of_a_get_is_read_whatever_its_content_type(content_type):
    body = b"filter[]=number+id+gt+51946&full_name=Gabrielle%20Corcoran"
    assert parameters(body=body, content_type=content_type) == [
        ("filter[]", "number id gt 51946"),
        ("full_name", "Gabrielle Corcoran"),
    ]


def test_the_query_comes_before_the_body():
    assert parameters("limit=1&skip=2", b"limit=3") == [
        ("limit", "1"),
        ("skip", "2"),
        ("limit", "3"),
    ]


def test_the_object_of_a_get_is_read_as_its_query():
    body = {"limit": 5, "id": {"in": [1, 2]}, "archived": True, "name": "{x}", "none": None}
    assert parameters(body=json.dumps(body).encode(), content_type="application/json") == [
        ("limit", "5"),
        ("id[in][]", "1"),
        ("id[in][]", "2"),
        ("archived", "true"),
        ("name", "{x}"),
        ("none", "null"),
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_body_of_another_method_has_no_parameters(method):
    assert parameters("a=1", b"b=2", method=method) == [("a", "1")]


@pytest.mark.parametrize("body", [b"\xff=1", b"%ff=1", b'{"a": '])
def test_a_malformed_body_of_a_get_is_refused(body):
    with pytest.raises(ApiError) as caught:
        parameters(body=body)
    assert caught.value.status == 400
