"""The emulator's life, and that it is an independent reading of the protocol."""

from __future__ import annotations

import ast
import asyncio
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest
import requests
import slixmpp

import connectycube.emulator
from connectycube.config import Config
from connectycube.emulator import Emulator
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.support.crowd import meet
from tests.support.wire_client import HEADER, Client

SOURCES = sorted(Path(connectycube.emulator.__file__).parent.rglob("*.py"))
FORBIDDEN = {"xmpp", "slixmpp", "requests", "blinker"}
ALLOWED_OWN = {"errors", "config", "_checks", "_containers", "_secrets", "emulator"}


def imported(path):
    package = ["connectycube", "emulator", *path.relative_to(SOURCES[0].parent).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield ".".join([*module, alias.name])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_shares_nothing_with_the_client(path):
    for name in imported(path):
        top, *rest = name.split(".")
        assert top not in FORBIDDEN, name
        assert top != "connectycube" or rest[0] in ALLOWED_OWN, name


def test_start_and_stop_are_idempotent_and_leave_nothing():
    emulator = Emulator()
    emulator.stop()
    with emulator:
        assert emulator.start() is emulator
        ca_file, ports = emulator.ca_file, (emulator.api_port, emulator.chat_port)
        assert os.path.isfile(ca_file)
        assert 0 not in ports
    emulator.stop()
    assert not os.path.exists(ca_file)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


def test_second_start_has_the_same_ports_and_authority_and_no_data():
    emulator = Emulator()
    with emulator:
        user = emulator.add_user("alice", "secret")
        before = emulator.environment(), Path(emulator.ca_file).read_bytes()
    with emulator:
        assert (emulator.environment(), Path(emulator.ca_file).read_bytes()) == before
        assert emulator.add_user("alice", "secret") == user


def test_stop_says_goodbye_to_clients(own_emulator):
    with Client(own_emulator) as client:
        client.log_in(own_emulator.add_user("alice", "secret"))
        own_emulator.stop()
        assert client.stream_error() == "system-shutdown"


def test_stop_is_quick_whatever_clients_do(own_emulator):
    emulator = own_emulator
    with (
        socket.create_connection(("127.0.0.1", emulator.chat_port), 5) as silent,
        socket.create_connection(("127.0.0.1", emulator.chat_port), 5) as half,
        socket.create_connection(("127.0.0.1", emulator.api_port), 5) as http,
        socket.create_connection(("127.0.0.1", emulator.https_port), 5) as https,
        socket.create_connection(("127.0.0.1", emulator.storage_https_port), 5),
        requests.Session() as idle,
        Client(emulator) as nobody,
        Client(emulator) as somebody,
    ):
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        https.sendall(b"\x16\x03\x01\x02\x00\x01")
        idle.get(f"{emulator.https_url}/session", timeout=5, verify=emulator.ca_file)
        http.sendall(b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        idle.get(f"{emulator.api_url}/session", timeout=5)
        nobody.open()
        somebody.log_in(emulator.add_user("alice", "secret")).enable()
        stopper = threading.Thread(target=emulator.stop)
        stopper.start()
        stopper.join(3)
        assert not stopper.is_alive()
        silent.close()


def test_taken_port_is_an_error_that_leaves_nothing(emulator):
    servers = ("api", "chat", "storage", "websocket", "https", "storage_https")
    for name in (f"{server}_port" for server in servers):
        other = Emulator(**{name: getattr(emulator, name)})
        with pytest.raises(OSError, match="in use"):
            other.start()
        with pytest.raises(RuntimeError, match="not running"):
            other.add_user("alice", "secret")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"app_id": 0}, ArgumentValueError),
        ({"app_id": "1"}, ArgumentTypeError),
        ({"auth_key": ""}, ArgumentValueError),
        ({"domain": "a b"}, ArgumentValueError),
        ({"api_port": 65536}, ArgumentValueError),
        ({"chat_port": -1}, ArgumentValueError),
        ({"websocket_port": "1"}, ArgumentTypeError),
        ({"https_port": 65536}, ArgumentValueError),
        ({"storage_https_port": True}, ArgumentTypeError),
        ({"offline_messages": 1}, ArgumentTypeError),
        ({"nonsense": 1}, TypeError),
    ],
)
def test_wrong_arguments_are_named(arguments, error):
    (name,) = arguments
    with pytest.raises(error, match=name):
        Emulator(**arguments)


def test_keys_are_in_no_repr():
    emulator = Emulator(auth_key="k3y", auth_secret="s3cret")
    assert "k3y" not in repr(emulator)
    assert "s3cret" not in repr(emulator)


def test_environment_and_config_agree():
    with Emulator(app_id=7, auth_key="k", auth_secret="s") as emulator:
        assert Config.from_env(emulator.environment()) == emulator.config()
        config = emulator.config(workers=3)
        assert (config.workers, config.app_id, config.ca_file) == (3, 7, emulator.ca_file)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "chat.example.test"])
def test_certificate_holds_for_domain_and_loopback(name):
    with Emulator(domain="chat.example.test") as emulator:
        context = ssl.create_default_context(cafile=emulator.ca_file)
        with (
            socket.create_connection(("127.0.0.1", emulator.chat_port), 5) as raw,
            context.wrap_socket(raw, server_hostname=name) as tls,
        ):
            tls.sendall(HEADER.replace("localhost", "chat.example.test").encode())
            assert b"chat.example.test" in tls.recv(1000)
        assert emulator.config().chat_host == "chat.example.test"


def test_calls_come_from_any_thread_at_once(emulator):
    made = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(emulator.add_user(f"user{n}", "secret")))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20


def test_two_emulators_know_nothing_of_each_other(emulator, alice):
    with Emulator() as other:
        assert other.add_user("somebody", "secret") == alice
        with Client(other) as client:
            assert client.log_in(alice).sync() == []
        assert emulator.sessions() == []


# On Python 3.10 slixmpp does not close the transport of a link that was reset.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function _SSLProtocolTransport"
    ":pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.referee("slixmpp")
def test_slixmpp_chats_pings_resumes_and_gets_copies(emulator, alice, bob):
    asyncio.run(asyncio.wait_for(_slixmpp(emulator, alice, bob), 20))


async def _slixmpp(emulator, alice, bob):
    desk, phone, other = (
        _slixmpp_client(emulator, user, resource)
        for user, resource in ((alice, "desk"), (alice, "phone"), (bob, "other"))
    )
    clients = (desk, phone, other)
    try:
        await asyncio.gather(*(client.wait_until("session_start", 5) for client in clients))
        for client in clients:
            client.send_presence()
            await client.plugin["xep_0199"].ping("localhost", timeout=5)
        await phone.plugin["xep_0280"].enable()
        copied = asyncio.create_task(phone.wait_until("carbon_sent", 5))
        heard = asyncio.create_task(other.wait_until("message", 5))
        await asyncio.sleep(0)
        desk.send_message(mto=f"{bob}-1@localhost", mbody="hé 😀", mtype="chat")
        message = await heard
        assert message["body"] == "hé 😀"
        assert message["from"] == desk.boundjid
        assert (await copied)["carbon_sent"]["body"] == "hé 😀"
        lost = asyncio.create_task(other.wait_until("disconnected", 5))
        resumed = asyncio.create_task(other.wait_until("session_resumed", 5))
        heard = asyncio.create_task(other.wait_until("message", 5))
        await asyncio.sleep(0)
        emulator.cut(bob)
        desk.send_message(mto=f"{bob}-1@localhost", mbody="meanwhile", mtype="chat")
        await lost
        other.connect(emulator.host, emulator.chat_port)
        await resumed
        assert (await heard)["body"] == "meanwhile"
    finally:
        for client in clients:
            await client.disconnect()


def _slixmpp_client(emulator, user, resource):
    client = slixmpp.ClientXMPP(f"{user}-1@localhost/{resource}", "secret")
    client.enable_direct_tls, client.enable_starttls, client.enable_plaintext = True, False, False
    client.ca_certs = emulator.ca_file
    for plugin in ("xep_0198", "xep_0199", "xep_0280"):
        client.register_plugin(plugin)
    client.connect(emulator.host, emulator.chat_port)
    return client


def test_two_hundred_clients_at_once_get_everything_exactly_once(emulator):
    logins = [f"user{number}" for number in range(200)]
    for login in logins:
        emulator.add_user(login, "secret")
    got, _ = meet(emulator, logins)
    assert got == [[f"from {(number - 1) % 200}"] for number in range(200)]
    dialogs = [emulator.private_dialog(number, number % 200 + 1) for number in range(1, 201)]
    assert all(len(emulator.messages(dialog)) == 1 for dialog in dialogs)
