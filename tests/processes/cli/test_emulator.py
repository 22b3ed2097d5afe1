from __future__ import annotations

import functools
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import parse_qsl

import pytest
import requests

from connectycube import cli
from connectycube.config import Config
from tests.support.ports import free_port
from tests.support.scripted_http import ScriptedHttpServer, answer
from tests.support.waiting import TIMEOUT
from tests.support.websocket_client import WebSocketClient
from tests.support.wire_client import Client

COMMAND = [sys.executable, "-m", "connectycube"]


class Process:
    """``connectycube emulator`` with these arguments, read up to its line ``ready``."""

    def __init__(self, *arguments, **variables):
        self.process = subprocess.Popen(
            [*COMMAND, "emulator", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )
        self.lines = []
        while not self.lines or self.lines[-1] != "ready":
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(self.process.communicate()[1])
            self.lines.append(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        self.process.communicate(timeout=10)

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(10)


def evaluated(lines):
    """Return the environment that a shell has after it has evaluated the export lines."""
    script = "\n".join(line for line in lines if line.startswith("export "))
    shown = subprocess.run(
        ["sh", "-c", f'eval "$1"; exec {shlex.quote(sys.executable)} -c "$2"', "sh", script, _SHOW],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={"PATH": os.environ["PATH"]},
    )
    return dict(item.split("=", 1) for item in shown.stdout.split("\0") if item)


_SHOW = (
    "import os, sys; sys.stdout.write('\\0'.join("
    "f'{k}={v}' for k, v in os.environ.items() if k.startswith('CONNECTYCUBE_')))"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_works_and_ends_cleanly(number):
    with Process() as running:
        config = Config.from_env(evaluated(running.lines))
        answer = requests.post(
            f"{config.api_url}/session",
            json={"application_id": config.app_id, "auth_key": config.auth_key},
            timeout=5,
        )
        assert answer.status_code == 201
        socket.create_connection((config.chat_host, config.chat_port), 5).close()
        began = time.monotonic()
        assert running.end(number) == 0
        assert time.monotonic() - began < TIMEOUT
        assert not os.path.exists(config.ca_file)
        rest, errors = running.process.communicate(timeout=10)
    assert rest == ""
    assert "emulator" in errors
    assert len(errors.splitlines()) == 1


def test_options_reach_the_emulator_and_are_quoted_for_the_shell():
    secret = "a b'c\"$HOME`x`"
    with Process("--app-id", "9", "--auth-key", "$k", "--auth-secret", secret) as running:
        environment = evaluated(running.lines)
    assert environment["CONNECTYCUBE_APP_ID"] == "9"
    assert environment["CONNECTYCUBE_AUTH_KEY"] == "$k"
    assert environment["CONNECTYCUBE_AUTH_SECRET"] == secret


def test_secrets_may_come_from_the_environment_and_are_not_in_ps():
    secrets = {
        "CONNECTYCUBE_AUTH_SECRET": "canary-secret-77ab",
        "CONNECTYCUBE_CONTROL_TOKEN": "canary-token-5d1f",
    }
    with Process(**secrets) as running:
        environment = evaluated(running.lines)
        shown = subprocess.run(
            ["ps", "-o", "args=", "-p", str(running.process.pid)],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        body = {
            "application_id": 1,
            "auth_key": "key",
            "nonce": 1,
            "timestamp": 1,
            "signature": "x",
        }
        url = f"{environment['CONNECTYCUBE_API_URL']}/session"
        assert requests.post(url, json=body, timeout=5).status_code == 422, "it verifies with it"
    assert {name: environment[name] for name in secrets} == secrets
    assert "emulator" in shown
    assert "canary" not in shown


def test_an_option_wins_and_an_empty_variable_is_none():
    given = {"CONNECTYCUBE_AUTH_SECRET": "", "CONNECTYCUBE_CONTROL_TOKEN": "other"}
    with Process("--control-token", "mine", **given) as running:
        environment = evaluated(running.lines)
    assert environment["CONNECTYCUBE_CONTROL_TOKEN"] == "mine"
    assert "CONNECTYCUBE_AUTH_SECRET" not in environment


def test_switches_and_clock_are_options_and_the_control_api_is_announced():
    options = ("--offline-messages", "no", "--session-seconds", "60", "--advance", "3600")
    with Process(*options, "--control-token", "a $token") as running:
        environment = evaluated(running.lines)
        headers = {"Authorization": f"Bearer {environment['CONNECTYCUBE_CONTROL_TOKEN']}"}
        assert headers == {"Authorization": "Bearer a $token"}

        def control(path):
            url = f"{environment['CONNECTYCUBE_CONTROL_URL']}/{path}"
            return requests.get(url, headers=headers, timeout=5).json()["result"]

        switches = control("switches")
        assert (switches["offline_messages"], switches["session_seconds"]) == (False, 60)
        assert control("clock")["advanced"] == 3600


@pytest.mark.parametrize(
    ("option", "value"),
    [("--room-echo", "maybe"), ("--session-seconds", "long"), ("--repeated-message", "lose")],
)
def test_a_wrong_value_of_a_switch_is_named(capsys, option, value):
    assert cli.main(["emulator", option, value]) == 1
    assert option[2:].replace("-", "_") in capsys.readouterr().err


def test_files_go_to_the_storage_port():
    port = free_port()
    with Process("--storage-port", str(port)) as running:
        config = Config.from_env(evaluated(running.lines))
        body = {"application_id": config.app_id, "auth_key": config.auth_key, "user": {"guest": 1}}
        session = requests.post(f"{config.api_url}/session", json=body, timeout=5).json()["session"]
        blob = requests.post(
            f"{config.api_url}/blobs",
            json={"blob": {"name": "a", "content_type": "a/b"}},
            headers={"CB-Token": session["token"]},
            timeout=5,
        ).json()["blob"]
        form = blob["blob_object_access"]["params"]
        assert form.startswith(f"http://127.0.0.1:{port}/")
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_browsers_find_the_websocket_and_https():
    ports = [str(free_port()) for _ in range(2)]
    with Process("--websocket-port", ports[0], "--https-port", ports[1]) as running:
        environment = evaluated(running.lines)
        https, ca_file = environment["CONNECTYCUBE_HTTPS_URL"], environment["CONNECTYCUBE_CA_FILE"]
        assert https == f"https://127.0.0.1:{ports[1]}"
        assert requests.get(f"{https}/session", verify=ca_file, timeout=5).status_code == 401
        websocket = environment["CONNECTYCUBE_WEBSOCKET_URL"]
        assert websocket == f"ws://127.0.0.1:{ports[0]}"
        plain = requests.get(websocket.replace("ws:", "http:"), timeout=5)
        assert (plain.status_code, "RFC 7395" in plain.text) == (426, True)


def test_faults_of_the_command_line_act_from_the_start():
    with Process(
        "--fault", "rate_limit:retry_after=7,times=1", "--fault", "drop:on=chat"
    ) as running:
        url = evaluated(running.lines)["CONNECTYCUBE_API_URL"]
        limited = requests.get(f"{url}/session", timeout=5)
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
        assert requests.get(f"{url}/session", timeout=5).status_code == 401


def test_the_identity_provider_of_the_command_line_is_asked():
    with ScriptedHttpServer() as provider:
        provider.respond(lambda request: answer(200, {"who": {"id": 7, "name": "Seven"}}))
        options = {
            "identity-provider": f"{provider.url}/verify",
            "identity-provider-method": "POST",
            "identity-provider-request": '{"key": "#{login}"}',
            "identity-provider-response": '{"uid": "#{who.id}", "full_name": "#{who.name}"}',
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        secret = {"CONNECTYCUBE_IDENTITY_PROVIDER_HEADERS": '{"X-Key": "of the provider"}'}
        with Process(*words, **secret) as running:
            url = evaluated(running.lines)["CONNECTYCUBE_API_URL"]
            body = {"application_id": 1, "auth_key": "key", "user": {"login": "a token"}}
            made = requests.post(f"{url}/session", json=body, timeout=TIMEOUT)
        assert made.json()["session"]["user"]["full_name"] == "Seven"
        (asked,) = provider.requests
        assert (asked.method, asked.content) == ("POST", b"key=a+token")
        assert asked.headers["x-key"] == "of the provider"


def test_only_exports_and_ready_are_on_standard_output():
    with Process() as running:
        *exports, last = running.lines
    assert last == "ready"
    assert all(line.startswith("export CONNECTYCUBE_") for line in exports)


def test_the_file_with_the_variables_is_private_and_gone_at_the_end(tmp_path):
    file = tmp_path / "emulator.env"
    with Process("--env-file", str(file)) as running:
        told, written = evaluated(running.lines), evaluated(file.read_text().splitlines())
        assert written.items() <= told.items()
        assert "CONNECTYCUBE_API_URL" in written
        assert file.stat().st_mode & 0o777 == 0o600
        assert running.end(signal.SIGTERM) == 0
    assert not file.exists()


def test_a_file_of_another_program_keeps_the_emulator_from_starting(tmp_path):
    file = tmp_path / ".env"
    file.write_text("BOT_PASSWORD=a password\n")
    with pytest.raises(AssertionError, match="a file that this command has not written"):
        Process("--env-file", str(file))
    assert file.read_text() == "BOT_PASSWORD=a password\n"


def test_a_port_that_is_taken_is_named_with_its_option():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=f"ui_port {port} is in use by another program"):
            Process("--ui-port", str(port))


def test_address_beyond_this_machine_is_warned_about():
    with Process("--host", "0.0.0.0") as running:
        running.end(signal.SIGTERM)
        said = running.process.communicate()[1].splitlines()
    assert len(said) == 2
    assert said[0].startswith("This is an emulator of ConnectyCube, reachable at 0.0.0.0")
    assert said[1].startswith("Warning: 0.0.0.0 is not a loopback address")


def test_the_emulator_shows_its_secrets_only_as_variables_on_stdout():
    options = ("--auth-key", "canary-key-5d1f", "--auth-secret", "canary-secret-77ab")
    with Process(*options) as running:
        config = Config.from_env(evaluated(running.lines))
        for url in (f"{config.api_url}/session", f"{config.api_url}/no/such/path"):
            body = {"application_id": 1, "auth_key": config.auth_key}
            requests.post(url, json=body, headers={"CB-AuthKey": config.auth_key}, timeout=5)
        running.end(signal.SIGTERM)
        out, err = running.process.communicate()
    shown = [line for line in [*running.lines, out, err] if "canary-" in line]
    assert shown == [
        "export CONNECTYCUBE_AUTH_KEY=canary-key-5d1f",
        "export CONNECTYCUBE_AUTH_SECRET=canary-secret-77ab",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--api-port", "70000"], 2, "70000"),
        (["--storage-port", "-1"], 2, "-1"),
        (["--storage-https-port", "x"], 2, "x"),
        (["--websocket-port", "65536"], 2, "65536"),
        (["--app-id", "x"], 2, "x"),
        (["--app-id", "0"], 1, "app_id"),
        (["--host", "256.1.1.1"], 1, "connectycube emulator:"),
        (["--nonsense"], 2, "--nonsense"),
        *((["--advance", text], 2, "argument --advance") for text in ("-5", "inf", "nan", "soon")),
        (["--identity-provider", "ftp://h"], 1, "identity_provider must be an http(s) URL"),
        (["--identity-provider-method", "PUT"], 2, "--identity-provider-method"),
        (["--identity-provider-method", "POST"], 1, "--identity-provider URL"),
        (["--identity-provider-request", "token"], 2, "it is not a JSON object of texts"),
        (["--identity-provider-headers", '{"a": 5}'], 2, "it is not a JSON object of texts"),
        (["--fault", "explode"], 1, "must be one of drop, half_open"),
        (["--fault", "delay:seconds=soon"], 1, "seconds"),
        (["--fault", "delay"], 1, "delay needs seconds"),
    ],
)
def test_wrong_arguments_are_one_clear_error(arguments, code, said):
    done = subprocess.run(
        [*COMMAND, "emulator", *arguments], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["aiohttp", "trustme"])
@pytest.mark.parametrize("command", ["emulator", "demo", None])
def test_missing_extra_is_named(missing, command, tmp_path):
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('gone', name={missing!r})")
    words = (
        f"{missing} is missing: pip install 'connectycube[emulator]', or '.[emulator]' in a clone\n"
    )
    if command is None:
        arguments = [sys.executable, "-c", "from connectycube.emulator import Emulator"]
    else:
        arguments, words = [*COMMAND, command], f"connectycube {command}: {words}"
    done = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    if command is None:
        assert done.stderr.endswith(f"\nModuleNotFoundError: {words}")
    else:
        assert done.stderr == words


def test_version_and_help_load_no_command(capsys):
    for option in ("--version", "--help"):
        assert cli.main([option]) == 0
    shown = capsys.readouterr().out
    assert "connectycube 0." in shown
    assert all(name in shown for name in cli.COMMANDS)
    code = (
        "import sys; from connectycube import cli\n"
        "try: cli.main(['--help'])\n"
        "finally: print([n for n in ('aiohttp', 'click', 'importlib.metadata', 'requests', 'xmpp')"
        " if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_command_prints_the_help_and_is_wrong(capsys):
    assert cli.main([]) == 2
    assert "emulator" in capsys.readouterr().out


def test_state_in_a_folder_is_there_at_the_next_start(tmp_path):
    options = ("--data", str(tmp_path / "data"))
    people = tmp_path / "people.json"
    people.write_text('{"users": [{"login": "alice", "password": "a password"}]}')
    with Process(*options, "--load", str(people)):
        pass
    with Process(*options, "--auth-key", "key") as running:
        config = Config.from_env(evaluated(running.lines))
        user = {"login": "alice", "password": "a password"}
        body = {"application_id": config.app_id, "auth_key": config.auth_key, "user": user}
        session = requests.post(f"{config.api_url}/session", json=body, timeout=5).json()["session"]
        assert session["user_id"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"users": [{"login": "alice"}]}', "people.json: users[0]: password is required"),
        ('{"users": ', "people.json:1:11: Expecting value"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_loaded_ends_it_with_one_clear_error(tmp_path, text, said):
    path = tmp_path / "people.json"
    if text is not None:
        path.write_text(text)
    done = subprocess.run(
        [*COMMAND, "emulator", "--load", path], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_after_kill_9_it_serves_on_the_same_ports_over_every_protocol(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # a process that is killed leaves its certificate
    names = ("api", "chat", "storage", "websocket", "https", "storage-https")
    ports = {name: free_port() for name in names}
    options = [f"--{name}-port={port}" for name, port in ports.items()]
    options += ["--data", str(tmp_path / "data"), "--fault", "server_error:on=storage,times=1"]
    with Process(*options) as running:
        at = Doors(evaluated(running.lines), ports)
        body = {"user": {"login": "alice", "password": "secret"}}
        body |= {"application_id": 1, "auth_key": "key"}
        session = at.post("session", json=body).json()["session"]
        headers = {"CB-Token": session["token"]}
        blob = at.post("blobs", json=_FILE, headers=headers).json()["blob"]
        form, _, query = blob["blob_object_access"]["params"].partition("?")
        assert form.startswith(f"https://127.0.0.1:{ports['storage-https']}/")
        sent = {"data": dict(parse_qsl(query)), "files": {"file": b"content"}}
        answers = [requests.post(form, **sent, timeout=5, verify=at.ca_file) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [500, 201]  # the fault, then no more
        done = at.put(f"blobs/{blob['id']}/complete", json={"size": 7}, headers=headers)
        assert done.status_code == 200
        with WebSocketClient(at) as client:
            client.log_in(session["user_id"])
            running.process.kill()
            running.process.wait(10)
            assert client.next() is None
    with Process(*options) as running:
        again = Doors(evaluated(running.lines), ports)
        assert again.get("session", headers=headers).status_code == 200
        fault = again.get(f"blobs/{blob['uid']}", headers=headers)
        assert fault.status_code == 500  # a new process has the faults of its command line again
        assert again.get(f"blobs/{blob['uid']}", headers=headers).content == b"content"
        with WebSocketClient(again) as client:
            client.log_in(session["user_id"])
        with Client(again) as client:
            client.log_in(session["user_id"])


_FILE = {"blob": {"name": "a", "content_type": "text/plain"}}


class Doors:
    """Where a process listens, for the raw clients, and its REST API over HTTPS."""

    host, domain = "127.0.0.1", "localhost"

    def __init__(self, environment, ports):
        self.ca_file = environment["CONNECTYCUBE_CA_FILE"]
        self._https_port = ports["https"]
        self.chat_port, self.websocket_port = ports["chat"], ports["websocket"]
        for method in ("get", "post", "put"):
            setattr(self, method, functools.partial(self._call, method))

    def _call(self, method, path, **more):
        url = f"https://127.0.0.1:{self._https_port}/{path}"
        return requests.request(method, url, timeout=5, verify=self.ca_file, **more)


def test_coverage_is_listed_and_nothing_is_started():
    done = subprocess.run(
        [*COMMAND, "emulator", "--coverage"], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "REST  implemented  GET /session\n" in done.stdout
    assert "missing" in done.stdout.splitlines()[-1]


def test_it_refuses_to_start_where_programs_are_sent_to_the_hosted_service():
    done = subprocess.run(
        [*COMMAND, "emulator"],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "CONNECTYCUBE_CHAT_HOST": "chat.connectycube.com"},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "CONNECTYCUBE_CHAT_HOST names the hosted service" in done.stderr
    assert len(done.stderr.splitlines()) == 1
