"""The recipient of a message: the service's id for a dialog, a user or a user of Django."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model

from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..common.sending import address_of as common_address_of

__all__ = ["address_of", "chat_id_of", "check_user"]


def address_of(to: Any, *, known_only: bool = True) -> int | str | None:
    """Return the id of a user of the service (an int), or of a dialog (a string).

    Args:
        to: A dialog (an id as a string, a Dialog, one of its messages), or a user: an id as an int, a User of
            the service, or a user of Django.
        known_only: Whether a user of Django without a ChatAccount is an error, and not None.

    Raises:
        ArgumentTypeError, ArgumentValueError: ``to`` is something else, or has no id.
    """
    if isinstance(to, Model):
        return chat_id_of(to, known_only=known_only)
    return common_address_of(to)


def chat_id_of(user: Any, *, known_only: bool = True) -> int | None:
    """Return the id that a user of Django has at the service."""
    check_user("to", user)
    try:
        found: int | None = user.chat_account.chat_id
    except ObjectDoesNotExist:
        found = None
    if found is None and known_only:
        raise ArgumentValueError(
            f"to is {user!r}, who has no account at the service yet: call client_for(user), or run"
            " manage.py connectycube_sync_users"
        )
    return found


def check_user(name: str, user: Any) -> None:
    """Raise an error unless ``user`` is a user of Django who is saved."""
    # request.user is a lazy object, whose class is that of the user, and whose type is not.
    if not isinstance(user, Model) or not hasattr(user.__class__, "chat_account"):
        raise ArgumentTypeError(f"{name} must be a user of Django, not {type(user).__name__}")
    if user.pk is None:
        raise ArgumentValueError(f"{name} is not saved: it has no primary key yet")
