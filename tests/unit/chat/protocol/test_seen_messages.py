from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol.seen_messages import (
    Content,
    SeenMessages,
    digest,
    digest_of_message,
    seconds,
)
from connectycube.models import Attachment, Message
from connectycube.models._json import EPOCH

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


# --- ids of another form


def content(text: str = "alarm", *, id: str = "1", date: float | None = 100.0) -> Content:
    return Content("c", 1, id, digest(text), date)


def seen_with(*contents: Content) -> SeenMessages:
    seen = SeenMessages()
    for number, one in enumerate(contents):
        assert seen.add(one.key(f"s-{number}"))
    seen.begin_link()
    return seen


@pytest.mark.parametrize(
    ("other", "is_equal"),
    [
        (content(), True),
        (content(date=101.0), True),
        (content(date=99.0), True),
        (content(date=101.5), False),
        (content(date=None), False),
        (content("alarm 1"), False),
        (content(id="2"), False),
        (Content("d", 1, "1", digest("alarm"), 100.0), False),
        (Content("c", 2, "1", digest("alarm"), 100.0), False),
    ],
)
def test_id_content_and_date_make_two_messages_equal(other: Content, is_equal: bool) -> None:
    assert seen_with(content()).has_equal(other, on_this_link=False) is is_equal


def test_messages_without_a_date_are_equal_among_themselves() -> None:
    seen = seen_with(content(date=None))
    assert seen.has_equal(content(date=None), on_this_link=False) and not seen.has_equal(
        content(), on_this_link=False
    )


def test_what_was_seen_on_this_link_counts_only_where_asked_for() -> None:
    seen = SeenMessages()
    seen.begin_link()
    seen.add(content().key("s-1"))
    assert seen.has_equal(content(), on_this_link=True)
    assert not seen.has_equal(content(), on_this_link=False)
    seen.begin_link()
    assert seen.has_equal(content(), on_this_link=False)


def test_equal_messages_have_different_keys_in_different_places() -> None:
    assert content().key("s-1") != content().key("s-2")


@given(st.text(), st.none() | st.floats(0, 1e11).map(lambda date: round(date, 3)))
def test_a_key_that_was_stored_is_recognised_by_its_content(id: str, date: float | None) -> None:
    one = content(id=id, date=date)
    conversation, sender, text = one.key("s-1")
    seen = SeenMessages()
    seen.add((conversation, sender, text))
    assert seen.has_equal(one, on_this_link=True)


def test_forgotten_and_old_contents_are_not_recognised() -> None:
    seen = seen_with(content(), content("another"))
    seen.forget(content().key("s-0"))
    assert not seen.has_equal(content(), on_this_link=False) and seen.has_equal(
        content("another"), on_this_link=False
    )
    narrow = SeenMessages(window=1)
    narrow.add(content().key("s-0"))
    narrow.add(("c", 1, "f" * 24))
    assert not narrow.has_equal(content(), on_this_link=False) and len(narrow) == 1


def in_history(number: int, **changes: Any) -> tuple[tuple[str, int, str], Message]:
    message = Message(id=f"{number:024x}", body="alarm", date_sent=EPOCH + timedelta(seconds=100))
    return ("c", 1, f"{number:024x}"), evolve(message, **changes)


def arrived(message: Message) -> Content:
    date = seconds(message.date_sent)
    return Content("c", 1, "1", digest_of_message(message), date)


def test_each_message_of_history_stands_for_one_that_arrived() -> None:
    seen = seen_with(arrived(in_history(1)[1]), arrived(in_history(1)[1]))
    places = [seen.add_stored(*in_history(number)) for number in (1, 2, 3)]
    assert [place is None for place in places] == [False, False, True]
    assert len(set(places)) == 3, "each is the copy of another one"
    assert seen.add_stored(*in_history(1)) == in_history(1)[0], "read again"


def test_each_message_that_arrives_stands_for_one_that_history_had() -> None:
    seen = SeenMessages()
    for number in (1, 2):
        assert seen.add_stored(*in_history(number)) is None
    live = arrived(in_history(1)[1])
    for position, is_new in enumerate([False, False, True]):
        assert seen.knows(live.key(f"s-{position}"), live) is not is_new
        assert seen.add(live.key(f"s-{position}"), arrived=live) is is_new
    assert not seen.add(live.key("s-0"), arrived=live), "sent again"
    assert seen.add_stored(*in_history(3)) == live.key("s-2")


def test_a_message_that_history_forgot_is_new_when_it_arrives() -> None:
    seen = SeenMessages()
    seen.add_stored(*in_history(1))
    seen.forget(in_history(1)[0])
    live = arrived(in_history(1)[1])
    assert seen.add(live.key("s-0"), arrived=live)
    narrow = SeenMessages(window=1)
    for number in range(1, 4):
        narrow.add_stored(*in_history(number))
    assert [narrow.add(live.key(f"s-{place}"), arrived=live) for place in range(2)] == [False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "another"},
        {"custom": {"k": "v"}},
        {"attachments": (Attachment(uid="u"),)},
        {"date_sent": EPOCH + timedelta(seconds=102)},
        {"date_sent": None},
    ],
)
def test_a_message_of_history_with_other_content_is_new(changes: dict[str, Any]) -> None:
    assert seen_with(arrived(in_history(1)[1])).add_stored(*in_history(2, **changes)) is None
    seen, live = SeenMessages(), arrived(in_history(1)[1])
    seen.add_stored(*in_history(2, **changes))
    assert seen.add(live.key("s-0"), arrived=live)
