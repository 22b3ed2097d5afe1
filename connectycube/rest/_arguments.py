"""Checks of arguments that are models: a dialog, a message or a user, given as its id or as the object."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

from .._checks import check_id
from .._containers import AnyIterable, AnyMapping
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    NotFoundError,
    PermissionDeniedError,
    ValidationError,
)
from ..models import DialogRef, Message, User
from ..models.users import check_user_id

__all__ = [
    "check_dialog",
    "check_dialog_id",
    "check_each",
    "check_message_id",
    "check_user_id",
    "hints_at_user",
    "reference_to",
    "user_hint",
]

Value = TypeVar("Value")
Method = TypeVar("Method", bound=Callable[..., Any])
_DIGITS_OF_DIALOG_ID = 24
_HEXADECIMAL = frozenset("0123456789abcdef")


def check_dialog(name: str, value: object) -> DialogRef:
    """Return what is known of a dialog, given as its id, as a dialog or as one of its messages."""
    if isinstance(value, DialogRef):
        return value
    if isinstance(value, Message):
        known = value.dialog or DialogRef()
        return DialogRef(id=known.id or value.dialog_id, type=known.type, peer_id=known.peer_id)
    if not isinstance(value, str):
        hint = ""
        if isinstance(value, (int, User)) and not isinstance(value, bool):
            hint = ": dialogs.create_private(user) returns the dialog with a user"
        raise ArgumentTypeError(
            f"{name} must be a dialog's id, a Dialog or a Message, not {type(value).__name__}{hint}"
        )
    return DialogRef(id=check_id(name, value))


def check_dialog_id(name: str, value: object) -> str:
    """Return the id of a dialog, given as its id, as a dialog or as one of its messages."""
    dialog = check_dialog(name, value)
    if dialog.id is None:
        raise ArgumentValueError(f"{name} is a dialog without an id")
    return check_id(name, dialog.id)


def reference_to(dialog: DialogRef) -> DialogRef:
    """Return the reference to a dialog alone, without what else a Dialog has."""
    return DialogRef(id=dialog.id, type=dialog.type, peer_id=dialog.peer_id)


@contextmanager
def user_hint(name: str, value: object) -> Generator[None]:
    """Say in the service's refusal of a dialog that its id may have been meant as a user's."""
    if isinstance(value, DialogRef):
        value = value.id
    try:
        yield
    except (NotFoundError, PermissionDeniedError, ValidationError) as error:
        hint = ""
        if isinstance(value, str) and len(value) < _DIGITS_OF_DIALOG_ID:
            if value.isdecimal():
                hint = "a user's id is an int"
            elif not set(value) <= _HEXADECIMAL:
                hint = "users.get_by(login=…) finds a user"
        if hint:
            hint = f"{name} is the string {value!r}, so a dialog's id; {hint}"
            error.args = (f"{error} ({hint})",)
        raise


def hints_at_user(method: Method) -> Method:
    """Put :func:`user_hint` around a method whose first argument is a dialog."""
    name = list(signature(method).parameters)[1]

    @wraps(method)
    def hinting(service: object, /, *arguments: Any, **more: Any) -> Any:
        with user_hint(name, arguments[0] if arguments else more.get(name)):
            return method(service, *arguments, **more)

    return cast(Method, hinting)


def check_message_id(name: str, value: object) -> str:
    """Return the id of a message, given as an id or a Message."""
    if isinstance(value, Message):
        value = value.id
        if value is None:
            raise ArgumentValueError(f"{name} is a message without an id")
    elif not isinstance(value, str):
        raise ArgumentTypeError(
            f"{name} must be a message's id or a Message, not {type(value).__name__}"
        )
    return check_id(name, value)


def check_each(
    name: str, value: object, check: Callable[[str, object], Value], *, empty: bool = True
) -> list[Value]:
    """Return one value, or each of several, as ``check`` returns it, without repetitions."""
    if isinstance(value, (str, int, DialogRef, Message, User)):
        return [check(name, value)]
    if isinstance(value, (bytes, AnyMapping)) or not isinstance(value, AnyIterable):
        raise ArgumentTypeError(f"{name} must be one or a list, not {type(value).__name__}")
    values = list(dict.fromkeys(check(name, entry) for entry in value))
    if not values and not empty:
        raise ArgumentValueError(f"{name} must not be empty")
    return values
