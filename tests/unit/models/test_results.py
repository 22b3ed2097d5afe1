import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.models import (
    DeleteResult,
    Message,
    Page,
    SearchResult,
    SystemMessage,
    UnreadCount,
    User,
)
from tests.support.damage import damaged
from tests.support.examples import DIALOG, MESSAGE, USER

DELETED = {
    "SuccessfullyDeleted": {"ids": ["a1"]},
    "NotFound": {"ids": ["b2"]},
    "WrongPermissions": {"ids": ["c3", 4]},
}
SYSTEM = {"messageId": "m", "recipientId": 6, "extensionParams": {"a": "b", "c": {"d": "e"}}}
FOUND = {"results": {"dialogs": [DIALOG], "messages": [MESSAGE], "users": [{"user": USER}]}}
UNREAD = {"total": 5, "a": 3, "b": 2}


def test_a_delete_result_has_three_lists():
    result = DeleteResult.from_json({**DELETED, "new": 1})
    assert (result.deleted, result.not_found, result.not_permitted) == (
        ("a1",),
        ("b2",),
        ("c3", "4"),
    )
    assert result.extra == {"new": 1}
    assert DeleteResult.from_json({"NotFound": ["b"]}) == DeleteResult(not_found=("b",))


@pytest.mark.parametrize(
    ("data", "total", "by_dialog"),
    [
        (UNREAD, 5, {"a": 3, "b": 2}),
        ({"total": 7}, 7, {}),
        ({"a": "3", "b": 2, "c": None}, 5, {"a": 3, "b": 2}),
        ({}, 0, {}),
    ],
)
def test_unread_messages_are_counted(data, total, by_dialog):
    assert UnreadCount.from_json(data) == UnreadCount(total=total, by_dialog=by_dialog)


def test_a_system_message_has_the_parameters_of_the_application():
    assert SystemMessage.from_json({**SYSTEM, "new": 1}) == SystemMessage(
        id="m", recipient_id=6, custom={"a": "b", "c": {"d": "e"}}, extra={"new": 1}
    )


def test_a_search_result_knows_where_its_messages_are():
    found = SearchResult.from_json(FOUND, me=85)
    assert found.dialogs[0].peer_id == 86
    assert found.messages[0].dialog.id == MESSAGE["chat_dialog_id"]
    assert found.users[0].id == USER["id"]


def test_the_repr_of_a_page_is_short():
    items = tuple(SystemMessage(id="m" * 100) for _ in range(100))
    page = Page(items=items, total_entries=4_000, skip=0)
    assert repr(page) == "<Page: 100 items, total_entries=4000, skip=0>"
    assert repr(Page(items=items[:1], limit=5)) == "<Page: 1 item, limit=5>"
    assert repr(Page()) == "<Page: 0 items>"


def test_the_repr_of_a_search_result_is_short():
    assert repr(SearchResult.from_json(FOUND)) == ("<SearchResult: 1 dialogs, 1 messages, 1 users>")


@given(damaged(DELETED))
def test_a_damaged_delete_result_is_read(data):
    DeleteResult.from_json(data)


@given(damaged(UNREAD))
def test_damaged_counts_are_read(data):
    UnreadCount.from_json(data)


@given(damaged(SYSTEM))
def test_a_damaged_system_message_is_read(data):
    SystemMessage.from_json(data)


@given(damaged(FOUND))
def test_a_damaged_search_result_is_read(data):
    SearchResult.from_json(data, me=85)


# --- pages


def test_a_page_is_read_like_a_sequence():
    page = Page(items=("a", "b", "c"))
    assert list(page) == ["a", "b", "c"]
    assert (len(page), page[0], page[-1]) == (3, "a", "c")


def test_an_empty_page_is_false():
    assert not Page()
    assert Page(items=(0,))


def test_a_page_is_a_table_in_a_notebook():
    items = (Message(id="m1", body="hello", sender_id=6), Message(id="m2", silent=True))
    table = Page(items=items, total_entries=2)._repr_html_()
    assert "<caption>&lt;Page: 2 items, total_entries=2&gt;</caption>" in table
    assert "<th>id</th><th>body</th><th>sender_id</th>" in table
    assert "<tr><td>m1</td><td>hello</td><td>6</td>" in table
    assert Page(items=(User(id=1, login="ann"),))._repr_html_().count("<tr>") == 2
    assert Page()._repr_html_().count("<td>") == 0


@given(text=st.text())
def test_the_text_of_a_table_is_escaped(text):
    table = Page(items=(Message(id="m", body=text), User(id=1)))._repr_html_()
    bare = table.replace("<td>", "").replace("</td>", "")
    assert "<script" not in table and (not text or bare.count("<") == bare.count(">"))


def test_people_cannot_put_markup_into_a_table():
    body = "<script>alert('x')</script> & \"more\""
    table = Page(items=(Message(id="m", body=body),))._repr_html_()
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;more&quot;" in table


def test_a_long_text_is_cut_in_a_table():
    assert len(Page(items=(Message(id="m", body="x" * 10_000),))._repr_html_()) < 1_000
