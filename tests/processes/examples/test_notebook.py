"""The notebook of the examples: each cell runs again, in a real kernel, and nothing is doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.processes.examples.running import SECONDS, copy_of, running
from tests.processes.programs.running import program
from tests.support.paths import ROOT
from tests.support.people import Person, logged_in

pytestmark = pytest.mark.time_limit(240)

HELLO = "Hello from a notebook"
ANSWER = "Hello <b>Ann</b>"

CHECK = f"""
import time

deadline = time.monotonic() + 30
while "{ANSWER}" not in [m.body for m in seen.values()] and time.monotonic() < deadline:
    time.sleep(0.01)
print(len(chat.message_received.receivers), len(chat.callback_failed.receivers), len(seen))
"""

# nbclient drops an update of a table that comes between two cells, which a page of Jupyter shows. So the
# last message is asked for by this cell, and the cell ends when the table with its answer has been sent.
ASK_AGAIN = f"""
import time

chat.send_message(group, "Hello again").result()
deadline = time.monotonic() + 30
while [m.body for m in seen.values()].count("{ANSWER}") < 2 and time.monotonic() < deadline:
    time.sleep(0.01)
with shown:
    pass
"""


def has_jupyter() -> str:
    """Return the command, or skip the test; in continuous integration it must be there."""
    program("jupyter-kernelspec")
    return program("jupyter")


def code_of(cell) -> str:
    return "".join(cell["source"])


def executed(emulator, folder: Path, cells) -> list:
    """Execute these cells in a new kernel; return those that were executed, with their outputs."""
    notebook = json.loads((folder / "notebook.ipynb").read_text())
    notebook["cells"] = [{**cell, "id": f"cell-{number}"} for number, cell in enumerate(cells)]
    (folder / "cells.ipynb").write_text(json.dumps(notebook))
    done = subprocess.run(
        [has_jupyter(), "execute", "cells.ipynb", "--output=executed"],
        cwd=folder,
        env={
            **os.environ,
            **emulator.environment(),
            "HOME": str(folder),
            "PATH": os.pathsep.join([str(Path(has_jupyter()).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS * 2,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "executed.ipynb").read_text())["cells"]


def printed(cell) -> str:
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


@pytest.mark.parametrize("order", ["each cell twice", "all cells twice"])
def test_a_run_of_cells_again_doubles_nothing(order, emulator, tmp_path):
    has_jupyter()
    folder = copy_of("notebook", tmp_path)
    people = emulator.load(str(folder / "people.json"))
    ann, bob_id = people.users["ann"], people.users["bob"]
    bob = Person(bob_id, emulator.config(), password="a password")
    sessions: list[int] = []

    def answer(chat, message):
        sessions.append(len(emulator.sessions(ann)))
        chat.reply(message, ANSWER)

    bob.chat.message_received.connect(answer)
    notebook = json.loads((folder / "notebook.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    check = {**cells[0], "source": CHECK}
    *others, logout = cells
    if order == "each cell twice":
        ran = [*(cell for each in others for cell in (each, each)), check, logout, logout]
    else:
        ran = [*others, check, logout, *others, check, logout]
    with logged_in(bob):
        results = executed(emulator, folder, ran)
    assert [output for cell in results for output in cell["outputs"] if "ename" in output] == []
    checked = [printed(cell) for cell in results if code_of(cell) == CHECK]
    assert set(checked) == {"1 1 7\n"}, "one receiver of a kind; five messages, Ann's and Bob's"
    assert bob.bodies == [HELLO], "and Bob has it once"
    assert sessions == [1]
    stored = [message["message"] for message in emulator.messages(people.dialogs["Hikers"])]
    assert [stored.count(text) for text in (HELLO, ANSWER)] == [1, 1]
    assert printed(results[-1]).startswith("<Chat closed")
    assert emulator.sessions(ann) == []


def test_the_table_goes_on_by_itself_and_escapes_names(emulator, tmp_path):
    has_jupyter()
    folder = copy_of("notebook", tmp_path)
    people = json.loads((folder / "people.json").read_text())
    people["users"][1]["full_name"] = "<script>Bob</script>"
    loaded = emulator.load(people)
    bob = Person(loaded.users["bob"], emulator.config(), password="a password")
    bob.chat.message_received.connect(lambda chat, message: chat.reply(message, ANSWER))
    notebook = json.loads((folder / "notebook.ipynb").read_text())
    *cells, logout = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    with logged_in(bob):
        results = executed(emulator, folder, [*cells, {**cells[0], "source": ASK_AGAIN}, logout])
    (table,) = [
        "".join(output["data"]["text/html"])
        for cell in results
        for output in cell["outputs"]
        if output["output_type"] == "display_data"
    ]
    assert "<td>&lt;script&gt;Bob&lt;/script&gt;</td><td>5</td><td>█████</td>" in table


def test_run_executes_the_notebook(tmp_path):
    has_jupyter()
    with running("notebook", tmp_path, HOME=str(tmp_path), PYTHONWARNINGS="") as example:
        assert example.process.wait(SECONDS) == 0, example.said
        example.end(None)
        cells = json.loads((example.folder / "executed.ipynb").read_text())["cells"]
        assert "Bob      And who has the map?" in "".join(
            printed(c) for c in cells if "outputs" in c
        )


def test_ctrl_c_ends_the_notebook_and_its_kernel(tmp_path):
    has_jupyter()

    def never_end(folder: Path) -> None:
        notebook = json.loads((folder / "notebook.ipynb").read_text())
        notebook["cells"][-1]["source"] = "import time\ntime.sleep(1000)"
        (folder / "notebook.ipynb").write_text(json.dumps(notebook))

    with running(
        "notebook", tmp_path, change=never_end, HOME=str(tmp_path), PYTHONWARNINGS=""
    ) as example:
        bob = example.person("bob")
        try:
            bob.events.wait_for("message_received", 1, SECONDS)
        finally:
            bob.cube.close()
        assert example.end(signal.SIGINT) != 0


def test_run_says_what_of_jupyter_is_missing(tmp_path):
    (tmp_path / "nbclient.py").write_text("raise ModuleNotFoundError('nbclient')\n")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    with running("notebook", tmp_path, PYTHONPATH=paths) as example:
        assert example.process.wait(SECONDS) == 127
        example.end(None)
        assert example.errors == [
            "Jupyter is missing: pip install ipykernel nbclient (or jupyterlab, to work in the notebook)"
        ]
