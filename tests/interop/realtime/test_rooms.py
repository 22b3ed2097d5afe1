"""The rooms that ``server.room()`` makes. (XEP-0045.)"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.referee("slixmpp")


def join(server, peer, dialog, user):
    """Send the presence that joins, and return the answer for the user's own nickname."""
    own = f"{server.room_jid(dialog)}/{user.id}"
    peer.send_raw(
        f"<presence to='{own}'><x xmlns='http://jabber.org/protocol/muc'>"
        "<history maxstanzas='0'/></x></presence>"
    )
    return peer.presences.wait_for(
        lambda presence: presence["from"].full == own or presence["type"] == "error"
    )


def test_members_join_and_hear_each_other_and_nobody_else_does(server):
    owner, member, stranger = server.user(), server.user(), server.user()
    dialog = server.room(owner, member)
    one, other, outsider = map(server.slixmpp, (owner, member, stranger))
    assert join(server, one, dialog, owner)["type"] == "available"
    assert join(server, other, dialog, member)["type"] == "available"
    refusal = join(server, outsider, dialog, stranger)
    assert (refusal["type"], refusal["error"]["condition"]) == ("error", "registration-required")
    sent = one.send_message(server.room_jid(dialog), "hello, room", type="groupchat")
    for peer in (one, other):
        heard = peer.messages.wait_for(lambda stanza: stanza["body"])
        assert (heard["id"], heard["body"]) == (sent, "hello, room")
        assert heard["from"].full == f"{server.room_jid(dialog)}/{owner.id}"
