"""Users of Django and their accounts at the service: made, brought up to date, and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen
from django.contrib.auth import get_user_model

from connectycube import NotFoundError
from connectycube.errors import ConnectyCubeError

from .backends import live
from .databases import primary
from .identity import fields_of
from .models import ChatAccount

__all__ = ["Step", "sync"]


@frozen
class Step:
    """What was done, or is to be done, for one user."""

    action: str
    who: str
    error: str = ""


def sync(backend: live.Backend, *, dry_run: bool = False, delete: bool = False) -> Iterator[Step]:
    """Make the accounts that are missing, send fields that changed, delete accounts of users who are gone.

    Args:
        backend: The backend.
        dry_run: Whether nothing is done.
        delete: Whether accounts whose user of Django is gone are deleted, at the service as well.
    """
    users = get_user_model()._default_manager.filter(is_active=True).order_by("pk")
    for user in users.iterator():
        account = primary(ChatAccount).filter(uid=str(user.pk)).first()
        fields = fields_of(user)
        if account is None or account.chat_id is None:
            yield _done("create", user, dry_run, _create, backend, user, fields)
        elif account.fields_sent != fields:
            yield _done("update", user, dry_run, _update, backend, user, fields)
    if delete:
        for account in primary(ChatAccount).filter(user=None):
            yield _done("delete", account, dry_run, _delete, backend, account)


def _done(action: str, who: Any, dry_run: bool, function: Any, *arguments: Any) -> Step:
    if not dry_run:
        try:
            function(*arguments)
        except ConnectyCubeError as error:
            return Step(action, str(who), str(error))
    return Step(action, str(who))


def _create(backend: live.Backend, user: Any, fields: dict[str, Any]) -> None:
    backend.client_for(user)  # the account gets the fields when it is made
    primary(ChatAccount).filter(uid=str(user.pk)).update(fields_sent=fields)


def _update(backend: live.Backend, user: Any, fields: dict[str, Any]) -> None:
    if fields:
        client = backend.client_for(user)
        client.users.update(primary(ChatAccount).get(uid=str(user.pk)).chat_id, **fields)
    primary(ChatAccount).filter(uid=str(user.pk)).update(fields_sent=fields)


def _delete(backend: live.Backend, account: ChatAccount) -> None:
    if account.chat_id is not None:
        try:
            backend.client_of_account(account).users.delete(account.chat_id)
        except NotFoundError:
            pass  # somebody else has deleted it
    account.delete()
