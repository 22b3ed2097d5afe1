"""The commands of click: their options in common, their errors, and the root that finds them."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import click
from attrs import define
from click.shell_completion import CompletionItem

from connectycube._checks import check_id, nearest
from connectycube.errors import ArgumentValueError, ConnectyCubeError

from .commands import COMMANDS, COMPLETION, Entry, failed, missing, plain_parser, run_plain
from .failure import Failure
from .output import Output

if TYPE_CHECKING:
    from connectycube import ConnectyCube

    from .account import Account
    from .profiles import Profiles

__all__ = ["DialogId", "ProfileName", "Shell", "command", "group", "pass_shell", "root", "run"]


_AnyFunction: TypeAlias = "Callable[..., Any]"
_P = ParamSpec("_P")
_R = TypeVar("_R")


@define
class Shell:
    """What all commands have: the options in common, and what they lead to."""

    profile: str | None = None
    json: bool = False
    color: str = "auto"
    timeout: float | None = None
    verbose: int = 0

    @property
    def output(self) -> Output:
        """Where results and remarks go."""
        return Output(as_json=self.json, color=self.color)

    @property
    def profiles(self) -> Profiles:
        """The accounts that this machine knows."""
        from .profiles import Profiles

        return Profiles()

    def account(self) -> Account:
        """Return the account that the command acts for."""
        from .account import account_of, patient

        account = account_of(self.profiles, self.profile)
        account.config = patient(account.config, self.timeout)
        return account

    @contextmanager
    def client(self, **changes: Any) -> Generator[ConnectyCube]:
        """Yield a client of that account; ``changes`` are fields of its Config."""
        account = self.account()
        account.config = account.config.replace(**changes)
        with account.client() as client:
            yield client

    @contextmanager
    def administration(self) -> Generator[ConnectyCube]:
        """Yield a client of the application with the key of its Administration API; nobody is logged in."""
        from connectycube import ConnectyCube

        from .account import application_of, patient

        config = application_of(self.profiles, self.profile)
        if config is None:
            text = "no application is known: run 'connectycube login', or set CONNECTYCUBE_APP_ID"
            raise Failure(text, 2)
        if config.admin_key is None:
            text = (
                "there is no key of the Administration API: run 'connectycube admin key', or set"
                " CONNECTYCUBE_ADMIN_KEY"
            )
            raise Failure(text, 2)
        with ConnectyCube(config=patient(config, self.timeout)) as client:
            yield client


_pass_shell = click.make_pass_decorator(Shell, ensure=True)


def pass_shell(function: Callable[Concatenate[Shell, _P], _R]) -> Callable[_P, _R]:
    """Let a command take the Shell as its first argument."""
    return _pass_shell(function)


# --- the options in common ----------------------------------------------------------------------------


def _note(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Return what notes an option: the one behind the command overrides the one before it."""

    def note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value not in (None, False, 0):
            setattr(context.ensure_object(Shell), name, value)

    return note


def _option(*words: str, name: str, **more: Any) -> click.Option:
    return click.Option([*words], expose_value=False, callback=_note(name), **more)


if TYPE_CHECKING:
    _ParamType = click.ParamType[str, str]
else:  # older releases of click know no arguments of the class
    _ParamType = click.ParamType


class ProfileName(_ParamType):
    """The name of a profile, which a shell can complete."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names of profiles."""
        names = Shell().profiles.all()
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class DialogId(_ParamType):
    """The id of a dialog."""

    name = "dialog"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id, or say where to find one."""
        try:
            return check_id("dialog", value)
        except ArgumentValueError:
            self.fail(
                f"{value!r} is not the id of a dialog. 'connectycube dialogs' lists the ids, and"
                " 'connectycube dialog create --user @LOGIN' prints that of the dialog with a user",
                param,
                ctx,
            )


def _common() -> list[click.Parameter]:
    return [
        _option(
            "--profile", name="profile", metavar="NAME", type=ProfileName(), help="The account."
        ),
        _option("--json", name="json", is_flag=True, help="One JSON object a line."),
        _option(
            "--color",
            name="color",
            type=click.Choice(["auto", "always", "never"]),
            help="Whether there are colours; NO_COLOR means never.",
        ),
        _option(
            "--timeout",
            name="timeout",
            type=click.FloatRange(min=0.001, max=86_400),
            metavar="SECONDS",
            help="For each answer of the service.",
        ),
        _option("-v", name="verbose", count=True, help="Tell what is going on; -vv tells more."),
    ]


@contextmanager
def _logging(verbose: int) -> Generator[None]:
    """Show the log of the package; without -v nothing, as the commands tell errors themselves."""
    log = logging.getLogger("connectycube")
    handler = logging.StreamHandler(sys.stderr) if verbose else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    before = log.level
    log.addHandler(handler)
    if verbose:
        log.setLevel("INFO" if verbose == 1 else "DEBUG")
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


class _WithCommonOptions(click.Command):
    """A command that has the options in common, in a section of their own in its help."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return its own options, then those in common."""
        *own, helping = super().get_params(ctx)
        return [*own, *_common(), helping]

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, with the logs that were asked for."""
        with _logging(ctx.ensure_object(Shell).verbose):
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both sections."""
        own = [each.get_help_record(ctx) for each in self.params if isinstance(each, click.Option)]
        names = {each.name for each in self.params}
        others = [
            each.get_help_record(ctx) for each in self.get_params(ctx) if each.name not in names
        ]
        for title, records in (("Options", own), ("Options of all commands", others)):
            rows = [record for record in records if record is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Command(_WithCommonOptions):
    """A command with the options in common."""


class Group(_WithCommonOptions, click.Group):
    """A command that has commands.

    Args:
        later: Commands that are made when they are called, by their names.
    """

    command_class: type[click.Command] | None = Command

    def __init__(
        self,
        *words: Any,
        later: Mapping[str, Callable[[], click.Command]] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*words, **more)
        self.later: dict[str, Callable[[], click.Command]] = dict(later or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of its commands."""
        return [*self.later, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name; None if there is none."""
        make = self.later.get(cmd_name)
        return super().get_command(ctx, cmd_name) if make is None else make()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write its commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest one."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            ctx.fail(f"there is no command {name!r}: {nearest(name, names)}")
        return super().resolve_command(ctx, args)


Group.group_class = Group


def command(name: str | None = None, **more: Any) -> Callable[[_AnyFunction], Command]:
    """Make a command of a function."""
    return click.command(name, cls=Command, **more)


def group(name: str | None = None, **more: Any) -> Callable[[_AnyFunction], Group]:
    """Make a group of commands of a function."""
    return click.group(name, cls=Group, **more)


# --- the root ---------------------------------------------------------------------------------------


def _found(name: str, entry: Entry) -> click.Command:
    """Import a command; plain ones are there as well, because completion knows them, too."""
    if not entry.place and name != "emulator":
        return _Plain(name)
    # To run an emulator is a plain command, to control one is of click.
    module, _, attribute = (entry.place or "control:emulator").partition(":")
    found: click.Command = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    return found


class _Plain(click.Command):
    """A plain command, behind options in common, which have no effect on it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            callback=self._run,
            params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
        )

    def _run(self, words: Sequence[str]) -> int:
        return run_plain(str(self.name), words)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return its options."""
        if not incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        _, parser = plain_parser(str(self.name))
        options = [
            CompletionItem(word, help=action.help)
            for action in parser._actions
            for word in action.option_strings
        ]
        return [option for option in options if option.value.startswith(incomplete)]


root: Group = Group(
    "connectycube",
    help="ConnectyCube chat, on the command line.",
    later={name: partial(_found, name, entry) for name, entry in COMMANDS.items()},
)


def run(words: Sequence[str]) -> int:
    """Run a command of click; return its exit status."""
    if COMPLETION in os.environ:
        root.main([], prog_name="connectycube")
    try:
        # Not root.main(), which takes a reader that is gone for a failure.
        with root.make_context("connectycube", list(words)) as context:
            status = root.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except BrokenPipeError:
        raise
    except (
        Failure,
        click.ClickException,
        ModuleNotFoundError,
        ConnectyCubeError,
        OSError,
    ) as error:
        text, code = _told(error)
        return failed(text, status=code)
    return status if isinstance(status, int) else 0


def _told(error: Exception) -> tuple[str, int]:
    """Return what a command says about its error, and its exit status."""
    if isinstance(error, Failure):
        return str(error), error.status
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, ConnectyCubeError):
        from connectycube.contrib.common.exit_status import sentence_of, status_of

        return sentence_of(error), status_of(error)
    if isinstance(error, ModuleNotFoundError):
        return missing(error), 1
    return str(error), 1
