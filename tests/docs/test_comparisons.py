"""The pages for those who come from another SDK: each call of its guide is there, and its Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectycube import ChatState, ConnectyCube
from connectycube.emulator import Emulator
from tests.docs.test_pages import BLOCKS, DOCS, live_through_everything
from tests.support.inside import signals_of
from tests.support.people import FAST, Events, Person, logged_in

JAVASCRIPT = [
    "chat.connect",
    "chat.disconnect",
    "chat.isConnected",
    "chat.terminate",
    "chat.pingWithTimeout",
    "service.sdkInstance.session.token",
    "chat.onDisconnectedListener",
    "chat.onReconnectListener",
    "chat.dialog.create",
    "chat.dialog.list",
    "chat.dialog.update",
    "chat.dialog.delete",
    "chat.dialog.clearHistory",
    "chat.dialog.subscribe",
    "chat.dialog.unsubscribe",
    "chat.dialog.getPublicOccupants",
    "chat.dialog.addAdmins",
    "chat.dialog.removeAdmins",
    "chat.dialog.updateNotificationsSettings",
    "chat.dialog.getNotificationsSettings",
    "chat.message.list",
    "chat.message.update",
    "chat.message.delete",
    "chat.message.unreadCount",
    "chat.message.addReaction",
    "chat.message.removeReaction",
    "chat.message.updateReaction",
    "chat.message.listReactions",
    "chat.onMessageReactionsListener",
    "chat.send",
    "chat.onMessageListener",
    "chat.onMessageErrorListener",
    "chat.onSentMessageCallback",
    "chat.muc.join",
    "chat.muc.leave",
    "chat.sendDeliveredStatus",
    "chat.onDeliveredStatusListener",
    "chat.sendReadStatus",
    "chat.onReadStatusListener",
    "chat.sendIsTypingStatus",
    "chat.sendIsStopTypingStatus",
    "chat.onMessageTypingListener",
    "storage.createAndUpload",
    "storage.privateUrl",
    "storage.delete",
    "chat.editMessage",
    "chat.onMessageUpdateListener",
    "chat.deleteMessage",
    "chat.onMessageDeleteListener",
    "chat.search",
    "chat.markInactive",
    "chat.markActive",
    "chat.getLastUserActivity",
    "chat.subscribeToUserLastActivityStatus",
    "chat.unsubscribeFromUserLastActivityStatus",
    "chat.onLastUserActivityListener",
    "chat.sendSystemMessage",
    "chat.onSystemMessageListener",
    "data.create",
    "chat.privacylist.create",
    "chat.privacylist.setAsDefault",
    "chat.privacylist.update",
    "chat.privacylist.getNames",
    "chat.privacylist.getList",
    "chat.privacylist.delete",
]
"""What the guide "Chat" of the JavaScript SDK names (January 2026), below ``ConnectyCube.``."""

FLUTTER = [
    "CubeChatConnection.instance.login",
    "CubeChatConnection.instance.logout",
    "CubeChatConnection.instance.destroy",
    "CubeChatConnection.instance.relogin",
    "CubeChatConnection.instance.currentUser",
    "CubeChatConnection.instance.chatConnectionState",
    "CubeChatConnection.instance.connectionStateStream.listen",
    "CubeChatConnection.instance.pingWithTimeout",
    "CubeChatConnection.instance.markActive",
    "CubeChatConnection.instance.markInactive",
    "CubeChatConnection.instance.getLasUserActivity",
    "CubeSessionManager.instance.activeSession?.token",
    "CubeChatConnectionSettings.instance.totalReconnections",
    "CubeChatConnectionSettings.instance.reconnectionTimeout",
    "createDialog",
    "getDialogs",
    "updateDialog",
    "deleteDialog",
    "deleteDialogs",
    "subscribeToPublicDialog",
    "unSubscribeFromPublicDialog",
    "getDialogOccupants",
    "addRemoveAdmins",
    "updateDialogNotificationsSettings",
    "getDialogNotificationsSettings",
    "getMessages",
    "updateMessage",
    "updateMessages",
    "deleteMessages",
    "getUnreadMessagesCount",
    "searchText",
    "uploadFile",
    "getPrivateUrlForUid",
    "createCustomObject",
    "addMessageReaction",
    "removeMessageReaction",
    "updateMessageReactions",
    "getMessageReactions",
    "newName",
    "newDescription",
    "newPhoto",
    "customData",
    "addOccupantIds",
    "deleteOccupantIds",
    "addAdminIds",
    "deleteAdminIds",
    "addPinnedMsgIds",
    "deletePinnedMsgIds",
    "extensions",
    "sendMessage",
    "deliverMessage",
    "readMessage",
    "editMessage",
    "deleteMessage",
    "sendIsTypingStatus",
    "sendStopTypingStatus",
    "markable",
    "saveToHistory",
    "properties",
    "attachments",
    "chatMessagesManager?.chatMessagesStream.listen",
    "chatMessagesStream.handleError",
    "messagesStatusesManager?.deliveredStream.listen",
    "messagesStatusesManager?.readStream.listen",
    "messagesStatusesManager?.editedStream.listen",
    "messagesStatusesManager?.deletedStream.listen",
    "messagesReactionsManager?.reactionsStream.listen",
    "typingStatusesManager?.isTypingStream.listen",
    "typingStatusesManager?.stopTypingStream.listen",
    "lastActivityManager?.subscribeToUserLastActivityStatus",
    "lastActivityManager?.unsubscribeFromUserLastActivityStatus",
    "lastActivityManager?.lastActivityStream.listen",
    "systemMessagesManager?.sendSystemMessage",
    "systemMessagesManager?.systemMessagesStream.listen",
    "privacyListsManager",
    "createList",
    "setDefaultList",
    "declineDefaultList",
    "getAllLists",
    "getList",
    "removeList",
]
"""What the guide "Chat" of the Flutter SDK names (January 2026)."""

CALLS = {
    "javascript": [f"ConnectyCube.{name}" for name in JAVASCRIPT],
    "flutter": FLUTTER,
}
_OTHER = re.compile(r"^```(?:javascript|dart)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_PAIR = re.compile(
    r"^## [^\n]+\n\n```(?:javascript|dart)\n[^`]*```\n\n<!-- compared -->\n```python\n[^`]*```\n",
    re.MULTILINE,
)


def page_of(language: str) -> Path:
    return DOCS / f"from-{language}.md"


@pytest.mark.parametrize("language", CALLS)
def test_each_call_of_the_guide_stands_beside_python(language):
    text = page_of(language).read_text(encoding="utf-8")
    code = "\n".join(found["code"] for found in _OTHER.finditer(text))
    for call in CALLS[language]:
        assert re.search(rf"(?<![\w.]){re.escape(call)}\b", code) or re.search(
            rf"\.{re.escape(call)}\b", code
        ), call


@pytest.mark.parametrize("language", CALLS)
def test_each_section_has_one_block_of_either_language(language):
    text = page_of(language).read_text(encoding="utf-8")
    compared = [block for block in BLOCKS if block.page == page_of(language)]
    assert len(_PAIR.findall(text)) == len(compared) - 1  # without the set-up
    widest = max(len(line) for block in compared for line in block.code.splitlines())
    assert widest <= 100


@pytest.fixture
def bob(service: Emulator) -> Person:
    return Person.new(service)


@pytest.fixture
def service():
    with Emulator() as running:
        yield running


@pytest.mark.parametrize("language", CALLS)
def test_each_block_needs_the_first_one_and_itself(language, service, bob, monkeypatch):
    for name, value in service.environment().items():
        monkeypatch.setenv(name, value)
    setup, *others = [block for block in BLOCKS if block.page == page_of(language)]
    assert (setup.kind, {block.kind for block in others}) == ("setup", {"compared"})
    names = {"__name__": "example"}
    exec(
        setup.code.replace("from_env()", "from_env(reconnect=FAST)"), {"FAST": FAST} | names, names
    )
    with names["cube"] as cube:
        for block in others:
            assert cube.chat.is_ready, block.place
            exec(compile("\n" * (block.line - 1) + block.code, str(block.page), "exec"), {**names})
        let_receivers_work(cube, bob, service)


def let_receivers_work(cube: ConnectyCube, bob: Person, service: Emulator) -> None:
    """Let everything happen that receivers of the page hear of; none of them raises."""
    chat = cube.chat
    failures = Events(chat.callback_failed)
    events = Events(*signals_of(chat))
    with logged_in(bob):
        group = cube.dialogs.create_group("Everybody", [bob.id])
        live_through_everything(chat, events, bob, service, group)
        stored = chat.send_private(bob.id, "And what do you think?").result()
        with Person.with_session(service, bob.name, bob.password).cube as as_bob:
            as_bob.messages.add_reaction(stored, "👍")
        events.wait_for("reaction_changed")
        assert chat.state in (ChatState.READY, ChatState.RESUMED)
    chat.logout()
    assert failures.of("callback_failed") == []
