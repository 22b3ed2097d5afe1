"""bash, zsh and fish complete the words of ``connectycube``: the key Tab, typed on a terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.components import missing
from tests.support.terminal import Terminal

pytestmark = pytest.mark.time_limit(180)

REMEDY = "run: .ci/install referees"
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(params=SHELLS)
def shell(request):
    if shutil.which(request.param) is None:
        missing(request.param, REMEDY)
    return request.param


@pytest.fixture
def variables(environment, tmp_path, emulator):
    """The variables of an interactive shell, and two profiles."""
    for name in emulator.environment():
        environment.pop(name)
    folder = Path(environment["CONNECTYCUBE_CONFIG_DIR"])
    folder.mkdir()
    row = {"app_id": 1, "api_url": "https://a.example", "chat_host": "h", "chat_port": 1}
    (folder / "profiles.json").write_text(json.dumps({"profiles": {"workplace": row, "home": row}}))
    # fish leaves a folder of its user among the temporary files.
    return {**environment, "PS1": "$ ", "ZDOTDIR": str(tmp_path), "TMPDIR": str(tmp_path)}


@pytest.fixture
def prompt(shell, variables, tmp_path):
    """An interactive shell that has the script of ``connectycube completion``, as its help says."""
    load = 'eval "$(connectycube completion {})"'
    if shell == "bash":
        (tmp_path / "rc").write_text(load.format("bash"))
        words = ["bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"]
    elif shell == "zsh":
        (tmp_path / ".zshrc").write_text(
            f"autoload -U compinit; compinit -u\n{load.format('zsh')}\n"
        )
        words = ["zsh", "-i"]
    else:
        folder = tmp_path / "xdg" / "fish" / "completions"
        folder.mkdir(parents=True)
        script = subprocess.run(
            ["connectycube", "completion", "fish"],
            env=variables,
            capture_output=True,
            check=True,
            timeout=60,
        )
        (folder / "connectycube.fish").write_bytes(script.stdout)
        words = ["fish", "--interactive", "--private"]
    with Terminal(words, variables) as terminal:
        terminal.type("echo rea''dy\r")
        terminal.expect("ready")
        yield terminal


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("who", "ami"),
        ("profiles rem", "ove"),
        ("history --exp", "ort"),
        ("whoami --profile work", "place"),
        ("profiles use work", "place"),
    ],
)
def test_the_key_tab_completes_the_word(prompt, typed, completed):
    before = len(prompt.text)
    prompt.type(f"echo; connectycube {typed}\t")
    word = typed.split()[-1]
    try:
        prompt.expect(word + completed, after=before)
    except AssertionError:
        # Some shells write the rest of the word alone, behind what was typed.
        shown = prompt.text[before:]
        assert completed in shown.partition(word)[2], shown
