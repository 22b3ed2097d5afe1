"""What the cases of group chat have in common."""

from __future__ import annotations

from typing import Any

from connectycube import DialogRef


def bodies(person: Any, count: int, signal: str = "message_received") -> list[str]:
    """Return the bodies of the messages that the person received, once there are ``count``."""
    return [message.body for message in person.events.wait_for(signal, count)]


def users_of(events: Any) -> list[int]:
    """Return whom the events are about."""
    return [event.user_id for event in events]


def hear(body: str, sender: Any, receiver: Any, room: DialogRef | None = None) -> None:
    """Send a message and wait until it has arrived, and with it all that the sender did before."""
    sender.chat.send_message(room or DialogRef.private(receiver.id), body)
    receiver.events.wait(
        lambda events: [m for m in events.of("message_received") if m.body == body]
    )


def check_online(server: Any, asker: Any, room: DialogRef, *expected: Any) -> None:
    """Hold what a person is told of who is in a room against who should be."""
    ids = {person.id for person in expected}
    found = asker.chat.online_occupants(room)
    assert len(set(found)) == len(found)
    if not server.supports("list of occupants"):
        assert found == ()
    elif server.supports("room messages without a join"):
        assert ids <= set(found)  # and all the other members who are connected
    else:
        assert ids == set(found)
