"""``manage.py connectycube_emulator -- COMMAND``: the command finds a service with the project's bots."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from connectycube._checks import to_install
from tests.processes.contrib.django.project import (
    MANAGE,
    READY,
    SECONDS,
    Elsewhere,
    Project,
    has_ended,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.time_limit(300)


class Nowhere(Elsewhere):
    """No emulator: the environment names no service."""

    def environment(self):
        return {}


@pytest.fixture
def alone(tmp_path, migrated):
    shutil.copy(migrated, tmp_path)
    return Project(Nowhere(), tmp_path)


LOG_IN = """
import os
from connectycube import ConnectyCube
with ConnectyCube.from_env() as cube:
    print(cube.login(login=os.environ["WHO"], password="a password").login)
raise SystemExit(7)
"""


def test_a_command_has_a_service_with_bots_and_loaded_users(alone):
    file = alone.folder / "people.json"
    file.write_text(json.dumps({"users": [{"login": "ann", "password": "a password"}]}))
    for who in ("ann", "program"):
        done = alone.manage(
            *("connectycube_emulator", "--load", str(file), "--", sys.executable, "-c", LOG_IN),
            WHO=who,
        )
        assert (done.stdout, done.returncode) == (f"{who}\n", 7), done.stderr


def test_a_bot_listens_on_the_emulator_and_sigterm_reaches_it(alone):
    with alone.started("connectycube_emulator", "--", *MANAGE, "connectycube_listen") as program:
        wait_until(lambda: READY in program.words or has_ended(program), timeout=SECONDS)
        assert READY in program.words
        assert program.ends() == 0
        assert "Traceback" not in program.words


HIDDEN = {"SHOP_CONNECTYCUBE": json.dumps({"API_URL": "https://api.example.com"})}


@pytest.mark.parametrize(
    ("words", "environment", "status", "sentence"),
    [
        ([], {}, 1, "COMMAND is missing: connectycube_emulator -- ./manage.py"),
        (
            ["--", "true"],
            HIDDEN,
            1,
            "CONNECTYCUBE['API_URL'] is set, so the command would not find",
        ),
        (["--", "/no/such/program"], {}, 127, "'/no/such/program' cannot be run"),
        (["--load", "/none.json", "--", "true"], {}, 1, "/none.json"),
        (
            ["--", "true"],
            {"CONNECTYCUBE_API_URL": "https://api.connectycube.com"},
            1,
            "hosted service",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence(alone, words, environment, status, sentence):
    done = alone.manage("connectycube_emulator", *words, **environment)
    assert sentence in done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)


def test_a_missing_extra_is_named(alone):
    (alone.folder / "aiohttp.py").write_text("raise ModuleNotFoundError('no', name='aiohttp')\n")
    environment = {"PYTHONPATH": f"{alone.folder}{os.pathsep}{os.getcwd()}"}
    done = alone.manage("connectycube_emulator", "--", "true", **environment)
    assert to_install("aiohttp", "emulator") in done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_without_django_the_import_names_the_extra(tmp_path):
    (tmp_path / "django.py").write_text("raise ModuleNotFoundError('no', name='django')\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"}
    done = subprocess.run(
        [sys.executable, "-c", "import connectycube; import connectycube.contrib.django"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: {to_install('django', 'django')}"
    )
