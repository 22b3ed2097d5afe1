"""The rooms by themselves: what presences say of us and of others, and who is answered when."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol import rooms as rooms_module
from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.iq import Answer
from connectycube.chat.protocol.parser import StreamParser
from connectycube.chat.protocol.rooms import Rooms
from connectycube.errors import NotConnectedError, StanzaError
from connectycube.models import DialogRef, DialogType, Occupant, RoomLeft

ADDRESSES = Addresses(7, "chat.example")
ME, BOB, CLEO = 1001, 1002, 1003
ROOM, DIALOG = "7_d1@muc.chat.example", DialogRef.room("d1")
HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
MUC, USER = "http://jabber.org/protocol/muc", "http://jabber.org/protocol/muc#user"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


class Place:
    """Rooms with what they wrote."""

    def __init__(self) -> None:
        self.written: list[ElementTree.Element] = []
        numbers = iter(range(1, 1000))
        self.rooms = Rooms(ADDRESSES, lambda: f"own{next(numbers)}", self._write)

    def _write(self, data: bytes) -> None:
        self.written.append(ElementTree.fromstring(data))

    def says(self, xml: str) -> Any:
        """Hand a presence over."""
        items: list[Any] = []
        StreamParser(stanza_bytes=100_000, stanza_depth=64, stanza_elements=1_000).feed(
            HEADER + xml.encode(), items
        )
        return self.rooms.receive(items[1], ME)

    def join(self, waiter: object = "join") -> list[Any]:
        return self.rooms.join(DIALOG, waiter, ME)


def presence(
    nick: object, inside: str = "", *, kind: str = "", codes: tuple[int, ...] = (), room: str = ROOM
) -> str:
    typed = f" type='{kind}'" if kind else ""
    status = "".join(f"<status code='{code}'/>" for code in codes)
    who = f"/{nick}" if nick != "" else ""
    return (
        f"<presence from='{room}{who}'{typed}><x xmlns='{USER}'>"
        f"<item affiliation='member' role='participant'>{inside}</item>{status}</x></presence>"
    )


def refusal(condition: str, kind: str = "auth") -> str:
    return (
        f"<presence from='{ROOM}/{ME}' type='error'><x xmlns='{MUC}'/><error type='{kind}' code='403'>"
        f"<{condition} xmlns='{STANZAS}'/><text xmlns='{STANZAS}'>no</text></error></presence>"
    )


def summary(outputs: Any) -> list[Any]:
    """Tickets that were answered with their errors, and events."""
    assert isinstance(outputs, list)
    told: list[Any] = []
    for output in outputs:
        if isinstance(output, Answer):
            told.append((output.waiter, output.error))
        else:
            assert isinstance(output, Delivery)
            told.append(output.event)
    return told


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def inside(place: Place) -> Place:
    """In the room, where Bob is as well."""
    place.join()
    place.says(presence(BOB))
    place.says(presence(ME, codes=(110,)))
    return place


def test_a_join_asks_for_no_history_and_the_own_presence_answers_it(place):
    assert place.join() == []
    (written,) = place.written
    assert (written.tag, written.attrib["to"]) == ("presence", f"{ROOM}/{ME}")
    assert written.find(f"{{{MUC}}}x/{{{MUC}}}history").attrib == {"maxstanzas": "0"}
    assert summary(place.says(presence(BOB))) == [], "who was there before us is no news"
    assert summary(place.says(presence(ME, codes=(110, 100)))) == [("join", None)]


def test_a_server_that_leaves_the_status_out_is_understood_by_the_nick(place):
    place.join()
    assert summary(place.says(presence(ME))) == [("join", None)]


def test_a_server_may_show_our_own_presence_as_that_of_the_room(place):
    place.join()
    assert place.says(presence("")) == "not_understood"
    assert summary(place.says(presence("", codes=(110,)))) == [("join", None)]


def test_no_other_occupant_can_pass_for_us(place):
    place.join()
    assert summary(place.says(presence(BOB, codes=(110,)))) == []
    assert summary(place.says(presence(ME, codes=(110,)))) == [("join", None)]


def test_many_who_join_at_once_ask_once_and_are_all_answered(place):
    for waiter in "abc":
        place.join(waiter)
    assert len(place.written) == 1
    answered = summary(place.says(presence(ME, codes=(110,))))
    assert answered == [("a", None), ("b", None), ("c", None)]
    assert summary(place.join("d")) == [("d", None)]
    assert len(place.written) == 1


def test_others_who_come_and_go_are_told_once_however_often_they_are_shown(inside):
    assert summary(inside.says(presence(CLEO))) == [Occupant(user_id=CLEO, dialog_id="d1")]
    assert summary(inside.says(presence(CLEO))) == []
    (gone,) = inside.says(presence(CLEO, kind="unavailable"))
    assert (gone.signal, gone.event) == ("occupant_left", Occupant(user_id=CLEO, dialog_id="d1"))
    assert gone.conversation == ROOM
    assert summary(inside.says(presence(CLEO, kind="unavailable"))) == []


def test_a_newcomer_displaces_the_older_news_of_the_same_occupant(inside):
    (came,) = inside.says(presence(CLEO))
    (gone,) = inside.says(presence(CLEO, kind="unavailable"))
    (other,) = inside.says(presence(BOB, kind="unavailable"))
    assert came.merge_key == gone.merge_key != other.merge_key


def test_beyond_a_bound_no_newcomer_is_known(inside, monkeypatch):
    monkeypatch.setattr(rooms_module, "_MOST_OCCUPANTS", 2)
    assert len(inside.says(presence(CLEO))) == 1
    assert inside.says(presence(1004)) == []
    assert len(inside.says(presence(CLEO, kind="unavailable"))) == 1
    assert len(inside.says(presence(1004))) == 1


def test_a_new_session_knows_no_occupants_of_the_last_one(inside):
    inside.rooms.session_ended()
    inside.rooms.enter(ME)
    inside.says(presence(ME, codes=(110,)))
    assert summary(inside.says(presence(BOB))) == [Occupant(user_id=BOB, dialog_id="d1")]


def test_the_presence_of_our_own_other_device_is_no_news(inside):
    assert summary(inside.says(presence(ME, codes=(110,)))) == []
    assert summary(inside.says(presence(ME))) == []


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ((110, 301), "banned"),
        ((307, 110), "kicked"),
        ((307,), "kicked"),
        ((110, 321), "removed"),
        ((110, 322), "removed"),
        ((110, 333, 307), "kicked"),
        ((110,), "removed"),
    ],
)
def test_who_is_thrown_out_is_told_why_and_by_whom(inside, codes, reason):
    item = f"<actor jid='{BOB}-7@chat.example'/><reason>enough</reason>"
    (left,) = inside.says(presence(ME, item, kind="unavailable", codes=codes))
    assert left.event == RoomLeft(dialog_id="d1", reason=reason, actor_id=BOB, text="enough")
    assert (left.signal, left.bypasses_gap, left.conversation) == ("room_left", True, ROOM)
    inside.rooms.session_ended()
    inside.rooms.enter(ME)
    assert len(inside.written) == 1, "it is not wanted any more"


@pytest.mark.parametrize("codes", [(307,), (110, 307)])
def test_a_late_presence_of_a_kick_does_not_end_the_next_join(inside, codes):
    inside.says(presence(ME, kind="unavailable", codes=(307,)))
    assert inside.join("again") == []
    assert summary(inside.says(presence(ME, kind="unavailable", codes=codes))) == []
    assert summary(inside.says(presence(ME, codes=(110,)))) == [("again", None)]
    (left,) = summary(inside.says(presence(ME, kind="unavailable", codes=codes)))
    assert left.reason == "kicked"


def test_an_actor_is_known_by_nick_as_well(inside):
    item = f"<actor nick='{BOB}'/>"
    (left,) = inside.says(presence(ME, item, kind="unavailable", codes=(307,)))
    assert left.event.actor_id == BOB


def test_who_is_thrown_out_by_nobody_and_without_a_word_is_told_so(inside):
    (left,) = inside.says(presence(ME, "<reason/>", kind="unavailable", codes=(307,)))
    assert left.event == RoomLeft(dialog_id="d1", reason="kicked")


def test_a_presence_without_details_ends_the_stay_as_well(inside):
    xml = f"<presence from='{ROOM}/{ME}' type='unavailable'/>"
    assert summary(inside.says(xml)) == [RoomLeft(dialog_id="d1", reason="removed")]


def test_a_destroyed_room_says_so(inside):
    xml = (
        f"<presence from='{ROOM}/{ME}' type='unavailable'><x xmlns='{USER}'><item role='none'/>"
        "<destroy><reason>moved</reason></destroy></x></presence>"
    )
    assert summary(inside.says(xml)) == [RoomLeft(dialog_id="d1", reason="destroyed", text="moved")]


def test_a_room_service_that_stops_is_entered_again_in_the_next_session(inside):
    (left,) = summary(inside.says(presence(ME, kind="unavailable", codes=(332, 110))))
    assert left.reason == "shutdown"
    inside.rooms.enter(ME)
    assert len(inside.written) == 2


def test_leaving_is_answered_by_ones_own_absence(inside):
    assert inside.rooms.leave("d1", "leave", ME) == []
    assert inside.written[-1].attrib == {"to": f"{ROOM}/{ME}", "type": "unavailable"}
    gone = presence(ME, kind="unavailable", codes=(110,))
    assert summary(inside.says(gone)) == [("leave", None)]
    assert inside.says(gone) == "not_understood"
    assert summary(inside.rooms.leave("d1", "again", ME)) == [("again", None)]


def test_the_session_end_answers_a_pending_leave_and_keeps_other_rooms(inside):
    inside.rooms.join(DialogRef.room("d2"), "two", ME)
    inside.rooms.leave("d1", "leave", ME)
    assert summary(inside.rooms.session_ended()) == [("leave", None)]
    inside.written.clear()
    inside.rooms.enter(ME)
    assert [w.attrib["to"] for w in inside.written] == [f"7_d2@muc.chat.example/{ME}"]


def test_who_waits_to_join_goes_on_waiting_in_the_next_session(place):
    place.join()
    assert place.rooms.session_ended() == []
    place.rooms.enter(ME)
    assert len(place.written) == 2
    assert summary(place.says(presence(ME, codes=(110,)))) == [("join", None)]


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("registration-required", "cube.dialogs.subscribe"),
        ("forbidden", "banned"),
        ("item-not-found", "there is no such room"),
        ("service-unavailable", "full"),
        ("conflict", "nick"),
        ("remote-server-timeout", "remote-server-timeout"),
    ],
)
def test_a_refusal_is_the_error_of_all_who_wait_and_says_what_to_do(place, condition, hint):
    place.join("a")
    place.join("b")
    outputs = place.says(refusal(condition))
    assert [output.waiter for output in outputs] == ["a", "b"]
    for output in outputs:
        assert isinstance(output.error, StanzaError) and hint in str(output.error)
        assert "None" not in str(output.error)
        assert output.error.condition == condition and output.error.text == "no"
    place.rooms.enter(ME)
    assert len(place.written) == 1, "it is not wanted any more"


def test_a_refusal_that_nobody_waits_for_is_an_event(place):
    place.rooms.want(DIALOG)
    place.rooms.enter(ME)
    (left,) = summary(place.says(refusal("forbidden")))
    assert (left.dialog_id, left.reason, left.error.condition) == ("d1", "refused", "forbidden")
    assert place.rooms.dialog(ROOM) is None, "it is not wanted any more"


def test_only_a_room_or_ones_own_nick_refuses_a_join(place):
    place.join()
    error = refusal("forbidden")
    assert place.says(error.replace(f"/{ME}", f"/{BOB}")) == "forged"
    (answer,) = place.says(error.replace(f"/{ME}", ""))
    assert (answer.waiter, answer.error.type, answer.error.code) == ("join", "auth", 403)


def test_an_error_of_a_room_that_was_not_asked_is_about_something_else(place):
    place.rooms.want(DIALOG)
    assert place.says(refusal("forbidden")) == []
    assert place.rooms.dialog(ROOM) is not None


def test_an_error_of_a_room_that_has_us_is_about_something_else(inside):
    assert inside.says(refusal("not-acceptable")) == []
    assert summary(inside.join("again")) == [("again", None)]


def test_who_gives_up_is_not_answered(place):
    place.join("a")
    place.join("b")
    place.rooms.cancel_join("d1", "a")
    assert summary(place.says(presence(ME, codes=(110,)))) == [("b", None)]


def test_who_gives_up_a_room_that_is_gone_changes_nothing(place):
    place.join("a")
    place.rooms.cancel_join("unknown", "a")
    assert summary(place.says(presence(ME, codes=(110,)))) == [("a", None)]


def test_who_gives_up_waiting_to_have_left_has_left_all_the_same(inside):
    inside.rooms.leave("d1", "leave", ME)
    inside.rooms.cancel_join("d1", "leave")
    assert inside.says(presence(ME, kind="unavailable", codes=(110,))) == [], "no room_left"
    assert inside.rooms.dialog(ROOM) is None

    inside.join("again")
    inside.says(presence(ME, codes=(110,)))
    inside.rooms.leave("d1", "leave", ME)
    inside.rooms.cancel_join("d1", "leave")
    assert inside.rooms.session_ended() == []
    inside.written.clear()
    inside.rooms.enter(ME)
    assert inside.written == [], "the next session does not enter it"


def test_a_message_to_one_room_asks_for_no_other(place):
    for dialog_id in ("d1", "d2", "d3"):
        place.rooms.want(DialogRef.room(dialog_id))
    place.rooms.enter_one("d2", ME)
    place.rooms.enter_one("d2", ME)
    assert [w.attrib["to"] for w in place.written] == [f"7_d2@muc.chat.example/{ME}"]
    place.rooms.enter(ME)
    assert [w.attrib["to"][:4] for w in place.written] == ["7_d2", "7_d1", "7_d3"]


def test_leaving_twice_at_once_asks_once_and_answers_both(inside):
    inside.written.clear()
    inside.rooms.leave("d1", "a", ME)
    inside.rooms.leave("d1", "b", ME)
    assert len(inside.written) == 1
    gone = presence(ME, kind="unavailable", codes=(110,))
    assert summary(inside.says(gone)) == [("a", None), ("b", None)]


def test_a_join_before_the_leave_is_answered_ends_inside_the_room(inside):
    gone, here = presence(ME, kind="unavailable", codes=(110,)), presence(ME, codes=(110,))
    inside.written.clear()
    for number in (1, 2):
        inside.rooms.leave("d1", f"leave {number}", ME)
        inside.join(f"join {number}")
    assert [w.attrib.get("type") for w in inside.written] == ["unavailable", None] * 2
    assert summary(inside.says(gone)) == [("leave 1", None), ("leave 2", None)]
    assert summary(inside.says(here)) == [("join 1", None), ("join 2", None)]
    assert summary(inside.says(gone)) == []
    assert summary(inside.join("between")) == []
    assert summary(inside.says(here)) == [("between", None)]
    assert summary(inside.join("again")) == [("again", None)]
    (left,) = summary(inside.says(presence(ME, kind="unavailable", codes=(110, 307))))
    assert left.reason == "kicked"


def test_a_session_end_during_a_rejoin_answers_the_leave_and_reenters(inside):
    inside.rooms.leave("d1", "leave", ME)
    inside.join("join")
    assert summary(inside.rooms.session_ended()) == [("leave", None)]
    inside.rooms.enter(ME)
    assert summary(inside.says(presence(ME, codes=(110,)))) == [("join", None)]
    (left,) = summary(inside.says(presence(ME, kind="unavailable", codes=(307,))))
    assert left.reason == "kicked"


def test_who_waits_to_join_is_told_that_the_room_was_left_before(place):
    place.join()
    place.rooms.leave("d1", "leave", ME)
    joined, left = place.says(presence(ME, kind="unavailable", codes=(110,)))
    assert (joined.waiter, joined.error.condition) == ("join", "not-acceptable")
    assert (left.waiter, left.error) == ("leave", None)


def test_a_refusal_while_leaving_is_the_end_of_it(place):
    place.rooms.want(DIALOG)
    place.rooms.enter(ME)
    place.rooms.leave("d1", "leave", ME)
    assert summary(place.says(refusal("forbidden"))) == [("leave", None)]
    assert place.rooms.dialog(ROOM) is None


def test_the_end_of_everything_answers_all(inside):
    inside.rooms.join(DialogRef.room("d2"), "two", ME)
    inside.rooms.leave("d1", "one", ME)
    error = NotConnectedError("logged out")
    assert sorted(summary(inside.rooms.fail(error))) == [("one", error), ("two", error)]
    assert inside.rooms.fail(error) == []


def test_what_is_known_of_a_dialog_is_kept(place):
    public = DialogRef.room("d9", DialogType.PUBLIC)
    place.rooms.want(public)
    assert place.rooms.dialog("7_d9@muc.chat.example") == public
    assert place.rooms.dialog(ROOM) is None


def test_a_dialog_of_an_unknown_type_is_taken_for_a_group(place):
    place.rooms.want(DialogRef(id="d1"))
    assert place.rooms.dialog(ROOM) == DialogRef.room("d1", DialogType.GROUP)


@pytest.mark.parametrize(
    "xml",
    [
        presence(BOB, room="7_other@muc.chat.example"),
        presence("bob"),
        presence(""),
        presence(BOB, kind="subscribe"),
        f"<presence from='{ROOM}'/>",
    ],
)
def test_what_means_nothing_is_not_understood(inside, xml):
    assert inside.says(xml) == "not_understood"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ME, BOB, CLEO]),
            st.sampled_from(["", "unavailable", "error"]),
            st.sampled_from([(), (110,), (307,), (332,)]),
        ),
        max_size=30,
    )
)
def test_coming_and_going_alternate_for_each_user_whatever_a_server_says(steps):
    place = Place()
    present: dict[int, bool] = {}
    for nick, kind, codes in steps:
        place.rooms.join(DIALOG, "waiter", ME)
        outputs = place.says(presence(nick, kind=kind, codes=codes))
        for output in outputs if isinstance(outputs, list) else []:
            if isinstance(output, Delivery) and isinstance(output.event, Occupant):
                came = output.signal == "occupant_joined"
                user = output.event.user_id
                assert user != ME and present.get(user) is not came
                present[user] = came
            elif isinstance(output, Delivery):
                present.clear()
