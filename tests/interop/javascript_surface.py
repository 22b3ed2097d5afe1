"""Every function of the official JavaScript SDK, release 6.1.2: which test calls it, or why none does.

The SDK itself is asked what it has, by reflection (``test_javascript_surface.py``); and a test that is named
here fails if it ends without these calls (``conftest.py``). Listeners are called by the SDK, as events.
"""

from __future__ import annotations

CALLED_BY: dict[str, dict[str, str]] = {
    "test_javascript_rest.py": {
        "test_a_session_of_the_application": "init createSession getSession setSession",
        "test_a_destroyed_session_does_not_exist_any_more": "destroySession",
        "test_log_in_to_a_session_of_the_application_and_out_again": "auth.login auth.logout",
        "test_sign_up_with_the_authorization_key_alone": "users.signup",
        "test_one_user_by_login_or_email": "users.get",
        "test_a_user_changes_fields_and_the_password": "users.update",
        "test_a_user_who_deletes_itself_is_gone": "users.delete",
        "test_users_by_the_filters_of_version_2": "users.getV2",
        "test_a_reset_of_the_password_is_taken": "users.resetPassword",
        "test_an_uploaded_file_is_described_and_downloaded": (
            "storage.createAndUpload storage.getInfo storage.getFileObject storage.privateUrl"
        ),
        "test_own_files_are_listed_and_deleted": "storage.list storage.delete",
        "test_a_file_is_uploaded_step_by_step": (
            "storage.create storage.upload storage.markUploaded storage.publicUrl"
        ),
        "test_storage_update_of_the_javascript_sdk_does_not_rename_a_file": "storage.update",
        "test_the_javascript_sdk_cannot_read_the_bytes_of_a_file_by_its_uid": ("storage.getFile"),
        "test_a_device_is_subscribed_listed_and_unsubscribed": (
            "pushnotifications.subscriptions.create pushnotifications.subscriptions.list"
            " pushnotifications.subscriptions.delete"
        ),
        "test_an_event_is_pushed_to_the_devices_of_its_users": (
            "pushnotifications.events.create pushnotifications.base64Encode"
        ),
        "test_contacts_are_uploaded_changed_and_removed": (
            "addressbook.uploadAddressBook addressbook.get"
        ),
        "test_contacts_who_are_users_are_found": "addressbook.getRegisteredUsers",
        "test_records_are_made_found_and_ordered": "data.create data.list",
        "test_records_are_changed_one_by_one_many_at_once_and_by_criteria": "data.update",
        "test_records_belong_to_their_owner": "data.readPermissions",
        "test_records_are_deleted_one_by_one_many_at_once_and_by_criteria": "data.delete",
    },
    "test_javascript_conversations.py": {
        "test_a_private_dialog_is_one_for_both": "chat.dialog.create",
        "test_a_page_of_dialogs_and_its_filters": "chat.dialog.list",
        "test_a_group_changes_name_people_and_pins": "chat.dialog.update",
        "test_the_owner_alone_makes_and_unmakes_admins": (
            "chat.dialog.addAdmins chat.dialog.removeAdmins"
        ),
        "test_deleting_several_dialogs_tells_which_were_deleted": "chat.dialog.delete",
        "test_clearing_the_history_is_for_oneself": "chat.dialog.clearHistory",
        "test_a_public_dialog_is_joined_left_and_shows_who_is_there": (
            "chat.dialog.subscribe chat.dialog.unsubscribe chat.dialog.getPublicOccupants"
        ),
        "test_notifications_of_a_dialog_are_on_until_one_turns_them_off": (
            "chat.dialog.getNotificationsSettings chat.dialog.updateNotificationsSettings"
        ),
        "test_a_message_over_rest_and_both_see_it_in_the_history": "chat.message.create",
        "test_history_is_read_by_filter_page_and_order": "chat.message.list",
        "test_a_message_is_edited_and_marked": "chat.message.update",
        "test_a_message_is_deleted_for_oneself_or_for_all": "chat.message.delete",
        "test_unread_messages_are_counted_together_and_by_dialog": "chat.message.unreadCount",
        "test_reactions_are_one_a_user_and_can_be_changed_and_taken_back": (
            "chat.message.addReaction chat.message.removeReaction chat.message.updateReaction"
            " chat.message.listReactions"
        ),
        "test_a_system_message_over_rest": "chat.message.createSystem",
        "test_a_search_finds_messages_and_dialogs": "chat.search",
    },
    "test_javascript_activity.py": {
        "TestPrivacyLists::test_one_is_made_chosen_shown_changed_and_deleted": (
            "chat.privacylist.create chat.privacylist.getNames chat.privacylist.setAsDefault"
            " chat.privacylist.getList chat.privacylist.update chat.privacylist.delete"
        ),
        "TestInactive::test_an_inactive_client_gets_messages_and_pushes": (
            "chat.markInactive chat.markActive"
        ),
    },
    "test_javascript_connection.py": {
        "test_a_ping_is_answered": "chat.connect chat.ping chat.pingWithTimeout",
        "test_a_session_token_is_a_password": "chat.disconnect chat.onChatStatusListener",
        "test_a_terminated_connection_ends_for_the_others_and_comes_back": (
            "chat.terminate chat.onDisconnectedListener chat.onReconnectListener"
        ),
        "test_listeners_are_added_by_name_and_taken_away": (
            "chat.addListener chat.removeListener chat.removeAllListeners"
        ),
        "test_both_have_the_same_addresses": (
            "chat.helpers.getBsonObjectId chat.helpers.getDialogIdFromJID chat.helpers.getDialogJid"
            " chat.helpers.getIdFromResource chat.helpers.getRoomJid"
            " chat.helpers.getRoomJidFromDialogId chat.helpers.getRoomJidFromRoomFullJid"
            " chat.helpers.getUniqueId chat.helpers.getUserIdFromJID"
            " chat.helpers.getUserIdFromRoomJid chat.helpers.getUserJid"
            " chat.helpers.getUserNickWithMucDomain chat.helpers.isNumeric"
            " chat.helpers.jidOrUserId chat.helpers.typeChat"
        ),
        "test_a_wrong_password_is_refused_and_told": "chat.onConnectionErrorListener",
        "test_who_is_in_the_chat_is_online": "users.listOnline users.getOnlineCount",
    },
    "test_javascript_private.py": {
        "test_what_we_say_reaches_them_with_all_its_fields": "chat.onMessageListener",
        "test_what_they_say_reaches_us_with_all_its_fields": "chat.send chat.onSentMessageCallback",
        "test_they_deliver_and_read_what_we_say": "chat.sendDeliveredStatus chat.sendReadStatus",
        "test_we_deliver_and_read_what_they_say": (
            "chat.onDeliveredStatusListener chat.onReadStatusListener"
        ),
        "test_we_see_them_type_and_stop": "chat.sendIsTypingStatus chat.sendIsStopTypingStatus",
        "test_they_see_us_type_and_stop": "chat.onMessageTypingListener",
        "test_we_see_them_edit": "chat.editMessage",
        "test_they_see_us_edit": "chat.onMessageUpdateListener",
        "test_we_see_them_delete": "chat.deleteMessage",
        "test_they_see_us_delete": "chat.onMessageDeleteListener",
        "test_they_see_our_reactions": "chat.onMessageReactionsListener",
        "test_their_system_message_reaches_our_program": "chat.sendSystemMessage",
        "test_our_system_message_reaches_their_program": "chat.onSystemMessageListener",
        "test_the_signalling_of_their_calls_is_counted_and_nothing_else": (
            "chat.sendWebRTCSignalingMessage"
        ),
        "test_a_message_to_who_does_not_exist_is_refused_to_them_by_its_id": (
            "chat.onMessageErrorListener"
        ),
        "test_they_ask_when_we_were_last_active": "chat.getLastUserActivity",
        "test_they_watch_us_come_and_go": (
            "chat.subscribeToUserLastActivityStatus chat.unsubscribeFromUserLastActivityStatus"
            " chat.onLastUserActivityListener"
        ),
    },
    "test_javascript_rooms.py": {
        "test_python_sees_a_javascript_user_join_and_leave_a_room": (
            "chat.muc.join chat.muc.leave"
        ),
        "test_they_see_us_come_go_and_thrown_out": (
            "chat.muc.listOnlineUsers chat.onJoinOccupant chat.onLeaveOccupant"
        ),
    },
}
"""By file and test: the paths that it calls. A path is named once, though many tests may call it."""

PRIVATE = "the SDK's own types call it private or protected"

CALLED_BY_NONE: dict[str, str] = {
    "media is out of scope": "meeting.* whiteboard.*",
    "it asks a server of its own, which is no part of the service's API": "linkpreview.*",
    "it computes, and sends nothing": "utils.*",
    "the SDK's own way to HTTP, which every call over REST goes through": "service.*",
    "stream management works by itself, for every message that the SDK reports as sent": (
        "chat.streamManagement.start chat.streamManagement.stop chat.streamManagement.sendAndCount"
    ),
    PRIVATE: (
        "auth.generateCreateSessionParams storage.parseUri data.createRecord"
        " chat.message.putReaction chat.privacylist.assignPrivacyItem"
        " chat.onLastActivityStanza chat.onMessage chat.onPresence chat.onIQ chat.onSystemMessage"
        " chat.onWebRTCSignalingMessage chat.getCallExtension chat.onMessageError"
        " chat.postConnectActions chat.enableCarbons chat.setSubscriptionToUserLastActivity"
        " chat.getListenerByName chat.addXMPPClientListener chat.removeXMPPClientListener"
        " chat.removeAllXMPPClientListeners chat.streamManagement.elementHandler"
        " chat.streamManagement.markMessageAsSent chat.streamManagement.markMessageAsLost"
        " chat.streamManagement.markMessagesQueueAsSent"
        " chat.streamManagement.markMessagesQueueAsLost"
        " chat.streamManagement.markMessagesQueueAsLostByTimeout"
        " chat.streamManagement.sendNonza chat.streamManagement.removeElementHandler"
        " chat.streamManagement.addElementHandler"
    ),
    "this release looks for the status in the wrong place, and never calls it": (
        "chat.onKickOccupant"
    ),
    "later releases have no contact list; that of 3.35.3 is in test_javascript_old.py": (
        "chat.onContactListListener chat.onSubscribeListener chat.onConfirmSubscribeListener"
        " chat.onRejectSubscribeListener"
    ),
}
"""Why no test calls them: paths, or all of a service (``.*``)."""


def promised(test: str) -> set[str]:
    """The paths that a test, named as above after its file (``file.py::test``), is to call."""
    file, _, name = test.partition("::")
    return set(CALLED_BY.get(file, {}).get(name, "").split())


def all_promised() -> list[str]:
    """The paths that tests are to call."""
    return [
        path for tests in CALLED_BY.values() for paths in tests.values() for path in paths.split()
    ]


def all_excused() -> list[str]:
    """The paths that no test calls, or services."""
    return [path for paths in CALLED_BY_NONE.values() for path in paths.split()]
