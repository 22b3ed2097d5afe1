import gc
import logging
import threading
import time
from datetime import datetime, timezone

import pytest

from connectycube._secrets import Secret
from connectycube.config import Config, Timeouts
from connectycube.errors import (
    ApiAuthenticationError,
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
    ClientClosedError,
    ServerError,
    UnexpectedResponseError,
)
from connectycube.models import Session
from connectycube.rest._api import Api
from connectycube.rest._session import expiry_of
from tests.support.scripted_http import answer, refusal, silent
from tests.support.waiting import TIMEOUT
from tests.wire.rest.conftest import AUTH_KEY, SESSION, TOKEN

PATH = ("chat", "Dialog")


def test_a_call_sends_the_documented_headers(api, server):
    server.play(answer(200, {}))
    api.call("POST", PATH, body={"a": 1})
    headers = server.requests[0].headers
    assert headers["cb-token"] == TOKEN
    assert headers["cb-sdk"].startswith("Python ")
    assert headers["content-type"] == "application/json"
    assert server.requests[0].content == b'{"a":1}'


def test_without_a_session_a_call_that_needs_one_sends_nothing(api, server):
    api.forget(SESSION)
    words = r"there is no session: call cube\.login\(login=…, password=…\) first$"
    with pytest.raises(ApiAuthenticationError, match=words) as caught:
        api.call("GET", PATH, query=[("token", "T0K")])
    assert (caught.value.method, caught.value.status) == ("GET", 401)
    assert "T0K" not in str(caught.value)
    assert server.connections == []


def test_a_call_may_use_a_session_if_there_is_any(api, server):
    server.respond(lambda request: answer(200, {}))
    api.call("GET", PATH, session="if any")
    api.forget(SESSION)
    api.call("GET", PATH, session="if any")
    assert server.requests[0].headers["cb-token"] == TOKEN
    assert "cb-token" not in server.requests[1].headers
    assert "content-type" not in server.requests[1].headers


def test_after_close_no_call_is_made(api, server):
    api.close()
    api.close()
    for session in ("needed", "if any", "none"):
        with pytest.raises(ClientClosedError, match="make a new ConnectyCube"):
            api.call("GET", PATH, session=session)
    assert server.connections == []


def test_a_call_can_do_without_the_session(api, server):
    server.play(answer(200, {}))
    api.call("POST", PATH, body={}, session="none", headers={"CB-AuthKey": "k"})
    assert "cb-token" not in server.requests[0].headers
    assert server.requests[0].headers["cb-authkey"] == "k"


def test_path_and_query_are_quoted(api, server):
    server.play(answer(200, {}))
    api.call(
        "GET", ("a/b", "ü?#"), query=[("date_sent[gt]", 5), ("name[in]", "a&b=c,d e+f"), ("x", "")]
    )
    request = server.requests[0]
    assert request.path == "/a%2Fb/%C3%BC%3F%23"
    assert request.query == [("date_sent[gt]", "5"), ("name[in]", "a&b=c,d e+f"), ("x", "")]
    assert "+" not in request.raw_path


def test_a_base_with_a_path_is_kept(server):
    api = Api(Config(app_id=1, auth_key="k-5ec4e7c0de", api_url=server.url + "/base/"))
    server.play(answer(200, {}))
    api.call("GET", PATH, session="none")
    api.close()
    assert server.requests[0].path == "/base/chat/Dialog"


@pytest.mark.parametrize("text", ["grüße 👋 हिन्दी", "\x00\x07\u2028", '"quoted" \\ back'])
def test_any_text_arrives(api, server, text):
    server.respond(lambda request: answer(200, {"echo": request.json["text"]}))
    assert api.call("POST", PATH, body={"text": text}).json() == {"echo": text}


@pytest.mark.parametrize("token", ["line\r\nbreak", "gr\u00fc\u00dfe", " edge", "a\x00"])
def test_a_token_no_header_can_hold_is_refused_unseen(api, server, token):
    api.adopt(Session(token=token))
    with pytest.raises(ArgumentValueError, match="token") as caught:
        api.call("GET", PATH)
    assert token not in str(caught.value)
    assert server.connections == []


@pytest.mark.parametrize(
    ("timeout", "cls"),
    [
        (0, ArgumentValueError),
        (-1, ArgumentValueError),
        ("1", ArgumentTypeError),
        (True, ArgumentTypeError),
    ],
)
def test_a_timeout_that_is_none_is_refused(api, server, timeout, cls):
    with pytest.raises(cls, match="timeout"):
        api.call("GET", PATH, timeout=timeout)
    assert server.connections == []


def test_a_calls_own_timeout_holds(api, server):
    server.play(silent)
    started = time.monotonic()
    with pytest.raises(ApiTimeoutError) as caught:
        api.call("GET", PATH, timeout=0.1)
    assert time.monotonic() - started < TIMEOUT / 2
    assert isinstance(caught.value, TimeoutError)


def test_configured_timeouts_hold_without_one(server):
    times = Timeouts(rest_connect=0.1, rest_read=0.1)
    api = Api(Config(app_id=1, auth_key="k-5ec4e7c0de", api_url=server.url, timeouts=times))
    server.play(silent)
    with pytest.raises(ApiTimeoutError):
        api.call("GET", PATH, session="none")


# --- expiry


def test_the_expiry_that_the_service_says_is_noted(api, server):
    server.play(answer(200, {}, headers=[("CB-Token-ExpirationDate", "2031-10-09 16:56:41 UTC")]))
    api.call("GET", PATH)
    assert api.session.expires_at == datetime(2031, 10, 9, 16, 56, 41, tzinfo=timezone.utc)


def test_an_answer_without_an_expiry_changes_nothing(api, server):
    server.play(
        answer(200, {}, headers=[("CB-Token-ExpirationDate", "2031-10-09 16:56:41 UTC")]),
        answer(200),
    )
    api.call("GET", PATH)
    api.call("GET", PATH)
    assert api.session.expires_at is not None


@pytest.mark.parametrize("text", ["", "soon", "2031-99-99 00:00:00 UTC"])
def test_an_expiry_that_cannot_be_read_is_unknown(text):
    assert expiry_of(text) is None


# --- renewal


@pytest.fixture
def renewing(api):
    """An API whose session can be renewed: to token-1, token-2 and so on."""
    api.made = []

    def renewal(deadline):
        api.made.append(deadline)
        return Session(token=f"token-{len(api.made)}", user_id=11)

    api.adopt(Session(token=TOKEN, user_id=11), renewal)
    return api


def by_token(*live):
    def respond(request):
        if request.headers.get("cb-token") in live:
            return answer(200, {"token": request.headers["cb-token"]})
        return refusal(401, "Required session does not exist")

    return respond


def test_a_session_that_is_gone_is_renewed_and_the_call_repeated(renewing, server):
    server.respond(by_token("token-1"))
    assert renewing.call("POST", PATH, body={"a": 1}).json() == {"token": "token-1"}
    assert [request.json for request in server.requests] == [{"a": 1}, {"a": 1}]
    assert renewing.session.token == "token-1"


def test_a_call_is_repeated_once_only(renewing, server):
    server.respond(by_token())
    with pytest.raises(ApiAuthenticationError):
        renewing.call("GET", PATH)
    assert len(server.requests) == 2
    assert len(renewing.made) == 1


def test_a_session_that_cannot_be_renewed_is_the_callers_error(api, server):
    server.respond(by_token())
    with pytest.raises(ApiAuthenticationError) as caught:
        api.call("GET", PATH)
    assert caught.value.messages == ("Required session does not exist",)
    assert len(server.requests) == 1


def test_renewal_can_be_declined(renewing, server):
    server.respond(by_token())
    with pytest.raises(ApiAuthenticationError):
        renewing.call("DELETE", PATH, renew=False)
    assert renewing.made == []


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_other_refusals_renew_nothing(renewing, server, status):
    server.respond(lambda request: refusal(status, "no"))
    with pytest.raises(Exception, match=str(status)):
        renewing.call("GET", PATH)
    assert renewing.made == []


def test_many_threads_share_one_renewal_and_each_call_is_repeated_once(renewing, server):
    everyone = threading.Barrier(12)

    def respond(request):
        if request.headers["cb-token"] == TOKEN:
            everyone.wait(10)  # nobody is refused before everybody has asked
        return by_token("token-1")(request)

    server.respond(respond)
    results = []

    def work():
        results.append(renewing.call("GET", PATH).json()["token"])

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == ["token-1"] * 12
    assert len(renewing.made) == 1
    assert len(server.requests) == 24


def test_renewal_counts_towards_the_calls_deadline(renewing, server):
    server.respond(by_token("token-1"))
    renewing.call("GET", PATH, timeout=3)
    assert renewing.made[0].seconds == 3


def test_a_wait_for_anothers_renewal_ends_at_the_calls_deadline(api, server):
    entered, release = threading.Event(), threading.Event()

    def renewal(deadline):
        entered.set()
        assert release.wait(10)
        return Session(token="token-1", user_id=11)

    api.adopt(Session(token=TOKEN, user_id=11), renewal)
    server.respond(by_token("token-1"))
    leader = threading.Thread(target=api.call, args=("GET", PATH))
    leader.start()
    assert entered.wait(10)
    with pytest.raises(ApiTimeoutError, match="not renewed in time"):
        api.call("GET", PATH, timeout=0.2)
    release.set()
    leader.join(10)


def test_another_user_logging_in_meanwhile_does_not_get_my_call(renewing, server):
    def respond(request):
        renewing.adopt(Session(token="bob", user_id=12))
        return refusal(401, "gone")

    server.respond(respond)
    with pytest.raises(ApiAuthenticationError):
        renewing.call("POST", PATH, body={})
    assert [request.headers["cb-token"] for request in server.requests] == [TOKEN]


def test_live_session_is_the_current_one_while_it_is_good(renewing):
    assert renewing.live_session().token == TOKEN
    assert renewing.live_session(refused=Secret("older")).token == TOKEN
    assert renewing.made == []


def test_live_session_renews_a_refused_or_expired_one(renewing):
    assert renewing.live_session(refused=Secret(TOKEN)).token == "token-1"
    renewing._state.expires(renewing.session, datetime(2001, 1, 1, tzinfo=timezone.utc))
    assert renewing.live_session().token == "token-2"


def test_live_session_that_cannot_be_renewed_is_what_there_is(api):
    assert api.live_session(refused=Secret(TOKEN)).token == TOKEN


def test_without_a_session_there_is_no_live_one(api):
    api.forget(SESSION)
    assert api.live_session() is None


def test_a_session_that_has_expired_is_renewed_before_the_call(renewing, server):
    renewing._state.expires(renewing.session, datetime(2001, 1, 1, tzinfo=timezone.utc))
    server.respond(by_token("token-1"))
    renewing.call("POST", PATH, body={})
    assert [request.headers["cb-token"] for request in server.requests] == ["token-1"]


def test_the_expiry_counts_by_the_services_clock(renewing, server):
    dates = [
        ("Date", "Mon, 01 Jan 2001 10:00:00 GMT"),
        ("CB-Token-ExpirationDate", "2001-01-01 12:00:00 UTC"),
    ]
    server.respond(lambda request: answer(200, {}, headers=dates))
    renewing.call("GET", PATH)
    renewing.call("GET", PATH)
    assert renewing.made == []
    assert renewing.session.expires_at == datetime(2001, 1, 1, 12, tzinfo=timezone.utc)


def test_the_service_judges_an_expired_session_without_renewal(api, server):
    api._state.expires(api.session, datetime(2001, 1, 1, tzinfo=timezone.utc))
    server.play(answer(200, {"a": 1}))
    assert api.call("GET", PATH).json() == {"a": 1}


@pytest.mark.parametrize("status", [201, 202, 204])
def test_every_2xx_is_success(api, server, status):
    server.play(answer(status))
    assert api.call("DELETE", PATH).json() is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_redirects_of_the_api_are_not_followed(api, server, storage, method):
    server.play(answer(307, headers=[("Location", storage.url)]))
    with pytest.raises(UnexpectedResponseError, match="redirect"):
        api.call(method, PATH)
    assert storage.connections == []


# --- secrets and logs


def test_no_secret_is_in_errors_logs_or_reprs(api, server, caplog):
    caplog.set_level(logging.DEBUG)
    api.adopt(Session(token="T0KEN-5ec4e7c0de", user_id=1))
    body = {
        "user": {"password": Secret("PASSW0RD-5ec4e7c0de")},
        "signature": Secret("S1GN-5ec4e7c0de"),
        "auth_key": Secret(AUTH_KEY),
    }

    def respond(request):
        return refusal(422, f"bad: {request.headers} {request.content.decode()}")

    server.respond(respond)
    with pytest.raises(Exception, match="bad") as caught:
        api.call("POST", PATH, body=body, query=[("token", "QUERYT0KEN")])
    ours = [record.getMessage() for record in caplog.records if record.name == "connectycube.rest"]
    told = [
        caplog.text,
        str(caught.value),
        repr(caught.value),
        *caught.value.messages,
        caught.value.url,
        repr(api),
    ]
    told += [repr(api.session), repr(api.config), *ours]
    for secret in (
        "T0KEN-5ec4e7c0de",
        "PASSW0RD-5ec4e7c0de",
        "S1GN-5ec4e7c0de",
        AUTH_KEY,
        "QUERYT0KEN",
    ):
        assert not [text for text in told if secret in text]
    assert len(ours) == 1


def test_each_exchange_is_one_debug_line(api, server, caplog):
    caplog.set_level(logging.DEBUG, logger="connectycube.rest")
    server.play(answer(200, {"a": 1}), answer(500))
    api.call("GET", PATH, query=[("limit", 5)])
    with pytest.raises(ServerError):
        api.call("GET", PATH)
    lines = [record.getMessage() for record in caplog.records if record.name == "connectycube.rest"]
    assert len(lines) == 2
    assert lines[0].startswith(f"GET {server.url}/chat/Dialog?limit=5 answered 200 in ")
    assert "answered 500" in lines[1]


def test_an_exchange_without_an_answer_is_a_debug_line_as_well(api, server, caplog):
    caplog.set_level(logging.DEBUG, logger="connectycube.rest")
    server.play(silent)
    with pytest.raises(ApiTimeoutError):
        api.call("GET", PATH, timeout=0.05)
    assert "no answer within 0.05 s" in caplog.text


def test_an_api_that_nobody_keeps_goes_away(config):
    import weakref

    gone = weakref.ref(Api(config))
    gc.collect()
    assert gone() is None
