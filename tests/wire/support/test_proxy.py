"""Each fault of the proxy, seen from plain sockets on both sides."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from tests.support.ports import free_port
from tests.support.proxy import FaultProxy
from tests.support.waiting import TIMEOUT, wait_until

QUIET = 0.1  # how long a reader waits before it believes that nothing comes


@pytest.fixture
def server():
    """A port at which the test itself accepts: it reads and writes on both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


@pytest.fixture
def proxy(server):
    with FaultProxy(*server.getsockname()) as made:
        yield made


@pytest.fixture
def connect(proxy, server):
    """Make connections through the proxy: each a pair of client and server socket."""
    with contextlib.ExitStack() as stack:

        def make() -> tuple[socket.socket, socket.socket]:
            client = stack.enter_context(
                socket.create_connection((proxy.host, proxy.port), timeout=5)
            )
            served = stack.enter_context(server.accept()[0])
            served.settimeout(5)
            return client, served

        yield make


def read(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = end.recv(count - len(data))
        assert piece, f"ended after {data!r}"
        data += piece
    return data


def assert_alive(client: socket.socket, server: socket.socket) -> None:
    client.sendall(b"ping")
    assert read(server, 4) == b"ping"
    server.sendall(b"pong")
    assert read(client, 4) == b"pong"


def assert_quiet(end: socket.socket) -> None:
    end.settimeout(QUIET)
    with pytest.raises(TimeoutError):
        end.recv(1)
    end.settimeout(5)


def assert_reset(end: socket.socket) -> None:
    with pytest.raises(ConnectionResetError):
        end.recv(1)


def test_bytes_pass_both_ways_and_are_counted(proxy, connect):
    client, served = connect()
    assert_alive(client, served)
    proxy.wait_for_bytes(4, "to_server", timeout=5)
    proxy.wait_for_bytes(4, "to_client", timeout=5)
    assert (proxy.bytes_to_server, proxy.bytes_to_client) == (4, 4)
    connect()
    proxy.wait_for_connection(2, timeout=5)
    assert (proxy.connections, proxy.open_connections) == (2, 2)


def test_many_bytes_arrive_whole_while_the_other_way_is_idle(connect):
    client, served = connect()
    sent = bytes(range(256)) * 20_000
    writer = threading.Thread(target=client.sendall, args=(sent,))
    writer.start()
    assert read(served, len(sent)) == sent
    writer.join()


def test_an_orderly_end_passes_and_leaves_the_other_direction_open(proxy, connect):
    client, served = connect()
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert read(served, 4) == b"last"
    assert served.recv(1) == b""
    served.sendall(b"answer")
    served.close()
    assert read(client, 6) == b"answer"
    assert client.recv(1) == b""
    proxy.wait_until_closed(timeout=5)


def test_a_reset_of_one_side_reaches_the_other(connect):
    client, served = connect()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert_reset(served)


def test_a_server_that_refuses_resets_the_client():
    with (
        FaultProxy("127.0.0.1", free_port()) as proxy,
        pytest.raises(ConnectionResetError),  # the reset may overtake the end of connect()
        socket.create_connection((proxy.host, proxy.port), timeout=5) as client,
    ):
        client.recv(1)


def test_rst_resets_both_sides_of_all_connections(proxy, connect):
    pairs = [connect(), connect()]
    proxy.rst()
    for client, served in pairs:
        assert_reset(client)
        assert_reset(served)
    assert proxy.open_connections == 0
    assert_alive(*connect())


def test_rst_of_the_client_alone_leaves_the_server_with_a_dead_connection(proxy, connect):
    client, served = connect()
    proxy.rst("client")
    assert_reset(client)
    assert_quiet(served)
    served.sendall(b"into the void")
    assert_quiet(served)
    served.close()
    proxy.wait_until_closed(timeout=5)


def test_fin_ends_both_streams_without_a_reset(proxy, connect):
    client, served = connect()
    assert_alive(client, served)
    proxy.fin()
    assert client.recv(1) == b""
    assert served.recv(1) == b""
    client.sendall(b"good-bye")
    served.sendall(b"good-bye")
    client.close()
    served.close()
    proxy.wait_until_closed(timeout=5)


def test_fin_to_the_client_alone_lets_its_last_words_and_its_end_pass(proxy, connect):
    client, served = connect()
    proxy.fin("client")
    assert client.recv(1) == b""
    client.sendall(b"good-bye")
    assert read(served, 8) == b"good-bye"
    client.close()
    assert served.recv(1) == b""


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_cut_loses_one_direction_with_its_end_and_keeps_the_other(proxy, connect, direction):
    client, served = connect()
    source, sink = (client, served) if direction == "to_server" else (served, client)
    proxy.cut(direction)
    source.sendall(b"lost")
    sink.sendall(b"passes")
    assert read(source, 6) == b"passes"
    assert_quiet(sink)
    source.close()
    assert_quiet(sink)
    sink.sendall(b"nobody reads this")
    assert_quiet(sink)


def test_a_cut_connection_stays_open_when_the_far_side_resets(proxy, connect):
    client, served = connect()
    proxy.cut()
    served.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    served.close()
    client.sendall(b"anybody there?")
    assert_quiet(client)


def test_after_heal_new_connections_are_whole_and_cut_ones_go_on(proxy, connect):
    client, served = connect()
    proxy.cut()
    client.sendall(b"lost")
    assert_quiet(served)
    proxy.heal()
    assert_alive(client, served)
    assert_alive(*connect())


def test_the_scope_of_a_fault_is_existing_or_future_connections(proxy, connect):
    old = connect()
    proxy.cut("to_client", scope="existing")
    new = connect()
    assert_alive(*new)
    old[1].sendall(b"lost")
    assert_quiet(old[0])
    proxy.heal()
    proxy.cut("to_client", scope="future")
    assert_alive(*new)
    newest = connect()
    newest[1].sendall(b"lost")
    assert_quiet(newest[0])


def test_frozen_bytes_and_ends_arrive_after_thaw(proxy, connect):
    client, served = connect()
    proxy.freeze()
    client.sendall(b"later")
    served.sendall(b"too")
    client.shutdown(socket.SHUT_WR)
    assert_quiet(served)
    assert_quiet(client)
    proxy.thaw()
    assert read(served, 5) == b"later"
    assert read(client, 3) == b"too"
    assert served.recv(1) == b""


def test_a_freeze_fills_the_senders_buffer_and_loses_nothing(proxy, connect):
    client, served = connect()
    proxy.freeze()
    client.settimeout(QUIET)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 200_000_000:
            sent += client.send(b"x" * 65536)
    proxy.thaw()
    assert len(read(served, sent)) == sent


def test_delay_holds_bytes_back_in_order(proxy, connect):
    client, served = connect()
    proxy.delay(0.15)
    began = time.monotonic()
    client.sendall(b"one ")
    wait_until(lambda: proxy._links[0].flows["to_server"].size == 4)
    proxy.delay(0)
    client.sendall(b"two")
    client.shutdown(socket.SHUT_WR)
    assert read(served, 7) == b"one two"
    assert served.recv(1) == b""
    assert 0.14 <= time.monotonic() - began < TIMEOUT


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("then", ["rst", "fin", "cut"])
def test_cut_after_lets_exactly_that_many_bytes_pass(proxy, connect, count, then):
    client, served = connect()
    proxy.cut_after(count, "to_server", then)
    told_when_sending = False
    try:
        client.sendall(b"0123456789")
    except ConnectionError:
        told_when_sending = True
    if then == "cut":
        assert read(served, count) == b"0123456789"[:count]
        assert_quiet(served)
        return
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := served.recv(10):
            received += piece
    assert received == b"0123456789"[:count]
    if then == "fin":
        assert client.recv(1) == b""
    elif not told_when_sending:
        assert_reset(client)


def test_cut_after_counts_each_future_connection_from_its_start(proxy, connect):
    first = connect()
    proxy.cut_after(3, "to_client", "cut", scope="future")
    assert_alive(*first)
    for _ in range(2):
        client, served = connect()
        served.sendall(b"abcdef")
        assert read(client, 3) == b"abc"
        assert_quiet(client)


def test_a_refused_port_accepts_again_and_existing_connections_live_on(proxy, connect):
    client, served = connect()
    proxy.refuse()
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((proxy.host, proxy.port), timeout=5)
    assert_alive(client, served)
    proxy.accept()
    proxy.accept()
    assert_alive(*connect())


def test_silent_accepts_reads_and_never_connects_on(proxy, server):
    proxy.silent()
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as client:
        client.sendall(b"hello?")
        proxy.wait_for_connection(1, timeout=5)
        assert_quiet(client)
        assert proxy.bytes_to_server == 0
    proxy.wait_until_closed(timeout=5)
    server.settimeout(QUIET)
    with pytest.raises(TimeoutError):
        server.accept()


def test_a_wait_that_ends_says_what_there_was(proxy):
    with pytest.raises(TimeoutError, match=r"2 connections; accepted 0"):
        proxy.wait_for_connection(2, timeout=0.01)


def test_outside_of_its_context_the_proxy_refuses_commands(server):
    proxy = FaultProxy(*server.getsockname())
    with pytest.raises(RuntimeError, match="with statement"):
        proxy.rst()
    with proxy:
        proxy.rst()
    with pytest.raises(RuntimeError, match="with statement"):
        proxy.rst()


def test_commands_from_many_threads_while_bytes_flow_break_nothing(proxy, connect):
    stop = threading.Event()

    def trouble() -> None:
        while not stop.is_set():
            proxy.freeze()
            proxy.delay(0.001)
            proxy.thaw()
            proxy.delay(0)

    threads = [threading.Thread(target=trouble) for _ in range(3)]
    client, served = connect()
    sent = bytes(range(256)) * 2000
    threads.append(threading.Thread(target=client.sendall, args=(sent,)))
    for thread in threads:
        thread.start()
    try:
        assert read(served, len(sent)) == sent
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_an_idle_proxy_uses_no_processor_time(proxy, connect):
    client, served = connect()
    assert_alive(client, served)
    proxy.cut()
    served.close()
    wait_until(lambda: proxy.open_connections == 1)
    before, began = time.process_time(), time.monotonic()
    assert_quiet(client)
    assert_quiet(client)
    assert time.process_time() - before < (time.monotonic() - began) / 2
