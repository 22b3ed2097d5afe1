"""Random schedules of sends, deliveries, cuts, restarts, full queues and log-outs, and what must hold in all.

A schedule is a function of its seed. :func:`problems` plays it and returns, in words, every promise that was
broken: none for the real core, some for one with a planted defect.
"""

from __future__ import annotations

from random import Random

from connectycube.config import ReconnectPolicy
from connectycube.errors import OutcomeUnknownError
from connectycube.models import ChatState

from .simulated import Server, config, text_message
from .world import World

STEPS = 90


class Schedule:
    """One random history of a connection."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        chance = self.random.random
        server = Server()
        server.managed = chance() < 0.85
        server.says_h_when_failed = chance() < 0.5
        self.keeps_sessions = chance() < 0.4
        self.stays_logged_in = chance() < 0.6
        policy = ReconnectPolicy(max_attempts=None)
        self.world = World(server, config(reconnect=policy), random=chance)
        self.world.survives = lambda size: self.random.randint(0, size)
        self.world.room = self.random.choice([None, 3, 10])
        self.link_needed = self.inbound_complete = False
        self.inbound: list[int] = []
        self.saved: set[str] = set()

    def play(self) -> None:
        """Play all steps, then let everything heal and log out."""
        world = self.world
        world.login(settle=self.stays_logged_in or self.random.random() < 0.5)
        for _ in range(STEPS):
            self._step()
        if self.stays_logged_in or self.random.random() < 0.5:
            self._heal()
        world.core.close(world.now, world.now + self.random.choice([0.5, 5.0]))
        world.after()
        world.advance(6)
        world.settle()

    def _step(self) -> None:
        random, world = self.random, self.world
        choice = random.randrange(100)
        if choice < 22:
            self._send()
        elif choice < 40:
            self._receive()
        elif choice < 54:
            world.upstream(random.randint(1, 600))
        elif choice < 68:
            world.downstream(random.randint(1, 600))
        elif choice < 74:
            self._cut()
        elif choice < 82:
            world.advance(random.choice([0.1, 3, 8, 20]), settle=random.random() < 0.7)
        elif choice < 86:
            world.settle()
        elif choice < 89:
            world.answer_lookups()
        elif choice < 91:
            world.drain(random.choice([1, 2, None]))
        elif choice < 92:
            self._need_link()
        elif choice < 94:
            world.server.answers_questions = random.random() < 0.7
        elif choice < 96:
            world.reachable = random.random() < 0.7
        elif choice < 98:
            self._ask_or_restart()
        else:
            self._log_out_or_in()
        world.connect()

    def _send(self) -> None:
        if self.world.core.is_open:
            saved = self.random.random() < 0.8
            submission = self.world.send(len(self.world.submissions), save_to_history=saved)
            if saved:
                self.saved.add(submission.id)

    def _receive(self) -> None:
        number = len(self.inbound)
        self.inbound.append(number)
        self.world.server.send(text_message(number))

    def _cut(self) -> None:
        link = self.world.link
        if link is not None:
            up = self.random.randint(0, len(link.to_server))
            self.world.cut(up, self.random.randint(0, len(link.to_client)))

    def _need_link(self) -> None:
        if self.link_needed:
            self.world.core.release_link()
        else:
            self.world.core.need_link(self.world.now)
            self.world.after()
        self.link_needed = not self.link_needed

    def _ask_or_restart(self) -> None:
        session = self.world.server.session
        if session is not None and session.link is not None and session.managed:
            self.world.server.ask()
        if not self.keeps_sessions:
            self.world.server.forget_sessions()

    def _log_out_or_in(self) -> None:
        if self.stays_logged_in:
            return
        if self.world.core.state is ChatState.CLOSED:
            self.world.login(settle=False)
        else:
            self.world.close(self.random.choice([0.1, 5]), settle=self.random.random() < 0.5)

    def _heal(self) -> None:
        world = self.world
        world.reachable, world.room, world.server.answers_questions = True, None, True
        if self.link_needed:
            self._need_link()
        for _ in range(5):
            if world.core.state is ChatState.CLOSED:
                world.login()
            world.drain()
            world.answer_lookups()
            world.advance(61)
            world.settle()
        self.inbound_complete = True

    # --- what must hold ---

    def problems(self) -> list[str]:
        """Every promise that was broken."""
        found = [*self._outbound(), *self._inbound()]
        if self.world.core.state is not ChatState.CLOSED:
            found.append(f"not closed but {self.world.core.state}")
        return found

    def _outbound(self) -> list[str]:
        world, found = self.world, []
        handled = world.server.messages()
        if handled != sorted(set(handled)):
            found.append(f"the server handled messages twice or out of order: {_numbers(handled)}")
        if world.sent != sorted(set(world.sent)):
            found.append(f"'sent' was reported twice or out of order: {_numbers(world.sent)}")
        for submission in world.submissions:
            message_id = submission.id
            settled = [s for s in world.settled if s.submission is submission]
            if len(settled) != 1:
                found.append(f"message {submission.ticket} was settled {len(settled)} times")
                continue
            outcome = "sent" if settled[0].error is None else type(settled[0].error)
            if (message_id in world.sent) != (outcome == "sent"):
                found.append(f"message {submission.ticket}: event and outcome differ")
            if outcome == "sent" and message_id not in handled:
                found.append(f"message {submission.ticket} was 'sent' and the server never had it")
            if outcome not in ("sent", OutcomeUnknownError) and message_id in handled:
                found.append(f"message {submission.ticket} failed and the server has it")
            if self.stays_logged_in and message_id in self.saved and outcome != "sent":
                found.append(f"message {submission.ticket} ended as {outcome}, with time to heal")
        return found

    def _inbound(self) -> list[str]:
        world, found = self.world, []
        if world.received != sorted(set(world.received)):
            found.append(f"messages came twice or out of order: {world.received}")
        elif world.server.managed and self.inbound_complete and world.received != self.inbound:
            found.append(f"messages were lost: {set(self.inbound) - set(world.received)}")
        delivered = world.server.delivered()
        if len(set(delivered)) != len(delivered):
            found.append(f"'delivered' was said twice: {_numbers(delivered)}")
        one_session = world.states.count(ChatState.READY) == 1 and world.server.managed
        if one_session and self.inbound_complete and set(_numbers(delivered)) != set(self.inbound):
            found.append("'delivered' was not said of everything")
        return found


def _numbers(message_ids: list[str]) -> list[int]:
    return [int(message_id, 16) for message_id in message_ids]


def problems(seed: int) -> list[str]:
    """Play the schedule of ``seed`` and return every promise that was broken."""
    schedule = Schedule(seed)
    schedule.play()
    return schedule.problems()
