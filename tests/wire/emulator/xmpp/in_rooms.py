"""What the tests of rooms write and read."""

from __future__ import annotations

from tests.support.wire_client import CLIENT, Client

MUC = "http://jabber.org/protocol/muc"
USER = f"{{{MUC}#user}}"
PRESENCE = f"{CLIENT}presence"


def join_stanza(room, nick, *, id="j", more=""):
    """Write the presence that joins, as the JavaScript SDK does."""
    x = f"<x xmlns='{MUC}'><history maxstanzas='0'/></x>"
    return f"<presence id='{id}' to='{room}/{nick}'>{more}{x}</presence>"


def join(client: Client, room, **more):
    """Join with the user's id as the nick; return what comes until one sees oneself inside."""
    client.send(join_stanza(room, user_of(client), **more))
    seen = []
    while True:
        seen.append(client.find(PRESENCE, lambda found: found.get("from").startswith(room)))
        if "110" in statuses(seen[-1]):
            return seen


def user_of(client: Client):
    return int(client.jid.partition("-")[0])


def nick_of(stanza):
    """The user whom a stanza of a room is about."""
    return int(stanza.get("from").partition("/")[2])


def statuses(presence):
    return [status.get("code") for status in presence.iter(f"{USER}status")]


def item(presence):
    """The affiliation and the role that a presence of a room tells."""
    found = presence.find(f"{USER}x/{USER}item")
    return found.get("affiliation"), found.get("role")


def presences(client: Client):
    """Everything of presence that has come: who, in or out, with what statuses."""
    return [
        (nick_of(found), found.get("type") or "available", statuses(found))
        for found in client.sync()
        if found.tag == PRESENCE
        and "/" in (found.get("from") or "")
        and "muc." in found.get("from")
    ]


def group_chat(room, body="hello", *, id="aa" * 12, params="", more=""):
    """Write a message to a room that is saved to history."""
    return (
        f"<message to='{room}' type='groupchat' id='{id}'><body>{body}</body>"
        f"<extraParams><save_to_history>1</save_to_history>{params}</extraParams>{more}</message>"
    )
