"""IQs that nobody here asked for: what is accepted from whom, and that none makes us raise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.iq import Push, decode_push
from connectycube.models import LastActivity
from tests.unit.chat.protocol.stanzas import ADDRESSES, ALICE, BOB, FROM, TO, item
from tests.unit.chat.protocol.trees import odd_stanzas


def read(xml: str) -> Any:
    return decode_push(item(xml), ADDRESSES, ALICE)


def iq(payload: str, kind: str = "set", sender: str | None = TO) -> str:
    said = f" from='{sender}'" if sender is not None else ""
    return f"<iq type='{kind}' id='1'{said} to='{TO}/python'>{payload}</iq>"


OWN_LISTS = {
    "roster": "<query xmlns='jabber:iq:roster'><item jid='1002-7@chat.example'/></query>",
    "privacy": "<query xmlns='jabber:iq:privacy'><list name='public'/></query>",
}


@pytest.mark.parametrize("payload", OWN_LISTS.values(), ids=OWN_LISTS)
@pytest.mark.parametrize("sender", [TO, TO.upper(), None], ids=repr)
def test_changes_of_ones_own_lists_are_accepted_from_ones_own_account(
    payload: str, sender: str | None
) -> None:
    push = read(iq(payload, sender=sender))
    assert push is not None and push.accepted


@pytest.mark.parametrize("payload", OWN_LISTS.values(), ids=OWN_LISTS)
@pytest.mark.parametrize(
    "sender",
    [
        FROM,
        f"{TO}/python",
        "chat.example",
        "chat.example/x",
        "1002-7@chat.example",
        "01001-7@chat.example",
        "1001-8@chat.example",
        "1001-7@other.example",
        "muc.chat.example",
        "7_d@muc.chat.example/1001",
        "chat.example.evil",
        "",
    ],
)
def test_changes_of_ones_own_lists_are_refused_from_anybody_else(payload: str, sender: str) -> None:
    assert read(iq(payload, sender=sender)) == Push(accepted=False)


@pytest.mark.parametrize("payload", OWN_LISTS.values(), ids=OWN_LISTS)
def test_the_account_is_known_however_the_host_is_configured(payload: str) -> None:
    addresses = Addresses(7, "Chat.EXAMPLE")
    for sender in (TO, addresses.user(ALICE), TO.upper()):
        push = decode_push(item(iq(payload, sender=sender)), addresses, ALICE)
        assert push is not None and push.accepted


@pytest.mark.parametrize("payload", OWN_LISTS.values(), ids=OWN_LISTS)
@pytest.mark.parametrize("kind", ["get", "result", "error"])
def test_ones_own_lists_in_any_other_iq_mean_nothing(payload: str, kind: str) -> None:
    assert read(iq(payload, kind)) is None


@pytest.mark.parametrize("kind", ["set", "result"])
@pytest.mark.parametrize(("said", "seconds"), [("0", 0), ("90", 90), ("5.0", 5)])
def test_a_users_activity_is_an_event_of_which_the_newest_matters(
    kind: str, said: str, seconds: int
) -> None:
    push = read(iq(f"<query xmlns='jabber:iq:last' seconds='{said}'/>", kind, FROM))
    assert push.accepted
    assert push.delivery.signal == "last_activity_changed"
    assert push.delivery.event == LastActivity(user_id=BOB, seconds=seconds)
    assert push.delivery.conversation == "1002-7@chat.example"
    assert push.delivery.merge_key == ("activity", "1002")


@pytest.mark.parametrize("said", ["", "seconds=''", "seconds='-1'", "seconds='soon'"])
def test_activity_without_a_time_means_nothing(said: str) -> None:
    assert read(iq(f"<query xmlns='jabber:iq:last' {said}/>", "set", FROM)) is None


@pytest.mark.parametrize("sender", ["chat.example", "7_d@muc.chat.example/1002", "x@y", None])
def test_activity_of_nobody_means_nothing(sender: str | None) -> None:
    assert read(iq("<query xmlns='jabber:iq:last' seconds='1'/>", "set", sender)) is None


@pytest.mark.parametrize("sender", [FROM, "chat.example", None])
def test_a_ping_of_anybody_is_answered(sender: str | None) -> None:
    assert read(iq("<ping xmlns='urn:xmpp:ping'/>", "get", sender)) == Push(accepted=True)


@pytest.mark.parametrize(
    "xml",
    [
        "<iq/>",
        iq(""),
        iq("text"),
        iq("<query xmlns='jabber:iq:version'/>", "get"),
        iq("<ping xmlns='urn:xmpp:ping'/>", "set"),
        iq("<ping xmlns='urn:foreign'/>", "get"),
        iq("<list xmlns='jabber:iq:roster'/>"),
    ],
)
def test_anything_else_means_nothing(xml: str) -> None:
    assert read(xml) is None


@given(odd_stanzas("iq"))
def test_no_iq_makes_reading_raise(xml: str) -> None:
    push = read(xml)
    assert push is None or isinstance(push, Push)
