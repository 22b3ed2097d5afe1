"""Switches: how a value of Settings is checked, read from text and described, for each kind of value.

A program, the command line and the control API take the same switches: all of them read ``SWITCHES``, which
``settings.py`` makes of the fields of Settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import Attribute, field, frozen

from connectycube._checks import (
    check_bool,
    check_callable,
    check_int,
    check_number,
    check_one_of,
    check_str,
    repr_of,
)
from connectycube._containers import AnySequence
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .domain.values import yes_or_no

__all__ = ["COUNT", "FLAG", "NAMES", "SECONDS", "Form", "Switch", "function", "one_of", "switch"]


@frozen
class Form:
    """A kind of value: its check, its reader from text, its form in help texts, and its choices.

    A value without a reader may be a function, which only a program can give.
    """

    check: Callable[[str, Any], object]
    read: Callable[[str], Any] | None
    written: str
    choices: Sequence[str] = ()


@frozen(kw_only=True)
class Switch:
    """One row of the table of switches: a way in which the emulator can behave differently.

    Args:
        name: The name of the keyword argument of ``Emulator``.
        default: The value without it.
        meaning: The meaning, as a sentence.
        form: The checks of the value, and how it is written as text.

    Example:
        >>> from connectycube.emulator import SWITCHES
        >>> SWITCHES["room_echo"].default
        True
    """

    name: str
    default: Any
    meaning: str
    form: Form

    @property
    def is_text(self) -> bool:
        """Whether the value can be written as text, on the command line and in JSON."""
        return self.form.read is not None

    def from_text(self, text: str) -> Any:
        """Read a value that is written as text."""
        assert self.form.read is not None
        try:
            return self.form.read(text)
        except ValueError:
            raise ArgumentValueError(
                f"{self.name} must be {self.form.written}, not {text!r}"
            ) from None


def switch(default: Any, form: Form, meaning: str, **options: Any) -> Any:
    """Return the field of Settings that is a switch."""

    def check(instance: object, attribute: Attribute[Any], value: object) -> None:
        form.check(attribute.name, value)

    metadata = {"form": form, "meaning": meaning}
    return field(default=default, validator=check, metadata=metadata, **options)


# --- the forms --------------------------------------------------------------------------------------


def _check_names(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, str) or not isinstance(value, AnySequence):
        raise ArgumentTypeError(f"{name} must be a sequence of names, not {repr_of(value)}")
    for each in value:
        check_str(name, each)
    if len(value) > 3:
        raise ArgumentValueError(f"{name} must not have more than three names")


FLAG = Form(check_bool, yes_or_no, "yes or no")
COUNT = Form(lambda name, value: check_int(name, value, least=1), int, "a whole number from 1")
SECONDS = Form(lambda name, value: check_number(name, value, least=0.0), float, "a number from 0")
NAMES = Form(_check_names, lambda text: text.split(","), "at most three names with commas")


def function(*parameters: str) -> Form:
    """Return the form of a value that is None, or a function with these parameters."""

    def check(name: str, value: object) -> None:
        if value is not None:
            check_callable(name, value, *parameters)

    return Form(check, None, "a function")


def one_of(*choices: str) -> Form:
    """Return the form of a value that is one of a few words."""
    written = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return Form(lambda name, value: check_one_of(name, value, choices), str, written, choices)
