"""Importing a part of the package loads only what that part needs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import connectycube
from connectycube import CallbackFailure, Message, Presence
from tests.support.libraries import ONLY_IN


def test_importing_the_package_loads_no_heavy_part_and_starts_no_thread():
    code = (
        "import json, sys, threading, connectycube\n"
        "print(json.dumps([sorted(sys.modules), threading.active_count()]))"
    )
    output = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    modules, threads = json.loads(output)
    assert set(modules) & {*ONLY_IN, "ssl", "socket", "sqlite3"} == set()
    assert threads == 1


@pytest.mark.parametrize("name", ["Config", "ConnectyCubeError", "Message"])
def test_a_light_public_name_loads_no_library_of_rest_or_chat(name):
    code = f"import sys, connectycube; connectycube.{name}; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    assert set(output.split()) & {"requests", "urllib3", "xmpp", "blinker", "aiohttp"} == set()


def test_importing_the_emulator_loads_nothing_of_the_client():
    code = (
        "import sys, connectycube.emulator; "
        "print([n for n in sys.modules if n.split('.')[0] in ('xmpp', 'slixmpp', 'requests')"
        " or n.startswith(('connectycube.rest', 'connectycube.chat', 'connectycube.models'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_importing_the_client_does_not_import_the_chat():
    code = "import sys, connectycube.client; sys.exit(bool({'connectycube.chat', 'xmpp'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_client_imports_a_resource_and_its_models_at_its_first_use():
    code = (
        "import sys; from connectycube import ConnectyCube; cube = ConnectyCube(app_id=7, auth_key='key')\n"
        "of_ours = lambda: {name for name in sys.modules if name.startswith('connectycube.')}\n"
        "made = of_ours(); cube.push; print(*sorted(made)); print(*sorted(of_ours() - made))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    made, used = (set(line.split()) for line in done.stdout.splitlines())
    resources = {f"connectycube.rest.{name}" for name in ("dialogs", "messages", "push", "users")}
    models = {f"connectycube.models.{name}" for name in ("dialogs", "events", "messages", "push")}
    assert made & (resources | models) == set(), done.stderr
    assert {"connectycube.rest.push", "connectycube.models.push"} <= used
    assert {"connectycube.rest.dialogs", "connectycube.models.events"} & used == set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_shares_the_modules_of_rest_and_has_none_of_the_chat():
    code = (
        "import os, sys, connectycube.client; child = os.fork() or print(*sys.modules)\n"
        "child and sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    files = Path(connectycube.__file__).parent.joinpath("rest").glob("*.py")
    of_rest = {f"connectycube.rest.{file.stem}" for file in files if file.stem != "__init__"}
    # This one is imported by the application: ConnectyCube(token_store=MemoryTokenStore()).
    assert of_rest - set(done.stdout.split()) == {"connectycube.rest._token_store"}, done.stderr
    assert not {"connectycube.chat", "xmpp"} & set(done.stdout.split())


def test_a_model_that_no_module_has_named_is_read_from_its_dictionary():
    data = CallbackFailure(
        event=Presence(user_id=5, available=True), signal="s", receiver="r", error=ValueError("no")
    )
    code = (
        "import json, sys; from connectycube import CallbackFailure\n"
        "print(CallbackFailure.from_dict(json.load(sys.stdin)).event.available)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(data.to_dict()),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr


def test_a_pickle_is_read_by_a_process_that_has_imported_nothing():
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).body)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(Message(body="hello")),
        capture_output=True,
        timeout=30,
    )
    assert (done.stdout.strip(), done.returncode) == (b"hello", 0), done.stderr


def test_a_chat_has_all_modules_of_rest_before_its_threads_start():
    code = (
        "import sys; from connectycube import ConnectyCube\n"
        "cube = ConnectyCube(app_id=1, auth_key='k', auth_secret='s'); cube.chat; before = set(sys.modules)\n"
        "import connectycube.rest as rest; [getattr(rest, name) for name in dir(rest)]\n"
        "print(sorted(name for name in set(sys.modules) - before if name.startswith('connectycube.rest')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_the_desktop_integration_imports_no_toolkit():
    code = (
        "import sys, connectycube.contrib.desktop as desktop; before = set(sys.modules)\n"
        "desktop.Handover, desktop.tk_post, desktop.qt_post, desktop.Post\n"
        "print('connectycube.chat' in before, *{'tkinter', 'PySide6'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr
