import threading
from datetime import datetime, timedelta, timezone

import pytest

from connectycube.errors import ApiAuthenticationError, ApiTimeoutError
from connectycube.models import Session
from connectycube.rest._http import CallDeadline
from connectycube.rest._session import SessionState

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


def test_waiting_threads_share_the_failure(state):
    entered, release = threading.Event(), threading.Event()
    error = ApiAuthenticationError("no", method="POST", url="u", status=401)

    def renewal(deadline):
        entered.set()
        assert release.wait(10)
        raise error

    state.adopt(OLD, renewal)
    first, failed_first = in_threads(1, lambda: state.renew(OLD, CallDeadline(10)))
    assert entered.wait(10)
    started = threading.Barrier(6)

    def follow():
        started.wait(10)
        return state.renew(OLD, CallDeadline(10))

    followers, failed = in_threads(5, follow)
    started.wait(10)
    release.set()
    join(first + followers)
    assert failed_first == [error]
    assert set(failed) == {error}
    assert state.session == OLD


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


def test_no_session_has_not_expired():
    assert not SessionState().has_expired()


def test_what_is_said_of_an_older_session_is_not_noted(state):
    state.adopt(NEW)
    state.expires(OLD, datetime.now(timezone.utc))
    assert state.session == NEW
