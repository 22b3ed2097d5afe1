"""What is done over REST, as those who are connected see it."""

from __future__ import annotations

import pytest

from tests.support.wire_client import CLIENT, param
from tests.wire.emulator.api.people import answered

CORRECTION = "{urn:xmpp:message-correct:0}"
DELETION = "{urn:xmpp:message-delete:0}"


@pytest.fixture
def hers(rest, alice):
    return rest("alice")


@pytest.fixture
def his_chat(connect, bob):
    return connect().log_in(bob)


@pytest.fixture
def her_chat(connect, alice):
    return connect().log_in(alice)


@pytest.fixture
def message(hers, bob):
    answer = hers("POST", "chat/Message", json={"recipient_id": bob, "message": "helo"})
    return answer.json()


def test_a_new_body_is_shown_to_the_other(hers, his_chat, her_chat, alice, bob, message):
    path, dialog_id = f"chat/Message/{message['_id']}", message["chat_dialog_id"]
    hers("PUT", path, json={"chat_dialog_id": dialog_id, "message": "hello"})
    shown = his_chat.message()
    assert (shown.get("from"), shown.get("type")) == (f"{alice}-1@localhost", "chat")
    assert shown.findtext(f"{CLIENT}body") == "hello"
    assert shown.find(f"{CORRECTION}replace").attrib == {"id": message["_id"], "last": "true"}
    assert param(shown, "dialog_id") == dialog_id
    assert her_chat.sync() == []


def test_an_older_message_is_not_called_the_last(hers, his_chat, bob, message):
    hers("POST", "chat/Message", json={"recipient_id": bob, "message": "later"})
    body = {"chat_dialog_id": message["chat_dialog_id"], "message": "hello"}
    hers("PUT", f"chat/Message/{message['_id']}", json=body)
    assert his_chat.message().find(f"{CORRECTION}replace").get("last") == "false"


def test_a_deletion_for_everybody_is_shown_and_one_for_oneself_is_not(hers, his_chat, bob, message):
    other = hers("POST", "chat/Message", json={"recipient_id": bob, "message": "x"}).json()
    hers("DELETE", f"chat/Message/{other['_id']}")
    hers("DELETE", f"chat/Message/{message['_id']}?force=1")
    shown = his_chat.message()
    assert shown.find(f"{DELETION}remove").get("id") == message["_id"]
    assert param(shown, "dialog_id") == message["chat_dialog_id"]
    assert shown.find(f"{CLIENT}body") is None
    assert his_chat.sync() == []


def test_a_reaction_is_shown_to_both_and_once(hers, his_chat, her_chat, alice, message):
    path = f"chat/Message/{message['_id']}/reactions"
    for _ in range(2):
        hers("PUT", path, json={"add": "👍", "remove": "👎"})
    for chat in (his_chat, her_chat):
        shown = chat.message()
        reactions = shown.find(f"{CLIENT}reactions")
        assert reactions.attrib == {"user_id": str(alice), "message_id": message["_id"]}
        assert [change.attrib for change in reactions] == [
            {"add": "true", "type": "👍"},
            {"remove": "true", "type": "👎"},
        ]
        assert param(shown, "dialog_id") == message["chat_dialog_id"]
        assert chat.sync() == []


def test_a_system_message_reaches_the_recipient_and_is_not_kept(
    hers, his_chat, emulator, alice, bob
):
    body = {"recipientId": bob, "friendId": "90675", "userExt": {"name": "Smith"}, "not a name": 1}
    answer = hers("POST", "chat/Message/system", json=body)
    assert answer.status_code == 201
    params = {name: value for name, value in body.items() if name != "recipientId"}
    assert answer.json() == {
        "messageId": answer.json()["messageId"],
        "recipientId": bob,
        "extensionParams": params,
    }
    shown = his_chat.message()
    assert (shown.get("type"), shown.get("from")) == ("headline", f"{alice}-1@localhost")
    assert shown.get("id") == answer.json()["messageId"]
    assert param(shown, "moduleIdentifier") == "SystemNotifications"
    assert param(shown, "friendId") == "90675"
    assert shown.findtext(f"{CLIENT}extraParams/{CLIENT}userExt/{CLIENT}name") == "Smith"
    assert emulator.private_dialog(alice, bob) is None


@pytest.mark.parametrize(
    ("recipient", "status"), [(None, 422), ("x", 422), ([], 422), (0, 422), (999, 404)]
)
def test_a_system_message_needs_a_user(hers, recipient, status):
    answer = hers("POST", "chat/Message/system", json={"recipientId": recipient})
    assert answer.status_code == status


class TestInAGroup:
    """What is done over REST in a group, as everybody sees it from the nick of who did it."""

    @pytest.fixture
    def written(self, people, group):
        return write(people.alice, group)

    def shown(self, clients, room, user_id):
        """The message that each of the clients gets, and nothing else."""
        found = []
        for client in clients:
            (message,) = client.sync()
            assert message.get("from") == f"{room}/{user_id}"
            assert (message.get("to"), message.get("type")) == (client.jid, "groupchat")
            assert param(message, "dialog_id") == room.partition("_")[2].partition("@")[0]
            found.append(message)
        return found

    def test_a_message_that_is_sent_to_the_chat(self, logged_in, people, group, room):
        clients = [logged_in("alice"), logged_in("bob")]
        write(people.alice, group)
        stored = write(people.alice, group, send_to_chat=1, markable=1, colour="red")
        for message in self.shown(clients, room, people.alice.id):
            assert (message.get("id"), message.findtext(f"{CLIENT}body")) == (stored["_id"], "hi")
            assert param(message, "colour") == "red"
            assert message.find("{urn:xmpp:chat-markers:0}markable") is not None

    def test_a_new_body(self, logged_in, people, group, room, written):
        clients = [logged_in("alice"), logged_in("bob")]
        body = {"chat_dialog_id": group["_id"], "message": "hello"}
        people.alice("PUT", f"chat/Message/{written['_id']}", json=body)
        for message in self.shown(clients, room, people.alice.id):
            assert message.findtext(f"{CLIENT}body") == "hello"
            assert message.find(f"{CORRECTION}replace").get("id") == written["_id"]

    def test_a_deletion_for_everybody_by_an_admin(self, logged_in, people, room, written):
        clients = [logged_in("alice"), logged_in("carol")]
        people.carol("DELETE", f"chat/Message/{written['_id']}")
        people.bob("DELETE", f"chat/Message/{written['_id']}?force=1")
        for message in self.shown(clients, room, people.bob.id):
            assert message.find(f"{DELETION}remove").get("id") == written["_id"]

    def test_a_reaction(self, logged_in, people, room, written):
        clients = [logged_in("alice"), logged_in("carol")]
        people.carol("PUT", f"chat/Message/{written['_id']}/reactions", json={"add": "👍"})
        for message in self.shown(clients, room, people.carol.id):
            reactions = message.find(f"{CLIENT}reactions")
            assert reactions.get("message_id") == written["_id"]
            assert reactions[0].attrib == {"add": "true", "type": "👍"}


def write(person, dialog, **fields):
    body = {"chat_dialog_id": dialog["_id"], "message": "hi", **fields}
    return answered(person("POST", "chat/Message", json=body), 201)


VALUES = {
    "yes": (True, "true"),
    "no": (False, "false"),
    "whole": (5, "5"),
    "broken": (1.5, "1.5"),
    "words": ("True", "True"),
    "list": ([1, 2], "[1, 2]"),
    "mixed": ([True, None, "ü", {"a": "b"}], '[true, null, "ü", {"a": "b"}]'),
}


def test_values_reach_the_chat_as_json_writes_them(hers, his_chat, bob):
    values = {name: value for name, (value, _) in VALUES.items()}
    more = {"send_to_chat": 1, "attachments": [{"type": "photo", **values}]}
    hers("POST", "chat/Message", json={"recipient_id": bob, "nested": values, **values, **more})
    hers("POST", "chat/Message/system", json={"recipientId": bob, **values})
    message, system = his_chat.message(), his_chat.message()
    params = message.find(f"{CLIENT}extraParams")
    for name, (_, text) in VALUES.items():
        assert param(message, name) == param(system, name) == text
        assert params.findtext(f"{CLIENT}nested/{CLIENT}{name}") == text
        assert params.find(f"{CLIENT}attachment").get(name) == text
