"""Random schedules of clients that talk while everything goes wrong, and what must hold in all of them.

A schedule is a function of its seed, down to each byte. :func:`problems` plays it and returns, in words, each
promise that was broken: none for the real core, some for one with a planted defect.

``python -m tests.support.simulation.schedules 0 10000 1`` plays a range of seeds and prints what was broken.
"""

from __future__ import annotations

import sys
import zlib
from collections import Counter
from datetime import datetime, timezone
from random import Random
from typing import Any
from xml.etree import ElementTree

from connectycube.config import Limits, ReconnectPolicy
from connectycube.errors import OutcomeUnknownError, StanzaError
from connectycube.models import ChatState, DialogRef, Message
from tests.support.simulation.service import Service
from tests.support.simulation.simulated import ALICE, BOB, config
from tests.support.simulation.world import World

CAROL = 1003
DAVE = 1004  # no client: his messages are simply there
STEPS = 50
STANZA_BYTES = 4_000
POISON = (
    "<message from='1004-7@chat.example/x'><body>\x01</body></message>",
    "<message from='1004-7@chat.example/x'><body>&unknown;</body></message>",
    "<presence from='1004-7@chat.example/x' a='1' a='2'/>",
    f"<message from='1004-7@chat.example/x'><body>{'x' * 2 * STANZA_BYTES}</body></message>",
    f"<iq from='1004-7@chat.example/x' id='p' type='get'><q>{'x' * 2 * STANZA_BYTES}</q></iq>",
)
FOREIGN_IDS = ("1", "1", "1", "2", "order-4711", "F" * 24, "", None)
LONGEST_LAG = 50.0  # seconds until a message leaves the service: less than the overlap
DAY = 86_400.0


class Schedule:
    """One random history of one to three clients, and what they met on the way."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.poison = Random(f"poison {seed}")
        self.foreign = Random(f"foreign {seed}")  # for ids that other XMPP clients give
        chance = self.random.random
        self.met: Counter[str] = Counter()
        users = [ALICE, BOB, CAROL][: self.random.choice([1, 1, 1, 1, 2, 3])]
        self.service = Service(users, lambda: max(world.now for world in self.worlds))
        self.worlds: list[World] = []
        self.service.rooms = {"hikers": {*users, DAVE}}
        self.service.room_echo = chance() < 0.5
        self.keeps_sessions = chance() < 0.3
        self.keeps_offline = chance() < 0.3
        self.stays_logged_in = chance() < 0.6
        lags, repeats = chance() < 0.5, chance() < 0.3
        if lags:
            self.service.lag = lambda: self._lag()
        self.foreign_share = self.foreign.choice([0.0, 0.0, 0.5, 1.0])
        # Without an id of the service's, a stanza that arrives twice on one link is two messages.
        self.service.tells_ids = repeats or self.foreign.random() < 0.5
        self.skews = {user: self.random.choice([0.0, 0.0, -3 * DAY, 40.0, DAY]) for user in users}
        self.skews[DAVE] = self.random.choice([0.0, -DAY])
        for user in users:
            self.worlds.append(self._world(user, repeats))
        self.number = 0
        self.sent: dict[int, dict[str, bool]] = {user: {} for user in users}  # by id: saved?
        self.poisons_in = self.poison.random() < 0.3
        self.poisons_out = self.poison.random() < 0.3
        self.poisonous: set[str] = set()  # the ids of messages that make a server end the stream
        self.link_needed: set[int] = set()
        self.inbound_complete = False

    def _world(self, user: int, repeats: bool) -> World:
        chance, server = self.random.random, self.service.servers[user]
        server.managed = chance() < 0.85
        server.says_h_when_failed = chance() < 0.5
        server.keeps_offline = self.keeps_offline
        server.goes_on_in_half_a_stanza = chance() < 0.3
        if repeats:
            server.duplicates = lambda: self._happens(0.1, "duplicate")
        server.refuses = self._refusal
        settings = config(
            reconnect=ReconnectPolicy(max_attempts=None),
            join_rooms=False,
            limits=Limits(
                queued_events=self.random.choice([4, 10_000, 10_000]), stanza_bytes=STANZA_BYTES
            ),
        )
        world = World(server, settings, random=chance, history=self.service)
        world.survives = lambda size: self.random.randint(0, size)
        world.room = self.random.choice([None, None, 3, 10])
        world.fails = lambda: self._happens(0.1, "history failed")
        if self.stays_logged_in and not self.keeps_offline:
            # What is remembered beyond this is remembered because it is needed. (A server that never asks
            # what has arrived may keep all of it for the next session.)
            world.core.session.recovery._seen_messages._window = 3
        return world

    def _lag(self) -> float:
        return self.random.choice([0.0, 1.0, LONGEST_LAG]) if self._happens(0.3, "lag") else 0.0

    def _happens(self, probability: float, what: str) -> bool:
        if self.random.random() >= probability:
            return False
        self.met[what] += 1
        return True

    # --- what happens ---

    def play(self) -> None:
        """Play all steps, then let everything heal and log out."""
        for world in self.worlds:
            world.login(settle=self.stays_logged_in or self.random.random() < 0.5)
        for _ in range(STEPS):
            self._step(self.random.choice(self.worlds))
        if self.stays_logged_in or self.random.random() < 0.5:
            self._heal()
        for world in self.worlds:
            world.core.close(world.now, world.now + self.random.choice([0.5, 5.0]))
            world.after()
            world.advance(6)
            world.settle()

    def _refusal(self, stanza: ElementTree.Element) -> str | None:
        is_poison = stanza.attrib.get("id") in self.poisonous
        return self.poison.choice(["policy-violation", "not-well-formed"]) if is_poison else None

    def _poison(self, world: World) -> None:
        """Have a stranger send a stanza that cannot be read."""
        if self.poisons_in and self.poison.random() < 0.05:
            self.met["poison in"] += 1
            world.server.send(self.poison.choice(POISON))

    def _step(self, world: World) -> None:
        random = self.random
        self._poison(world)
        choice = random.randrange(100)
        if choice < 20:
            self._send(world)
        elif choice < 38:
            self._speak(world)
        elif choice < 48:
            world.upstream(random.randint(1, 600))
        elif choice < 58:
            world.downstream(random.randint(1, 600))
        elif choice < 64:
            self._cut(world)
        elif choice < 72:
            self._advance(random.choice([0.1, 3, 8, 20]), settle=random.random() < 0.7)
        elif choice < 76:
            world.settle()
        elif choice < 78:
            world.answer_lookups()
        elif choice < 80:
            world.drain(random.choice([1, 2, None]))
        elif choice < 81:
            self._need_link(world)
        elif choice < 83:
            world.server.answers_questions = not self._happens(0.3, "silence")
            world.server.last_answers = random.randint(0, 2)
        elif choice < 85:
            world.reachable = not self._happens(0.3, "out of reach")
        elif choice < 90:
            self._ask_or_restart(world)
        elif choice < 92:
            self._log_out_or_in(world)
        elif choice < 99:
            world.fill_gaps(random.choice([1, 2, 5, 20]))
        else:
            self._change()
        world.connect()

    def _send(self, world: World) -> None:
        if not world.core.is_open:
            return
        self.number += 1
        me = world.server.user
        others = [user for user in (*self.sent, DAVE) if user != me]
        dialog = self.random.choice([DialogRef.room("hikers"), DialogRef.private(others[0])])
        saved = self.random.random() < 0.8
        at = datetime.fromtimestamp(int(self.service.time() + self.skews[me]), timezone.utc)
        poisonous = self.poisons_out and self.poison.random() < 0.1
        if poisonous:
            self.poisonous.add(f"{self.number:024x}")
        submission = world.send(self.number, dialog=dialog, save_to_history=saved, date_sent=at)
        self.sent[me][submission.id] = saved
        if poisonous:
            self.met["poison out"] += 1

    def _speak(self, world: World) -> None:
        me = world.server.user
        self.number += 1
        private = DialogRef.private(me, f"p{me}-{DAVE}")
        dialog = self.random.choice([private, private, DialogRef.room("hikers")])
        sent = self.service.time() + self.skews[DAVE]
        self.service.say(self.number, DAVE, dialog, sent, self._stanza_id)

    def _stanza_id(self, own_id: str) -> str | None:
        if self.foreign.random() >= self.foreign_share:
            return own_id
        chosen = self.foreign.choice((*FOREIGN_IDS, f"m{own_id}"))
        others = {stored.stanza_id for stored in self.service.stored.values()}
        self.met["told id" if self.service.tells_ids else "foreign id"] += 1
        self.met["equal ids"] += chosen in others and not self.service.tells_ids
        return chosen

    def _change(self) -> None:
        """Edit or delete a message of Dave's, whose outcome nobody waits for."""
        said = [stored for stored in self.service.stored.values() if stored.sender == DAVE]
        if said:
            message_id = self.random.choice(said).message.id
            assert message_id is not None
            if self._happens(0.7, "edit"):
                self.service.touch(message_id)
            else:
                self.met["deletion"] += 1
                self.service.delete(message_id)

    def _advance(self, seconds: float, *, settle: bool) -> None:
        self.service.relay(seconds)  # rather too early than too late
        for world in self.worlds:
            world.advance(seconds, settle=settle)

    def _cut(self, world: World) -> None:
        link = world.link
        if link is not None:
            self.met["cut"] += 1
            up = self.random.randint(0, len(link.to_server))
            world.cut(up, self.random.randint(0, len(link.to_client)))

    def _need_link(self, world: World) -> None:
        user = world.server.user
        if user in self.link_needed:
            world.core.release_link()
        else:
            world.core.hold_link(world.now)
            world.after()
        self.link_needed ^= {user}

    def _ask_or_restart(self, world: World) -> None:
        session = world.server.session
        if session is not None and session.link is not None and session.managed:
            world.server.ask()
        if not self.keeps_sessions:
            self.met["restart"] += 1
            world.server.forget_sessions()

    def _log_out_or_in(self, world: World) -> None:
        if self.stays_logged_in:
            return
        if world.core.state is ChatState.CLOSED:
            world.login(settle=False)
        else:
            world.close(self.random.choice([0.1, 5]), settle=self.random.random() < 0.5)

    def _heal(self) -> None:
        for world in self.worlds:
            world.reachable, world.room, world.server.answers_questions = True, None, True
            world.fails = lambda: False
            if world.server.user in self.link_needed:
                self._need_link(world)
        for _ in range(
            5 + 3 * len(self.poisonous)
        ):  # a message of these costs two links and two look-ups
            self._heal_once()
        failed = any(world.events("recovery_failed") for world in self.worlds)
        if failed or self.random.random() < 0.2:
            self._begin_anew()
        self.inbound_complete = self.stays_logged_in

    def _begin_anew(self) -> None:
        """Let new sessions begin, which try again what failed, and meet old messages that were edited."""
        for stored in list(self.service.stored.values())[:3]:
            assert stored.message.id is not None
            self.service.touch(stored.message.id)
        for world in self.worlds:
            world.server.forget_sessions()
        for _ in range(2):
            self._heal_once()

    def _heal_once(self) -> None:
        for world in self.worlds:
            if world.core.state is ChatState.CLOSED:
                world.login()
            world.drain()
            world.answer_lookups()
        self._advance(61, settle=True)
        for world in self.worlds:
            world.settle()
            world.fill_gaps()

    # --- what must hold ---

    def problems(self) -> list[str]:
        """Every promise that was broken."""
        found = []
        for world in self.worlds:
            broken = [*self._outbound(world), *self._inbound(world)]
            if world.core.state is not ChatState.CLOSED:
                broken.append(f"not closed but {world.core.state}")
            found += [f"user {world.server.user}: {problem}" for problem in broken]
        return found

    def _outbound(self, world: World) -> list[str]:
        found, me = [], world.server.user
        handled = world.server.messages()
        if handled != sorted(set(handled)):
            found.append(f"the server handled messages twice or out of order: {_numbers(handled)}")
        if world.sent != sorted(set(world.sent)):
            found.append(f"'sent' was reported twice or out of order: {_numbers(world.sent)}")
        for submission in world.submissions:
            message_id = submission.id
            settled = [s for s in world.settled if s.submission is submission]
            if len(settled) != 1:
                found.append(f"message {submission.waiter} was settled {len(settled)} times")
                continue
            outcome = "sent" if settled[0].error is None else type(settled[0].error)
            if (message_id in world.sent) != (outcome == "sent"):
                found.append(f"message {submission.waiter}: event and outcome differ")
            if outcome == "sent" and message_id not in handled:
                found.append(f"message {submission.waiter} was 'sent' and the server never had it")
            if outcome not in ("sent", OutcomeUnknownError) and message_id in handled:
                found.append(f"message {submission.waiter} failed and the server has it")
            wanted = StanzaError if message_id in self.poisonous else "sent"
            if self.stays_logged_in and self.sent[me][message_id] and outcome != wanted:
                found.append(f"message {submission.waiter} ended as {outcome}, with time to heal")
        return found

    def _inbound(self, world: World) -> list[str]:
        found = []
        messages: list[Message] = world.messages
        received = Counter(int(message.body or "") for message in messages)
        twice = [number for number, times in received.items() if times > 1]
        if twice:
            found.append(f"messages came twice: {twice}")
        if any(message.own or message.sender_id == world.server.user for message in messages):
            found.append("a message of one's own came back")
        found += self._order(world, messages)
        due = self.service.messages_for(world.server.user)
        invented = received.keys() - {stored.number for stored in due}
        if invented:
            found.append(f"nobody sent {invented} here")
        saved = {stored.number for stored in due if stored.saved and not stored.deleted}
        if self.inbound_complete and saved - received.keys():
            found.append(f"messages were lost: {sorted(saved - received.keys())}")
        delivered = world.server.delivered()
        # A live message of another client's is named by the id that it has, perhaps as others are.
        most = Counter(self.service.live_id(stored) for stored in due)
        if any(times > max(1, most[named]) for named, times in Counter(delivered).items()):
            found.append(f"'delivered' was said twice: {delivered}")
        one_session = world.server.sessions_begun == 1 and world.server.managed
        named = (self.service.live_id(stored) for stored in due if stored.number in received)
        if (
            one_session
            and self.inbound_complete
            and Counter(delivered) != Counter(one for one in named if one)
        ):
            found.append("'delivered' was not said of everything")
        return found

    def _order(self, world: World, messages: list[Message]) -> list[str]:
        """In order in each conversation from each sender, unless a gap could not be filled at once.

        History knows no place for what is not saved, or deleted by now, so that comes behind it. It is sorted
        by the senders' clocks: where these differ, or who sends was offline, what is stored while a dialog
        is read may belong before what was read already, and comes later; then the order holds
        among what came live and among what was recovered.
        """
        if world.events("recovery_failed") or not self.stays_logged_in:
            return []  # what was released then is known to be ahead of what comes
        last: dict[Any, int] = {}
        found = []
        at_once = len(self.worlds) == 1 and len(set(self.skews.values())) == 1
        for message in messages:
            assert message.dialog is not None
            stored = self.service.stored[f"{int(message.body or ''):024x}"]
            if stored.deleted or not stored.saved:
                continue
            place = message.dialog.peer_id or message.dialog.id
            lane = (place, message.sender_id, at_once or message.recovered)
            number = int(message.body or "")
            if number < last.get(lane, 0):
                found.append(f"message {number} came after {last[lane]}")
            last[lane] = number
        return found

    def digest(self) -> int:
        """A checksum of all that was on the wire and all that was said."""
        total = 0
        for world in self.worlds:
            said = [
                (d.signal, d.conversation, getattr(d.event, "body", d.event))
                for d in world.deliveries
            ]
            total = zlib.crc32(repr((world.digest, world.now, said)).encode(), total)
        return total


def _numbers(message_ids: list[str]) -> list[int]:
    return [int(message_id, 16) for message_id in message_ids]


def problems(seed: int) -> list[str]:
    """Play the schedule of ``seed`` and return every promise that was broken."""
    schedule = Schedule(seed)
    schedule.play()
    return schedule.problems()


def main() -> int:
    """Play a range; return 1 if a promise was broken."""
    broken = False
    for seed in range(*map(int, sys.argv[1:])):
        for problem in problems(seed):
            broken = True
            print(f"schedule {seed}: {problem}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
