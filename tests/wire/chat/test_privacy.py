"""Privacy lists and blocking, against the emulator."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from connectycube import (
    ChatState,
    ChatTimeoutError,
    DialogRef,
    Limits,
    NotConnectedError,
    PrivacyItem,
    PrivacyListNames,
    StanzaError,
    User,
)
from connectycube._deadline import Deadline
from tests.support.inside import driver_of, session_of
from tests.support.people import FAST, SLOW, Person, away, logged_in, settled
from tests.support.proxy import FaultProxy
from tests.support.waiting import TIMEOUT, wait_until
from tests.wire.chat.test_messaging import three_at


@pytest.fixture
def two(emulator):
    """Two users, logged in."""
    ana, ben = Person.new(emulator), Person.new(emulator)
    with logged_in(ana, ben):
        settled(ana, ben)
        yield ana, ben


@contextmanager
def another_device(person, emulator, **options):
    """The same user, logged in a second time."""
    other = Person.new(emulator, **options)
    other.id, other.password = person.id, person.password
    with logged_in(other):
        settled(other)
        yield other


def refused(sender, receiver):
    """The condition with which a private message is refused; None if it arrives."""
    handle = sender.chat.send_private(receiver.id, "can you hear me?")
    error = handle.exception(TIMEOUT)
    if error is None:
        receiver.events.wait(
            lambda events: [m for m in events.of("message_received") if m.id == handle.id]
        )
        return None
    assert isinstance(error, StanzaError)
    return error.condition


def raw(person, payload):
    """Make a request of privacy lists as some other program would."""
    xml = f'<query xmlns="jabber:iq:privacy">{payload}</query>'
    return driver_of(person.chat).request("set", None, xml, Deadline(TIMEOUT))


def rules_in_force(person):
    """All rules of the default list, those of other programs included."""
    privacy = person.chat.privacy
    return privacy._rules(privacy.names().default, Deadline(TIMEOUT))


# --- blocking -----------------------------------------------------------------------------------------


def test_a_mutual_block_ends_messages_both_ways_until_it_is_taken_back(two):
    ana, ben = two
    assert ana.chat.privacy.blocked() == ()
    ana.chat.privacy.block(ben.id)
    assert ana.chat.privacy.blocked() == (ben.id,)
    assert refused(ben, ana) == "service-unavailable"
    assert refused(ana, ben) == "not-acceptable"
    ana.chat.privacy.unblock(ben.id)
    assert ana.chat.privacy.blocked() == ()
    assert refused(ben, ana) is refused(ana, ben) is None


def test_a_one_way_block_still_lets_its_owner_write(two):
    ana, ben = two
    ana.chat.privacy.block(User(id=ben.id), mutual=False)
    assert refused(ben, ana) == "service-unavailable"
    assert refused(ana, ben) is None


def test_who_is_blocked_is_not_heard_in_a_room(emulator):
    with three_at(emulator) as (ana, ben, cleo):
        group = ana.cube.dialogs.create_group("Hikers", [ben.id, cleo.id])
        for person in (ana, ben, cleo):
            person.chat.join(group)
        ana.chat.privacy.block(ben.id)
        ben.chat.send_message(group, "from Ben").result(TIMEOUT)
        cleo.chat.send_message(group, "from Cleo").result(TIMEOUT)
        ana.events.wait_for("message_received")
        cleo.events.wait_for("message_received")
        assert (ana.bodies, cleo.bodies) == (["from Cleo"], ["from Ben"])


def test_blocking_or_unblocking_twice_changes_nothing(two):
    ana, ben = two
    for _ in range(2):
        ana.chat.privacy.block(ben.id)
        assert ana.chat.privacy.get("blocked") == (PrivacyItem(ben.id),)
    for _ in range(2):
        ana.chat.privacy.unblock(ben.id)
        assert ana.chat.privacy.blocked() == ()
    ana.chat.privacy.unblock(987_654)


def test_unblocking_without_any_list_makes_none(two):
    ana, ben = two
    ana.chat.privacy.unblock(ben.id)
    assert ana.chat.privacy.names() == PrivacyListNames()


def test_a_block_can_become_mutual_and_one_way_again(two):
    ana, ben = two
    for mutual in (False, True, False):
        ana.chat.privacy.block(ben.id, mutual=mutual)
        assert ana.chat.privacy.get("blocked") == (PrivacyItem(ben.id, "deny", mutual),)


def test_the_newest_block_comes_first_and_the_others_stay(two):
    ana, _ = two
    for user_id in (70_001, 70_003, 70_002):
        ana.chat.privacy.block(user_id)
    assert ana.chat.privacy.blocked() == (70_002, 70_003, 70_001)
    ana.chat.privacy.unblock(70_003)
    assert ana.chat.privacy.blocked() == (70_002, 70_001)


def test_a_block_survives_logout(two):
    ana, ben = two
    ana.chat.privacy.block(ben.id)
    ana.chat.logout()
    ana.login()
    settled(ana)
    assert ana.chat.privacy.blocked() == (ben.id,)
    assert refused(ben, ana) == "service-unavailable"


def test_what_other_programs_put_into_the_default_list_is_kept(two):
    ana, ben = two
    raw(
        ana,
        "<list name='theirs'><item type='subscription' value='none' action='allow' order='4'>"
        "<presence-in/></item><item type='jid' value='elsewhere.example' action='deny' order='7'/>"
        "<item action='allow' order='9'/></list>",
    )
    raw(ana, "<default name='theirs'/>")
    before = rules_in_force(ana)
    ana.chat.privacy.block(ben.id)
    assert ana.chat.privacy.names() == PrivacyListNames(default="theirs", names=("theirs",))
    rules = rules_in_force(ana)
    assert (len(rules), rules[2:]) == (5, before), "theirs come last, so ours hold"
    assert refused(ben, ana) == "service-unavailable"
    ana.chat.privacy.unblock(ben.id)
    assert rules_in_force(ana) == before
    assert refused(ben, ana) is None


def test_our_list_is_used_again_when_it_was_declined(two):
    ana, ben = two
    ana.chat.privacy.block(70_001)
    ana.chat.privacy.set_default(None)
    assert ana.chat.privacy.blocked() == ()
    ana.chat.privacy.block(ben.id)
    assert ana.chat.privacy.blocked() == (ben.id, 70_001)


def test_threads_that_block_at_once_lose_nothing_of_each_other(two):
    ana, _ = two
    wanted = range(80_001, 80_021)
    failed = []

    def block(user_id):
        try:
            ana.chat.privacy.block(user_id, timeout=30)
        except Exception as error:  # to be shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=block, args=(user_id,)) for user_id in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert sorted(ana.chat.privacy.blocked()) == list(wanted)


def test_a_thread_that_has_to_wait_too_long_says_so(two):
    ana, ben = two
    with ana.chat.privacy._changing, pytest.raises(ChatTimeoutError, match="another thread"):
        ana.chat.privacy.block(ben.id, timeout=0.05)


def test_a_list_that_another_device_uses_is_changed_in_use(two, emulator):
    ana, ben = two
    ana.chat.privacy.block(70_001)
    with another_device(ana, emulator) as other:
        with pytest.raises(StanzaError) as caught:
            ana.chat.privacy.set_default(None)
        assert caught.value.condition == "conflict"
        ana.chat.privacy.block(ben.id)
        assert other.chat.privacy.blocked() == (ben.id, 70_001)
        assert refused(ben, ana) == "service-unavailable"
        other.chat.privacy.unblock(ben.id)
        assert ana.chat.privacy.blocked() == (70_001,)


def test_nobody_is_left_unprotected_when_a_change_fails_on_the_way(emulator):
    ben = Person.new(emulator)
    with FaultProxy("127.0.0.1", emulator.chat_port) as proxy:
        ana = Person.new(emulator, chat_port=proxy.port, reconnect=FAST)
        with logged_in(ana, ben):
            settled(ana, ben)
            ana.chat.privacy.block(70_001)
            privacy = ana.chat.privacy
            decline = privacy._decline_default

            def decline_and_lose_the_link(deadline):
                declined = decline(deadline)
                proxy.freeze()
                return declined

            privacy._decline_default = decline_and_lose_the_link
            with pytest.raises(ChatTimeoutError):
                privacy.block(ben.id, timeout=1.0)
            proxy.rst()
            ana.wait_for_state(ChatState.FORCE_CLOSED)
            proxy.heal()
            ana.chat.wait_until_ready(TIMEOUT)
            settled(ana)
            assert privacy.names().default == "blocked"
            assert 70_001 in privacy.blocked()


# --- lists --------------------------------------------------------------------------------------------


def test_a_list_is_made_put_in_force_changed_declined_and_removed(two):
    ana, ben = two
    privacy = ana.chat.privacy
    items = [PrivacyItem(70_048), PrivacyItem(ben.id, "deny", False), PrivacyItem(70_018, "allow")]
    privacy.create("my list & more", items)
    assert privacy.names() == PrivacyListNames(names=("my list & more",))
    assert privacy.get("my list & more") == tuple(sorted(items, key=lambda item: item.user_id))
    assert refused(ben, ana) is None, "not in force yet"
    privacy.set_default("my list & more")
    assert privacy.names().default == "my list & more"
    assert refused(ben, ana) == "service-unavailable"
    privacy.update("my list & more", [PrivacyItem(ben.id, "allow")])
    assert privacy.names().default == "my list & more"
    assert privacy.get("my list & more") == (PrivacyItem(ben.id, "allow"),)
    assert refused(ben, ana) is None
    privacy.set_default(None)
    assert privacy.names().default is None
    privacy.remove("my list & more")
    assert privacy.names() == PrivacyListNames()


def test_a_list_in_force_is_declined_before_it_is_removed(two):
    ana, ben = two
    ana.chat.privacy.block(ben.id)
    ana.chat.privacy.remove("blocked")
    assert ana.chat.privacy.names() == PrivacyListNames()
    assert refused(ben, ana) is None


def test_an_update_of_another_list_leaves_the_default_one_alone(two):
    ana, ben = two
    ana.chat.privacy.block(ben.id)
    ana.chat.privacy.create("other", [PrivacyItem(70_001)])
    ana.chat.privacy.update("other", [PrivacyItem(70_002)])
    assert ana.chat.privacy.names().default == "blocked"
    assert ana.chat.privacy.get("other") == (PrivacyItem(70_002),)


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.get("nothing"),
        lambda p: p.update("nothing", [PrivacyItem(5)]),
        lambda p: p.set_default("nothing"),
        lambda p: p.remove("nothing"),
    ],
)
def test_a_list_that_is_not_there_is_item_not_found(two, call):
    ana, _ = two
    with pytest.raises(StanzaError) as caught:
        call(ana.chat.privacy)
    assert caught.value.condition == "item-not-found"
    assert ana.chat.privacy.names() == PrivacyListNames()


# --- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p, me: p.block(me), "user_id is the logged-in user"),
        (lambda p, me: p.block("5"), "user_id must be an int"),
        (lambda p, me: p.block(5, mutual=None), "mutual must be a bool"),
        (lambda p, me: p.block(5, timeout=-1), "timeout must be at least"),
        (lambda p, me: p.unblock(0), "user_id must be at least 1"),
        (lambda p, me: p.get(""), "name must not be empty"),
        (lambda p, me: p.get("a\x00"), "name holds U"),
        (lambda p, me: p.create("a", []), "items must not be empty"),
        (
            lambda p, me: p.create("a", [PrivacyItem(me)]),
            r"items\[0\].user_id is the logged-in user",
        ),
        (lambda p, me: p.create(None, [PrivacyItem(5)]), "name must be a string"),
        (lambda p, me: p.update("a", [PrivacyItem(5, "no")]), r"items\[0\].action must be one of"),
        (lambda p, me: p.update("a", None), "items must be a list"),
        (lambda p, me: p.set_default(5), "name must be a string"),
        (lambda p, me: p.remove(""), "name must not be empty"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_sent(alice, call, words):
    alice.login()
    sent = session_of(driver_of(alice.chat).core)._outbox.sent
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        call(alice.chat.privacy, alice.id)
    assert session_of(driver_of(alice.chat).core)._outbox.sent == sent


CALLS = [
    lambda p: p.block(5),
    lambda p: p.unblock(5),
    lambda p: p.blocked(),
    lambda p: p.names(),
    lambda p: p.get("a"),
    lambda p: p.create("a", [PrivacyItem(5)]),
    lambda p: p.update("a", [PrivacyItem(5)]),
    lambda p: p.set_default("a"),
    lambda p: p.remove("a"),
]


def test_without_a_connection_every_call_says_so(alice):
    for call in CALLS:
        with pytest.raises(NotConnectedError):
            call(alice.chat.privacy)


def test_a_wait_for_the_server_ends_in_time(emulator):
    ana = Person.new(emulator, reconnect=SLOW)
    with logged_in(ana), away(ana, emulator, resumes=True), pytest.raises(ChatTimeoutError):
        ana.chat.privacy.block(5, timeout=0.05)


# --- inside receivers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
def test_every_call_is_legal_inside_a_receiver(emulator, workers):
    ana, ben = Person.new(emulator, workers=workers), Person.new(emulator)

    def use(chat, message):
        privacy = chat.privacy
        privacy.block(message.sender_id)
        privacy.create("a", [PrivacyItem(5)])
        privacy.update("a", [PrivacyItem(6)])
        seen.append((privacy.blocked(), privacy.get("a"), privacy.names().default))
        privacy.unblock(message.sender_id)
        privacy.set_default("a")
        privacy.remove("a")
        done.set()

    seen, done = [], threading.Event()
    ana.chat.message_received.connect(use)
    with logged_in(ana, ben):
        settled(ana, ben)
        ben.chat.send_message(DialogRef.private(ana.id), "hello")
        assert done.wait(TIMEOUT)
        assert ana.chat.privacy.names() == PrivacyListNames(names=("blocked",))
    assert seen == [((ben.id,), (PrivacyItem(6),), "blocked")]
    assert ana.events.of("callback_failed") == []


def test_a_call_inside_the_slow_receiver_of_a_full_queue_ends(emulator):
    ana = Person.new(emulator, workers=1, limits=Limits(queued_events=2))
    ben = Person.new(emulator)

    def use(chat, message):
        if message.body == "0":
            full.wait(TIMEOUT)
            chat.privacy.block(70_001)
            chat.contacts.add(70_002)
            seen.append((chat.privacy.blocked(), len(chat.contacts.list())))

    seen, full = [], threading.Event()
    ana.chat.message_received.connect(use)
    with logged_in(ana, ben):
        settled(ana, ben)
        for number in range(10):
            ben.chat.send_private(ana.id, str(number)).result(TIMEOUT)
        wait_until(lambda: ana.chat.state is not ChatState.READY)
        full.set()
        messages = ana.events.wait_for("message_received", 10)
    assert [message.body for message in messages] == [str(number) for number in range(10)]
    assert seen == [((70_001,), 1)]
    assert ana.events.of("callback_failed") == []
