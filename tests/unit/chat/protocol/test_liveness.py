from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol.liveness import Liveness


def started(now: float = 100.0) -> Liveness:
    liveness = Liveness(interval=30, answer=15, again=5)
    liveness.start(now)
    return liveness


def test_without_a_link_nothing_is_ever_due() -> None:
    liveness = Liveness(30, 15, 5)
    assert liveness.deadline is None
    assert not liveness.is_due(1e9) and not liveness.is_dead(1e9)


def test_a_request_is_due_after_the_interval() -> None:
    liveness = started()
    assert liveness.deadline == 130
    assert not liveness.is_due(129.9)
    assert liveness.is_due(130)
    assert not liveness.is_dead(1e9), "silence alone is no proof, nobody asked"


def test_an_unanswered_request_means_a_dead_link_after_the_time_out() -> None:
    liveness = started()
    liveness.asked(130)
    assert liveness.waiting
    assert not liveness.is_dead(144.9)
    assert liveness.is_dead(145)


def test_an_unanswered_request_is_repeated_under_the_first_deadline() -> None:
    liveness = started()
    liveness.asked(130)
    assert liveness.deadline == 135 and not liveness.is_due(134.9)
    for now in (135, 140):
        assert liveness.is_due(now)
        liveness.asked(now)
        assert not liveness.is_due(now) and liveness.deadline == now + 5
    assert liveness.is_dead(145)


def test_who_has_just_answered_may_be_silent_for_half_the_time_only() -> None:
    liveness = started()
    liveness.asked(100, soon=True)
    assert liveness.is_due(105) and not liveness.has_heard
    liveness.asked(105, soon=True)
    assert not liveness.is_dead(107.4) and liveness.is_dead(107.5)
    assert liveness.waited(107.5) == 7.5


def test_who_is_not_silent_has_the_whole_time() -> None:
    liveness = started()
    liveness.asked(100, soon=True)
    for now in (105, 110, 114):
        liveness.heard(now)
        assert liveness.has_heard and not liveness.is_dead(now)
    assert not liveness.is_dead(114.9) and liveness.is_dead(115)


def test_a_late_answer_leaves_the_time_for_the_next_request_whole() -> None:
    liveness = started()
    liveness.asked(130)
    liveness.asked(135)
    liveness.answered(136)
    liveness.asked(166)
    assert not liveness.is_dead(180.9) and liveness.is_dead(181)


def test_a_partial_answer_is_followed_by_another_request_in_good_time() -> None:
    liveness = started()
    liveness.asked(130)
    liveness.answered(131, satisfied=False)
    assert not liveness.waiting and not liveness.is_dead(1e9)
    assert liveness.deadline == 136 and liveness.is_due(136)


def test_a_short_interval_stays_short() -> None:
    liveness = Liveness(interval=1, answer=15, again=5)
    liveness.start(100)
    liveness.answered(100, satisfied=False)
    assert liveness.deadline == 101


def test_an_answer_starts_the_interval_anew() -> None:
    liveness = started()
    liveness.asked(130)
    liveness.answered(140)
    assert not liveness.waiting
    assert liveness.deadline == 170
    assert not liveness.is_dead(1e9)


def test_stopping_forgets_the_request() -> None:
    liveness = started()
    liveness.asked(130)
    liveness.stop()
    assert liveness.deadline is None and not liveness.waiting
    assert not liveness.is_due(1e9) and not liveness.is_dead(1e9)
    liveness.start(1000)
    assert liveness.deadline == 1030


@given(st.lists(st.tuples(st.sampled_from(["wait", "answer"]), st.floats(0.01, 100)), max_size=30))
def test_whoever_looks_at_each_deadline_asks_or_ends_and_never_spins(
    steps: list[tuple[str, float]],
) -> None:
    liveness, now = started(0.0), 0.0
    for step, seconds in steps:
        before = liveness.deadline
        assert before is not None
        if step == "wait":
            now = max(now, before)
            if liveness.is_dead(now):
                return
            assert liveness.is_due(now)
            liveness.asked(now)
        else:
            now = min(now + seconds, before)
            liveness.answered(now)
        after = liveness.deadline
        assert after is not None and after > now
