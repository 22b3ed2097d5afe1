"""REST and chat on one network: the same proxies, certificates and refusals for both."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from connectycube import (
    ApiConnectTimeoutError,
    ApiNetworkError,
    ApiProxyError,
    ApiTimeoutError,
    ArgumentValueError,
    CertificateError,
    Chat,
    Config,
    ConnectTimeoutError,
    ConnectyCube,
    HostUnreachableError,
    ProxyError,
    ReconnectPolicy,
    RetryPolicy,
    Timeouts,
    TlsError,
    UnexpectedResponseError,
)
from connectycube.emulator import Emulator
from tests.support.certificates import OTHER_HOST
from tests.support.client_certificates import PASSWORD
from tests.support.inside import api_of
from tests.support.ports import free_port
from tests.support.scripted import ScriptedServer, stay_silent
from tests.support.scripted_http import ScriptedHttpServer, answer
from tests.support.tunnels import Tunnels
from tests.support.waiting import TIMEOUT

DOMAIN = "cube.example"
"""A host that no client here can look up, so only a proxy can lead to it."""
KINDS = ["http", "https", "socks5h"]
BOTH = ["rest", "chat"]
VARIABLES = ("https_proxy", "all_proxy", "no_proxy", "http_proxy")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def _distant():
    with Emulator(domain=DOMAIN) as running:
        yield running


@pytest.fixture
def distant(_distant):
    """An emulator that is known by a name which only proxies can look up."""
    _distant.add_user("alice", "password")
    yield _distant
    _distant.reset()


@pytest.fixture
def proxy_of(certificates):
    """Starts a proxy of a scheme, with user and password."""
    with contextlib.ExitStack() as stack:

        def start(scheme, *, user="me", password="p:w@rd/ü", **options):
            if scheme == "https":
                options.setdefault("tls", certificates.valid)
            tunnels = Tunnels(scheme, user=user, password=password, **options)
            return stack.enter_context(tunnels)

        yield start


@pytest.fixture
def authorities(certificates, distant, tmp_path):
    """A file with the authorities of the emulator and of the proxies."""
    path = tmp_path / "authorities.pem"
    with open(distant.ca_file) as file:
        path.write_text(file.read() + certificates.ca_file.read_text())
    return path


def options_for(server, **options):
    values = {
        "api_url": f"https://{DOMAIN}:{server.https_port}",
        "chat_host": DOMAIN,
        "chat_port": server.chat_port,
        "retry": RetryPolicy(max_retries=0),
    }
    return server.config(**{**values, **options})


# --- proxies that work


@pytest.mark.parametrize("scheme", KINDS)
def test_rest_and_chat_go_through_one_proxy(distant, proxy_of, authorities, scheme):
    proxy, bob = proxy_of(scheme), distant.add_user("bob", "password")
    config = options_for(distant, proxy=proxy.url, ca_file=authorities)
    with ConnectyCube(config=config) as cube:
        cube.login(login="alice", password="password")
        cube.chat.login()
        cube.chat.ping()
        sent = cube.chat.send_private(bob, "x" * 100_000)
        assert len(sent.result().body) == 100_000
    assert set(proxy.targets) == {(DOMAIN, distant.https_port), (DOMAIN, distant.chat_port)}


@pytest.mark.parametrize("kind", BOTH)
def test_with_socks5_the_client_looks_names_up(distant, proxy_of, authorities, monkeypatch, kind):
    original = socket.getaddrinfo
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: here if host == DOMAIN else original(host, *rest, **more),
    )
    proxy = proxy_of("socks5")
    config = options_for(distant, proxy=proxy.url, ca_file=authorities)
    reach(kind, config)
    assert {host for host, _ in proxy.targets} == {"127.0.0.1"}


def reach(kind, config):
    """Log in over REST, or open the chat; raise why that fails."""
    if kind == "rest":
        with ConnectyCube(config=config) as cube:
            cube.login(login="alice", password="password")
        return
    chat = Chat(config.replace(reconnect=ReconnectPolicy(max_attempts=0)))
    try:
        chat.login(1, "password")
    finally:
        chat.destroy()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_used(
    distant, proxy_of, authorities, monkeypatch, variable, kind
):
    proxy = proxy_of("http")
    monkeypatch.setenv(variable, proxy.url)
    reach(kind, options_for(distant, ca_file=authorities))
    assert proxy.targets


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("how", ["trust_env", "NO_PROXY", "HTTP_PROXY"])
def test_the_environment_is_not_used_where_it_must_not_be(
    emulator, proxy_of, certificates, monkeypatch, how, kind
):
    proxy = proxy_of("http")
    monkeypatch.setenv("HTTP_PROXY" if how == "HTTP_PROXY" else "ALL_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", f"other.example,.{OTHER_HOST}" if how == "NO_PROXY" else "")
    original = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: original(
            "127.0.0.1" if host == OTHER_HOST else host, *rest, **more
        ),
    )
    with ScriptedHttpServer(tls=certificates.wrong_host) as server:
        server.respond(lambda request: answer(404))
        config = Config(
            app_id=1,
            auth_key="key",
            api_url=f"https://{OTHER_HOST}:{server.port}",
            chat_host=OTHER_HOST,
            chat_port=server.port,
            ca_file=certificates.ca_file,
            trust_env=how != "trust_env",
            retry=RetryPolicy(max_retries=0),
            timeouts=Timeouts(login=0.5),
        )
        with pytest.raises(Exception, match=r"404|in time|stream|link"):
            reach(kind, config)
        server.wait_for_connections()
    assert proxy.targets == []


def test_this_machine_is_reached_without_the_proxy(emulator, proxy_of):
    proxy = proxy_of("http")
    emulator.add_user("alice", "password")
    with ConnectyCube(config=emulator.config(proxy=proxy.url)) as cube:
        cube.login(login="alice", password="password")
        cube.chat.login()
        uploaded = cube.files.upload(b"content", name="a.txt")
        assert cube.files.download(uploaded) == b"content"
    assert (proxy.targets, proxy.heads) == ([], [])


def test_rest_reads_and_writes_megabytes_through_tls_in_tls(proxy_of, certificates):
    proxy = proxy_of("https")
    content = bytes(range(256)) * 8_000
    with ScriptedHttpServer(tls=certificates.wrong_host) as server:
        server.respond(lambda request: answer(200, content=request.content or content))
        config = Config(
            app_id=1,
            auth_key="key",
            api_url=f"https://{OTHER_HOST}:{server.port}",
            ca_file=certificates.ca_file,
            proxy=proxy.url,
        )
        with ConnectyCube(config=config) as cube:
            for _ in range(3):
                assert cube.files.download("uid") == content
        assert len(proxy.targets) == 1, "the tunnel is kept and used again"


# --- proxies that do not


def config_through(certificates, url, **options):
    return Config(
        **{
            "app_id": 1,
            "auth_key": "the-auth-key",
            "api_url": f"https://{OTHER_HOST}",
            "chat_host": OTHER_HOST,
            "ca_file": certificates.ca_file,
            "proxy": url,
            "retry": RetryPolicy(max_retries=2, delay=0.01),
            "timeouts": Timeouts(rest_connect=TIMEOUT, rest_read=TIMEOUT),
            **options,
        }
    )


def refused(kind, config):
    """Return the error of REST or chat, which names the proxy and no password."""
    with pytest.raises(ApiProxyError if kind == "rest" else ProxyError) as caught:
        reach(kind, config)
    assert "S3CRET" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("scheme", KINDS)
def test_a_refused_password_is_told_once_and_not_repeated(proxy_of, certificates, scheme, kind):
    proxy = proxy_of(scheme, password="the right one")
    wrong = f"{scheme}://me:S3CRET@localhost:{proxy.port}"
    error = refused(kind, config_through(certificates, wrong))
    assert f"through the proxy {proxy.address}: it refused the user and password" in str(error)
    assert proxy.targets == []
    if scheme != "socks5h":
        assert len(proxy.heads) == 1


@pytest.mark.parametrize("kind", BOTH)
def test_a_refused_password_is_not_sent_to_the_proxys_other_addresses(
    proxy_of, certificates, monkeypatch, kind
):
    proxy, original = proxy_of("http", password="the right one"), socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: (
            [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{number}", proxy.port))
                for number in (2, 1, 3)  # nobody listens at the others
            ]
            if host == "localhost"
            else original(host, *rest, **more)
        ),
    )
    url = f"http://me:S3CRET@localhost:{proxy.port}"
    assert "refused the user and password" in str(refused(kind, config_through(certificates, url)))
    assert len(proxy.heads) == 1


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("scheme", KINDS)
def test_a_proxy_that_wants_a_password_says_so(proxy_of, certificates, scheme, kind):
    proxy = proxy_of(scheme)
    error = refused(kind, config_through(certificates, proxy.address))
    assert "it wants a user and a password" in str(error)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("scheme", KINDS)
def test_a_proxy_that_is_down_is_named(certificates, scheme, kind):
    port = free_port()
    url = f"{scheme}://me:S3CRET@127.0.0.1:{port}"
    error = refused(kind, config_through(certificates, url))
    assert f"the proxy {scheme}://127.0.0.1:{port}: Connection refused" in str(error)
    if kind == "rest":
        assert error.is_temporary


@pytest.mark.parametrize("kind", BOTH)
def test_a_proxy_address_that_never_answers_leaves_time_for_the_others(
    distant, proxy_of, authorities, monkeypatch, kind
):
    proxy, original = proxy_of("http"), socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: (
            [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{number}", proxy.port))
                for number in (2, 1)
            ]
            if host == "localhost"
            else original(host, *rest, **more)
        ),
    )
    config = options_for(
        distant,
        proxy=proxy.url,
        ca_file=authorities,
        timeouts=Timeouts(rest_connect=2.0, connect=2.0),
    )
    with socket.create_server(("127.0.0.2", proxy.port)):  # it accepts, and never says a word
        reach(kind, config)
    assert len(proxy.targets) == 1


@pytest.mark.parametrize("kind", BOTH)
def test_a_proxy_without_an_address_is_named(certificates, kind):
    error = refused(kind, config_through(certificates, "http://me:S3CRET@proxy.invalid:1"))
    assert "the proxy http://proxy.invalid:1: its host name has no address" in str(error)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", "it answered 502"),
        (b"HTTP/1.1 403 No\r\n\r\n", "it answered 403"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5_000, "more than 16384 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0", "before the server"),
        (b"", "it closed the connection"),
    ],
)
def test_what_a_proxy_says_instead_is_told(certificates, said, words, kind):
    def script(conn):
        conn.expect("\r\n\r\n")
        conn.send(said)
        conn.fin()
        conn.expect_end()

    with ScriptedServer(script) as proxy:
        url = f"http://me:S3CRET@localhost:{proxy.port}"
        assert words in str(refused(kind, config_through(certificates, url)))


def drip(conn):
    conn.expect("\r\n\r\n")
    conn.send("HTTP/1.1 200 OK\r\n")
    for _ in range(10_000):
        conn.send("X")
        time.sleep(0.02)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("scheme", "script"), [*((scheme, stay_silent) for scheme in KINDS), ("http", drip)]
)
def test_a_proxy_that_never_finishes_ends_at_the_connect_time_out(
    certificates, script, scheme, kind
):
    with ScriptedServer(script) as proxy:
        config = config_through(
            certificates,
            f"{scheme}://me:S3CRET@localhost:{proxy.port}",
            timeouts=Timeouts(rest_connect=0.3, connect=0.3),
            retry=RetryPolicy(max_retries=0),
        )
        started = time.monotonic()
        with pytest.raises((ApiConnectTimeoutError, ConnectTimeoutError)) as caught:
            reach(kind, config)
        assert time.monotonic() - started < TIMEOUT / 2
        words = f"the proxy {scheme}://localhost:{proxy.port} did not answer "
        assert words in str(caught.value)
        assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("scheme", KINDS)
def test_a_login_that_is_given_up_leaves_a_silent_proxy_at_once(certificates, scheme):
    with ScriptedServer(stay_silent) as proxy:
        url = f"{scheme}://localhost:{proxy.port}"
        chat = Chat(config_through(certificates, url, timeouts=Timeouts(connect=60, login=60)))
        errors = []

        def log_in():
            try:
                chat.login(1, "password")
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=log_in)
        thread.start()
        proxy.wait_for_connections()
        started = time.monotonic()
        chat.destroy()
        thread.join(TIMEOUT)
        assert time.monotonic() - started < TIMEOUT / 2
        assert len(errors) == 1
        proxy.wait_for_ends()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("target", "words"), [("wrong_host", "Hostname mismatch"), ("common_name", "mismatch")]
)
def test_the_certificate_of_a_proxy_is_verified(proxy_of, certificates, target, words, kind):
    proxy = proxy_of("https", tls=getattr(certificates, target))
    error = refused(kind, config_through(certificates, proxy.url))
    assert f"the proxy {proxy.address}: its certificate is not accepted: " in str(error)
    assert words in str(error)
    assert proxy.heads == []


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("scheme", KINDS)
def test_the_servers_certificate_is_verified_through_a_proxy(proxy_of, certificates, scheme, kind):
    proxy = proxy_of(scheme)
    with ScriptedServer(stay_silent, tls=certificates.valid) as server:  # for another host
        config = config_through(
            certificates,
            proxy.url,
            api_url=f"https://{OTHER_HOST}:{server.port}",
            chat_port=server.port,
        )
        with pytest.raises((ApiNetworkError, CertificateError), match="Hostname mismatch"):
            reach(kind, config)
    assert server.received == b""


@pytest.mark.parametrize("kind", BOTH)
def test_a_server_that_is_down_behind_a_proxy_is_not_the_proxys_address(certificates, kind):
    config = config_through(
        certificates, None, api_url="https://localhost:1", chat_host="localhost"
    )
    config = config.replace(chat_port=free_port(), api_url=f"https://localhost:{free_port()}")
    with pytest.raises((ApiNetworkError, HostUnreachableError), match="Connection refused"):
        reach(kind, config)


def test_a_wrong_variable_is_named_before_anything_is_sent(certificates, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks4://me:S3CRET@p:1")
    config = config_through(certificates, None)
    with pytest.raises(ArgumentValueError, match=r"^HTTPS_PROXY must ") as caught:
        ConnectyCube(config=config)
    with pytest.raises(ArgumentValueError, match=r"^HTTPS_PROXY must "):
        Chat(config).login(1, "password")
    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("scheme", [None, *KINDS])
def test_a_handshake_that_hangs_is_told_with_its_own_bound(proxy_of, certificates, scheme, kind):
    proxy = proxy_of(scheme) if scheme else None
    with ScriptedServer(stay_silent) as server:
        host = OTHER_HOST if proxy else "localhost"
        config = config_through(
            certificates,
            proxy and proxy.url,
            api_url=f"https://{host}:{server.port}",
            chat_host=host,
            chat_port=server.port,
            timeouts=Timeouts(rest_connect=0.3, rest_read=30, connect=0.3),
            retry=RetryPolicy(max_retries=0),
        )
        with pytest.raises((ApiTimeoutError, ConnectTimeoutError)) as caught:
            reach(kind, config)
    bound = "within 0.3 s" if kind == "rest" else "in time"
    where = f"port {server.port}" + (f" behind the proxy {proxy.address}" if proxy else "")
    assert f"{where} did not complete the TLS handshake {bound}" in str(caught.value)


# --- certificates of clients


def mutual(client_certificates, certificates, server, **options):
    return Config(
        app_id=1,
        auth_key="the-auth-key",
        api_url=f"https://localhost:{server.port}",
        chat_host="localhost",
        chat_port=server.port,
        ca_file=certificates.ca_file,
        retry=RetryPolicy(max_retries=0),
        **options,
    )


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_rest_and_chat_show_the_client_certificate(
    client_certificates, certificates, version, own_tls_version
):
    context = own_tls_version(client_certificates.context, version)
    seen = []

    def script(conn):
        seen.append(conn.expect("POST /session|<stream:stream")[0])
        conn.reset()

    with ScriptedServer(script, tls=context) as server:
        config = mutual(
            client_certificates,
            certificates,
            server,
            client_cert=client_certificates.cert,
            client_key=client_certificates.encrypted,
            client_key_password=PASSWORD,
        )
        for kind in BOTH:
            with pytest.raises(Exception, match=r"reset|broke|without|TLS failed"):
                reach(kind, config)
    assert seen == [b"POST /session", b"<stream:stream"]


@pytest.fixture
def own_tls_version():
    """Sets the only version of a shared context, and takes that back."""
    changed = []

    def set_version(context, name):
        changed.append((context, context.minimum_version, context.maximum_version))
        context.maximum_version = context.minimum_version = ssl.TLSVersion[name]
        return context

    yield set_version
    for context, minimum, maximum in changed:
        context.minimum_version, context.maximum_version = minimum, maximum


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("version", "file", "words"),
    [
        ("TLSv1_3", None, "give client_cert"),
        ("TLSv1_3", "expired", "client_cert: it has expired"),
        ("TLSv1_3", "foreign", "client_cert: it does not know its authority"),
        ("TLSv1_2", None, "client_cert"),
        ("TLSv1_2", "expired", "client_cert: it has expired"),
        ("TLSv1_2", "foreign", "client_cert: it does not know its authority"),
    ],
)
def test_a_client_certificate_that_is_refused_is_named(
    client_certificates, certificates, own_tls_version, version, file, words, kind
):
    context = own_tls_version(client_certificates.context, version)
    cert = None if file is None else getattr(client_certificates, file)
    with ScriptedServer(stay_silent, tls=context) as server:
        config = mutual(client_certificates, certificates, server, client_cert=cert)
        with pytest.raises((ApiNetworkError, TlsError), match=words):
            reach(kind, config)
    assert server.received == b""


@pytest.mark.parametrize("kind", BOTH)
def test_a_wrong_password_of_a_key_is_named_before_anything_is_sent(
    client_certificates, certificates, kind
):
    with ScriptedServer(stay_silent) as server:
        config = mutual(
            client_certificates,
            certificates,
            server,
            client_cert=client_certificates.cert,
            client_key=client_certificates.encrypted,
            client_key_password="WR0NG",
        )
        with pytest.raises(ArgumentValueError, match="client_key_password is wrong"):
            reach(kind, config)
        assert server.connections == []


def test_a_proxy_is_not_shown_the_client_certificate(proxy_of, client_certificates, certificates):
    proxy = proxy_of("https", tls=client_certificates.context)
    config = config_through(certificates, proxy.url, client_cert=client_certificates.whole)
    refused("rest", config)
    assert proxy.heads == []


# --- what the service may name


def test_a_download_is_not_led_from_another_machine_to_this_one(proxy_of, certificates):
    proxy = proxy_of("http")
    with (
        ScriptedHttpServer() as inside,
        ScriptedHttpServer(tls=certificates.wrong_host) as server,
    ):
        places = [inside.url, f"http://127.0.0.1:{inside.port}", f"https://127.0.0.1:{inside.port}"]
        config = config_through(
            certificates, proxy.url, api_url=f"https://{OTHER_HOST}:{server.port}"
        )
        with ConnectyCube(config=config) as cube:
            for place in places:
                server.play(answer(302, headers=[("Location", f"{place}/x")]))
                with pytest.raises(UnexpectedResponseError, match="not safe"):
                    cube.files.download("uid")
        assert inside.connections == []
        assert api_of(cube).config is config
