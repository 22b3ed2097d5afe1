"""People who talk over REST alone, and the sentences they use."""

from __future__ import annotations


class People:
    """Users with their REST sessions: ``people.alice.id``, ``people.alice("GET", …)``."""

    def __init__(self, emulator, rest):
        self._emulator, self._rest = emulator, rest

    def __getattr__(self, name):
        user_id = self._emulator.add_user(name, "secret", full_name=name.title())
        person = self._rest(name)
        person.id = user_id
        setattr(self, name, person)
        return person


def answered(response, status=200):
    """Return the JSON of an answer that must have this status; None for an empty body."""
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def make_group(people, **fields):
    people.alice  # noqa: B018  (the first of all)
    others = [people.bob.id, people.carol.id, people.dave.id]
    body = {"type": 2, "name": "Friends", "occupants_ids": others, "admins_ids": [others[0]]}
    return answered(people.alice("POST", "chat/Dialog", json={**body, **fields}), 201)


def make_public(people, **fields):
    body = {"type": 4, "name": "Square", **fields}
    return answered(people.alice("POST", "chat/Dialog", json=body), 201)


def make_private(people):
    body = {"type": 3, "occupants_ids": [people.bob.id]}
    return answered(people.alice("POST", "chat/Dialog", json=body), 201)


def write(person, dialog_id, text="hello", **fields):
    """Store a message and return it."""
    body = {"chat_dialog_id": dialog_id, "message": text, **fields}
    return answered(person("POST", "chat/Message", json=body), 201)


def listed(person, dialog_id, query="mark_as_read=0"):
    """Return a dialog's messages as this person sees them."""
    answer = person("GET", f"chat/Message?chat_dialog_id={dialog_id}&{query}")
    return answered(answer)["items"]


def dialogs(person, query=""):
    """Return the dialogs in this person's list."""
    return answered(person("GET", f"chat/Dialog?{query}"))["items"]


def dialog(person, dialog_id):
    """Return a dialog as this person's list shows it, None if it does not."""
    found = dialogs(person, f"_id={dialog_id}")
    return found[0] if found else None
