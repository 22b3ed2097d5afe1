"""``make reconnect-table``: ten faults, two clients, two servers, and what came of each.

Somebody writes to the client through a proxy, and the client writes back, ten messages a second each, while
the fault begins, lasts and is over. The other side has a connection of its own, which only a restart of the
server touches. The results go to ``docs/reconnecting.json``, and from there into the page.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from attrs import asdict, frozen

from connectycube import Chat, ReconnectPolicy, Timeouts
from tests.soak.places import XmppPlace, place
from tests.soak.subjects import RESOURCE, Ours, Slixmpp, Subject
from tests.support.paths import ROOT
from tests.support.proxy import FaultProxy

SERVERS = ("prosody", "ejabberd")
RESULTS = ROOT / "docs" / "reconnecting.json"
SUBJECTS: dict[str, type[Ours] | type[Slixmpp]] = {"slixmpp": Slixmpp, "connectycube": Ours}

_PACE = 0.1
_BEFORE = 2.0
_AFTER = 3.0
_LONGEST = 120.0
_BURST = 1_000


@frozen
class Result:
    """What came of one fault. ``seconds`` from its beginning until messages flow both ways; None: never."""

    server: str
    scenario: str
    subject: str
    sent: int
    lost: int
    told: int
    repeated: int
    seconds: float | None


class Trial:
    """One client under one fault, on a server of its own."""

    def __init__(self, server: str, kind: str, ends: ExitStack) -> None:
        self.kinds = (server, kind)
        self.where = ends.enter_context(place(server))
        assert isinstance(self.where, XmppPlace)
        self.process = self.where.process
        self.server = self.where.server
        self.user, other = self.server.user(), self.server.user()
        self.proxy = ends.enter_context(FaultProxy("127.0.0.1", self.process.port))
        ca_file = self.server.ca_file
        self.peer = Ours(
            *(other, self.process.port, ca_file),
            reconnect=ReconnectPolicy(max_attempts=None, delay=0.1, max_delay=0.1),
            timeouts=Timeouts(liveness_interval=_LONGEST, liveness_answer=_LONGEST),
        )
        ends.callback(self.peer.stop)
        self.subject: Subject = SUBJECTS[kind](self.user, self.proxy.port, ca_file)
        ends.callback(self.subject.stop)
        self._ids = {self.subject: self.user.id, self.peer: other.id}
        self._lock = threading.Lock()
        self._sent: dict[Subject, dict[str, float]] = {self.subject: {}, self.peer: {}}
        self._over = threading.Event()
        self.began = 0.0
        ends.callback(self._over.set)

    def play(self, scenario: str, fault: Callable[[Trial], None]) -> Result:
        """Let the fault happen among the messages, and count."""
        writers = [threading.Thread(target=self._write, args=(who,)) for who in self._sent]
        for writer in writers:
            writer.start()
        time.sleep(_BEFORE)
        self.begins()
        fault(self)
        seconds = self._wait_until_it_flows()
        time.sleep(_AFTER)
        self._over.set()
        for writer in writers:
            writer.join()
        return self._counted(scenario, seconds)

    def begins(self) -> None:
        """From now on nothing can pass as before."""
        self.began = time.monotonic()

    def write(self, who: Subject, count: int = 1) -> None:
        """Let one side write to the other."""
        to = self.peer if who is self.subject else self.subject
        for _ in range(count):
            with self._lock:
                body = f"{len(self._sent[who])} of {self._ids[who]}"
                self._sent[who][body] = time.monotonic()
            if not who.send(self._ids[to], body):
                with self._lock:
                    self._sent[who][body] = -1.0

    def _write(self, who: Subject) -> None:
        while not self._over.wait(_PACE):
            self.write(who)

    def _wait_until_it_flows(self) -> float | None:
        """Return after how many seconds what was sent since the beginning arrived, on both sides."""
        until = self.began + _LONGEST
        while time.monotonic() < until:
            first = [self._first_since(who) for who in self._sent]
            if None not in first:
                return max(moment for moment in first if moment is not None) - self.began
            time.sleep(0.05)
        return None

    def _first_since(self, writer: Subject) -> float | None:
        reader = self.peer if writer is self.subject else self.subject
        with self._lock:
            sent = dict(self._sent[writer])
        return next(
            (at for body, at in list(reader.arrived) if sent.get(body, 0.0) > self.began), None
        )

    def _counted(self, scenario: str, seconds: float | None) -> Result:
        sent = lost = repeated = 0
        for writer, reader in ((self.subject, self.peer), (self.peer, self.subject)):
            bodies = {body for body, at in self._sent[writer].items() if at >= 0}
            reader.wait(bodies, 15.0 if seconds is not None else 1.0)
            if writer is self.peer:  # what it lost itself, with the server, is not the subject's
                bodies -= self.peer.not_sent()
            missing, again = tally(bodies, [body for body, _ in reader.arrived])
            sent, lost, repeated = sent + len(bodies), lost + missing, repeated + again
        # The other side's client shows each message once, and counts the others.
        repeated += self.peer.chat.statistics().repeated
        server, kind = self.kinds
        return Result(server, scenario, kind, sent, lost, self.subject.told(), repeated, seconds)


def tally(sent: set[str], arrived: Sequence[str]) -> tuple[int, int]:
    """Return how many never arrived, and how many times one arrived again."""
    times = Counter(arrived)
    return len(sent - times.keys()), len(arrived) - len(times)


# --- the faults -----------------------------------------------------------------------------------


def _rst(trial: Trial) -> None:
    trial.proxy.rst()
    trial.begins()


def _fin(trial: Trial) -> None:
    trial.proxy.fin()
    trial.begins()


def _half_open(trial: Trial) -> None:
    trial.proxy.cut(scope="existing")
    trial.begins()
    time.sleep(60)
    trial.proxy.heal()


def _freeze(trial: Trial) -> None:
    trial.proxy.freeze()
    trial.begins()
    time.sleep(20)
    trial.proxy.thaw()


def _pause(trial: Trial) -> None:
    trial.process.pause()
    trial.begins()
    time.sleep(20)
    trial.process.resume()


def _restart(trial: Trial) -> None:
    trial.process.stop()
    trial.begins()
    trial.process.start()


def _burst_out(trial: Trial) -> None:
    trial.proxy.cut_after(100_000, "to_server", "rst", scope="existing")
    trial.write(trial.subject, _BURST)
    trial.proxy.wait_until_closed(30)
    trial.begins()


def _burst_in(trial: Trial) -> None:
    trial.proxy.cut_after(100_000, "to_client", "rst", scope="existing")
    trial.write(trial.peer, _BURST)
    trial.proxy.wait_until_closed(30)
    trial.begins()


def _refused_resumption(trial: Trial) -> None:
    trial.proxy.refuse()
    trial.proxy.rst()
    trial.begins()
    # A login with its resource ends the session that waits for the client, and a logout that one.
    usurper = Chat(trial.server.config())
    usurper.login(trial.user.id, trial.user.password, resource=RESOURCE)
    usurper.logout()
    trial.proxy.accept()


def _three_cuts(trial: Trial) -> None:
    for _ in range(3):
        trial.proxy.rst()
        trial.begins()
        time.sleep(0.4)


SCENARIOS: dict[str, Callable[[Trial], None]] = {
    "RST": _rst,
    "FIN": _fin,
    "half-open, 60 s": _half_open,
    "freeze, 20 s": _freeze,
    "server SIGSTOP, 20 s": _pause,
    "server restart": _restart,
    "cut, 1,000 messages in flight out": _burst_out,
    "cut, 1,000 messages in flight in": _burst_in,
    "resumption refused": _refused_resumption,
    "three cuts within a second": _three_cuts,
}


def measured(server: str, scenario: str, kind: str) -> Result:
    """Play one scenario with one client, on a server of its own."""
    with ExitStack() as ends:
        return Trial(server, kind, ends).play(scenario, SCENARIOS[scenario])


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what was asked for, print it, and write it down if it is all of a server."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.reconnect_table")
    parser.add_argument("--server", choices=SERVERS, help="one of them alone")
    parser.add_argument("--only", help="a part of the scenarios' names")
    parser.add_argument("--at-once", type=int, default=4)
    options = parser.parse_args(arguments)
    servers = [options.server] if options.server else list(SERVERS)
    scenarios = [name for name in SCENARIOS if options.only is None or options.only in name]
    tasks = [(*row, kind) for row in itertools.product(servers, scenarios) for kind in SUBJECTS]
    with ThreadPoolExecutor(options.at_once) as pool:
        results = list(pool.map(lambda task: measured(*task), tasks))
    for result in results:
        print(result)
    if options.only is None:
        write(results)
    return 0


def write(results: Sequence[Result]) -> None:
    """Write the results for the page, with what they were measured with; those of other servers stay."""
    tables = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for server in dict.fromkeys(result.server for result in results):
        clients = [cls.version for cls in SUBJECTS.values()]
        tables[server] = {
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%B %Y"),
            "versions": [_version(server), *clients, f"Python {platform.python_version()}"],
            "results": [asdict(result) for result in results if result.server == server],
        }
    RESULTS.write_text(json.dumps(tables, indent=1) + "\n")


def _version(server: str) -> str:
    """Return the server's name with its version where the system's packages know it."""
    if shutil.which("dpkg-query") is None:
        return server
    command = ["dpkg-query", "--show", "--showformat=${Version}", server]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout
    return f"{server} {found.partition('-')[0]}".strip()


if __name__ == "__main__":
    sys.exit(main())
