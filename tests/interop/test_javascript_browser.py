"""The official JavaScript SDK as a page loads it, pointed at the emulator as the documentation says."""

from __future__ import annotations

import re

import pytest

from tests.interop.javascript_messages import TEXT
from tests.interop.javascript_peer import ROOT, JavaScriptPeer
from tests.interop.javascript_people import in_chat, person_at
from tests.support.waiting import TIMEOUT

pytestmark = pytest.mark.referee("javascript")


@pytest.fixture
def page(service):
    """The SDK's build for browsers, which knows of the emulator by the page's excerpt alone."""
    text = (ROOT / "docs" / "emulator" / "web.md").read_text(encoding="utf-8")
    excerpt = re.findall(r"```js\n(.*?)```", text, re.DOTALL)[0]
    names = {
        "credentials": {"appId": service.app_id, "authKey": service.auth_key},
        "CONNECTYCUBE_API_URL": service.api_url,
        "CONNECTYCUBE_WEBSOCKET_URL": service.websocket_url,
    }
    nowhere = {"app_id": 0, "chat_port": 9, "chat_host": "nowhere.invalid"}
    with JavaScriptPeer(**nowhere, ca_file=service.ca_file, build="umd") as peer:
        peer.call("run", excerpt, names)
        yield peer


def test_a_browser_page_set_up_by_the_docs_calls_rest_and_chats(service, ours, page):
    with in_chat(service, person_at(service, page)) as person:
        assert person.call("chat.xmppClient.socket.url") == service.websocket_url
        group = person.call(
            "chat.dialog.create", {"type": 2, "name": "Hikers", "occupants_ids": [ours.id]}
        )
        message = {"type": "groupchat", "body": TEXT, "extension": {"save_to_history": 1}}
        sent = person.call("chat.send", group["_id"], message)
        (received,) = ours.events.wait_for("message_received")
        assert (received.id, received.body, received.sender_id) == (sent, TEXT, person.id)
        handle = ours.chat.reply(received, TEXT)
        handle.result(TIMEOUT)
        user_id, seen = page.wait_for_event(
            "onMessageListener", lambda _, message: message["id"] == handle.id
        )
        assert (user_id, seen["body"], seen["dialog_id"]) == (ours.id, TEXT, group["_id"])


def test_what_a_page_uploads_it_can_read(service, page):
    person = person_at(service, page)
    file = {"$base64": "aGVsbG8="}
    wanted = {"name": "a.txt", "type": "text/plain", "size": 5, "public": False, "file": file}
    blob = person.call("storage.createAndUpload", wanted)
    assert person.call("storage.getInfo", blob["id"])["blob"]["blob_status"] == "complete"
