"""Faults of the REST API and of the storage bucket, as raw clients and our own meet them."""

from __future__ import annotations

import concurrent.futures

import pytest
import requests

from connectycube import (
    ApiNetworkError,
    ApiTimeoutError,
    ConnectyCube,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    Timeouts,
)
from tests.wire.emulator.conftest import Rest


@pytest.fixture
def cube(emulator, alice):
    config = emulator.config(
        retry=RetryPolicy(max_retries=3, delay=0.01),
        timeouts=Timeouts(rest_connect=4.0, rest_read=0.3),
    )
    with ConnectyCube(config=config) as made:
        made.login(login="alice", password="secret")
        yield made


class TestRest:
    @pytest.mark.parametrize(("retry_after", "header"), [(2, "2"), (None, None), (0, "0")])
    def test_rate_limit(self, emulator, alice, rest, retry_after, header):
        session = rest("alice")
        with emulator.faults.rate_limit(retry_after=retry_after):
            answer = session("POST", "chat/Dialog", json={"type": 3, "occupants_ids": [alice]})
        assert answer.status_code == 429
        assert answer.headers.get("Retry-After") == header
        assert answer.json()["errors"]["base"]

    def test_what_is_refused_has_no_effect(self, emulator, alice, rest):
        session = rest("alice")
        with emulator.faults.server_error():
            assert (
                session("PUT", f"users/{alice}", json={"user": {"full_name": "B"}}).status_code
                == 500
            )
        assert session("GET", f"users/{alice}").json()["user"]["full_name"] == "Alice"

    def test_drop_resets_instead_of_an_answer(self, emulator, alice, rest, caplog):
        session = rest("alice")
        with emulator.faults.drop(times=1), pytest.raises(requests.ConnectionError):
            session("GET", "session")
        assert session("GET", "session").status_code == 200
        assert not caplog.records

    def test_refuse_resets_new_connections_and_leaves_the_others(self, emulator, alice, rest):
        session = rest("alice")
        with emulator.faults.refuse(on="rest", times=2) as fault:
            assert session("GET", "session").status_code == 200, "its connection is there already"
            for _ in range(2):
                with pytest.raises(requests.ConnectionError):
                    rest("alice")
            assert rest("alice").token
            assert fault.used == 2

    def test_half_open_answers_nothing(self, emulator, alice, rest):
        session = rest("alice")
        with emulator.faults.half_open(on="rest"), pytest.raises(requests.ReadTimeout):
            session.http.get(f"{emulator.api_url}/session", timeout=0.2)
        assert session("GET", "session").status_code == 200

    def test_half_open_does_not_hold_up_a_stop(self, own_emulator):
        own_emulator.add_user("alice", "secret")
        session = Rest(own_emulator, "alice")
        fault = own_emulator.faults.half_open(on="rest")
        with session.http, concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(session, "GET", "session")
            fault.wait()
            own_emulator.stop()
            with pytest.raises(requests.ConnectionError):
                waiting.result(5)

    @pytest.mark.parametrize(
        ("name", "parameters"),
        [("delay", {"seconds": 3600}), ("throttle", {"bytes_per_second": 1})],
    )
    def test_late_and_slow_answers_come_by_the_emulators_clock(
        self, emulator, alice, rest, name, parameters
    ):
        session = rest("alice")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            fault = emulator.faults.start(name, times=1, **parameters)
            waiting = pool.submit(session, "GET", "session")
            fault.wait()
            assert not waiting.done()
            emulator.clock.advance(3600)
            assert waiting.result(5).status_code == 200

    def test_expire_session_ends_the_session_that_is_shown(self, emulator, alice, bob, rest):
        first, second, other = rest("alice"), rest("alice"), rest("bob")
        fault = emulator.faults.expire_session(user=alice, times=1)
        assert other("GET", "session").status_code == 200
        answer = first("GET", "session")
        assert answer.status_code == 401
        assert answer.json() == {"errors": {"base": ["Required session does not exist"]}}
        assert first("GET", "session").status_code == 401, "it is gone"
        assert second("GET", "session").status_code == 200
        assert not fault.is_on


class TestRestOfOurClient:
    @pytest.mark.parametrize(
        ("name", "parameters"),
        [
            ("rate_limit", {"retry_after": 0, "times": 2}),
            ("rate_limit", {"times": 2}),
            ("server_error", {"status": 503, "times": 2}),
            ("drop", {"times": 2}),
        ],
    )
    def test_it_asks_again_until_it_is_answered(self, emulator, alice, cube, name, parameters):
        fault = emulator.faults.start(name, on="rest", **parameters)
        assert cube.users.get(alice).login == "alice"
        assert fault.used == parameters["times"]

    def test_it_does_not_wait_for_who_is_silent(self, emulator, alice, cube):
        with emulator.faults.half_open(on="rest", times=1), pytest.raises(ApiTimeoutError):
            cube.users.get(alice)
        assert cube.users.get(alice).login == "alice"

    def test_it_says_how_long_to_wait_when_it_may_not_go_on(self, emulator, alice, cube):
        with emulator.faults.rate_limit(retry_after=3600), pytest.raises(RateLimitError) as caught:
            cube.users.get(alice)
        assert caught.value.retry_after == 3600

    def test_it_renews_a_session_that_ended_as_often_as_it_ends(self, emulator, alice, cube):
        tokens = set()
        for _ in range(3):
            tokens.add(cube.session.token)
            with emulator.faults.expire_session(user="alice", times=1) as fault:
                assert cube.users.get(alice).login == "alice"
                assert fault.used == 1
        assert len(tokens) == 3

    def test_a_message_that_was_refused_is_sent_when_it_is_said_again(
        self, emulator, alice, bob, cube
    ):
        dialog = cube.dialogs.create_private(bob)
        with emulator.faults.rate_limit(retry_after=0, times=2):
            cube.messages.create(dialog, "once")
        assert [one["message"] for one in emulator.messages(dialog.id)] == ["once"]
        with pytest.raises(NotFoundError):
            cube.messages.update(dialog, "f" * 24, body="x")


CONTENT = bytes(range(256)) * 4


class TestStorage:
    """The bucket's own faults: the REST API answers meanwhile."""

    @pytest.fixture
    def file(self, cube):
        return cube.files.upload(CONTENT, name="a.bin", public=True)

    @pytest.fixture
    def url(self, emulator, cube, file):
        answer = requests.get(cube.files.public_url(file), allow_redirects=False, timeout=5)
        url = answer.headers["Location"]
        assert url.startswith(emulator.storage_url)
        return url

    @pytest.mark.parametrize("parameters", [{}, {"status": 503}])
    def test_server_error_is_the_buckets_kind_of_error(self, emulator, url, parameters):
        with emulator.faults.server_error(on="storage", times=1, **parameters):
            failed = requests.get(url, timeout=5)
            assert failed.status_code == parameters.get("status", 500)
            assert "<Code>InternalError</Code>" in failed.text
            assert requests.get(url, timeout=5).content == CONTENT

    @pytest.mark.parametrize("name", ["drop", "refuse"])
    def test_a_connection_that_is_reset(self, emulator, url, name):
        with emulator.faults.start(name, on="storage", times=1) as fault:
            with pytest.raises(requests.ConnectionError):
                requests.get(url, timeout=5)
            assert fault.used == 1
            assert requests.get(url, timeout=5).content == CONTENT

    def test_half_open_answers_nothing(self, emulator, url):
        with emulator.faults.half_open(on="storage"), pytest.raises(requests.ReadTimeout):
            requests.get(url, timeout=0.2)
        assert requests.get(url, timeout=5).content == CONTENT

    @pytest.mark.parametrize(
        ("name", "parameters"),
        [("delay", {"seconds": 1024}), ("throttle", {"bytes_per_second": 1})],
    )
    def test_late_and_slow_downloads_come_by_the_emulators_clock(
        self, emulator, url, name, parameters
    ):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            fault = emulator.faults.start(name, on="storage", times=1, **parameters)
            waiting = pool.submit(requests.get, url, timeout=30)
            fault.wait()
            emulator.clock.advance(1023)
            assert not waiting.done()
            emulator.clock.advance(1)
            assert waiting.result(5).content == CONTENT

    def test_an_upload_that_fails_raises_and_the_next_one_succeeds(self, emulator, cube):
        for name, error in [("server_error", ServerError), ("drop", ApiNetworkError)]:
            with emulator.faults.start(name, on="storage"), pytest.raises(error):
                cube.files.upload(CONTENT, name="a.bin")
        file = cube.files.upload(CONTENT, name="a.bin")
        assert cube.files.download(file) == CONTENT

    def test_one_users_faults_do_not_reach_it_for_it_knows_no_users(self, emulator, alice, url):
        with emulator.faults.drop(user=alice) as fault:
            assert requests.get(url, timeout=5).content == CONTENT
            assert fault.used == 0
