from __future__ import annotations

import pytest

from tests.wire.emulator.api.people import (
    answered,
    dialog,
    listed,
    make_group,
    make_private,
    make_public,
    write,
)


def unread(person, *dialog_ids):
    query = f"?chat_dialog_ids={'%2C%20'.join(dialog_ids)}" if dialog_ids else ""
    return answered(person("GET", f"chat/Message/unread{query}"))


def ids(messages):
    return [message["_id"] for message in messages]


class TestList:
    def test_every_operator_also_on_attachments(self, people):
        private = make_private(people)["_id"]
        image, audio = {"type": "image", "id": "1"}, {"type": "audio", "id": "2"}
        letters = {}
        for letter, attachments in (("a", [image]), ("b", [image, audio]), ("c", [])):
            written = write(people.alice, private, letter, attachments=attachments)
            letters[written["_id"]] = letter

        def found(query):
            return "".join(letters[one] for one in ids(listed(people.bob, private, query)))

        assert found("attachments.type=image") == "ab"
        assert found("attachments.type[ne]=audio") == "ac"
        assert found("attachments.type[in]=audio,video") == "b"
        assert found("attachments.type[nin]=audio,video") == "ac"
        assert found("attachments.type[all]=image,audio") == "b"
        assert found("attachments.type[ctn]=aud") == "b"
        assert found("message[in]=a,c") == "ac"
        assert found("message[nin]=a,c") == "b"
        assert found("message[ne]=a&message[ne]=b") == "c"
        assert found(f"sender_id={people.alice.id}&message[gt]=a") == "bc"
        assert found(f"recipient_id[ne]={people.bob.id}") == ""

    def test_reading_marks_for_each_reader(self, people, group):
        write(people.alice, group)
        assert dialog(people.alice, group)["last_message_status"] == "sent"
        listed(people.bob, group, "")
        (message,) = listed(people.carol, group)
        assert message["read_ids"] == message["delivered_ids"] == [people.alice.id, people.bob.id]
        assert message["read"] == 0
        assert dialog(people.alice, group)["last_message_status"] == "read"

    def test_newcomers_read_what_was_before_them_and_count_nothing_as_unread(self, people, group):
        write(people.alice, group)
        erin = {"push_all": {"occupants_ids": [people.erin.id]}}
        answered(people.alice("PUT", f"chat/Dialog/{group}", json=erin))
        assert unread(people.erin) == {"total": 0}
        listed(people.erin, group, "")
        assert people.erin.id in listed(people.erin, group)[0]["read_ids"]

    def test_public_messages_have_views_in_place_of_receipts(self, people):
        public = make_public(people)["_id"]
        answered(people.bob("POST", f"chat/Dialog/{public}/subscribe"))
        write(people.alice, public)
        listed(people.alice, public, "")
        assert listed(people.alice, public)[0]["views_count"] == 0
        for _ in range(2):
            listed(people.bob, public, "")
        (message,) = listed(people.bob, public)
        assert (message["views_count"], message["read_ids"]) == (1, [])
        assert unread(people.bob, public) == {"total": 0, public: 0}

    def test_a_broadcast_counts_the_views_of_everybody(self, emulator, people):
        news = emulator.add_broadcast_dialog("News", people.alice.id)
        write(people.alice, news)
        for person in (people.bob, people.carol):
            listed(person, news, "")
        assert listed(people.alice, news)[0]["views_count"] == 2


class TestPreview:
    def test_strangers_see_the_last_twenty_if_the_dialog_allows(self, people):
        public = make_public(people, permissions={"allow_preview": True})["_id"]
        for number in range(22):
            write(people.alice, public, f"m{number}")
        assert people.bob("GET", f"chat/Message?chat_dialog_id={public}").status_code == 403
        shown = listed(people.bob, public, "preview=1&limit=1&skip=5&sort_desc=date_sent")
        assert [item["message"] for item in shown] == [f"m{number}" for number in range(2, 22)]
        assert all(item["views_count"] == 0 for item in listed(people.alice, public))

    def test_others_do_not_allow_it(self, people, group):
        path = f"chat/Message?chat_dialog_id={group}&preview=1"
        answered(people.mallory("GET", path), 403)
        allow = {"permissions": {"allow_preview": False}}
        answered(people.alice("PUT", f"chat/Dialog/{group}", json=allow))
        answered(people.mallory("GET", path), 403)


class TestUnread:
    def test_by_dialog_and_in_total(self, people, group):
        private = make_private(people)["_id"]
        for _ in range(2):
            write(people.alice, group)
        write(people.alice, private)
        assert unread(people.bob) == {"total": 3}
        assert unread(people.bob, group, private) == {"total": 3, group: 2, private: 1}
        assert unread(people.bob, group) == {"total": 2, group: 2}
        assert unread(people.carol, group, private, "0" * 24) == {"total": 2, group: 2}
        assert unread(people.alice, group) == {"total": 0, group: 0}

    def test_deleted_messages_and_left_dialogs_do_not_count(self, people, group):
        first, second = write(people.alice, group)["_id"], write(people.alice, group)["_id"]
        answered(people.bob("DELETE", f"chat/Message/{first}"))
        assert unread(people.bob) == {"total": 1}
        answered(people.alice("DELETE", f"chat/Message/{second}?force=1"))
        assert unread(people.bob) == {"total": 0}
        write(people.alice, group)
        answered(people.bob("DELETE", f"chat/Dialog/{group}"))
        assert unread(people.bob) == {"total": 0}


class TestUpdate:
    def update(self, person, message_ids, status=200, **body):
        return answered(person("PUT", f"chat/Message/{message_ids}", json=body), status)

    def test_delivered_and_read_by_id(self, people, group):
        first, second = write(people.alice, group)["_id"], write(people.alice, group)["_id"]
        self.update(people.bob, f"{first},{second}", delivered="1", chat_dialog_id=group)
        assert dialog(people.alice, group)["last_message_status"] == "delivered"
        self.update(people.bob, first, read=1, chat_dialog_id=group)
        one, two = listed(people.alice, group)
        assert people.bob.id in one["read_ids"]
        assert people.bob.id not in two["read_ids"]
        assert people.bob.id in two["delivered_ids"]

    @pytest.mark.parametrize("path", ["", "/"])
    def test_a_whole_dialog(self, people, group, path):
        for _ in range(3):
            write(people.alice, group)
        body = {"read": "1", "chat_dialog_id": group}
        assert answered(people.bob("PUT", f"chat/Message{path}", json=body)) is None
        assert unread(people.bob) == {"total": 0}
        assert unread(people.carol) == {"total": 3}

    def test_the_body_by_its_sender_alone(self, people, group):
        message = write(people.carol, group, "helo")["_id"]
        for person in (people.alice, people.bob):
            self.update(person, message, 403, message="x", chat_dialog_id=group)
        self.update(people.carol, message, message="hello", read=1, chat_dialog_id=group)
        assert listed(people.alice, group)[0]["message"] == "hello"
        assert dialog(people.alice, group)["last_message"] == "hello"

    def test_one_that_is_refused_leaves_the_others_as_they_are(self, people, group):
        own, other = write(people.carol, group, "a")["_id"], write(people.bob, group, "b")["_id"]
        self.update(people.carol, f"{own},{other}", 403, message="x", chat_dialog_id=group)
        self.update(people.carol, f"{own},{'0' * 24}", 404, message="x", chat_dialog_id=group)
        assert [item["message"] for item in listed(people.alice, group)] == ["a", "b"]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 422),
            ({"read": "0"}, 422),
            ({"message": 5}, 422),
            ({"read": 1, "chat_dialog_id": None}, 422),
            ({"read": 1, "chat_dialog_id": "0" * 24}, 404),
        ],
    )
    def test_what_is_wrong_is_refused(self, people, group, body, status):
        message = write(people.alice, group)["_id"]
        answer = self.update(people.alice, message, status, **{"chat_dialog_id": group, **body})
        assert answer["errors"]

    def test_the_dialog_must_be_the_messages_own(self, people, group):
        message = write(people.alice, group)["_id"]
        other = make_group(people)["_id"]
        self.update(people.alice, message, 404, read=1, chat_dialog_id=other)
        self.update(people.mallory, message, 403, read=1, chat_dialog_id=group)
        body = {"message": "x", "chat_dialog_id": group}
        answered(people.alice("PUT", "chat/Message", json=body), 422)


class TestDelete:
    def delete(self, person, *message_ids, force=False):
        path = f"chat/Message/{','.join(message_ids)}{'?force=1' if force else ''}"
        return {name: part["ids"] for name, part in answered(person("DELETE", path)).items()}

    def test_for_oneself_others_keep_it(self, people, group):
        message = write(people.alice, group)["_id"]
        assert self.delete(people.bob, message)["SuccessfullyDeleted"] == [message]
        assert listed(people.bob, group) == []
        assert ids(listed(people.carol, group)) == [message]
        assert self.delete(people.bob, message)["NotFound"] == [message]
        count = people.bob("GET", f"chat/Message?chat_dialog_id={group}&count=1")
        assert answered(count) == {"items": {"count": 0}}

    def test_for_everybody_ones_own_or_as_admin(self, people, group):
        hers, his = write(people.carol, group)["_id"], write(people.dave, group)["_id"]
        assert self.delete(people.carol, hers, his, force=True) == {
            "SuccessfullyDeleted": [hers],
            "NotFound": [],
            "WrongPermissions": [his],
        }
        assert self.delete(people.bob, his, force=True)["SuccessfullyDeleted"] == [his]
        assert listed(people.alice, group) == []

    def test_the_dialog_then_shows_the_last_that_is_left(self, people, group):
        first, last = write(people.alice, group, "a")["_id"], write(people.alice, group, "b")["_id"]
        self.delete(people.alice, last, force=True)
        shown = dialog(people.bob, group)
        assert (shown["last_message"], shown["last_message_id"]) == ("a", first)

    def test_in_private_one_deletes_ones_own_for_both(self, people):
        private = make_private(people)["_id"]
        hers, his = write(people.alice, private)["_id"], write(people.bob, private)["_id"]
        assert self.delete(people.alice, his, force=True)["WrongPermissions"] == [his]
        assert self.delete(people.alice, hers, force=True)["SuccessfullyDeleted"] == [hers]
        assert self.delete(people.alice, his)["SuccessfullyDeleted"] == [his]
        assert ids(listed(people.bob, private)) == [his]

    def test_in_a_broadcast_only_admins_delete(self, emulator, people):
        news = emulator.add_broadcast_dialog("News", people.alice.id, admins_ids=[people.bob.id])
        message = write(people.alice, news)["_id"]
        assert self.delete(people.carol, message)["WrongPermissions"] == [message]
        assert self.delete(people.bob, message, force=True)["SuccessfullyDeleted"] == [message]

    def test_strangers_have_no_permission_and_unknown_is_not_found(self, people, group):
        message, nothing = write(people.alice, group)["_id"], "0" * 24
        outcome = self.delete(people.mallory, message, nothing, force=True)
        assert (outcome["WrongPermissions"], outcome["NotFound"]) == ([message], [nothing])

    def test_force_may_come_in_a_form(self, people, group):
        message = write(people.alice, group)["_id"]
        answered(people.alice("DELETE", f"chat/Message/{message}", data={"force": "1"}))
        assert listed(people.bob, group) == []


class TestReactions:
    def react(self, person, message, status=200, **body):
        return answered(person("PUT", f"chat/Message/{message}/reactions", json=body), status)

    def test_a_user_has_one_and_sees_it_as_own(self, people, group):
        message = write(people.alice, group)["_id"]
        assert listed(people.alice, group)[0]["reactions"] is None
        self.react(people.alice, message, add="👍")
        self.react(people.bob, message, add="👍")
        self.react(people.bob, message, add="🚀")
        self.react(people.carol, message, add="👍")
        counts = {"👍": 2, "🚀": 1}
        assert listed(people.bob, group)[0]["reactions"] == {"own": ["🚀"], "total": counts}
        assert listed(people.dave, group)[0]["reactions"] == {"own": [], "total": counts}
        assert answered(people.dave("GET", f"chat/Message/{message}/reactions")) == {
            "👍": [people.alice.id, people.carol.id],
            "🚀": [people.bob.id],
        }

    def test_it_can_be_taken_back_or_exchanged(self, people, group):
        message = write(people.alice, group)["_id"]
        self.react(people.bob, message, add="👍")
        self.react(people.bob, message, add="👎", remove="👍")
        self.react(people.bob, message, remove="👍")
        assert listed(people.bob, group)[0]["reactions"]["own"] == ["👎"]
        self.react(people.bob, message, remove="👎")
        assert listed(people.bob, group)[0]["reactions"] is None

    @pytest.mark.parametrize("body", [{}, {"add": ""}, {"add": 5}, {"remove": None}])
    def test_what_is_wrong_is_refused(self, people, group, body):
        self.react(people.alice, write(people.alice, group)["_id"], 422, **body)

    def test_only_those_inside_react(self, people, group):
        message = write(people.alice, group)["_id"]
        self.react(people.mallory, message, 403, add="👍")
        self.react(people.alice, "0" * 24, 404, add="👍")
        answered(people.mallory("GET", f"chat/Message/{message}/reactions"), 403)
