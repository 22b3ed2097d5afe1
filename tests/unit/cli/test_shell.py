"""The frame of the commands: options in common, errors as sentences, exit statuses, help, completion."""

from __future__ import annotations

import json

import click
import pytest
from click.shell_completion import ShellComplete

from connectycube import cli
from connectycube.cli import shell as shell_module
from connectycube.cli.commands import COMPLETION, Entry
from connectycube.cli.shell import Shell, command, pass_shell, root
from connectycube.contrib.common.exit_status import MEANINGS
from connectycube.errors import (
    ApiAuthenticationError,
    ApiConnectError,
    ApiTimeoutError,
    ArgumentValueError,
    ChatAuthenticationError,
    ConnectTimeoutError,
    DurableStoreError,
    HostUnknownError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)

CALL = {"method": "GET", "url": "https://api.example/users"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_CONFIG_DIR", str(tmp_path))
    for name in ("APP_ID", "PROFILE", "LOGIN"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}", raising=False)
    return tmp_path


@pytest.fixture
def added(monkeypatch):
    """``added(function)`` makes a command ``try`` of it."""

    def add(function):
        made = command("try")(pass_shell(function))
        monkeypatch.setitem(cli.COMMANDS, "try", Entry("Account", "", "shell:try"))
        monkeypatch.setitem(root.later, "try", lambda: made)

    return add


def answered(status):
    return {**CALL, "status": status}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ArgumentValueError("app_id must be at least 1"), 2),
        (ApiAuthenticationError("no", **answered(401)), 4),
        (ChatAuthenticationError("no", condition="not-authorized"), 4),
        (NotFoundError("no", **answered(404)), 5),
        (ApiConnectError("no", **CALL), 6),
        (ApiTimeoutError("no", **CALL), 6),
        (HostUnknownError("no"), 6),
        (ConnectTimeoutError("no"), 6),
        (RateLimitError("no", **answered(429)), 7),
        (ServerError("no", **answered(500)), 7),
        (PermissionDeniedError("no", **answered(403)), 1),
        (DurableStoreError("no", path="bot.db"), 1),
        (FileNotFoundError(2, "No such file", "x"), 1),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (BrokenPipeError(), 141),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_is_a_sentence_and_its_status(added, capfd, error, status):
    def fails(shell):
        raise error

    added(fails)
    assert cli.main(["try"]) == status
    out, err = capfd.readouterr()
    assert (out, "Traceback" in err) == ("", False)
    assert bool(err) == (status not in (130, 141)) or err == "\n"
    assert status in MEANINGS


@pytest.mark.parametrize(
    "words",
    [
        ("--profile", "x", "--json", "--timeout", "3", "--color", "never", "-vv", "try"),
        ("try", "--profile", "x", "--json", "--timeout", "3", "--color", "never", "-v", "-v"),
        ("--profile", "y", "--json", "-vv", "try", "--profile=x", "--timeout=3", "--color=never"),
    ],
)
def test_options_in_common_stand_before_the_command_or_behind_it(added, words):
    seen = []
    added(seen.append)
    assert cli.main(words) == 0
    assert seen == [Shell(profile="x", json=True, color="never", timeout=3.0, verbose=2)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("logn",), "there is no command 'logn': did you mean login?"),
        (("--json", "logn"), "there is no command 'logn': did you mean login?"),
        (("emulator", "fault"), "there is no command 'emulator fault': did you mean faults?"),
        (("profiles", "us"), "there is no command 'us': did you mean use?"),
        (("whoami", "--timeout", "0"), "Invalid value for '--timeout'"),
        (("whoami", "--color", "blue"), "Invalid value for '--color'"),
        (("whoami", "--nothing"), "No such option"),
        (("--profile", "a b", "whoami"), "is no name of a profile"),
    ],
)
def test_wrong_words_end_with_a_sentence_and_status_2(capsys, words, sentence):
    assert cli.main(words) == 2
    assert sentence in capsys.readouterr().err


def commands(group=root, path=()):
    context = click.Context(group, info_name="connectycube")
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        yield (*path, name), found
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))


CLICK = {
    words: found
    for words, found in commands()
    if isinstance(found, shell_module._WithCommonOptions)
}


@pytest.mark.parametrize("words", sorted(CLICK.keys() - {("emulator",)}), ids=" ".join)
def test_each_command_explains_itself(capsys, words):
    assert cli.main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: connectycube")
    assert "--profile NAME" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    for param in CLICK[words].params:
        if isinstance(param, click.Option):
            assert param.help is not None
            assert param.help.endswith(".")


@pytest.mark.parametrize("words", CLICK, ids=" ".join)
def test_no_secret_is_an_argument(words):
    secret = {"password", "auth_key", "auth_secret", "token", "secret"}
    assert {param.name for param in CLICK[words].params} & secret == set()


def test_the_help_names_all_commands_and_options(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in cli.COMMANDS)
    options = [option.opts[-1] for option in shell_module._common()]
    assert all(option in shown for option in options)
    assert all(len(line) <= 80 for line in shown.splitlines())


# --- completion ---------------------------------------------------------------------------------------


def completed(*words):
    *before, incomplete = words
    found = ShellComplete(root, {}, "connectycube", COMPLETION).get_completions(before, incomplete)
    return [each.value for each in found]


def test_commands_options_and_profiles_are_completed(folder):
    assert completed("") == list(cli.COMMANDS)
    assert completed("who") == ["whoami"]
    assert completed("profiles", "r") == ["remove"]
    assert "--email" in completed("login", "--")
    assert completed("whoami", "--color", "a") == ["auto", "always"]
    row = {"app_id": 1, "api_url": "u", "chat_host": "h", "chat_port": 1}
    (folder / "profiles.json").write_text(json.dumps({"profiles": {"work": row, "home": row}}))
    assert completed("whoami", "--profile", "w") == ["work"]
    assert completed("profiles", "use", "") == ["work", "home"]


def test_options_of_plain_commands_are_completed():
    assert completed("exec", "--") == ["--help", "--load", "--env-file", "--ui-port"]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(capsys, name):
    assert cli.main(["completion", name]) == 0
    script = capsys.readouterr().out
    assert COMPLETION in script
    assert "connectycube" in script
