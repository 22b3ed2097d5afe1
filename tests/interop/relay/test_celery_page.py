"""The bot and the tasks of docs/how-to/celery.md run as the page says, on a real broker."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.docs.page_folder import blocks
from tests.support.paths import ROOT
from tests.support.people import PASSWORD, Person
from tests.support.waiting import wait_until

PAGE = ROOT / "docs" / "how-to" / "celery.md"


@pytest.mark.time_limit(150)
def test_the_task_of_the_page_answers_a_message(url, emulator, tmp_path):
    for name in ("tasks", "bot"):
        (tmp_path / f"{name}.py").write_text(blocks(PAGE, f"celery {name}"), encoding="utf-8")
    bot = emulator.add_user("page-bot", PASSWORD)
    emulator.add_user("page-alice", PASSWORD)
    alice = Person.in_chat(emulator, "page-alice")
    variables = {
        **emulator.environment(),
        "CELERY_BROKER": url,
        "CONNECTYCUBE_LOGIN": "page-bot",
        "CONNECTYCUBE_PASSWORD": PASSWORD,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
    }
    worker = ("celery", "-A", "tasks", "worker", "--pool", "solo", "--without-gossip")
    with alice.cube, ExitStack() as running:
        for command in (worker, ("bot",)):
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=tmp_path,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
            )
            running.callback(process.wait)
            running.callback(process.kill)
        wait_until(lambda: any(one["available"] for one in emulator.sessions(bot)), timeout=60)
        alice.chat.send_private(bot, "hello")
        received = alice.events.wait_for("message_received", timeout=60)
    assert [message.body for message in received] == ["you said hello"]
