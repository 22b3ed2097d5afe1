"""The session's token as the chat's password: renewed where it has ended or was refused, once an attempt."""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack

import pytest

from connectycube import (
    ApiAuthenticationError,
    ChatAuthenticationError,
    ChatState,
    ConnectionLostError,
    ConnectyCube,
    LoginTimeoutError,
    ReconnectPolicy,
    Session,
    Timeouts,
)
from tests.support.inside import api_of
from tests.support.people import FAST, PASSWORD, Person
from tests.support.waiting import TIMEOUT, Gate

S = ChatState
HOUR = 3600.0
NUMBERS = itertools.count(1)


@pytest.fixture
def client(emulator):
    """Make a user's client with a session; with ``renew_session`` it knows the token alone."""
    with ExitStack() as stack:

        def make(renew_session=None, known_user=True, **options):
            login = f"renewal{next(NUMBERS)}"
            user_id = emulator.add_user(login, PASSWORD)
            options.setdefault("reconnect", FAST)
            config = emulator.config(**options)
            cube = stack.enter_context(ConnectyCube(config=config))
            cube.login(login=login, password=PASSWORD)
            if renew_session is not None:
                token = cube.session.token
                cube = stack.enter_context(
                    cube.with_token(
                        token,
                        user_id=user_id if known_user else None,
                        renew_session=None if renew_session is NO_RENEWAL else renew_session,
                    )
                )
            return Person(user_id, config, name=login, cube=cube)

        yield make


NO_RENEWAL = object()  # a token, and nothing to renew it with


def expire(cube, emulator):
    """End the client's session at the service, without the client's knowledge."""
    with emulator.faults.start("expire_session", times=1), pytest.raises(ApiAuthenticationError):
        api_of(cube).call("GET", ("session",), renew=False)


def lose_session(client, emulator):
    """Cut the client's link for good: what it resumes is gone, and it has to log in anew."""
    emulator.cut(client.id)
    emulator.forget_sessions(client.id)


def another_token(emulator, login):
    """The token of a new session of that user."""
    with ConnectyCube(config=emulator.config()) as other:
        other.login(login=login, password=PASSWORD)
        return other.session.token


@pytest.mark.parametrize("resumes", [True, False], ids=["resumed", "new session"])
def test_after_three_idle_hours_a_cut_link_is_made_again_unaided(emulator, client, resumes):
    alice = client()
    token = alice.cube.session.token
    alice.chat.login()
    emulator.clock.advance(3 * HOUR)
    assert alice.chat.is_ready, "who is connected stays so when the token ends"
    if resumes:
        emulator.cut(alice.id)
        alice.wait_for_state(S.RESUMED)
    else:
        lose_session(alice, emulator)
        alice.wait_for_state(S.READY, 2)
    assert alice.cube.session.token != token
    assert S.AUTHENTICATION_FAILURE not in alice.states
    assert alice.states.count(S.RECONNECTING) == 1, "the token was renewed within the attempt"
    assert alice.chat.ping() < TIMEOUT


def test_the_first_login_renews_a_token_that_the_service_has_ended(emulator, client):
    alice = client()
    token = alice.cube.session.token
    expire(alice.cube, emulator)
    alice.chat.login()
    assert alice.cube.session.token != token
    alice.wait_for_state(S.READY)
    assert alice.states == [S.CONNECTING, S.AUTHENTICATED, S.READY]


@pytest.mark.parametrize("timeout", [0.0, 0.5])
def test_the_first_login_ends_in_time_while_rest_is_silent(emulator, client, timeout):
    alice = client(renew_session=NO_RENEWAL, known_user=False)
    silent = emulator.faults.start("half_open", on="rest")
    with silent, pytest.raises(LoginTimeoutError, match="no password for the chat"):
        alice.chat.login(timeout=timeout)
    assert alice.states == [] and alice.chat.state is S.IDLE
    alice.chat.login()
    assert alice.chat.is_ready


def test_the_first_login_ends_in_time_although_the_renewal_takes_longer(emulator, client):
    over = threading.Event()

    def renew(stale):
        over.wait(TIMEOUT)

    alice = client(renew_session=renew, known_user=False)
    expire(alice.cube, emulator)
    with pytest.raises(LoginTimeoutError, match="no password for the chat"):
        alice.chat.login(timeout=0.3)
    over.set()


def test_a_session_ended_by_the_service_is_renewed_at_the_reconnection(emulator, client):
    # A request for missed messages would notice the end of the session before the reconnection.
    alice = client(fill_gaps=False)
    alice.chat.login()
    for round_ in (2, 3, 4):
        expire(alice.cube, emulator)
        lose_session(alice, emulator)
        alice.wait_for_state(S.READY, round_)
    assert S.AUTHENTICATION_FAILURE not in alice.states


def test_the_applications_renewal_is_asked_once_for_each_refusal(emulator, client):
    asked = []

    def renew(session):
        asked.append(session.token)
        return another_token(emulator, alice.name)

    alice = client(renew_session=renew)
    alice.chat.login()
    old = alice.cube.session.token
    expire(alice.cube, emulator)
    lose_session(alice, emulator)
    alice.wait_for_state(S.READY, 2)
    assert asked == [old]
    assert alice.cube.session.token != old


def test_a_token_alone_is_renewed_by_a_session_at_the_login(emulator, client):
    def renew(session):
        with ConnectyCube(config=emulator.config()) as other:
            other.login(login=alice.name, password=PASSWORD)
            return other.session

    alice = client(renew_session=renew, known_user=False)
    expire(alice.cube, emulator)
    alice.chat.login()
    assert alice.chat.is_ready and alice.chat.user.id == alice.id


def test_an_applications_renewal_that_logs_in_itself_may_return_none(emulator, client):
    def renew(session):
        alice.cube.login(login=alice.name, password=PASSWORD)

    alice = client(renew_session=renew)
    expire(alice.cube, emulator)
    alice.chat.login()
    assert alice.chat.is_ready


@pytest.mark.parametrize("first", [True, False], ids=["first login", "reconnection"])
@pytest.mark.parametrize("known_user", [True, False], ids=["user known", "token alone"])
def test_an_expired_token_without_renewal_fails_with_its_reason(
    emulator, client, first, known_user
):
    alice = client(renew_session=NO_RENEWAL, known_user=known_user)
    if not first:
        alice.chat.login()
    expire(alice.cube, emulator)
    if first and not known_user:
        with pytest.raises(
            ApiAuthenticationError
        ):  # the question whose token it is says so at once
            alice.chat.login()
        assert alice.states == []
        return
    if first:
        with pytest.raises(ChatAuthenticationError) as caught:
            alice.chat.login()
        reason = caught.value
    else:
        lose_session(alice, emulator)
        reason = alice.wait_for_state(S.CLOSED).reason
    assert "the session was not renewed" in str(reason) and "renew_session" in str(reason)
    assert reason.condition == "not-authorized"
    alice.wait_for_state(S.CLOSED)
    assert alice.states[-2:] == [S.AUTHENTICATION_FAILURE, S.CLOSED]


def returns_the_old(session):
    return session


def returns_none(session):
    return None


@pytest.mark.parametrize("renew", [returns_the_old, returns_none])
def test_a_renewal_that_brings_nothing_new_is_final(emulator, client, renew):
    alice = client(renew_session=renew)
    alice.chat.login()
    expire(alice.cube, emulator)
    lose_session(alice, emulator)
    reason = alice.wait_for_state(S.CLOSED).reason
    assert isinstance(reason, ChatAuthenticationError)
    assert "the session was not renewed" in str(reason)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (7, "renew_session must return a token or a Session, not int"),
        ("", "renew_session returned str without a token"),
        (Session(), "renew_session returned Session without a token"),
    ],
    ids=["number", "empty", "session"],
)
def test_a_renewal_that_returns_nonsense_is_final_and_named(emulator, client, returned, words):
    alice = client(renew_session=lambda session: returned)
    alice.chat.login()
    expire(alice.cube, emulator)
    lose_session(alice, emulator)
    reason = alice.wait_for_state(S.CLOSED).reason
    assert isinstance(reason, ChatAuthenticationError)
    assert words in str(reason)


@pytest.mark.parametrize("as_session", [False, True], ids=["token", "session"])
def test_a_strangers_token_is_tried_once_and_never_changes_the_user(emulator, client, as_session):
    stranger = client()
    token, asked = stranger.cube.session.token, []

    def renew(session):
        asked.append(session)
        return Session(token=token, user_id=stranger.id) if as_session else token

    alice = client(renew_session=renew)
    alice.chat.login()
    expire(alice.cube, emulator)
    lose_session(alice, emulator)
    reason = alice.wait_for_state(S.CLOSED).reason
    assert isinstance(reason, ChatAuthenticationError)
    assert len(asked) == 1
    assert alice.states[-2:] == [S.AUTHENTICATION_FAILURE, S.CLOSED]
    assert alice.states.count(S.READY) == alice.states.count(S.RECONNECTING) == 1
    assert alice.chat.user.id == alice.id


def test_a_client_whose_session_became_another_users_says_so(emulator, client):
    alice, bob = client(), client()
    alice.chat.login()
    alice.cube.login(login=bob.name, password=PASSWORD)
    lose_session(alice, emulator)
    reason = alice.wait_for_state(S.CLOSED).reason
    assert isinstance(reason, ChatAuthenticationError)
    assert f"now that of user {bob.id}, and the chat's is {alice.id}" in str(reason)


def test_a_renewal_that_raises_is_tried_again_with_the_next_attempt(emulator, client):
    failures = [OSError("no key server"), SystemExit("of somebody"), ValueError("for now")]

    def renew(session):
        if failures:
            raise failures.pop()
        return another_token(emulator, alice.name)

    alice = client(renew_session=renew)
    alice.chat.login()
    expire(alice.cube, emulator)
    lose_session(alice, emulator)
    alice.wait_for_state(S.READY, 2)
    lost = [c for c in alice.events.of("state_changed") if c.state is S.FORCE_CLOSED]
    assert len(lost) == 4  # the cut, and three renewals that failed
    assert all(isinstance(change.reason, ConnectionLostError) for change in lost)
    assert "no password for the chat" in str(lost[1].reason) and "for now" in str(lost[1].reason)


def test_a_wrong_password_by_then_is_final(emulator, client):
    alice = client()
    alice.chat.login()
    with ConnectyCube(config=emulator.config()) as other:
        other.login(login=alice.name, password=PASSWORD)
        other.users.update(alice.id, password="another password", old_password=PASSWORD)
    expire(alice.cube, emulator)
    lose_session(alice, emulator)
    reason = alice.wait_for_state(S.CLOSED).reason
    assert isinstance(reason, ChatAuthenticationError)
    assert isinstance(reason.__cause__, ApiAuthenticationError)


@pytest.fixture
def stuck():
    """A renewal that begins and does not end before the test does."""

    threads = []

    class Stuck(Gate):
        def __call__(self, session):
            threads.append(threading.current_thread())
            super().__call__(session)
            raise OSError("too late")

    with Stuck() as made:
        yield made
    for thread in threads:
        thread.join(TIMEOUT)


def test_a_renewal_that_blocks_keeps_neither_logout_nor_the_login_waiting(emulator, client, stuck):
    alice = client(renew_session=stuck)
    expire(alice.cube, emulator)
    with pytest.raises(TimeoutError):  # LoginTimeoutError or ConnectTimeoutError
        alice.chat.login(timeout=1.0)
    stuck.wait_until_entered()
    assert alice.chat.state is S.CLOSED
    stuck.open()


def test_a_blocking_renewal_ends_with_its_attempt_and_delays_no_logout(emulator, client, stuck):
    alice = client(renew_session=stuck, timeouts=Timeouts(login=1.0))
    alice.chat.login()
    expire(alice.cube, emulator)
    lose_session(alice, emulator)
    reason = alice.wait_for_state(S.FORCE_CLOSED, 2).reason
    assert "no password for the chat: the session was not renewed in time" in str(reason)
    alice.wait_for_state(S.RECONNECTING, 2)
    alice.chat.logout()
    assert alice.chat.state is S.CLOSED
    stuck.open()


def test_no_renewal_is_asked_for_where_the_password_was_given(emulator, client):
    alice = client(renew_session=returns_none)
    with pytest.raises(ChatAuthenticationError, match="refused the user id and password"):
        alice.chat.login(alice.id, "wrong")
    alice.chat.login(alice.id, PASSWORD)
    lose_session(alice, emulator)
    alice.wait_for_state(S.READY, 2)


def test_a_login_renews_a_refused_token_without_reconnection_attempts(emulator, client):
    alice = client(reconnect=ReconnectPolicy(max_attempts=0))
    expire(alice.cube, emulator)
    alice.chat.login()
    assert alice.chat.is_ready
