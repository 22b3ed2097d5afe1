"""What browsers need to let a page of another origin call the emulator."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

PAGE = "http://localhost:5173"
ALLOW = "Access-Control-Allow-Origin"
WANTED = "cb-sdk, cb-token, content-type"


def ask(url, origin, method="POST", **more):
    headers = {
        **more,
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": WANTED,
    }
    with requests.Session() as http:
        http.trust_env = False
        return http.options(url, headers=headers, timeout=5)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "origin",
    [
        PAGE,
        "https://localhost",
        "http://127.0.0.1:8000",
        "http://[::1]:3000",
        "http://app.localhost",
    ],
)
def test_a_page_of_this_machine_may_send_what_the_sdk_sends(emulator, origin, method):
    answer = ask(f"{emulator.api_url}/chat/Dialog.json", origin, method)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers[ALLOW] == origin
    assert method in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == WANTED
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.com",
        "http://localhost.example.com",
        "http://192.0.2.1",
        "null",
        "http://[",
        "",
    ],
)
def test_a_page_from_elsewhere_may_not(emulator, rest, origin):
    answer = ask(f"{emulator.api_url}/session", origin)
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]
    answer = rest()("GET", "session", headers={"Origin": origin})
    assert (answer.status_code, ALLOW in answer.headers) == (403, False)


def test_a_page_reads_answers_and_refusals_alike(emulator, rest):
    session = rest()
    for path, status in (("session", 200), ("users/999", 404), ("no/such/thing", 501)):
        answer = session("GET", path, headers={"Origin": PAGE})
        assert (answer.status_code, answer.headers[ALLOW]) == (status, PAGE)
        assert "CB-Token-ExpirationDate" in answer.headers["Access-Control-Expose-Headers"]
    with emulator.faults.rate_limit(retry_after=2):
        answer = session("GET", "session", headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers[ALLOW]) == (429, PAGE)
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_who_is_no_browser_is_told_nothing_of_origins(rest):
    answer = rest()("GET", "session")
    assert not {"Vary", ALLOW} & answer.headers.keys()


def test_an_options_request_that_is_no_preflight_is_refused_by_name(rest):
    answer = rest()("OPTIONS", "session")
    assert answer.status_code == 405


def test_a_page_in_the_internet_may_reach_a_private_address(emulator):
    asked = {"Access-Control-Request-Private-Network": "true"}
    answer = ask(f"{emulator.api_url}/session", PAGE, **asked)
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"


def test_no_page_may_send_cookies(emulator, rest):
    answers = (
        ask(f"{emulator.api_url}/session", PAGE),
        rest()("GET", "session", headers={"Origin": PAGE}),
    )
    for answer in answers:
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers[ALLOW] != "*"
        assert not answer.cookies


def test_a_page_uploads_and_downloads_files(emulator, alice, rest):
    session = rest("alice")
    wanted = {"name": "a.txt", "content_type": "text/plain", "public": True}
    blob = session("POST", "blobs", json={"blob": wanted}).json()["blob"]
    form = urlsplit(blob["blob_object_access"]["params"])
    fields = dict(parse_qsl(form.query, keep_blank_values=True))
    address = f"{form.scheme}://{form.netloc}{form.path}"
    page = {"Origin": PAGE}
    with requests.Session() as http:
        http.trust_env = False
        sent = http.post(
            address, data=fields, files={"file": ("a.txt", b"hello")}, headers=page, timeout=5
        )
        assert (sent.status_code, sent.headers[ALLOW]) == (201, PAGE)
        session("PUT", f"blobs/{blob['id']}/complete", json={"blob": {"size": 5}})
        url = f"{emulator.api_url}/blobs/{blob['uid']}"
        moved = http.get(url, headers=page, timeout=5, allow_redirects=False)
        assert moved.headers[ALLOW] == PAGE
        # Whom the API redirects to the bucket, the browser names no origin for.
        place = moved.headers["Location"]
        assert ask(place, "null", "GET").headers[ALLOW] == "null"
        found = http.get(place, headers={"Origin": "null"}, timeout=5)
        assert (found.content, found.headers[ALLOW]) == (b"hello", "null")
