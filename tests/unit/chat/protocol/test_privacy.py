"""The codec of privacy lists. (XEP-0016.)"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol import namespaces as ns
from connectycube.chat.protocol import privacy
from connectycube.chat.protocol.nodes import element
from connectycube.chat.protocol.privacy import Rule
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from connectycube.models import PrivacyItem, PrivacyListNames
from tests.support.simulation.simulated import ADDRESSES, ALICE, BOB, BOB_JID
from tests.unit.chat.protocol.test_roster import as_node
from tests.unit.chat.protocol.texts import texts

ALL_KINDS = ("message", "presence-in", "presence-out", "iq")

names = texts.filter(bool)
items = st.builds(
    PrivacyItem,
    st.integers(1, 10**18).filter(lambda user_id: user_id != ALICE),
    st.sampled_from(["allow", "deny"]),
    st.booleans(),
)
some_items = st.lists(items, min_size=1, max_size=6, unique_by=lambda item: item.user_id)
foreign_rules = st.builds(
    Rule,
    st.sampled_from(["allow", "deny"]),
    st.sampled_from(["group", "subscription"]),
    texts,
    st.lists(st.sampled_from(ALL_KINDS), unique=True).map(tuple),
) | st.builds(Rule, st.sampled_from(["allow", "deny"]))
some_rules = st.lists(foreign_rules, max_size=4)


def answer(xml: str) -> Any:
    """What a server would answer that keeps lists as they were written."""
    return as_node(ElementTree.fromstring(xml))


def rules_of(*wanted: PrivacyItem) -> list[Rule]:
    return privacy.rules_of(wanted, ALICE, ADDRESSES)


def read(rules: list[Rule]) -> tuple[PrivacyItem, ...]:
    return privacy.read_items(rules, ADDRESSES)


# --- written and read ---------------------------------------------------------------------------------


@given(names, some_items)
def test_items_are_read_back_as_they_were_in_the_order_of_users(
    name: str, wanted: list[PrivacyItem]
) -> None:
    xml = privacy.encode_rules(name, rules_of(*wanted))
    assert ElementTree.fromstring(xml)[0].attrib == {"name": name}
    assert read(privacy.decode_rules(answer(xml))) == tuple(
        sorted(wanted, key=lambda item: item.user_id)
    )


@given(some_rules)
def test_rules_of_all_kinds_are_read_back_as_they_were(rules: list[Rule]) -> None:
    assert privacy.decode_rules(answer(privacy.encode_rules("a", rules))) == rules


def test_two_items_a_user_are_written_as_the_javascript_sdk_writes_them() -> None:
    rules = rules_of(PrivacyItem(BOB, "deny", False), PrivacyItem(34))
    assert ElementTree.canonicalize(privacy.encode_rules("myList", rules)) == (
        '<query xmlns="jabber:iq:privacy"><list name="myList">'
        '<item action="deny" order="1" type="jid" value="34-7@chat.example"></item>'
        '<item action="deny" order="2" type="jid" value="muc.chat.example/34"></item>'
        '<item action="deny" order="3" type="jid" value="1002-7@chat.example">'
        "<message></message><presence-in></presence-in><presence-out></presence-out><iq></iq></item>"
        '<item action="deny" order="4" type="jid" value="muc.chat.example/1002">'
        "<message></message><presence-in></presence-in><presence-out></presence-out><iq></iq></item>"
        "</list></query>"
    )


@given(st.none() | names)
def test_the_default_lists_name_is_read_back(name: str | None) -> None:
    (default,) = ElementTree.fromstring(privacy.encode_default(name))
    assert (default.tag, default.get("name")) == (f"{{{ns.PRIVACY}}}default", name)


@given(st.none() | names, st.none() | names, st.lists(names))
def test_the_names_of_lists_are_read(
    default: str | None, active: str | None, listed: list[str]
) -> None:
    used = (
        element(kind, ns.PRIVACY, {"name": name})
        for kind, name in (("active", active), ("default", default))
        if name is not None
    )
    lists = (element("list", ns.PRIVACY, {"name": name}) for name in listed)
    query = element("query", ns.PRIVACY, {}, *used, *lists)
    assert privacy.decode_names(query) == PrivacyListNames(
        default=default, active=active, names=tuple(listed)
    )


def test_names_that_say_nothing_are_left_out() -> None:
    kinds = ("active", "default", "list", "other")
    query = element("query", ns.PRIVACY, {}, *(element(kind, ns.PRIVACY) for kind in kinds))
    assert privacy.decode_names(query) == PrivacyListNames()


def test_items_are_read_in_the_order_that_they_say() -> None:
    xml = (
        f"<query xmlns='{ns.PRIVACY}'><list name='a'>"
        "<item type='jid' value='5-7@chat.example' action='deny' order='10'/>"
        f"<item type='jid' value='{BOB_JID}' action='allow' order='9'><message/></item>"
        "</list></query>"
    )
    assert read(privacy.decode_rules(answer(xml))) == (
        PrivacyItem(BOB, "allow", False),
        PrivacyItem(5, "deny", True),
    )


def test_malformed_privacy_items_are_left_out_and_no_list_is_empty() -> None:
    xml = (
        f"<query xmlns='{ns.PRIVACY}'><list name='a'><item/><item action='shout' order='1'/>"
        f"<other action='deny'/><item type='jid' value='{BOB_JID}' action='deny' order='x'><odd/>"
        "</item></list></query>"
    )
    assert read(privacy.decode_rules(answer(xml))) == (PrivacyItem(BOB, "deny", True),)
    assert privacy.decode_rules(answer(f"<query xmlns='{ns.PRIVACY}'/>")) == []


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["type", "value", "action", "order"]), texts), max_size=4
    )
)
def test_no_list_can_do_harm(attributes: list[dict[str, str]]) -> None:
    inner = (element("item", ns.PRIVACY, each) for each in attributes)
    wanted = element("list", ns.PRIVACY, {"name": "a"}, *inner)
    rules = privacy.decode_rules(element("query", ns.PRIVACY, {}, wanted))
    assert len(rules) <= len(attributes)
    assert read(rules) == ()


# --- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([], "items must not be empty"),
        ("abc", "items must be a list of PrivacyItem objects, not str"),
        (PrivacyItem(5), "items must be a list of PrivacyItem objects, not PrivacyItem"),
        ([5], r"items\[0\] must be a PrivacyItem, not int"),
        ([PrivacyItem(0)], r"items\[0\].user_id must be at least 1"),
        ([PrivacyItem("5")], r"items\[0\].user_id must be an int, not str"),  # type: ignore[arg-type]
        ([PrivacyItem(5), PrivacyItem(ALICE)], r"items\[1\].user_id is the logged-in user"),
        ([PrivacyItem(5), PrivacyItem(5, "allow")], r"items\[1\] is about user 5, again"),
        ([PrivacyItem(5, "block")], r"items\[0\].action must be one of"),
        ([PrivacyItem(5, "deny", 1)], r"items\[0\].mutual must be a bool"),  # type: ignore[arg-type]
    ],
)
def test_items_that_cannot_be_are_refused_by_name(wanted: Any, words: str) -> None:
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=f"^{words}"):
        privacy.rules_of(wanted, ALICE, ADDRESSES)


@pytest.mark.parametrize("name", ["", 5, None, "a\x00", "n" * 1024])
def test_a_name_that_cannot_be_is_refused(name: Any) -> None:
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"^name "):
        privacy.check_list_name("name", name)


# --- one user's rules changed ---------------------------------------------------------------------------


@given(some_items, some_rules, items)
def test_a_users_rules_are_replaced_and_those_of_others_kept(
    wanted: list[PrivacyItem], foreign: list[Rule], item: PrivacyItem
) -> None:
    before = [*foreign[:2], *rules_of(*wanted), *foreign[2:]]
    after = privacy.with_user(before, item, ADDRESSES)
    others = [other for other in read(before) if other.user_id != item.user_id]
    assert read(after) == (item, *others), "first, so that nothing overrules it"
    assert [rule for rule in after if rule.type != "jid"] == foreign
    assert privacy.with_user(after, item, ADDRESSES) == after


@given(some_items, some_rules)
def test_without_a_user_the_rest_is_as_it_was(
    wanted: list[PrivacyItem], foreign: list[Rule]
) -> None:
    rules = [*foreign, *rules_of(*wanted)]
    gone, *stay = sorted(wanted, key=lambda item: item.user_id)
    after = privacy.without_user(rules, gone.user_id, ADDRESSES)
    if stay or foreign:
        assert after == [*foreign, *(rules_of(*stay) if stay else [])]
    else:
        assert read(after) == (PrivacyItem(gone.user_id, "allow"),), "a list must not be empty"


def test_rules_for_presence_alone_or_for_one_device_are_not_touched() -> None:
    presence = Rule("deny", "jid", BOB_JID, ("presence-in",))
    device = Rule("deny", "jid", f"{BOB_JID}/phone")
    messages = Rule("deny", "jid", BOB_JID, ("message",))
    room = Rule("deny", "jid", f"muc.chat.example/{BOB}")
    assert read([presence, device]) == ()
    assert read([messages]) == (PrivacyItem(BOB, "deny", False),)
    assert read([room]) == (PrivacyItem(BOB, "deny", True),)
    left = privacy.without_user([presence, messages, device, room], BOB, ADDRESSES)
    assert left == [presence, device]


def test_of_two_rules_for_a_user_the_first_counts() -> None:
    first, second = rules_of(PrivacyItem(BOB, "allow"))[0], rules_of(PrivacyItem(BOB))[0]
    assert read([first, second]) == (PrivacyItem(BOB, "allow"),)
    assert read([second, evolve(first, only=ALL_KINDS)]) == (PrivacyItem(BOB, "deny"),)
