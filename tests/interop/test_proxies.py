"""REST and chat through proxies that others wrote: an emulator whose name those alone can look up."""

from __future__ import annotations

import contextlib
import socket

import pytest

from connectycube import (
    ApiProxyError,
    Chat,
    ChatState,
    ConnectyCube,
    ProxyError,
    ReconnectPolicy,
    RetryPolicy,
)
from connectycube.emulator import Emulator
from tests.interop.proxies import Microsocks, Stunnel, Tinyproxy
from tests.support.waiting import wait_until

DOMAIN, UNKNOWN = "cube.example", "unknown.example"
NAMES = {DOMAIN: "127.0.0.1"}
PROXIES = [
    pytest.param("tinyproxy", marks=pytest.mark.referee("tinyproxy")),
    pytest.param(
        "stunnel", marks=[pytest.mark.referee("tinyproxy"), pytest.mark.referee("stunnel")]
    ),
    pytest.param("microsocks", marks=pytest.mark.referee("microsocks")),
]


@pytest.fixture(scope="module")
def _distant():
    with Emulator(domain=DOMAIN) as running:
        yield running


@pytest.fixture
def distant(_distant):
    _distant.add_user("alice", "password")
    _distant.add_user("bob", "password")
    yield _distant
    _distant.reset()


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request, tmp_path_factory, certificates):
    """A running proxy of each kind, one after the other."""
    folder = tmp_path_factory.mktemp("proxies")
    with contextlib.ExitStack() as stack:
        kind = Microsocks if request.param == "microsocks" else Tinyproxy
        running = stack.enter_context(kind(folder / "proxy", NAMES))
        if request.param == "stunnel":
            running = stack.enter_context(Stunnel(folder / "tls", certificates, running))
        yield running


@pytest.fixture
def config(distant, certificates, tmp_path):
    """Makes the Config of a client behind a proxy."""
    authorities = tmp_path / "authorities.pem"
    with open(distant.ca_file) as file:
        authorities.write_text(file.read() + certificates.ca_file.read_text())

    def make(url, host=DOMAIN, **options):
        values = {
            "api_url": f"https://{host}:{distant.https_port}",
            "chat_host": host,
            "ca_file": authorities,
            "proxy": url,
            "retry": RetryPolicy(max_retries=0),
        }
        return distant.config(**{**values, **options})

    return make


def talk(config):
    """Have alice write to bob: both log in over REST and in the chat."""
    with ConnectyCube(config=config) as alice, ConnectyCube(config=config) as bob:
        for cube, name in ((alice, "alice"), (bob, "bob")):
            cube.login(login=name, password="password")
            cube.chat.login()
        with bob.chat.events(bob.chat.message_received) as events:
            text = "x" * 150_000  # many records of TLS
            alice.chat.send_private(bob.user.id, text).result()
            assert next(iter(events)).body == text
        assert alice.dialogs.list()[0].last_message == text


def test_rest_and_chat_work_through_a_proxy(proxy, config):
    talk(config(proxy.url()))


def test_the_environment_names_a_proxy(proxy, config, monkeypatch):
    monkeypatch.setenv("all_proxy", proxy.url())
    talk(config(None))


@pytest.mark.referee("microsocks")
def test_with_socks5_the_proxy_is_told_addresses(tmp_path, config, monkeypatch):
    original = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: original(NAMES.get(host, host), *rest, **more),
    )
    with Microsocks(tmp_path / "without-names", {}) as proxy:
        talk(config(proxy.url(scheme="socks5")))


def refusals(config):
    """Return the errors of REST and chat."""
    with ConnectyCube(config=config) as cube, pytest.raises(ApiProxyError) as of_rest:
        cube.login(login="alice", password="password")
    chat = Chat(config.replace(reconnect=ReconnectPolicy(max_attempts=0)))
    with pytest.raises(ProxyError) as of_chat:
        chat.login(1, "password")
    chat.destroy()
    return of_rest.value, of_chat.value


def test_a_wrong_password_is_refused(proxy, config):
    for error in refusals(config(proxy.url("WR0NG"))):
        assert f"through the proxy {proxy.address}: " in str(error)
        assert "refused the user and password" in str(error)
        assert "WR0NG" not in str(error)


def test_a_missing_password_is_asked_for(proxy, config):
    for error in refusals(config(proxy.address)):
        assert f"the proxy {proxy.address}: it wants a user and a password" in str(error)


def test_a_server_that_the_proxy_does_not_find_is_told(proxy, config):
    for error in refusals(config(proxy.url(), UNKNOWN)):
        assert f"through the proxy {proxy.address}: " in str(error)


@pytest.mark.referee("tinyproxy")
@pytest.mark.referee("microsocks")
@pytest.mark.parametrize("kind", [Tinyproxy, Microsocks])
def test_a_chat_comes_back_when_its_proxy_does(tmp_path, config, kind):
    with kind(tmp_path / "own", NAMES) as proxy:
        settings = config(
            proxy.url(), reconnect=ReconnectPolicy(max_attempts=None, delay=0.05, max_delay=0.1)
        )
        with ConnectyCube(config=settings) as cube:
            cube.login(login="alice", password="password")
            cube.chat.login()
            proxy.stop()
            wait_until(lambda: cube.chat.state is not ChatState.READY, "the link is lost")
            for error in refusals(settings):
                assert f"the proxy {proxy.address}: Connection refused" in str(error)
            proxy.start()
            wait_until(lambda: cube.chat.state.name in ("READY", "RESUMED"), "the chat is back")
            cube.chat.ping()
