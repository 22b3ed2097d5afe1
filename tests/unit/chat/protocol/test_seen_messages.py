from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol.seen_messages import SeenMessages

keys = st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.sampled_from("xy"))


def test_a_key_is_new_once() -> None:
    seen = SeenMessages()
    assert seen.add(("c", 1, "m"))
    assert not seen.add(("c", 1, "m"))


def test_conversation_sender_and_id_all_count() -> None:
    seen = SeenMessages()
    assert all(
        seen.add(key) for key in [("c", 1, "m"), ("d", 1, "m"), ("c", 2, "m"), ("c", 1, "n")]
    )


def test_a_forgotten_key_is_new_again() -> None:
    seen = SeenMessages()
    seen.add(("c", 1, "m"))
    seen.forget(("c", 1, "m"))
    assert seen.add(("c", 1, "m"))
    seen.forget(("unknown", 1, "m"))


def test_the_window_holds_the_most_recently_seen() -> None:
    seen = SeenMessages(window=2)
    for name in "aba":
        seen.add((name, 1, "m"))
    assert seen.add(("c", 1, "m"))  # pushes out b, seen longer ago than a
    assert not seen.add(("a", 1, "m"))
    assert seen.add(("b", 1, "m"))


@given(st.lists(keys, max_size=60))
def test_within_the_window_it_is_a_set(sequence: list[tuple[str, int, str]]) -> None:
    seen, model = SeenMessages(window=12), set[tuple[str, int, str]]()
    for key in sequence:
        assert seen.add(key) == (key not in model)
        model.add(key)


@given(st.lists(keys, max_size=60), st.integers(1, 5))
def test_it_never_remembers_more_than_the_window(
    sequence: list[tuple[str, int, str]], window: int
) -> None:
    seen, recent = SeenMessages(window), list[tuple[str, int, str]]()
    for key in sequence:
        assert seen.add(key) == (key not in recent)
        recent = [*(other for other in recent if other != key), key][-window:]


def test_looking_whether_a_key_was_seen_does_not_make_it_seen() -> None:
    seen = SeenMessages(2)
    assert ("c", 1, "a") not in seen and None not in seen
    assert seen.add(("c", 1, "a"))
    assert ("c", 1, "a") in seen


def test_what_was_seen_since_a_moment_is_remembered_beyond_the_window() -> None:
    seen = SeenMessages(window=2)
    seen.keep_since = 10.0
    for number in range(5):
        seen.add(("c", number, "m"), 8.0 + number)
    assert len(seen) == 3 and ("c", 1, "m") not in seen  # 0 and 1 were seen before
    seen.keep_since = 12.0
    assert seen.add(("c", 5, "m"), 13.0)
    assert len(seen) == 2 and ("c", 4, "m") in seen
    seen.keep_since = math.inf
    assert seen.add(("c", 6, "m"), 14.0) and len(seen) == 2


def test_what_is_seen_again_counts_as_seen_then() -> None:
    seen = SeenMessages(window=1)
    seen.keep_since = 10.0
    seen.add(("c", 1, "m"), 5.0)
    assert not seen.add(("c", 1, "m"), 11.0)
    seen.add(("c", 2, "m"), 12.0)
    assert ("c", 1, "m") in seen
