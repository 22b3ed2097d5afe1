import threading
from datetime import datetime, timedelta, timezone

import pytest

from connectycube.errors import (
    ApiAuthenticationError,
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
)
from connectycube.models import Session, User
from connectycube.rest import _session as session_module
from connectycube.rest._http import CallDeadline
from connectycube.rest._session import SessionState, expiry_of

OLD = Session(token="old", user_id=1)
NEW = Session(token="new", user_id=1)


def refusing(error):
    def renewal(deadline):
        raise error

    return renewal


def api_timeout():
    return ApiTimeoutError("late", method="POST", url="u")


@pytest.fixture
def state():
    made = SessionState()
    made.adopt(OLD, lambda deadline: NEW)
    return made


def in_threads(count, function):
    results = []

    def work():
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, results


def join(threads):
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_renewed_session_is_the_current_one(state):
    assert state.renew(OLD, CallDeadline(1)) == NEW
    assert state.session == NEW


def test_who_comes_late_gets_the_session_that_another_renewed(state):
    state.renew(OLD, CallDeadline(1))
    state.adopt(NEW, refusing(AssertionError("renewed twice")))
    assert state.renew(OLD, CallDeadline(1)) == NEW


def test_without_a_renewal_there_is_none(state):
    state.adopt(OLD)
    assert state.renew(OLD, CallDeadline(1)) is None


def test_after_logout_there_is_none(state):
    state.forget(OLD)
    assert state.session is None
    assert state.renew(OLD, CallDeadline(1)) is None


def test_the_session_of_another_user_is_not_taken_for_mine(state):
    state.adopt(Session(token="other", user_id=2))
    assert state.renew(OLD, CallDeadline(1)) is None


def test_forget_leaves_a_newer_session_alone(state):
    state.adopt(NEW)
    state.forget(OLD)
    assert state.session == NEW


def test_many_threads_make_one_renewal(state):
    made = []
    entered, release = threading.Event(), threading.Event()

    def renewal(deadline):
        made.append(1)
        entered.set()
        assert release.wait(10)
        return NEW

    state.adopt(OLD, renewal)
    threads, results = in_threads(20, lambda: state.renew(OLD, CallDeadline(10)))
    assert entered.wait(10)
    release.set()
    join(threads)
    assert results == [NEW] * 20
    assert made == [1]


class Noted(CallDeadline):
    """A deadline that says when a thread is about to wait for another one's renewal."""

    def __init__(self, reached):
        super().__init__(10)
        self._reached = reached

    def remaining(self):
        self._reached.release()
        return super().remaining()


def waiting(state, count, renewal):
    """Run a renewal; once so many other threads wait for it, return the results of all, its own first."""
    reached, entered, release = threading.Semaphore(0), threading.Event(), threading.Event()

    def held(deadline):
        entered.set()
        assert release.wait(10)
        return renewal(deadline)

    state.adopt(OLD, held)
    first, led = in_threads(1, lambda: state.renew(OLD, CallDeadline(10)))
    assert entered.wait(10)
    others, followed = in_threads(count, lambda: state.renew(OLD, Noted(reached)))
    for _ in others:
        assert reached.acquire(timeout=10)
    release.set()
    join(first + others)
    return led + followed


def test_waiting_threads_share_the_failure(state):
    failures = []

    def renewal(deadline):
        failures.append(ApiAuthenticationError("no", method="POST", url="u", status=401))
        raise failures[-1]

    assert waiting(state, 5, renewal) == failures * 6 and len(failures) == 1
    assert state.session == OLD


@pytest.mark.parametrize("made", [None, OLD])
def test_a_renewal_that_makes_no_other_session_is_not_repeated(state, made):
    calls = []
    assert waiting(state, 5, lambda deadline: calls.append(1) or made) == [None] * 6
    assert calls == [1] and state.session == OLD


@pytest.mark.parametrize(
    ("stale", "fresh"),
    [
        (OLD, Session(token="new", user_id=2)),
        (OLD, Session(token="new", id="9")),
        (Session(token="old", id="8"), NEW),
    ],
)
def test_a_renewal_may_not_change_the_user(stale, fresh):
    state = SessionState()
    state.adopt(stale, lambda deadline: fresh)
    with pytest.raises(ArgumentValueError, match=f"session of user {fresh.user_id}.*login"):
        state.renew(stale, CallDeadline(1))
    assert state.session == stale


@pytest.mark.parametrize("fresh", [NEW, Session(token="new", id="9")])
def test_a_token_of_an_unknown_user_may_be_followed_by_any(fresh):
    state, stale = SessionState(), Session(token="old")
    state.adopt(stale, lambda deadline: fresh)
    assert state.renew(stale, CallDeadline(1)) == fresh


def test_a_shared_session_is_obtained_where_it_is_shared(state):
    class Shared:
        def obtain(self, stale, deadline, create):
            return create(deadline) if stale == OLD else None

    shared = Shared()
    state.adopt(OLD, lambda deadline: NEW, shared)
    assert state.shared is shared
    assert state.renew(OLD, CallDeadline(1)) == NEW
    state.adopt(OLD, refusing(AssertionError("not asked")), shared)
    shared.obtain = lambda stale, deadline, create: NEW
    assert state.renew(OLD, CallDeadline(1)) == NEW
    state.forget(NEW)
    assert state.shared is None


def test_more_is_noted_of_the_current_session_alone(state):
    known = Session(token="old", user_id=1, id="8")
    state.identify(known)
    state.identify(NEW)
    assert state.session is known


# --- the renewal of the application ---------------------------------------------------------------


def renewed_by(renew_session, stale=OLD):
    state = SessionState(renew_session)
    state.adopt(stale, refusing(AssertionError("the application renews")))
    return state.renew(stale, CallDeadline(1))


@pytest.mark.parametrize(
    ("stale", "returned", "expected"),
    [
        (OLD, "new", NEW),
        (OLD, Session(token="new"), NEW),
        (OLD, Session(token="new", user_id=1, id="9"), Session(token="new", user_id=1, id="9")),
        (Session(token="old", id="8"), Session(token="t", id="9"), Session(token="t", id="9")),
        (OLD, None, None),
    ],
)
def test_the_application_returns_a_token_or_a_session(stale, returned, expected):
    asked = []
    assert renewed_by(lambda session: asked.append(session) or returned, stale) == expected
    assert asked == [stale]


def test_a_renewed_token_is_of_the_same_user():
    stale = Session(token="old", user_id=1, user=User(id=1))
    for returned in ("new", Session(token="new")):
        expected = Session(token="new", user_id=1, user=User(id=1))
        assert renewed_by(lambda session, returned=returned: returned, stale) == expected


def test_the_application_may_log_in_and_return_nothing():
    state = SessionState(lambda session: state.adopt(NEW))
    state.adopt(OLD)
    assert state.renew(OLD, CallDeadline(1)) == NEW


@pytest.mark.parametrize(
    ("returned", "error", "words"),
    [
        ("", ArgumentValueError, "returned str without a token"),
        (Session(user_id=1), ArgumentValueError, "returned Session without a token"),
        (7, ArgumentTypeError, "must return a token or a Session, not int"),
        (Session(token="new", user_id=2), ArgumentValueError, "returned a session of user 2"),
        (Session(token="new", id="9"), ArgumentValueError, "returned a session of user None"),
    ],
)
def test_a_wrong_session_of_the_application_is_named(returned, error, words):
    with pytest.raises(error, match=words):
        renewed_by(lambda session: returned)


# --- outcomes -------------------------------------------------------------------------------------


def test_after_a_failure_the_next_call_tries_again(state):
    state.adopt(OLD, refusing(api_timeout()))
    with pytest.raises(ApiTimeoutError):
        state.renew(OLD, CallDeadline(1))
    state.adopt(OLD, lambda deadline: NEW)
    assert state.renew(OLD, CallDeadline(1)) == NEW


def test_when_the_leader_runs_out_of_time_a_follower_tries(state):
    entered, release = threading.Event(), threading.Event()
    calls = []

    def renewal(deadline):
        calls.append(deadline)
        if len(calls) == 1:
            entered.set()
            assert release.wait(10)
            raise api_timeout()
        return NEW

    state.adopt(OLD, renewal)
    leader, led = in_threads(1, lambda: state.renew(OLD, CallDeadline(10)))
    assert entered.wait(10)
    follower, followed = in_threads(1, lambda: state.renew(OLD, CallDeadline(10)))
    release.set()
    join(leader + follower)
    assert isinstance(led[0], ApiTimeoutError)
    assert followed == [NEW]
    assert len(calls) == 2


def test_a_follower_waits_to_its_own_deadline_only(state):
    entered, release = threading.Event(), threading.Event()

    def renewal(deadline):
        entered.set()
        assert release.wait(10)
        return NEW

    state.adopt(OLD, renewal)
    leader, led = in_threads(1, lambda: state.renew(OLD, CallDeadline(10)))
    assert entered.wait(10)
    with pytest.raises(TimeoutError, match="not renewed in time"):
        state.renew(OLD, CallDeadline(0.05))
    release.set()
    join(leader)
    assert led == [NEW]


def test_a_logout_during_the_renewal_stays(state):
    def renewal(deadline):
        state.forget(OLD)
        return NEW

    state.adopt(OLD, renewal)
    assert state.renew(OLD, CallDeadline(1)) is None
    assert state.session is None


def test_an_interrupt_in_the_renewal_frees_the_others(state):
    state.adopt(OLD, refusing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        state.renew(OLD, CallDeadline(1))
    state.adopt(OLD, lambda deadline: NEW)
    assert state.renew(OLD, CallDeadline(1)) == NEW


def test_after_a_fork_a_lock_held_by_the_parent_and_its_renewal_are_gone(state):
    state._lock.acquire()
    state._after_fork_in_child()
    assert state.renew(OLD, CallDeadline(1)) == NEW


@pytest.mark.parametrize(
    "call",
    [
        lambda state: state.adopt(NEW),
        lambda state: state.identify(OLD),
        lambda state: state.forget(OLD),
        lambda state: state.expires(OLD, None),
        lambda state: state.renew(OLD, CallDeadline(1)),
    ],
)
def test_no_call_takes_the_lock_of_the_parent_of_a_fork(state, call, monkeypatch):
    lock = state._lock
    monkeypatch.setattr(session_module, "getpid", lambda: -1)
    monkeypatch.setattr(session_module, "check_fork", state._after_fork_in_child)
    call(state)
    assert state._lock is not lock


def test_the_header_of_the_expiry_is_read_as_utc():
    expected = datetime(2021, 10, 9, 16, 56, 41, tzinfo=timezone.utc)
    assert expiry_of("2021-10-09 16:56:41 UTC") == expected


@pytest.mark.parametrize(("seconds", "expired"), [(-1, True), (60, False)])
def test_a_session_expires_by_what_the_service_said(state, seconds, expired):
    state.expires(OLD, datetime.now(timezone.utc) + timedelta(seconds=seconds))
    assert state.has_expired() is expired


@pytest.mark.parametrize("year", [1, 1970, 9999])
@pytest.mark.parametrize("hours", [-24, 0, 24])
def test_a_clock_of_any_year_tells_whether_a_session_has_expired(state, year, hours):
    now = datetime(year, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=hours / 24 * 23)))
    state.expires(OLD, now + timedelta(seconds=-10), now)
    assert state.has_expired()
    state.expires(OLD, datetime.now(timezone.utc) + timedelta(days=1), now)
    assert state.has_expired() is (year == 9999)


def test_an_unknown_expiry_counts_as_valid(state):
    assert not state.has_expired()
    state.expires(OLD, None)
    assert not state.has_expired()


def test_no_session_has_not_expired_and_is_not_renewed():
    state = SessionState()
    assert not state.has_expired()
    assert state.renew(OLD, CallDeadline(1)) is state.shared is None


def test_a_renewal_that_cannot_be_called_is_refused():
    with pytest.raises(ArgumentTypeError, match="renew_session"):
        SessionState("token")


def test_what_is_said_of_an_older_session_is_not_noted(state):
    state.adopt(NEW)
    state.expires(OLD, datetime.now(timezone.utc))
    assert state.session == NEW
