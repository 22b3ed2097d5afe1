from __future__ import annotations

import pytest

from connectycube.emulator import Emulator
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.wire.emulator.api.people import (
    answered,
    dialog,
    dialogs,
    listed,
    make_group,
    make_private,
    make_public,
    write,
)
from tests.wire.emulator.conftest import Rest


def update(person, dialog_id, status=200, **body):
    return answered(person("PUT", f"chat/Dialog/{dialog_id}", json=body), status)


class TestCreate:
    def test_a_group_has_its_maker_as_owner_and_occupant(self, people):
        group = make_group(people, description="all of us", photo="p.png")
        ids = [people.alice.id, people.bob.id, people.carol.id, people.dave.id]
        assert group["user_id"] == people.alice.id
        assert sorted(group["occupants_ids"]) == sorted(ids)
        assert group["admins_ids"] == [people.bob.id]
        assert (group["name"], group["description"]) == ("Friends", "all of us")
        assert group["photo"] == "p.png"
        assert group["xmpp_room_jid"] == f"1_{group['_id']}@muc.localhost"
        assert group["extensions"] is group["permissions"] is group["last_message_status"] is None
        assert "occupants_count" not in group

    def test_ids_may_come_as_one_string(self, people):
        ids = f"{people.bob.id}, {people.carol.id}"
        group = make_group(people, occupants_ids=ids, admins_ids=str(people.carol.id))
        assert set(group["occupants_ids"]) == {people.alice.id, people.bob.id, people.carol.id}
        assert group["admins_ids"] == [people.carol.id]

    def test_a_public_dialog_counts_its_occupants_and_does_not_name_them(self, people):
        public = make_public(people)
        assert (public["occupants_ids"], public["occupants_count"]) == ([], 1)
        assert public["unread_messages_count"] is None

    def test_a_broadcast_is_refused_with_the_place_where_it_is_made(self, people):
        body = {"type": 1, "name": "News"}
        answer = answered(people.alice("POST", "chat/Dialog", json=body), 403)
        assert "admin panel" in answer["errors"]["base"][0]

    @pytest.mark.parametrize(
        ("change", "status", "field"),
        [
            ({"name": None}, 422, "name"),
            ({"name": ""}, 422, "name"),
            ({"name": 5}, 422, "name"),
            ({"occupants_ids": []}, 422, "occupants_ids"),
            ({"occupants_ids": ["x"]}, 422, "occupants_ids"),
            ({"occupants_ids": [10**30]}, 422, "occupants_ids"),
            ({"occupants_ids": f"{'0' * 19}1{'9' * 20}"}, 422, "occupants_ids"),
            ({"occupants_ids": [999]}, 404, "base"),
            ({"admins_ids": [1, 2, 3, 4, 5, 6]}, 422, "admins_ids"),
            ({"extensions": ["x"]}, 422, "extensions"),
            ({"extensions": dict.fromkeys("abcd", "x")}, 422, "extensions"),
            ({"permissions": {"allow_everything": True}}, 422, "permissions"),
            ({"data": "x"}, 422, "data"),
            ({"colour": "red"}, 422, "colour"),
        ],
    )
    def test_what_is_wrong_is_named(self, people, change, status, field):
        body = {"type": 2, "name": "n", "occupants_ids": [people.bob.id], **change}
        answer = answered(people.alice("POST", "chat/Dialog", json=body), status)
        assert list(answer["errors"]) == [field]
        assert dialogs(people.alice) == []

    def test_a_private_dialog_ignores_name_and_photo(self, people):
        body = {"type": 3, "occupants_ids": [people.bob.id], "name": "x", "photo": "y"}
        private = answered(people.alice("POST", "chat/Dialog", json=body), 201)
        assert (private["name"], private["photo"]) == ("Bob", None)


class TestExtensions:
    def test_only_allowed_fields_are_kept_and_cast_to_strings(self):
        with Emulator(dialog_extensions=("location", "floor")) as emulator:
            emulator.add_user("alice", "secret")
            emulator.add_user("bob", "secret")
            alice = Rest(emulator, "alice")
            with alice.http:
                given = {"location": "Sun bar", "floor": 3, "unknown": "x"}
                body = {"type": 2, "name": "n", "occupants_ids": [2], "extensions": given}
                made = answered(alice("POST", "chat/Dialog", json=body), 201)
        assert made["extensions"] == {"location": "Sun bar", "floor": "3"}

    def test_null_resets_them(self, people):
        group = make_group(people, extensions={"location": "Sun bar"})["_id"]
        assert update(people.carol, group, extensions=None)["extensions"] is None

    def test_dialogs_are_found_by_them(self, people):
        sun = make_group(people, extensions={"location": "Sun bar"})["_id"]
        moon = make_group(people, extensions={"location": "Moon bar"})["_id"]
        none = make_group(people)["_id"]

        def found(query):
            return {item["_id"] for item in dialogs(people.alice, query)}

        assert found("extensions[location]=Sun%20bar") == {sun}
        assert found("extensions[location][ctn]=bar") == {sun, moon}
        assert found("extensions[location][ne]=Sun%20bar") == {moon, none}
        assert found("extensions[elsewhere]=x") == set()

    @pytest.mark.parametrize(
        ("value", "error"),
        [("abc", ArgumentTypeError), (("a", "b", "c", "d"), ArgumentValueError)],
    )
    def test_the_setting_is_checked(self, value, error):
        with pytest.raises(error, match="dialog_extensions"):
            Emulator(dialog_extensions=value)


class TestList:
    def test_every_operator(self, people):
        ids = {name: make_public(people, name=name)["_id"] for name in ("red", "green", "blue")}
        names = {dialog_id: name for name, dialog_id in ids.items()}

        def found(query):
            return sorted(names[item["_id"]] for item in dialogs(people.alice, query))

        assert found("name=red") == ["red"]
        assert found("name[ne]=red") == ["blue", "green"]
        assert found("name[gt]=blue") == ["green", "red"]
        assert found("name[gte]=green") == ["green", "red"]
        assert found("name[lt]=green") == ["blue"]
        assert found("name[lte]=green") == ["blue", "green"]
        assert found("name[in]=red,blue") == ["blue", "red"]
        assert found("name[nin]=red,blue") == ["green"]
        assert found("name[all]=red") == ["red"]
        assert found("name[all]=red,blue") == []
        assert found("name[ctn]=ee") == ["green"]
        assert found("type=4&name[ctn]=e&limit=10") == ["blue", "green", "red"]

    def test_what_has_no_value_is_in_no_list(self, people):
        private, public = make_private(people), make_public(people)
        assert [item["_id"] for item in dialogs(people.alice, "name[nin]=Square")] == [
            private["_id"]
        ]
        assert [item["_id"] for item in dialogs(people.alice, "name[in]=Square")] == [public["_id"]]

    def test_sorted_by_the_last_message(self, people):
        first, second = make_public(people)["_id"], make_public(people)["_id"]
        write(people.alice, second, date_sent=1_000)
        write(people.alice, first, date_sent=2_000)
        for field in ("last_message_date_sent", "date_sent"):
            up = dialogs(people.alice, f"sort_asc={field}")
            down = dialogs(people.alice, f"sort_desc={field}")
            assert [item["_id"] for item in up] == [second, first]
            assert [item["_id"] for item in down] == [first, second]

    @pytest.mark.parametrize("field", ["created_at", "updated_at"])
    def test_sorted_by_the_time_of_making_or_change(self, emulator, people, field):
        ids = []
        for _ in range(2):
            ids.append(make_public(people)["_id"])
            emulator.clock.advance(2)
        if field == "updated_at":
            people.alice("PUT", f"chat/Dialog/{ids[0]}", json={"description": "new"})
            ids.reverse()
        assert [item["_id"] for item in dialogs(people.alice, f"sort_asc={field}")] == ids
        assert [item["_id"] for item in dialogs(people.alice, f"sort_desc={field}")] == ids[::-1]


def test_a_meeting_has_the_rules_of_a_group(people):
    body = {"type": 5, "name": "Standup", "occupants_ids": [people.bob.id]}
    meeting = answered(people.alice("POST", "chat/Dialog", json=body), 201)
    assert (meeting["type"], meeting["occupants_ids"]) == (5, [people.bob.id, people.alice.id])
    assert meeting["xmpp_room_jid"]
    write(people.bob, meeting["_id"], message="hello")
    (item,) = dialogs(people.bob, "type=5")
    assert (item["last_message"], item["unread_messages_count"]) == ("hello", 0)
    answered(people.bob("DELETE", f"chat/Dialog/{meeting['_id']}"))
    assert dialogs(people.bob) == []


class TestUpdate:
    def test_an_occupant_changes_what_describes_a_group(self, people, group):
        changed = update(
            people.carol, group, name="Crossfit", photo="gym.png", description="strong"
        )
        assert (changed["name"], changed["photo"]) == ("Crossfit", "gym.png")
        assert update(people.carol, group, photo="")["photo"] == ""
        assert update(people.carol, group, description="")["description"] == ""
        assert dialog(people.alice, group)["name"] == "Crossfit"

    def test_data_is_merged(self, people, group):
        update(people.alice, group, data={"class_name": "Extra", "floor": 1, "door": "a"})
        changed = update(people.alice, group, data={"class_name": "Extra", "floor": 2})
        assert changed["data"] == {"class_name": "Extra", "floor": 2, "door": "a"}

    def test_messages_are_pinned_by_admins_once(self, people, group):
        message = write(people.carol, group)["_id"]
        pins = {"pinned_messages_ids": [message]}
        update(people.carol, group, 403, push_all=pins)
        update(people.bob, group, push_all=pins)
        assert update(people.bob, group, push_all=pins)["pinned_messages_ids"] == [message]
        assert update(people.alice, group, pull_all=pins)["pinned_messages_ids"] == []
        elsewhere = {"pinned_messages_ids": ["0" * 24]}
        update(people.bob, group, 422, push_all=elsewhere)

    def test_any_occupant_adds_and_only_admins_remove(self, people, group):
        dave, erin = people.dave.id, people.erin.id
        add, remove = {"occupants_ids": [erin]}, {"occupants_ids": [dave]}
        assert erin in update(people.carol, group, push_all=add)["occupants_ids"]
        update(people.carol, group, 403, pull_all=remove)
        assert dave not in update(people.bob, group, pull_all=remove)["occupants_ids"]
        assert dialog(people.dave, group) is None
        answered(people.dave("GET", f"chat/Message?chat_dialog_id={group}"), 403)

    def test_nobody_removes_those_above(self, people, group):
        owner, admin = {"occupants_ids": [people.alice.id]}, {"occupants_ids": [people.bob.id]}
        update(people.bob, group, 403, pull_all=owner)
        update(people.carol, group, 403, pull_all=admin)
        assert update(people.alice, group, pull_all=admin)["admins_ids"] == []

    def test_everybody_may_leave(self, people, group):
        left = update(people.carol, group, pull_all={"occupants_ids": [people.carol.id]})
        assert people.carol.id not in left["occupants_ids"]
        assert dialog(people.carol, group) is None

    def test_a_refused_part_refuses_all(self, people, group):
        update(people.carol, group, 403, name="x", pull_all={"occupants_ids": [people.dave.id]})
        assert dialog(people.alice, group)["name"] == "Friends"

    def test_public_dialogs_are_described_by_admins(self, people):
        public = make_public(people)["_id"]
        answered(people.bob("POST", f"chat/Dialog/{public}/subscribe"))
        update(people.bob, public, 403, name="mine")
        update(people.alice, public, push_all={"admins_ids": [people.bob.id]})
        assert update(people.bob, public, name="mine")["name"] == "mine"

    def test_permissions_are_changed_by_admins(self, people, group):
        wanted = {"allow_preview": True}
        update(people.carol, group, 403, permissions=wanted)
        assert update(people.bob, group, permissions=wanted)["permissions"] == wanted

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "base"),
            ({"push_all": {}}, "base"),
            ({"push_all": {"colours": ["x"]}}, "push_all"),
            ({"push_all": [1]}, "push_all"),
            ({"push_all": {"occupants_ids": ["x"]}}, "occupants_ids"),
            ({"name": ""}, "name"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_what_is_wrong_is_named(self, people, group, body, field):
        assert list(update(people.alice, group, 422, **body)["errors"]) == [field]

    def test_a_private_dialog_has_no_occupants_to_change(self, people):
        private = make_private(people)["_id"]
        update(people.alice, private, 422, push_all={"occupants_ids": [people.carol.id]})
        update(people.alice, private, 422, pull_all={"occupants_ids": [people.alice.id]})

    def test_strangers_and_unknown_dialogs_are_refused(self, people, group):
        update(people.mallory, group, 403, name="x")
        update(people.alice, "0" * 24, 404, name="x")


class TestAdmins:
    def change(self, person, dialog_id, status=200, **body):
        return answered(person("PUT", f"chat/Dialog/{dialog_id}/admins", json=body), status)

    def test_the_owner_alone_adds_and_removes(self, people, group):
        carol, bob = {"admins_ids": [people.carol.id]}, {"admins_ids": [people.bob.id]}
        for person in (people.bob, people.carol):
            self.change(person, group, 403, push_all=carol)
            update(person, group, 403, push_all=carol)
        changed = self.change(people.alice, group, push_all=carol, pull_all=bob)
        assert changed["admins_ids"] == [people.carol.id]
        assert people.bob.id in changed["occupants_ids"]

    def test_there_are_five_at_most(self, emulator, people):
        ids = [emulator.add_user(f"user{n}", "secret") for n in range(6)]
        group = make_group(people, occupants_ids=ids, admins_ids=ids[:5])["_id"]
        self.change(people.alice, group, 422, push_all={"admins_ids": ids[5:]})
        changed = self.change(
            people.alice, group, push_all={"admins_ids": ids[5:]}, pull_all={"admins_ids": ids[:1]}
        )
        assert changed["admins_ids"] == ids[1:]

    def test_they_must_be_occupants(self, people, group):
        self.change(people.alice, group, 422, push_all={"admins_ids": [people.erin.id]})

    def test_private_dialogs_have_none_and_nothing_is_no_change(self, people, group):
        admins = {"admins_ids": [people.bob.id]}
        self.change(people.alice, make_private(people)["_id"], 422, push_all=admins)
        self.change(people.alice, group, 422)


class TestPublic:
    def test_subscribers_come_and_go(self, people):
        public = make_public(people)["_id"]
        answered(people.bob("GET", f"chat/Message?chat_dialog_id={public}"), 403)
        for _ in range(2):
            joined = answered(people.bob("POST", f"chat/Dialog/{public}/subscribe"))
        assert joined["occupants_count"] == 2
        assert dialog(people.bob, public)["_id"] == public
        assert answered(people.bob("DELETE", f"chat/dialog/{public}/subscribe")) is None
        assert dialog(people.bob, public) is None
        answered(people.bob("DELETE", f"chat/Dialog/{public}/subscribe"), 403)

    def test_other_types_have_no_subscribers(self, people, group):
        answered(people.erin("POST", f"chat/Dialog/{group}/subscribe"), 422)
        answered(people.erin("POST", f"chat/Dialog/{'0' * 24}/subscribe"), 404)

    def test_occupants_are_bare_users_by_page(self, people):
        public = make_public(people)["_id"]
        for person in (people.bob, people.carol):
            answered(person("POST", f"chat/Dialog/{public}/subscribe"))
        path = f"chat/Dialog/{public}/occupants"
        assert [user["login"] for user in answered(people.bob("GET", path))["items"]] == [
            *("alice", "bob", "carol")
        ]
        page = answered(people.bob("GET", f"{path}?limit=1&skip=1"))
        assert [user["full_name"] for user in page["items"]] == ["Bob"]
        answered(people.mallory("GET", path), 403)


class TestBroadcast:
    @pytest.fixture
    def news(self, emulator, people):
        return emulator.add_broadcast_dialog(
            "News", people.alice.id, admins_ids=[people.bob.id], description="daily"
        )

    def test_everybody_sees_it_and_admins_write(self, people, news):
        shown = dialog(people.carol, news)
        assert (shown["type"], shown["name"], shown["description"]) == (1, "News", "daily")
        assert (shown["user_id"], shown["admins_ids"]) == (people.alice.id, [people.bob.id])
        assert shown["occupants_ids"] == []
        body = {"chat_dialog_id": news, "message": "x"}
        answered(people.carol("POST", "chat/Message", json=body), 403)
        write(people.bob, news, "extra")
        assert [item["message"] for item in listed(people.carol, news)] == ["extra"]

    def test_its_occupants_are_all_users(self, people, news):
        people.carol  # noqa: B018  (it makes the user)
        items = answered(people.carol("GET", f"chat/Dialog/{news}/occupants"))["items"]
        assert [user["login"] for user in items] == ["alice", "bob", "carol"]

    def test_it_is_deleted_for_oneself_until_the_next_message(self, people, news):
        answered(people.carol("DELETE", f"chat/Dialog/{news}"))
        assert dialog(people.carol, news) is None
        assert dialog(people.bob, news) is not None
        write(people.alice, news)
        assert dialog(people.carol, news) is not None

    def test_a_program_cannot_make_one_of_nobody(self, emulator, people):
        for owner, admins, name in ((99, (), "owner_id"), (people.alice.id, [99], "admins_ids")):
            with pytest.raises(ArgumentValueError, match=f"{name}: User 99 does not exist"):
                emulator.add_broadcast_dialog("News", owner, admins_ids=admins)


class TestUsersWhoAreDeleted:
    def test_they_leave_groups_and_stay_in_the_private_dialogs_of_others(self, people, group):
        private = make_private(people)["_id"]
        write(people.bob, private, "goodbye")
        bob = people.bob.id
        answered(people.bob("DELETE", f"users/{bob}"))
        shown = dialog(people.alice, group)
        assert bob not in shown["occupants_ids"] + shown["admins_ids"]
        assert dialog(people.alice, private)["occupants_ids"] == [people.alice.id, bob]
        assert [item["message"] for item in listed(people.alice, private)] == ["goodbye"]


class TestNotifications:
    def test_they_are_on_until_turned_off_by_each(self, people, group):
        path = f"chat/Dialog/{group}/notifications"

        def enabled(person):
            return answered(person("GET", path))["notifications"]["enabled"]

        assert enabled(people.alice) == 1
        assert answered(people.alice("PUT", path, json={"enabled": "0"})) == {
            "notifications": {"enabled": 0}
        }
        assert (enabled(people.alice), enabled(people.bob)) == (0, 1)
        answered(people.alice("PUT", path, json={"enabled": 1}))
        assert enabled(people.alice) == 1

    @pytest.mark.parametrize("value", [None, 2, "yes", True])
    def test_wrong_values_are_refused(self, people, group, value):
        path = f"chat/Dialog/{group}/notifications"
        answer = answered(people.alice("PUT", path, json={"enabled": value}), 422)
        assert list(answer["errors"]) == ["enabled"]
        answered(people.mallory("GET", path), 403)


class TestDelete:
    def test_for_oneself_one_leaves_a_group(self, people, group):
        assert answered(people.carol("DELETE", f"chat/Dialog/{group}")) is None
        assert dialog(people.carol, group) is None
        assert people.carol.id not in dialog(people.alice, group)["occupants_ids"]

    def test_for_oneself_a_private_dialog_is_gone_until_the_next_message(self, people):
        private = make_private(people)["_id"]
        write(people.bob, private, "old")
        answered(people.alice("DELETE", f"chat/Dialog/{private}"))
        assert dialog(people.alice, private) is None
        assert [item["message"] for item in listed(people.bob, private)] == ["old"]
        write(people.bob, private, "new")
        assert dialog(people.alice, private)["unread_messages_count"] == 1
        assert [item["message"] for item in listed(people.alice, private)] == ["new"]

    def test_making_a_private_dialog_again_shows_it_again(self, people):
        private = make_private(people)["_id"]
        answered(people.alice("DELETE", f"chat/Dialog/{private}"))
        assert make_private(people)["_id"] == private
        assert dialog(people.alice, private) is not None

    def test_for_everybody_is_the_owners(self, people, group):
        write(people.carol, group)
        for person in (people.bob, people.carol):
            answered(person("DELETE", f"chat/Dialog/{group}?force=1"), 403)
        answered(people.alice("DELETE", f"chat/Dialog/{group}?force=1"))
        assert dialog(people.carol, group) is None
        answered(people.carol("GET", f"chat/Message?chat_dialog_id={group}"), 404)

    def test_the_peer_may_delete_a_private_dialog_for_everybody_by_a_form(self, people):
        private = make_private(people)["_id"]
        answered(people.bob("DELETE", f"chat/Dialog/{private}", data={"force": "1"}))
        assert dialog(people.alice, private) is None

    def test_an_owner_who_left_may_still_delete_for_everybody(self, people, group):
        answered(people.alice("DELETE", f"chat/Dialog/{group}"))
        answered(people.alice("DELETE", f"chat/Dialog/{group}?force=1"))
        assert dialog(people.bob, group) is None

    def test_several_are_sorted_by_what_came_of_them(self, people, group):
        public, nothing = make_public(people)["_id"], "0" * 24
        answer = people.bob("DELETE", f"chat/Dialog/{group},{public},{nothing},{nothing}")
        assert answered(answer) == {
            "SuccessfullyDeleted": {"ids": [group]},
            "NotFound": {"ids": [nothing]},
            "WrongPermissions": {"ids": [public]},
        }

    def test_one_that_is_unknown_is_404(self, people):
        answered(people.alice("DELETE", f"chat/Dialog/{'0' * 24}"), 404)


class TestClearHistory:
    def test_for_oneself(self, people, group):
        write(people.alice, group)
        answered(people.carol("DELETE", f"chat/Dialog/clearHistory/{group}"))
        assert listed(people.carol, group) == []
        assert dialog(people.carol, group)["unread_messages_count"] == 0
        assert len(listed(people.bob, group)) == 1
        write(people.alice, group, "next")
        assert [item["message"] for item in listed(people.carol, group)] == ["next"]

    def test_for_everybody_by_the_owner(self, people, group):
        message = write(people.alice, group)["_id"]
        update(people.alice, group, push_all={"pinned_messages_ids": [message]})
        answered(people.bob("DELETE", f"chat/Dialog/clearHistory/{group}?force=1"), 403)
        answered(people.alice("DELETE", f"chat/Dialog/clearHistory/{group}?force=1"))
        shown = dialog(people.bob, group)
        assert listed(people.bob, group) == shown["pinned_messages_ids"] == []
        assert shown["last_message"] is shown["last_message_id"] is None
        answered(people.mallory("DELETE", f"chat/Dialog/clearHistory/{group}"), 403)
