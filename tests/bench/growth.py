"""What becomes dearer with what it should not know: the exponent of its cost, from 1 to 10,000 of that.

0 is not at all, 1 in proportion. Where the work itself grows (receivers, bytes, messages of history), the
exponent is that of the cost of one of them, so 0 is right there as well.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from connectycube import Chat, ConnectyCube, DialogRef, Limits, Message
from connectycube.chat.protocol import namespaces as ns
from tests.bench import chat_material as material
from tests.bench.chat_ours import Ours, ours
from tests.bench.measuring import cpu, exponent
from tests.bench.registry import EXPONENT, Row, topic
from tests.bench.service import logged_in, service
from tests.support.inside import driver_of, session_of

_MOST = 10_000
_ROOM = "5f3a1b2c3d4e5f60718{:05x}"


@topic("growth")
def growth() -> Sequence[Row]:
    """Measure each with one and with many."""
    rows = [
        _row("send to a room", "joined rooms", _send_to_room),
        _row("a read", "users typing", _read_with_timers),
        _row("a refusal", "unacknowledged messages", _refusal),
        _row("a call of a receiver", "receivers", _call_of_receiver, most=1_000),
        _row("a character sent", "characters", _character, least=10_000, most=1_000_000),
    ]
    with service(messages=_MOST) as place, logged_in(place) as cube:

        def read(count: int) -> float:
            return cpu(lambda: _read(cube, place.dialog, count), 1) / count

        rows.append(_row("a message of history", "messages read", read, least=100))
    return rows


def _row(
    name: str, of: str, cost: Callable[[int], float], *, least: int = 1, most: int = _MOST
) -> Row:
    """Measure with each power of ten; the ends alone say how much dearer it becomes."""
    sizes = itertools.takewhile(
        lambda size: size <= most, (least * 10**n for n in itertools.count())
    )
    points = tuple((size, cost(size)) for size in sizes)
    value = exponent(*points[0], *points[-1])
    return Row(
        name=f"{name}, {least:,} to {most:,}",
        peer=of,
        value=value,
        goal=0.05,
        unit=EXPONENT,
        points=points,
    )


@contextmanager
def _chat() -> Iterator[tuple[Ours, Chat]]:
    limits = Limits(message_bytes=100_000_000, outbound_bytes=100_000_000, outbound_stanzas=100_000)
    with ours(limits=limits) as side:
        yield side, side.chat


def _send_to_room(count: int) -> float:
    with _chat() as (side, chat):
        session = session_of(driver_of(chat).core)
        ids = [_ROOM.format(number) for number in range(count)]
        for dialog_id in ids:
            session._rooms.want(DialogRef.room(dialog_id))
        session.enter_room(DialogRef.room(ids[0]))
        jids = [session._addresses.room(dialog_id) for dialog_id in ids]
        for jid in jids:
            side.serve([_joined(jid)])
        side.acknowledge()
        dialog = DialogRef.room(ids[0])

        def send() -> None:
            chat.send_message(dialog, "A text.")
            side.acknowledge()

        return cpu(send, 50)


def _joined(room: str) -> bytes:
    return (
        f"<presence from='{room}/{material.ME}'><x xmlns='{ns.MUC_USER}'><status code='110'/></x></presence>"
    ).encode()


def _read_with_timers(count: int) -> float:
    with _chat() as (side, chat):
        session = session_of(driver_of(chat).core)
        later = time.monotonic() + 3_600
        for number in range(count):
            session.timers.set(("typing", str(number)), later + number, b"")
        return cpu(lambda: side.serve([b" "]), 50)


def _refusal(count: int) -> float:
    calls, rounds = 20, 5
    with _chat() as (side, chat):
        dialog = DialogRef.private(material.PEER, material.DIALOG)
        handles = [chat.send_message(dialog, "A text.") for _ in range(count + calls * rounds)]
        refusals = iter([_refused(handle.id) for handle in reversed(handles)])
        return cpu(lambda: side.serve([next(refusals)]), calls)


def _refused(message_id: str) -> bytes:
    return (
        f"<message type='error' id='{message_id}' from='{material.jid(material.PEER)}'>"
        f"<error type='cancel'><forbidden xmlns='{ns.STANZAS}'/></error></message>"
    ).encode()


def _call_of_receiver(count: int) -> float:
    numbers = iter(range(10**9))
    with _chat() as (side, chat):
        receivers = [_receiver() for _ in range(count)]
        for receiver in receivers:
            chat.message_received.connect(receiver)
        serve = cpu(lambda: side.serve([material.message(next(numbers))]), max(1, 200 // count))
        return serve / (count + 1)


def _receiver() -> Callable[[Chat, Message], None]:
    def receive(chat: Chat, message: Message) -> None:
        pass

    return receive


def _character(count: int) -> float:
    with _chat() as (side, chat):
        dialog = DialogRef.private(material.PEER, material.DIALOG)
        body = '<&>"' * (count // 4)

        def send() -> None:
            chat.send_message(dialog, body)
            side.written.clear()
            side.acknowledge()

        return cpu(send, 3) / count


def _read(cube: ConnectyCube, dialog: str, count: int) -> None:
    for _ in islice(cube.messages.iter(dialog, mark_as_read=False), count):
        pass
