"""The callback contract: every public call is legal inside every callback, order holds, slowness is bounded.

One worker unless a test says otherwise. Nothing here is timed: a dead-lock shows as a time-out of the call,
or of who waits for the callback.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest

from connectycube import (
    CallbackContextError,
    Chat,
    ChatError,
    ChatState,
    ConnectyCube,
    Dialog,
    DialogRef,
    Limits,
    Message,
    QueueOverflowError,
    ReconnectPolicy,
    RetryPolicy,
    SendHandle,
    Signal,
    StanzaError,
    Timeouts,
)
from connectycube.emulator import Emulator
from tests.support.inside import driver_of, session_of, signals_of
from tests.support.people import PASSWORD, Person, logged_in
from tests.support.waiting import TIMEOUT, wait_until

S = ChatState
AT_ONCE = ReconnectPolicy(max_attempts=None, delay=0.01, max_delay=0.01)
NOWHERE = DialogRef.room("5f1e0a0b0c0d0e0f10111213")
_numbers = itertools.count(1)


def somebody(emulator: Emulator, **options: Any) -> Person:
    """A new user who is logged in to REST and chat."""
    name = f"callee-{next(_numbers)}"
    emulator.add_user(name, PASSWORD)
    return Person.in_chat(emulator, name, reconnect=AT_ONCE, **options)


def say(sender: Person, kind: str, to: Person) -> None:
    """Send a bare presence of a type to a user, as any XMPP client may."""
    stanza = f'<presence type="{kind}" to="{to.chat._addresses.user(to.id)}"/>'.encode()
    driver_of(sender.chat).command(lambda core, now: core.open_session.send_later(stanza, now))


class Scene:
    """A bot, in whose callbacks everything is called, and others who make these callbacks happen."""

    def __init__(self, emulator: Emulator, **options: Any) -> None:
        self.emulator = emulator
        options.setdefault("limits", Limits(stanza_bytes=100_000))
        options.setdefault("retry", RetryPolicy(delay=0.05))  # soon, where a test lets a call fail
        self.bot = somebody(emulator, **options)
        self.peer = somebody(emulator)
        self.stranger = somebody(emulator)
        self.outcast = emulator.add_user(f"outcast-{next(_numbers)}", PASSWORD)
        self.group: Dialog = self.peer.cube.dialogs.create_group("Contract", [self.bot.id])
        self.private = DialogRef.private(self.peer.id, "5f1e0a0b0c0d0e0f10111213")
        self.message_id = self._message_to_react_to()
        # From here on the bot's own calls are the worker's.
        self.enter()

    def _message_to_react_to(self) -> str | None:
        """Have the peer send it, and wait until the bot has received it; return its id."""
        received = threading.Event()

        def receiver(chat: Chat, message: Message) -> None:
            received.set()

        # A member gets the group's messages without joining: a test's receiver would meet this one, too.
        self.chat.message_received.connect(receiver)
        sent = self.peer.chat.send_message(self.group, "react to me").result(TIMEOUT)
        assert received.wait(TIMEOUT)
        self.chat.message_received.disconnect(receiver)
        return sent.id

    @property
    def chat(self) -> Chat:
        return self.bot.chat

    def enter(self) -> None:
        """Be logged in and in the group, and watch the stranger."""
        if not self.chat.is_ready:
            self.bot.chat.login()
        self.chat.join(self.group)
        self.chat.subscribe_last_activity(self.stranger.id)

    def message(self) -> Message:
        """A message of the peer's, as a receiver would have it."""
        return Message(id="m1", body="x", sender_id=self.peer.id, dialog=self.private)


@contextmanager
def scene_of(emulator: Emulator, **options: Any) -> Iterator[Scene]:
    scene = Scene(emulator, **options)
    try:
        yield scene
    finally:
        for person in (scene.bot, scene.peer, scene.stranger):
            person.cube.close()


# --- what is called -------------------------------------------------------------------------------


def again(leave: str, scene: Scene) -> None:
    """End the connection from inside, and log in again from there too."""
    getattr(scene.chat, leave)()
    assert scene.chat.state in (S.CLOSED, S.IDLE)
    scene.chat.login()
    assert scene.chat.is_ready


def hear(scene: Scene, listen: Callable[[Chat], Any]) -> None:
    """Wait for a message inside a callback, while the peer sends one after the other."""
    heard = threading.Event()

    def talk() -> None:
        while not heard.is_set():
            scene.peer.chat.send_private(scene.bot.id, "listen").result(TIMEOUT)

    speaker = threading.Thread(target=talk)
    speaker.start()
    try:
        listen(scene.chat)
    finally:
        heard.set()
        speaker.join(TIMEOUT)


def listen_to_stream(chat: Chat) -> None:
    with chat.events(chat.message_received, TIMEOUT) as events:
        assert next(events) is not None


def refuse_to_wait(scene: Scene) -> None:
    with pytest.raises(CallbackContextError, match="callback it was called in"):
        scene.chat.wait()
    with pytest.raises(CallbackContextError):
        scene.chat.wait_until_idle()


def leave_and_join(scene: Scene) -> None:
    scene.chat.leave(scene.group)
    scene.chat.join(scene.group)


def rules(name: str, scene: Scene) -> None:
    """Make a privacy list and do something with it."""
    from connectycube import PrivacyItem

    privacy: Any = scene.chat.privacy
    items = [PrivacyItem(scene.outcast, "deny", False)]
    if name in ("update", "get", "remove", "set_default"):
        privacy.create("list", items)
    calls: dict[str, Callable[[], object]] = {
        "create": partial(privacy.create, "list", items),
        "update": partial(privacy.update, "list", items),
        "get": partial(privacy.get, "list"),
        "remove": partial(privacy.remove, "list"),
        "set_default": partial(privacy.set_default, "list"),
    }
    unless_in_use(calls[name])
    if name == "set_default":
        unless_in_use(partial(privacy.set_default, None))


def unless_in_use(change: Callable[[], object]) -> None:
    """Change a list, again as long as another device of the user, which is about to end, uses the old one."""

    def is_made() -> bool:
        try:
            change()
        except StanzaError as error:
            if error.condition != "conflict":
                raise
            return False
        return True

    wait_until(is_made)


def refuse_without_a_file(s: Scene) -> None:
    with pytest.raises(ChatError, match="in durable mode alone"):
        s.chat.dead_letters()


CALLS: dict[str, Callable[[Scene], object]] = {
    "login": lambda s: s.chat.login(),
    "logout": partial(again, "logout"),
    "destroy": partial(again, "destroy"),
    "relogin": lambda s: s.chat.relogin(),
    **dict.fromkeys(("wait", "wait_until_idle"), refuse_to_wait),
    "wait_until_ready": lambda s: s.chat.wait_until_ready(),
    "ping": lambda s: s.chat.ping(),
    "around": lambda s: s.chat.around(lambda chat, signal, event, receiver: nullcontext()),
    "dead_letters": refuse_without_a_file,
    "statistics": lambda s: s.chat.statistics(),
    "events": lambda s: hear(s, listen_to_stream),
    "follow": lambda s: s.chat.follow(s.group, history=0).close(),
    "wait_for": lambda s: hear(s, lambda chat: chat.wait_for(chat.message_received, TIMEOUT)),
    "send_message": lambda s: s.chat.send_message(s.group, "hello").result(TIMEOUT),
    "send_private": lambda s: s.chat.send_private(s.peer.id, "hello").exception(TIMEOUT),
    "reply": lambda s: s.chat.reply(s.message(), "hello").result(TIMEOUT),
    "edit_message": lambda s: s.chat.edit_message(s.private, "m1", "x").result(TIMEOUT),
    "delete_message": lambda s: s.chat.delete_message(s.private, "m1").result(TIMEOUT),
    "mark_delivered": lambda s: s.chat.mark_delivered(s.message()),
    "mark_read": lambda s: s.chat.mark_read(s.message()),
    "send_typing": lambda s: s.chat.send_typing(s.private),
    "send_stop_typing": lambda s: s.chat.send_stop_typing(s.private),
    "send_system_message": lambda s: s.chat.send_system_message(s.peer.id, {"k": 1}).result(
        TIMEOUT
    ),
    "join": lambda s: s.chat.join(s.group),
    "leave": leave_and_join,
    "online_occupants": lambda s: s.chat.online_occupants(s.group),
    "last_activity": lambda s: s.chat.last_activity(s.peer.id),
    "subscribe_last_activity": lambda s: s.chat.subscribe_last_activity(s.peer.id),
    "unsubscribe_last_activity": lambda s: s.chat.unsubscribe_last_activity(s.peer.id),
    "mark_inactive": lambda s: s.chat.mark_inactive(),
    "mark_active": lambda s: s.chat.mark_active(),
    "contacts.list": lambda s: s.chat.contacts.list(),
    "contacts.add": lambda s: s.chat.contacts.add(s.outcast),
    "contacts.confirm": lambda s: s.chat.contacts.confirm(s.outcast),
    "contacts.reject": lambda s: s.chat.contacts.reject(s.outcast),
    "contacts.remove": lambda s: s.chat.contacts.remove(s.outcast),
    "privacy.block": lambda s: unless_in_use(lambda: s.chat.privacy.block(s.outcast)),
    "privacy.unblock": lambda s: unless_in_use(lambda: s.chat.privacy.unblock(s.outcast)),
    "privacy.blocked": lambda s: s.chat.privacy.blocked(),
    "privacy.names": lambda s: s.chat.privacy.names(),
    **{
        f"privacy.{name}": partial(rules, name)
        for name in ("create", "get", "update", "set_default", "remove")
    },
}
"""Every public method of the chat, and a call of it that must come back."""


def methods_of(kind: type) -> set[str]:
    """The names of its public methods."""
    functions = inspect.getmembers(kind, inspect.isfunction)
    return {name for name, _ in functions if not name.startswith("_")}


def public_methods() -> set[str]:
    """The names of the chat's public methods, and of those of what it shows as attributes."""
    found = methods_of(Chat)
    for name, value in inspect.getmembers(Chat):
        if isinstance(value, property) and not name.startswith("_"):
            kind = inspect.signature(value.fget, eval_str=True).return_annotation
            if getattr(kind, "__module__", "").startswith("connectycube.chat."):
                found |= {f"{name}.{method}" for method in methods_of(kind)}
    return found


def test_every_public_method_is_called_here():
    missing = public_methods() - CALLS.keys()
    assert not missing, f"give CALLS an entry for {sorted(missing)}"
    assert {"done", "result", "exception", "add_done_callback"} <= methods_of(SendHandle)


# --- from where -----------------------------------------------------------------------------------


def in_message_of_nowhere(s: Scene) -> None:
    s.chat.send_message(NOWHERE, "x")


def by_coming_again(s: Scene) -> None:
    s.stranger.chat.logout()
    s.stranger.chat.login()


def by_entering(s: Scene) -> None:
    s.peer.chat.join(s.group)
    s.peer.chat.leave(s.group)
    s.peer.chat.join(s.group)


def in_turn(s: Scene, *said: tuple[Person, str, Person]) -> None:
    """Let them say these presences, each once the server has handled the one before."""
    for speaker, kind, to in said:
        say(speaker, kind, to)
        speaker.chat.ping()


def refuse(s: Scene) -> None:
    in_turn(s, (s.bot, "unsubscribed", s.stranger))


def ask(s: Scene) -> None:
    in_turn(s, (s.bot, "unsubscribe", s.peer), (s.bot, "subscribe", s.peer))


def become_contacts(s: Scene) -> None:
    in_turn(s, (s.bot, "subscribe", s.peer), (s.peer, "subscribed", s.bot))


def be_followed(s: Scene) -> None:
    in_turn(s, (s.peer, "subscribe", s.bot), (s.bot, "subscribed", s.peer))


def by_failing(s: Scene) -> None:
    def fail(chat: Chat, message: Message) -> None:
        chat.message_received.disconnect(fail)
        raise RuntimeError("on purpose")

    s.chat.message_received.connect(fail)
    s.peer.chat.send_private(s.bot.id, "fail")


def by_kicking(s: Scene) -> None:
    assert s.emulator.kick(s.group.id or "", s.bot.id)


def by_reacting(s: Scene) -> None:
    s.peer.cube.messages.add_reaction(s.message_id or "", f"r{next(_numbers)}")


def edit(s: Scene) -> None:
    s.peer.chat.edit_message(DialogRef.private(s.bot.id, "d1"), "m1", "x")


def delete(s: Scene) -> None:
    s.peer.chat.delete_message(DialogRef.private(s.bot.id, "d1"), "m1")


def send(s: Scene) -> None:
    s.chat.send_private(s.peer.id, "x")


def by_another_device(s: Scene) -> None:
    """Let another device of the bot's user write, whose end the server tells nobody."""
    device = Person(s.bot.id, s.bot.config, password=PASSWORD)
    with logged_in(device):
        device.chat.send_private(s.peer.id, "x").result(TIMEOUT)


def type_anew(s: Scene) -> None:
    s.peer.chat.send_stop_typing(DialogRef.private(s.bot.id))
    s.peer.chat.send_typing(DialogRef.private(s.bot.id))


def receive(s: Scene) -> None:
    s.peer.chat.send_private(s.bot.id, "x")


def read(s: Scene) -> None:
    s.peer.chat.mark_read(Message(id="m1", sender_id=s.bot.id))


def cut(s: Scene) -> None:
    s.emulator.cut(s.bot.id)


def lose_history(s: Scene) -> None:
    # The repetition for an earlier gap would have the one error.
    wait_until(lambda: not session_of(driver_of(s.chat).core).recovery.is_open)
    s.emulator.faults.server_error(user=s.bot.id, on="rest", times=1)
    lose_session(s)


def lose_session(s: Scene) -> None:
    s.emulator.faults.refuse_resume(user=s.bot.id, times=1)
    s.emulator.cut(s.bot.id)


PROVOKED: dict[str, Callable[[Scene], object]] = {
    "message_received": receive,
    "own_message_received": by_another_device,
    "message_sent": send,
    "message_failed": in_message_of_nowhere,
    "message_delivered": send,
    "message_read": read,
    "message_edited": edit,
    "message_deleted": delete,
    "reaction_changed": by_reacting,
    "typing_started": type_anew,
    "typing_stopped": lambda s: s.peer.chat.send_stop_typing(DialogRef.private(s.bot.id)),
    "system_message_received": lambda s: s.peer.chat.send_system_message(s.bot.id, {"k": 1}),
    "occupant_joined": by_entering,
    "occupant_left": by_entering,
    "room_left": by_kicking,
    "last_activity_changed": by_coming_again,
    "contact_requested": lambda s: say(s.stranger, "subscribe", s.bot),
    "contact_confirmed": lambda s: say(s.peer, "subscribed", s.bot),
    "contact_rejected": lambda s: say(s.peer, "unsubscribed", s.bot),
    "contact_cancelled": lambda s: say(s.peer, "unsubscribe", s.bot),
    "presence_changed": lambda s: say(s.peer, "unavailable", s.bot),
    "contact_list_changed": lambda s: say(s.peer, "subscribed", s.bot),
    "recovery_failed": lose_history,
    "recovery_finished": lose_session,
    "stanza_refused": lambda s: s.peer.chat.send_private(s.bot.id, "x" * 150_000),
    "state_changed": cut,
    "callback_failed": by_failing,
    "receiver_gave_up": by_failing,
}
"""Every signal, and what makes it speak."""

PREPARED: dict[str, Callable[[Scene], object]] = {
    "contact_requested": refuse,
    "contact_confirmed": ask,
    "contact_rejected": become_contacts,
    "contact_cancelled": be_followed,
    "contact_list_changed": ask,
}
"""What must be so before; the bot's own part, as its callback may end its connection."""

UNPROVOKED = {"system_message_failed"}  # the emulator refuses none


def signals() -> list[str]:
    with ConnectyCube(app_id=1, auth_key="k") as cube:
        return [signal.name for signal in signals_of(cube.chat)]


def test_every_signal_is_provoked_here():
    missing = set(signals()) - PROVOKED.keys() - UNPROVOKED
    assert not missing, f"give PROVOKED an entry for {sorted(missing)}"


def inside_receiver(scene: Scene, signal: str, work: Callable[[], object]) -> Future[Any]:
    """Do ``work`` once inside a receiver of a signal; the outcome comes when it has returned."""
    outcome: Future[Any] = Future()
    begun = threading.Lock()

    def receiver(chat: Chat, event: Any) -> None:
        if begun.acquire(blocking=False):
            finish(outcome, work)

    if signal in PREPARED:
        PREPARED[signal](scene)
    spoken: Signal = getattr(scene.chat, signal)
    spoken.connect(receiver)
    outcome.add_done_callback(lambda _: spoken.disconnect(receiver))
    PROVOKED[signal](scene)
    return outcome


def inside_done_callback(scene: Scene, work: Callable[[], object]) -> Future[Any]:
    """Do ``work`` when a message's outcome is known, on a worker."""
    outcome: Future[Any] = Future()

    def done(handle: SendHandle[Message]) -> None:
        assert driver_of(scene.chat).dispatcher.is_worker()
        finish(outcome, work)

    def send(chat: Chat, event: Any) -> None:
        chat.message_received.disconnect(send)
        chat.send_private(scene.peer.id, "x").add_done_callback(done)

    scene.chat.message_received.connect(send)
    receive(scene)
    return outcome


def finish(outcome: Future[Any], work: Callable[[], object]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:
        outcome.set_exception(error)


def inside(scene: Scene, place: str, work: Callable[[], object]) -> Future[Any]:
    """Do ``work`` once inside a callback of that place."""
    if place == "done callback":
        return inside_done_callback(scene, work)
    return inside_receiver(scene, place, work)


def calls() -> dict[str, Callable[[Scene], object]]:
    existing = public_methods()
    return {name: call for name, call in CALLS.items() if name in existing}


def places() -> list[str]:
    return [*(name for name in PROVOKED if name in signals()), "done callback"]


@pytest.mark.parametrize("place", places())
def test_every_call_comes_back_inside_every_callback(emulator, place):
    with scene_of(emulator) as scene:
        assert scene.chat._config.workers == 1
        for name, call in calls().items():
            scene.enter()
            outcome = inside(scene, place, partial(call, scene))
            try:
                outcome.result(TIMEOUT)
            except BaseException as error:
                raise AssertionError(f"{name} inside {place}: {error!r}") from error


@pytest.mark.parametrize("place", ["message_received", "state_changed", "done callback"])
def test_every_call_comes_back_inside_a_callback_that_keeps_the_queue_full(emulator, place):
    burst = 5
    with scene_of(emulator, limits=Limits(queued_bytes=1)) as scene:
        dispatcher = driver_of(scene.chat).dispatcher
        received: list[str] = []

        def record(chat: Chat, message: Message) -> None:
            received.append(message.body or "")

        for name, call in calls().items():
            scene.enter()
            scene.chat.message_received.connect(record)  # destroy() forgets it
            bodies = [f"{name} {number}" for number in range(burst)]
            begun, full = threading.Event(), threading.Event()

            def work(call=call, begun=begun, full=full) -> None:
                begun.set()
                assert full.wait(TIMEOUT)
                call(scene)

            outcome = inside(scene, place, work)
            assert begun.wait(TIMEOUT)
            for body in bodies:
                scene.peer.chat.send_private(scene.bot.id, body).result(TIMEOUT)
            wait_until(
                lambda: dispatcher.queued and scene.chat.state is S.FORCE_CLOSED,
                f"a full queue for {name} inside {place}",
            )
            full.set()
            try:
                outcome.result(TIMEOUT)
            except BaseException as error:
                raise AssertionError(
                    f"{name} inside {place}, with a full queue: {error!r}"
                ) from error
            if name in ("logout", "destroy"):
                continue  # the old session's messages wait for its end at the server
            wait_until(
                lambda bodies=bodies: [body for body in received if body in bodies] == bodies,
                f"the messages behind {name} inside {place}",
            )


# --- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
def test_order_holds_in_each_conversation_whatever_the_workers(emulator, workers):
    """Three private conversations and two groups at once, in a receiver that dawdles now and then."""
    count = 60
    with scene_of(emulator, workers=workers) as scene:
        speakers = [scene.peer, scene.stranger, somebody(emulator)]
        try:
            groups = [
                scene.peer.cube.dialogs.create_group("g", [scene.bot.id, other.id])
                for other in speakers[1:]
            ]
            heard = defaultdict(list)
            running: set[object] = set()
            overlaps: list[object] = []
            guard = threading.Lock()
            everything = threading.Event()
            total = count * (len(speakers) + 2 * len(groups))

            @scene.chat.message_received.connect
            def receive(chat: Chat, message: Message) -> None:
                where = message.dialog_id if message.recipient_id is None else message.sender_id
                with guard:
                    overlaps.extend([where] if where in running else [])
                    running.add(where)
                if int(message.body or 0) % 16 == 0:
                    chat.ping()
                with guard:
                    heard[where, message.sender_id].append(int(message.body or 0))
                    running.discard(where)
                    if sum(map(len, heard.values())) == total:
                        everything.set()

            def speak(person: Person, dialog: DialogRef) -> None:
                for number in range(count):
                    person.chat.send_message(dialog, str(number))

            pairs = [(person, DialogRef.private(scene.bot.id)) for person in speakers]
            pairs += [(scene.peer, group) for group in groups]
            pairs += list(zip(speakers[1:], groups, strict=True))
            threads = [threading.Thread(target=speak, args=pair) for pair in pairs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(TIMEOUT)
            assert everything.wait(TIMEOUT), {key: len(value) for key, value in heard.items()}
            assert len(heard) == len(pairs)
            assert all(numbers == list(range(count)) for numbers in heard.values())
            assert overlaps == [], "one at a time within a conversation"
        finally:
            speakers[-1].cube.close()


def test_with_several_workers_a_slow_conversation_does_not_hold_up_another(emulator):
    with scene_of(emulator, workers=2) as scene:
        other_was_heard, waited = threading.Event(), []

        @scene.chat.message_received.connect
        def receive(chat: Chat, message: Message) -> None:
            if message.sender_id == scene.peer.id:
                waited.append(other_was_heard.wait(TIMEOUT))
            else:
                other_was_heard.set()

        scene.peer.chat.send_private(scene.bot.id, "slow").result(TIMEOUT)
        scene.stranger.chat.send_private(scene.bot.id, "quick").result(TIMEOUT)
        wait_until(lambda: waited)
        assert waited == [True]


# --- slow callbacks -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [Limits(queued_events=4), Limits(queued_bytes=3000)],
    ids=["by number", "by bytes"],
)
def test_slow_callbacks_bound_the_queue_and_lose_nothing(emulator, limits):
    count = 100
    largest = {"events": 0, "bytes": 0}
    received: list[str] = []
    inside_it, go, everything = threading.Event(), threading.Event(), threading.Event()
    with scene_of(emulator, limits=limits) as scene:
        dispatcher = driver_of(scene.chat).dispatcher
        overflows: list[Exception] = []

        @scene.chat.state_changed.connect
        def note(chat: Chat, change: Any) -> None:
            if isinstance(change.reason, QueueOverflowError):
                overflows.append(change.reason)

        @scene.chat.message_received.connect
        def slow(chat: Chat, message: Message) -> None:
            largest["events"] = max(largest["events"], dispatcher.queued)
            largest["bytes"] = max(largest["bytes"], dispatcher.queued_bytes)
            received.append(message.body or "")
            if len(received) == 1:
                inside_it.set()
                assert go.wait(TIMEOUT)
            elif len(received) == count:
                everything.set()

        for number in range(count):
            scene.peer.chat.send_private(scene.bot.id, str(number))
            if number == 0:
                assert inside_it.wait(TIMEOUT)
        wait_until(lambda: scene.chat.state is S.FORCE_CLOSED, "the overflow")
        full = (dispatcher.queued, dispatcher.queued_bytes)
        scene.peer.chat.ping()
        assert (dispatcher.queued, dispatcher.queued_bytes) == full, "it reads no further"
        go.set()
        assert everything.wait(TIMEOUT)
        assert received == [str(number) for number in range(count)]
        assert 0 < largest["events"] <= limits.queued_events
        assert 0 < largest["bytes"] <= limits.queued_bytes
        assert overflows and "slow" in str(overflows[0]), "it names the receiver"


def test_typing_is_merged_and_counted_while_the_queue_is_full(emulator):
    inside_it, go = threading.Event(), threading.Event()
    with scene_of(emulator, limits=Limits(queued_events=1)) as scene:
        dispatcher = driver_of(scene.chat).dispatcher
        typing: list[str] = []
        for signal in (scene.chat.typing_started, scene.chat.typing_stopped):
            signal.connect(lambda chat, event, name=signal.name: typing.append(name))

        @scene.chat.message_received.connect
        def slow(chat: Chat, message: Message) -> None:
            inside_it.set()
            go.wait(TIMEOUT)

        receive(scene)
        assert inside_it.wait(TIMEOUT)
        dialog = DialogRef.private(scene.bot.id)
        for _ in range(50):
            scene.peer.chat.send_typing(dialog)
            scene.peer.chat.send_stop_typing(dialog)
        wait_until(lambda: dispatcher.merged == 99)
        assert dispatcher.queued == 1 and scene.chat.is_ready, "nothing overflowed"
        go.set()
        wait_until(lambda: typing)
        assert typing == ["typing_stopped"], "the newest"


def test_a_receiver_that_takes_long_is_named_in_a_warning(emulator, caplog):
    with scene_of(emulator, timeouts=Timeouts(slow_callback=0.001)) as scene:
        done = threading.Event()

        def dawdling(chat: Chat, message: Message) -> None:
            done.wait(0.01)

        scene.chat.message_received.connect(dawdling)
        with caplog.at_level(logging.WARNING, "connectycube.chat"):
            receive(scene)
            wait_until(lambda: "dawdling" in caplog.text)
    (record,) = [record for record in caplog.records if "dawdling" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert "message_received took" in record.getMessage()


def test_a_done_callback_that_takes_long_is_named_in_a_warning(emulator, caplog):
    with scene_of(emulator, timeouts=Timeouts(slow_callback=0.001)) as scene:

        def dawdling() -> None:
            threading.Event().wait(0.01)

        with caplog.at_level(logging.WARNING, "connectycube.chat"):
            inside_done_callback(scene, dawdling).result(TIMEOUT)
            wait_until(lambda: "done-callback" in caplog.text)
    (record,) = [r for r in caplog.records if "done-callback" in r.getMessage()]
    assert record.levelno == logging.WARNING and "done of message" in record.getMessage()
