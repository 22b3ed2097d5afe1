"""What anybody on this machine can keep waiting, and that the others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time

import pytest
import requests

from connectycube.emulator import Emulator
from connectycube.emulator.net import bounds as bounds_module
from connectycube.emulator.net import listener
from connectycube.emulator.net.bounds import Bounds, most_connections, quiet_accept
from tests.support.inside import on_emulator
from tests.support.waiting import wait_until
from tests.support.websocket_client import WebSocketClient
from tests.support.wire_client import Client, connect_tls

PLAIN = ("api_port", "storage_port", "websocket_port", "control_port")
TLS = ("https_port", "storage_https_port")


def connected(emulator, port):
    if port in (*TLS, "chat_port"):
        context = ssl.create_default_context(cafile=emulator.ca_file)
        return connect_tls(context, (emulator.host, getattr(emulator, port)), "localhost")
    return socket.create_connection((emulator.host, getattr(emulator, port)), 5)


def read_all(connection):
    """Return what comes until the other end closes the connection."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            data += piece
    return data


class TestHeads:
    @pytest.mark.parametrize("port", [*PLAIN, *TLS])
    @pytest.mark.parametrize(
        "sent", [b"", b"GET / HT", b"POST /session HTTP/1.1\r\nHost: localhost\r\nA: b"]
    )
    def test_a_head_that_never_ends_is_given_up(self, port, sent):
        with Emulator(handshake_seconds=0.1) as emulator, connected(emulator, port) as slow:
            slow.sendall(sent)
            answer = read_all(slow)
        # of the WebSocket the time of the handshake ends at the same moment, without words
        assert answer.startswith(b"HTTP/1.1 408 ") or not (sent and port != "websocket_port")

    def test_a_second_head_has_the_same_time(self):
        with Emulator(handshake_seconds=0.1) as emulator, connected(emulator, "api_port") as slow:
            slow.sendall(b"GET /session HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert slow.recv(65536).startswith(b"HTTP/1.1 401 ")
            slow.sendall(b"GET /session HT")
            assert read_all(slow).startswith(b"HTTP/1.1 408 ")

    @pytest.mark.parametrize("port", PLAIN)
    @pytest.mark.parametrize("line", [b"X: " + b"a" * 8000 + b"\r\n", b"X: a\r\n"])
    def test_a_head_of_endless_lines_is_refused(self, emulator, port, line):
        with connected(emulator, port) as endless:
            with contextlib.suppress(ConnectionError):
                endless.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line * 100_000)
            answer = read_all(endless)
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")) or not answer
        assert requests.get(f"{emulator.api_url}/session", timeout=5).status_code == 401

    def test_a_client_that_is_idle_between_requests_is_kept(self):
        with Emulator(handshake_seconds=0.05) as emulator, requests.Session() as http:
            http.trust_env = False
            assert http.get(f"{emulator.api_url}/session", timeout=5).status_code == 401
            used = on_emulator(emulator, lambda service: service.tcp._bounds)
            with connected(emulator, "api_port") as silent:
                assert (
                    read_all(silent) == b""
                )  # its time is over, and so would be that of the other
            assert len(used) == 1
            assert http.get(f"{emulator.api_url}/session", timeout=5).status_code == 401


FORM = (
    b"POST /cb-shared-s3 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class TestBodies:
    @pytest.mark.parametrize(
        "piece",
        [
            b'--x\r\nContent-Disposition: form-data; name="x-ignore-%d"\r\n\r\n\r\n',
            b'--x\r\nContent-Disposition: form-data; name="x-ignore-%d"\r\n\r\n'
            + b"a" * 9000
            + b"\r\n",
            b'--x\r\nContent-Disposition: form-data; name="%d' + b"b" * 1000 + b'"\r\n\r\n\r\n',
        ],
    )
    def test_a_form_of_endless_fields_is_refused(self, emulator, piece):
        with connected(emulator, "storage_port") as endless:
            with contextlib.suppress(ConnectionError):
                endless.sendall(FORM)
                for start in range(0, 20_000, 1000):
                    fields = b"".join(piece % number for number in range(start, start + 1000))
                    endless.sendall(chunk(fields))
            assert b"MaxPostPreDataLengthExceeded" in endless.recv(65536)

    @pytest.mark.parametrize("piece", [b"\r\n" * 5000, b"a" * 5000 + b"\r\n"])
    def test_what_comes_before_a_form_has_a_bound(self, emulator, monkeypatch, piece):
        monkeypatch.setattr("connectycube.emulator.storage.server.MOST_BYTES", 1000)
        with connected(emulator, "storage_port") as endless:
            with contextlib.suppress(ConnectionError):
                endless.sendall(FORM + chunk(piece))
                for _ in range(100):
                    endless.sendall(chunk(piece))
            assert read_all(endless).startswith(b"HTTP/1.1 413 ")

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"a=&" * 3_000_000, "application/x-www-form-urlencoded"),
            (b"&" * 9_000_000, "application/x-www-form-urlencoded"),
            (b"a" + b"[b]" * 3_000_000 + b"=1", "application/x-www-form-urlencoded"),
            (b'{"a": [' + b"1," * 4_000_000 + b"1]}", "application/json"),
        ],
    )
    def test_what_would_take_long_to_read_is_refused_at_once(self, emulator, body, kind):
        headers = {"Content-Type": kind}
        began = time.process_time()
        answer = requests.post(
            f"{emulator.api_url}/session", data=body, headers=headers, timeout=20
        )
        assert answer.status_code in (400, 413)
        assert time.process_time() - began < 1.5  # 5 of the seconds of this process without a bound

    @pytest.mark.parametrize("port", ["api_port", "storage_port", "control_port", "https_port"])
    def test_a_body_that_never_ends_is_given_up(self, emulator, monkeypatch, port):
        monkeypatch.setattr(listener, "_BODY_SECONDS", 0.05)
        path = emulator.control_url.partition("/__")[1] + "emulator__/reset"
        head = FORM if port == "storage_port" else FORM.replace(b"/cb-shared-s3", b"/session")
        if port == "control_port":
            token = f"Authorization: Bearer {emulator.control_token}\r\nHost"
            head = head.replace(b"/session", f"/__{path[3:]}".encode()).replace(
                b"Host", token.encode()
            )
        with connected(emulator, port) as slow:
            slow.sendall(head + b"5\r\n--x\r\n")
            assert read_all(slow).startswith(b"HTTP/1.1 408 ")

    def test_all_bodies_together_have_a_bound(self, emulator, monkeypatch):
        monkeypatch.setattr(bounds_module, "_MOST_BODIES", 300_000)
        head = b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(connected(emulator, "api_port")) for _ in range(4)]
            refused = 0
            for connection in held:
                connection.sendall(head)
                for _ in range(4):
                    with contextlib.suppress(ConnectionError):
                        connection.sendall(b"x" * 30_000)
            wait_until(lambda: counted(emulator)._bodies > 200_000)
            held[0].settimeout(0.2)
            for connection in held:
                connection.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    refused += connection.recv(65536).startswith(b"HTTP/1.1 503 ")
            assert 1 <= refused <= 3
        wait_until(lambda: counted(emulator)._bodies == 0)
        assert requests.get(f"{emulator.api_url}/session", timeout=5).status_code == 401


def counted(emulator):
    return on_emulator(emulator, lambda service: service.tcp._bounds)


class TestConnections:
    @pytest.mark.parametrize("port", [*PLAIN, *TLS, "chat_port"])
    def test_silent_connections_keep_nobody_out(self, port, caplog):
        caplog.set_level(logging.WARNING)
        with Emulator(connections=8) as emulator, contextlib.ExitStack() as stack:
            alice = emulator.add_user("alice", "secret")
            for _ in range(40):
                address = (emulator.host, getattr(emulator, port))
                stack.enter_context(socket.create_connection(address, 5))
            for _ in range(3):
                assert requests.get(f"{emulator.api_url}/session", timeout=5).status_code == 401
                with Client(emulator) as client:
                    client.log_in(alice)
            assert len(counted(emulator)) <= 8
        assert len(caplog.records) == 1
        assert "for a new one" in caplog.text.lower()
        assert "Traceback" not in caplog.text

    def test_a_user_who_has_logged_in_is_never_put_out(self):
        with Emulator(connections=4) as emulator, contextlib.ExitStack() as stack:
            alice = emulator.add_user("alice", "secret")
            clients = [stack.enter_context(Client(emulator)).log_in(alice) for _ in range(4)]
            with pytest.raises(OSError), Client(emulator):
                pass
            for client in clients:
                client.sync()

    def test_a_connection_that_ended_makes_room(self):
        with Emulator(connections=2) as emulator:
            alice = emulator.add_user("alice", "secret")
            for _ in range(5):
                with Client(emulator) as one, WebSocketClient(emulator) as other:
                    one.log_in(alice)
                    other.log_in(alice)
                wait_until(lambda: len(counted(emulator)) == 0)


class One:
    def __init__(self, waits):
        self.waits_for_client = waits
        self.dropped = False

    def drop(self):
        self.dropped = True


def test_the_one_that_has_waited_longest_makes_room():
    async def run():
        bounds = Bounds(3, lambda: 30.0)
        busy, used, idle = One(False), One(True), One(True)
        for one in (busy, used, idle):
            assert bounds.add(one)
        bounds.used(used)
        assert bounds.add(One(False))
        assert (busy.dropped, used.dropped, idle.dropped) == (False, False, True)
        assert bounds.add(One(False))
        assert used.dropped
        assert not bounds.add(One(True))
        assert len(bounds) == 3
        bounds.remove(busy)
        bounds.remove(idle)
        assert bounds.add(One(True))

    asyncio.run(run())


@pytest.mark.parametrize(("soft", "most"), [(1024, 412), (256, 64), (1_000_000, 4096), (10, 64)])
def test_connections_leave_descriptors_for_everything_else(monkeypatch, soft, most):
    monkeypatch.setattr("resource.getrlimit", lambda _: (soft, soft))
    assert most_connections(4096) == most
    assert most_connections(5) == 5


def test_a_lack_of_descriptors_is_told_in_one_line(caplog):
    async def run():
        loop = asyncio.get_running_loop()
        quiet_accept(loop)
        for _ in range(100):
            context = {
                "message": "socket.accept() out of system resource",
                "exception": OSError(24, "no"),
            }
            loop.call_exception_handler(context)
        loop.call_exception_handler({"message": "another"})

    asyncio.run(run())
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
