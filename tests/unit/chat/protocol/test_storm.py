"""A thousand clients after a restart of their server, in virtual time: they do not come back in one wave."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from random import Random

import pytest

from connectycube.config import ReconnectPolicy
from connectycube.models import ChatState
from tests.support.simulation.simulated import Server, config
from tests.support.simulation.world import World

CLIENTS = 1000
DELAY = 5.0


class Storm:
    """So many clients whose links all end in the same moment, and when each attempts to come back.

    ``attempts[n]`` are the moments of all clients' attempts number n + 1, in seconds since then.
    """

    def __init__(self, seed: int, down: float, clients: int = CLIENTS) -> None:
        random = Random(seed)
        settings = config(reconnect=ReconnectPolicy(max_attempts=None, delay=DELAY))
        self.worlds = [World(Server(), settings, random=random.random) for _ in range(clients)]
        for world in self.worlds:
            world.login()
        self.began = self.worlds[0].now
        self.attempts: list[list[float]] = []
        self._down = down

    def play(self) -> None:
        """Restart the server, which is down for a while, and wait until everybody is back."""
        due: list[tuple[float, int]] = []
        for number, world in enumerate(self.worlds):
            world.reachable = False
            world.cut()
            self._note(due, number)
        attempts = [0] * len(self.worlds)
        while due:
            moment, number = heapq.heappop(due)
            world = self.worlds[number]
            world.now = moment
            world.core.tick(moment)
            world.after()
            if world.core.state is ChatState.RECONNECTING:
                attempts[number] += 1
                self._count(attempts[number], moment - self.began)
                world.reachable = moment - self.began >= self._down
                world.settle()
            if not world.core.is_ready:
                self._note(due, number)

    def _note(self, due: list[tuple[float, int]], number: int) -> None:
        deadline = self.worlds[number].core.next_deadline
        assert deadline is not None, "a client does not attempt any more"
        heapq.heappush(due, (deadline, number))

    def _count(self, round_: int, moment: float) -> None:
        if round_ > len(self.attempts):
            self.attempts.append([])
        self.attempts[round_ - 1].append(moment)


def most_in_one_second(moments: Iterable[float]) -> int:
    """The most of these moments that any one second holds."""
    ordered, most, first = sorted(moments), 0, 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.fixture(scope="module")
def storm() -> Storm:
    """One storm of five minutes."""
    made = Storm(seed=1, down=300.0)
    made.play()
    return made


def test_no_second_of_a_storm_exceeds_one_and_a_half_of_the_even_share(
    storm: Storm,
) -> None:
    everything = [moment for round_ in storm.attempts for moment in round_]
    assert most_in_one_second(everything) <= 1.5 * CLIENTS / DELAY


def test_the_peak_falls_round_by_round_until_the_longest_wait_is_reached(storm: Storm) -> None:
    peaks = [most_in_one_second(round_) for round_ in storm.attempts if len(round_) == CLIENTS]
    assert len(peaks) >= 5
    falling = itertools.pairwise(peaks[:5])
    assert all(later < earlier for earlier, later in falling), peaks
    assert peaks[4] < peaks[0] / 5


def test_everybody_is_back_within_one_longest_wait_after_the_server(storm: Storm) -> None:
    assert all(world.core.is_ready for world in storm.worlds)
    last = max(moment for round_ in storm.attempts for moment in round_)
    assert 300.0 <= last <= 300.0 + 1.5 * 60.0


def test_a_short_restart_costs_each_client_few_attempts() -> None:
    storm = Storm(seed=2, down=3.0)
    storm.play()
    assert sum(map(len, storm.attempts)) < 1.2 * CLIENTS
    assert most_in_one_second(storm.attempts[0]) <= 1.5 * CLIENTS / DELAY


def test_the_same_seed_is_the_same_storm() -> None:
    def attempts(seed: int) -> list[list[float]]:
        storm = Storm(seed, down=60.0, clients=20)
        storm.play()
        return storm.attempts

    assert attempts(3) == attempts(3) != attempts(4)
