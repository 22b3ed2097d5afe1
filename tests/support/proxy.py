"""A TCP proxy that breaks links in every way a network does.

    with FaultProxy("127.0.0.1", server_port) as proxy:
        connect(proxy.host, proxy.port)
        proxy.rst()

One thread owns all sockets. The methods may be called from any other thread at any time; each has taken
effect when it returns. Bytes pass unread, so TLS goes through; nothing can be put into a stream.

What lasts (freeze, delay, cut, cut_after, silent) is set for ``existing`` connections, for ``future`` ones,
or for both (``all``). What happens at once (rst, fin) befalls existing connections.
"""

from __future__ import annotations

import collections
import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal

from attrs import evolve

from tests.support.proxy_links import SINK, SOURCE, Direction, Faults, Flow, Link, Then

Side = Literal["client", "server", "both"]
Scope = Literal["existing", "future", "all"]

_CHUNK = 65536


class FaultProxy:
    """Stand between clients and ``target_host:target_port``, on a free port of 127.0.0.1.

    ``host`` and ``port`` say where. Leaving the context ends every connection with RST.
    """

    def __init__(self, target_host: str, target_port: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self._target = (target_host, target_port)
        self._faults: dict[Direction, Faults] = {"to_server": Faults(), "to_client": Faults()}
        self._silent = False
        self._links: list[Link] = []
        self._listener: socket.socket | None = None
        self._masks: dict[socket.socket, int] = {}
        self._commands: collections.deque[Callable[[], None]] = collections.deque()
        self._running = False
        self._now = 0.0
        self._changed = threading.Condition()
        self._accepted = 0
        self._open = 0
        self._delivered: dict[Direction, int] = {"to_server": 0, "to_client": 0}

    def __enter__(self) -> FaultProxy:
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
        self._listen()
        self._running = True
        self._thread = threading.Thread(
            target=self._run, name=f"fault-proxy-{self.port}", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._do(self._stop)
        self._thread.join()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    # --- faults that happen at once -------------------------------------------------------------

    def rst(self, side: Side = "both") -> None:
        """Reset all existing connections, towards both sides or one.

        With one side, the other keeps a connection on which nothing comes or arrives any more: a server,
        for instance, that does not know yet that its client is gone.
        """
        self._do(lambda: self._each(lambda link, leg: link.reset(leg), side))

    def fin(self, side: Side = "both") -> None:
        """End the stream towards both sides or one in good order (FIN); what was on its way is lost."""
        self._do(lambda: self._each(lambda link, leg: link.finish(leg), side))

    def refuse(self) -> None:
        """Refuse connections from now on: nobody listens on the port. Existing ones stay."""
        self._do(self._stop_listening)

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._do(lambda: self._listen() if self._listener is None else None)

    # --- faults that last -----------------------------------------------------------------------

    def freeze(self, scope: Scope = "all") -> None:
        """Read and forward nothing, both ways; bytes wait here and in the senders' buffers until thaw()."""
        self._set(scope, None, frozen=True)

    def thaw(self, scope: Scope = "all") -> None:
        """Deliver what waited since freeze(), and go on."""
        self._set(scope, None, frozen=False)

    def delay(self, seconds: float, scope: Scope = "all") -> None:
        """Deliver bytes, in order, ``seconds`` after they came, both ways; 0 ends the delay."""
        self._set(scope, None, delay=seconds)

    def cut(self, direction: Direction | None = None, scope: Scope = "all") -> None:
        """Lose all bytes (and the end of the stream) in one direction, or in both; TCP stays open."""
        self._set(scope, direction, cut=True)

    def cut_after(
        self, count: int, direction: Direction, then: Then = "rst", scope: Scope = "all"
    ) -> None:
        """Let ``count`` more bytes pass in ``direction``, not one beyond; then rst(), fin() or cut() it.

        For future connections they count from the first byte on.
        """
        self._set(scope, direction, remaining=count, then=then)

    def silent(self) -> None:
        """Accept future connections, read what they send, never answer, never connect on."""

        def become_silent() -> None:
            self._silent = True

        self._do(become_silent)

    def heal(self) -> None:
        """End all lasting faults, refuse() included; bytes that were lost stay lost."""

        def heal() -> None:
            self._silent = False
            self._faults = {"to_server": Faults(), "to_client": Faults()}
            for link in self._links:
                for flow in link.flows.values():
                    flow.faults = Faults()
            if self._listener is None:
                self._listen()

        self._do(heal)

    # --- what can be seen -----------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        with self._changed:
            return self._accepted

    @property
    def open_connections(self) -> int:
        """How many connections have at least one side that has not ended."""
        with self._changed:
            return self._open

    @property
    def bytes_to_server(self) -> int:
        """How many bytes were delivered to the server."""
        with self._changed:
            return self._delivered["to_server"]

    @property
    def bytes_to_client(self) -> int:
        """How many bytes were delivered to clients."""
        with self._changed:
            return self._delivered["to_client"]

    def wait_for_connection(self, number: int = 1, timeout: float = 10.0) -> None:
        """Wait until ``number`` connections were accepted; TimeoutError after ``timeout`` seconds."""
        self._wait(lambda: self._accepted >= number, timeout, f"{number} connections")

    def wait_for_bytes(self, count: int, direction: Direction, timeout: float = 10.0) -> None:
        """Wait until ``count`` bytes were delivered in total; TimeoutError after ``timeout`` seconds."""
        self._wait(
            lambda: self._delivered[direction] >= count, timeout, f"{count} bytes {direction}"
        )

    def wait_until_closed(self, timeout: float = 10.0) -> None:
        """Wait until no connection is open; TimeoutError after ``timeout`` seconds."""
        self._wait(lambda: not self._open, timeout, "the end of all connections")

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(
                    f"waited {timeout} s for {what}; accepted {self._accepted}, open {self._open}, "
                    f"delivered {self._delivered}"
                )

    # --- commands, run by the thread that owns the sockets --------------------------------------

    def _do(self, command: Callable[[], Any]) -> None:
        if not self._running:
            raise RuntimeError("the proxy does not run: use it in a with statement")
        done: Future[None] = Future()

        def run() -> None:
            try:
                command()
                self._settle()
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        self._commands.append(run)
        self._wake.send(b"!")
        done.result(timeout=10)

    def _set(self, scope: Scope, direction: Direction | None, **changes: Any) -> None:
        def change() -> None:
            for name in self._faults if direction is None else (direction,):
                if scope != "existing":
                    self._faults[name] = evolve(self._faults[name], **changes)
                if scope != "future":
                    for link in self._links:
                        link.flows[name].faults = evolve(link.flows[name].faults, **changes)
                        self._after_change(link, name)

        self._do(change)

    def _after_change(self, link: Link, name: Direction) -> None:
        flow = link.flows[name]
        if flow.faults.cut:
            flow.drop()
        if flow.faults.remaining == 0:
            self._reach_limit(link, name)

    def _each(self, action: Callable[[Link, str], None], side: Side) -> None:
        for link in self._links:
            for leg in ("client", "server") if side == "both" else (side,):
                action(link, leg)

    def _stop(self) -> None:
        self._running = False
        self._stop_listening()
        self._each(lambda link, leg: link.reset(leg), "both")

    # --- the loop -------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._running:
            for key, mask in self._selector.select(self._until_next_due()):
                key.data(mask)
            self._settle()

    def _settle(self) -> None:
        """Deliver what can be delivered, forget what has ended, watch what is left."""
        self._now = time.monotonic()
        for link in self._links:
            self._deliver(link)
        self._forget_ended_links()
        self._watch()

    def _until_next_due(self) -> float | None:
        dues = [flow.due() for link in self._links for flow in link.flows.values()]
        later = [due - self._now for due in dues if due is not None and due > self._now]
        return min(later, default=None)

    def _on_wake(self, mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        while self._commands:
            self._commands.popleft()()

    def _listen(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(128)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._selector.register(listener, selectors.EVENT_READ, self._on_connection)
        self._listener = listener

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _on_connection(self, mask: int) -> None:
        if self._listener is None:
            return
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        flows = {direction: Flow(evolve(faults)) for direction, faults in self._faults.items()}
        link = Link(client, flows, self._silent)
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links.append(link)
        if not self._silent:
            server = link.legs["server"] = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            server.setblocking(False)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.connect_ex(self._target)
            link.connecting = True
        for direction in flows:
            self._after_change(link, direction)
        with self._changed:
            self._accepted += 1
            self._open = len(self._links)
            self._changed.notify_all()

    def _watch(self) -> None:
        """Ask the selector for exactly what the flows can use now."""
        wanted: dict[socket.socket, int] = {}
        handlers: dict[socket.socket, Callable[[int], None]] = {}
        for link in self._links:
            for side, leg in link.legs.items():
                if leg is not None:
                    wanted[leg] = self._interest(link, side)
                    handlers[leg] = lambda mask, link=link, side=side: self._on_leg(
                        link, side, mask
                    )
        for leg in [*self._masks, *wanted]:
            mask, before = wanted.get(leg, 0), self._masks.get(leg, 0)
            if mask == before:
                continue
            if not mask:
                self._selector.unregister(leg)
                del self._masks[leg]
                continue
            if before:
                self._selector.modify(leg, mask, handlers[leg])
            else:
                self._selector.register(leg, mask, handlers[leg])
            self._masks[leg] = mask

    def _interest(self, link: Link, side: str) -> int:
        mask = 0
        for direction, flow in link.flows.items():
            if (
                SOURCE[direction] == side
                and flow.reads
                and not (link.connecting and side == "server")
            ):
                mask |= selectors.EVENT_READ
            due = flow.due()
            if SINK[direction] == side and due is not None and due <= self._now:
                mask |= selectors.EVENT_WRITE
        return mask | (selectors.EVENT_WRITE if link.connecting and side == "server" else 0)

    def _on_leg(self, link: Link, side: str, mask: int) -> None:
        leg = link.legs[side]
        if leg is None:
            return
        if link.connecting and side == "server":
            self._on_connected(link, leg)
            return
        direction: Direction = "to_server" if side == "client" else "to_client"
        if mask & selectors.EVENT_READ and link.flows[direction].reads:
            self._read(link, leg, side, link.flows[direction])

    def _on_connected(self, link: Link, server: socket.socket) -> None:
        if server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            link.lose("server")
        else:
            link.connecting = False

    def _read(self, link: Link, leg: socket.socket, side: str, flow: Flow) -> None:
        try:
            data = leg.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            link.lose(side)
            return
        if not data:
            flow.source_ended = True
        if not (link.silent or flow.faults.cut or flow.sink_ended):
            flow.put(data)

    def _deliver(self, link: Link) -> None:
        """Write what is due; an empty piece is the end of the stream."""
        for direction, flow in link.flows.items():
            sink = link.legs[SINK[direction]]
            while sink is not None and not (link.connecting and direction == "to_server"):
                due = flow.due()
                if due is None or due > self._now:
                    break
                if not self._write(link, direction, flow, sink):
                    break

    def _write(self, link: Link, direction: Direction, flow: Flow, sink: socket.socket) -> bool:
        """Write the first pending piece, or as much as may pass; return whether to go on."""
        _, data = flow.pending[0]
        try:
            if not data:
                flow.pending.popleft()
                flow.sink_ended = True
                sink.shutdown(socket.SHUT_WR)
                return False
            sent = sink.send(
                data if flow.faults.remaining is None else data[: flow.faults.remaining]
            )
        except BlockingIOError:
            return False
        except OSError:
            link.lose(SINK[direction])
            return False
        flow.take(sent)
        with self._changed:
            self._delivered[direction] += sent
            self._changed.notify_all()
        if flow.faults.remaining is not None:
            flow.faults.remaining -= sent
            if not flow.faults.remaining:
                self._reach_limit(link, direction)
        return True

    def _reach_limit(self, link: Link, direction: Direction) -> None:
        flow = link.flows[direction]
        flow.faults.remaining = None
        for side in ("client", "server"):
            if flow.faults.then == "rst":
                link.reset(side)
            elif flow.faults.then == "fin":
                link.finish(side)
        if flow.faults.then == "cut":
            flow.faults.cut = True
            flow.drop()

    def _forget_ended_links(self) -> None:
        ended = [link for link in self._links if self._is_over(link)]
        for link in ended:
            link.close()
            self._links.remove(link)
        if ended:
            with self._changed:
                self._open = len(self._links)
                self._changed.notify_all()

    def _is_over(self, link: Link) -> bool:
        if link.silent:
            return link.flows["to_server"].source_ended
        return all(flow.done for flow in link.flows.values())
