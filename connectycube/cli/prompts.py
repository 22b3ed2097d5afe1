"""What a command asks for: on the terminal, or on standard input without one. Never as an argument."""

from __future__ import annotations

import sys

import click

from .failure import Failure
from .secret_store import Secrets

__all__ = ["ask", "key_from_stdin", "new_password", "password_from_stdin"]


def password_from_stdin() -> Secrets:
    """Return the first line of standard input as a password."""
    secrets = Secrets(password=sys.stdin.readline().rstrip("\r\n"))
    if not secrets.password:
        raise Failure("--password-stdin: there is no password on standard input", 2)
    return secrets


def key_from_stdin() -> Secrets:
    """Return the first line of standard input as the key of the Administration API."""
    secrets = Secrets(admin_key=sys.stdin.readline().rstrip("\r\n"))
    if not secrets.admin_key:
        raise Failure("--key-stdin: there is no key on standard input", 2)
    return secrets


def new_password(*, from_stdin: bool) -> Secrets:
    """Return a new password, which is typed twice on a terminal."""
    if from_stdin:
        return password_from_stdin()
    _need_terminal("Password", "use --password-stdin")
    return Secrets(
        password=click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    )


def ask(what: str, without: str, *, secret: bool = False, default: str | None = None) -> str:
    """Ask on the terminal; without one, fail and say what to do instead."""
    _need_terminal(what, without)
    return str(click.prompt(what, hide_input=secret, default=default, err=True))


def _need_terminal(what: str, without: str) -> None:
    if not sys.stdin.isatty():
        text = f"{what.lower()} is missing, and there is no terminal to ask on: {without}"
        raise Failure(text, 2)
