"""The contact list's codec, and what the core makes of the server's pushes."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol import namespaces as ns
from connectycube.chat.protocol import roster
from connectycube.chat.protocol.nodes import element
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from connectycube.models import ContactListItem
from tests.support.simulation.simulated import ADDRESSES, ALICE, BOB, BOB_JID, HOST
from tests.support.simulation.world import World, ready
from tests.unit.chat.protocol.texts import texts

labels = texts.filter(bool)
user_ids = st.integers(1, 10**18)


def item(attributes: dict[str, str], *groups: str) -> Any:
    inner = (element("group", ns.ROSTER, {}, group) for group in groups)
    return element("item", ns.ROSTER, attributes, *inner)


def listed(*items: Any) -> tuple[ContactListItem, ...]:
    return roster.decode_roster(element("query", ns.ROSTER, {}, *items), ADDRESSES)


def as_node(xml: ElementTree.Element) -> Any:
    namespace, _, name = xml.tag[1:].partition("}")
    return element(name, namespace, xml.attrib, xml.text or "", *map(as_node, xml))


# --- written ----------------------------------------------------------------------------------------


@given(user_ids, st.none() | labels, st.lists(labels, unique=True, max_size=4))
def test_a_contact_is_read_back_as_it_was_written(
    user_id: int, name: str | None, groups: list[str]
) -> None:
    xml = ElementTree.fromstring(roster.encode_contact(user_id, name, groups, ADDRESSES))
    assert xml.tag == f"{{{ns.ROSTER}}}query"
    (contact,) = roster.decode_roster(as_node(xml), ADDRESSES)
    assert contact == ContactListItem(user_id=user_id, name=name, groups=tuple(groups))


@pytest.mark.parametrize(
    ("name", "groups", "words"),
    [
        ("", (), "name must not be empty"),
        (5, (), "name must be a string, not int"),
        ("a\x07", (), r"name holds U\+0007 at position 1"),
        ("\ud800", (), "name holds half a surrogate pair"),
        ("é" * 512, (), "name has 1024 bytes; at most 1023 are allowed"),
        (None, "friends", "groups must be a list of strings, not str"),
        (None, None, "groups must be a list of strings, not NoneType"),
        (None, {"a": 1}, "groups must be a list of strings, not dict"),
        (None, ["a", 5], r"groups\[1\] must be a string, not int"),
        (None, ["a", ""], r"groups\[1\] must not be empty"),
        (None, ["a", "b", "a"], r"groups\[2\] is there already: 'a'"),
    ],
)
def test_what_cannot_be_said_of_a_contact_is_refused_by_name(
    name: Any, groups: Any, words: str
) -> None:
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=f"^{words}"):
        roster.encode_contact(BOB, name, groups, ADDRESSES)


def test_the_longest_name_and_groups_from_a_generator_are_taken() -> None:
    written = roster.encode_contact(BOB, "n" * 1023, (name for name in "ab"), ADDRESSES)
    assert written.count("n" * 1023) == 1 and written.count("<group>") == 2


def test_a_removal_and_a_subscription_name_the_users_bare_jid() -> None:
    removal = ElementTree.fromstring(roster.encode_contact_removal(BOB, ADDRESSES))
    assert removal[0].attrib == {"jid": BOB_JID, "subscription": "remove"}
    presence = ElementTree.fromstring(roster.encode_subscription("subscribed", BOB, ADDRESSES))
    assert (presence.tag, presence.attrib) == ("presence", {"to": BOB_JID, "type": "subscribed"})


# --- read -------------------------------------------------------------------------------------------


def test_all_that_a_server_says_of_a_contact_is_read() -> None:
    attributes = {"jid": BOB_JID, "subscription": "from", "ask": "subscribe", "name": "Bob"}
    assert listed(item(attributes, "a", "", "b", "a")) == (
        ContactListItem(
            user_id=BOB, subscription="from", pending=True, name="Bob", groups=("a", "b")
        ),
    )


@pytest.mark.parametrize(
    "jid",
    [
        None,
        "",
        "bob@elsewhere.example",
        "someone@chat.example",
        "1002-8@chat.example",  # of another application
        "1002@chat.example",
        "01002-7@chat.example",
        "1002-7@chat.example/phone",
        "7_5c094c0ce588ce6856f87422@muc.chat.example",
        "chat.example",
        "1" * 30 + "-7@chat.example",
    ],
)
def test_what_is_no_user_of_this_application_is_left_out(jid: str | None) -> None:
    stranger = item({"jid": jid} if jid is not None else {})
    assert listed(stranger, item({"jid": BOB_JID})) == (ContactListItem(user_id=BOB),)


@pytest.mark.parametrize("subscription", ["", "TO", "remote", "\u2026"])
def test_an_unknown_subscription_is_none(subscription: str) -> None:
    assert listed(item({"jid": BOB_JID, "subscription": subscription}))[0].subscription == "none"


def test_a_list_has_nobody_who_was_removed_and_nothing_but_items() -> None:
    removed = item({"jid": BOB_JID, "subscription": "remove"})
    assert listed(removed, element("other", ns.ROSTER, {"jid": BOB_JID})) == ()


def test_a_name_that_only_repeats_the_jid_is_none() -> None:
    assert listed(item({"jid": BOB_JID, "name": f"{BOB}-7"}))[0].name is None
    assert listed(item({"jid": BOB_JID, "name": f"{BOB}-8"}))[0].name == f"{BOB}-8"
    assert listed(item({"jid": BOB_JID, "name": ""}))[0].name is None


@given(st.dictionaries(st.sampled_from(["jid", "subscription", "ask", "name"]), texts))
def test_no_item_can_do_harm(attributes: dict[str, str]) -> None:
    for contact in listed(item(attributes, *attributes.values())):
        assert contact.subscription in ("none", "to", "from", "both")


# --- pushed -----------------------------------------------------------------------------------------


def pushed(world: World, inner: str, sender: str | None = None) -> ElementTree.Element:
    """Push a change to the client and return its reply."""
    origin = f" from='{sender}'" if sender is not None else ""
    world.server.send(
        f"<iq type='set' id='push'{origin}><query xmlns='{ns.ROSTER}'>{inner}</query></iq>"
    )
    world.settle()
    (reply,) = (s for s in world.server.stanzas if s.attrib.get("id") == "push")
    return reply


CHANGED = f"<item jid='{BOB_JID}' subscription='both'/>"


@pytest.mark.parametrize("sender", [None, ADDRESSES.user(ALICE)])
def test_a_push_of_ones_own_account_is_an_event_and_is_answered(sender: str | None) -> None:
    world = ready()
    assert pushed(world, CHANGED, sender).attrib["type"] == "result"
    assert world.events("contact_list_changed") == [
        ContactListItem(user_id=BOB, subscription="both")
    ]


@pytest.mark.parametrize(
    "sender",
    [
        *(BOB_JID, f"{BOB_JID}/phone", "elsewhere.example", HOST, f"{HOST}/x"),
        f"{ADDRESSES.user(ALICE)}/phone",
    ],
)
def test_a_push_in_anybody_elses_name_is_refused(sender: str) -> None:
    world = ready()
    assert pushed(world, CHANGED, sender).attrib["type"] == "error"
    assert world.events("contact_list_changed") == []


@pytest.mark.parametrize(
    "inner", ["", CHANGED * 2, "<item jid='a@b' subscription='both'/>", "<item/>", "<other/>"]
)
def test_a_push_that_is_not_about_one_user_is_no_event(inner: str) -> None:
    world = ready()
    assert pushed(world, inner).attrib["type"] == "result"
    assert world.events("contact_list_changed") == []


def test_a_removal_is_an_event() -> None:
    world = ready()
    pushed(world, f"<item jid='{BOB_JID}' subscription='remove'/>")
    (change,) = world.events("contact_list_changed")
    assert (change.user_id, change.subscription) == (BOB, "remove")
