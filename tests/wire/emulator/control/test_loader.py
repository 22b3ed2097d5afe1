"""Users, dialogs and messages from a JSON document."""

from __future__ import annotations

import json

import pytest

from connectycube.errors import ArgumentTypeError, ArgumentValueError

USERS = [{"login": name, "password": "a password"} for name in ("alice", "bob")]
DOCUMENT = {
    "users": [*USERS, {"email": "carol@example.test", "password": "a password"}],
    "dialogs": [
        {
            "type": "group",
            "name": "Hikers",
            "owner": "alice",
            "occupants": ["bob", "carol@example.test"],
            "admins": ["bob"],
        }
    ],
    "messages": [
        {"dialog": "Hikers", "sender": "bob", "message": "Hello", "read_by": ["alice"]},
        {"dialog": ["alice", "bob"], "sender": "alice", "message": "Just us", "date_sent": 5},
        {"dialog": "Hikers", "sender": "alice", "message": "Hello Bob"},
    ],
}


def test_a_document_is_loaded_with_its_references(emulator):
    loaded = emulator.load(DOCUMENT)
    assert loaded.users == {"alice": 1, "bob": 2, "carol@example.test": 3}
    assert loaded.messages == 3
    history = emulator.messages(loaded.dialogs["Hikers"])
    assert [(m["sender_id"], m["message"]) for m in history] == [(2, "Hello"), (1, "Hello Bob")]
    assert history[0]["read_ids"] == [1, 2]
    (private,) = emulator.messages(emulator.private_dialog(1, 2))
    assert (private["message"], private["date_sent"]) == ("Just us", 5)


def test_a_file_is_loaded(emulator, tmp_path):
    path = tmp_path / "people.json"
    path.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    assert emulator.load(path).users["bob"] == 2


def changed(part, place, **fields):
    document = json.loads(json.dumps(DOCUMENT))
    document[part][place].update(fields)
    return document


@pytest.mark.parametrize(
    ("document", "error", "named"),
    [
        (changed("users", 1, login="alice"), ArgumentValueError, r"^users\[1\]: login"),
        (changed("users", 1, fullname="Bob"), ArgumentValueError, r"^users\[1\]: fullname"),
        (changed("users", 1, password=None), ArgumentValueError, r"^users\[1\]: password"),
        (
            changed("dialogs", 0, owner="dave"),
            ArgumentValueError,
            r"^dialogs\[0\]: owner: .*'dave'",
        ),
        (
            changed("dialogs", 0, occupants=["bob", "dave"]),
            ArgumentValueError,
            r"^dialogs\[0\]: occupants\[1\]: .*'dave'",
        ),
        (changed("dialogs", 0, occupants="bob"), ArgumentTypeError, r"^dialogs\[0\]: occupants"),
        (changed("dialogs", 0, type="secret"), ArgumentValueError, r"^dialogs\[0\]: kind"),
        (changed("dialogs", 0, colour="red"), ArgumentValueError, r"^dialogs\[0\]: colour"),
        (changed("messages", 2, sender="dave"), ArgumentValueError, r"^messages\[2\]: sender: "),
        (changed("messages", 2, dialog="Bikers"), ArgumentValueError, r"^messages\[2\]: dialog: "),
        (
            changed("messages", 2, dialog=["bob"]),
            ArgumentValueError,
            r"^messages\[2\]: dialog must",
        ),
        (changed("messages", 2, date_sent="now"), ArgumentTypeError, r"^messages\[2\]: date_sent"),
        (
            changed("messages", 2, read_by=["dave"]),
            ArgumentValueError,
            r"^messages\[2\]: read_by\[0\]",
        ),
        ({"users": [*USERS, 5]}, ArgumentTypeError, r"^users\[2\]: must be an object"),
        ({"users": {}}, ArgumentTypeError, "^users must be a list"),
        ({"people": []}, ArgumentValueError, "^people is not known"),
        (
            {**DOCUMENT, "dialogs": DOCUMENT["dialogs"] * 2},
            ArgumentValueError,
            r"^dialogs\[1\]: name: another",
        ),
    ],
)
def test_an_error_names_its_place_and_nothing_is_loaded(emulator, document, error, named):
    with pytest.raises(error, match=named):
        emulator.load(document)
    assert emulator.load(DOCUMENT).users["alice"] == 1


def test_an_error_in_a_file_names_the_file(emulator, tmp_path):
    path = tmp_path / "people.json"
    path.write_text(json.dumps(changed("messages", 1, sender="dave")))
    with pytest.raises(ArgumentValueError, match=r"people\.json: messages\[1\]: sender"):
        emulator.load(path)
    path.write_text('{"users": [\n  {"login" "alice"}]}')
    with pytest.raises(ArgumentValueError, match=r"people\.json:2:12: Expecting ':'"):
        emulator.load(path)
    path.write_bytes(b'{"users": "\xff"}')
    with pytest.raises(ArgumentValueError, match=r"people\.json: .*utf-8"):
        emulator.load(path)
    with pytest.raises(FileNotFoundError):
        emulator.load(tmp_path / "nowhere.json")
