"""Importing a part of the package loads only what that part needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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


def test_the_desktop_integration_imports_no_toolkit():
    code = (
        "import sys, connectycube.contrib.desktop as desktop; before = set(sys.modules)\n"
        "desktop.Handover, desktop.tk_post, desktop.qt_post, desktop.Post\n"
        "print('connectycube.chat' in before, *{'tkinter', 'PySide6'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr
