"""The site as the service's custom identity provider: signed tokens that are good for a minute.

The service gets a token as a user's login, and asks :class:`IdentityView` who that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from connectycube.errors import ArgumentValueError

from .addresses import check_user
from .conf import read_settings
from .databases import primary

__all__ = ["IdentityView", "fields_of", "identity_token", "token_of_uid"]

_SALT = "connectycube.contrib.django.identity"
_LONGEST = 500


def identity_token(user: Any) -> str:
    """Return a token by which the service recognises a user of Django, for ``IDENTITY["MAX_AGE"]`` seconds.

    For a page or an app: its JavaScript SDK logs in with the token as the login. Nothing is sent or stored.

    Args:
        user: A user of Django, saved and active.

    Returns:
        The token, as a text for a URL.

    Raises:
        ArgumentTypeError, ArgumentValueError: ``user`` is no saved and active user of Django.
    """
    check_user("user", user)
    if not user.is_active:
        raise ArgumentValueError(f"user is not active: {user!r}")
    return token_of_uid(str(user.pk))


def token_of_uid(uid: str) -> str:
    """Return the token for a primary key, also for that of a user who is gone."""
    return _signer().sign(uid)


def _signer() -> TimestampSigner:
    return TimestampSigner(salt=_SALT)


def fields_of(user: Any) -> dict[str, Any]:
    """Return the fields of the service's user for a user of Django: those that ``USERS["FIELDS"]`` returns.

    Raises:
        ArgumentValueError: The function returns something that is no dictionary.
    """
    function = read_settings().users.fields
    if function is None:
        return {"full_name": user.get_full_name() or user.get_username()}
    found = function(user)
    if not isinstance(found, Mapping):
        raise ArgumentValueError(
            f"CONNECTYCUBE['USERS']['FIELDS'] must return a dictionary, not {type(found).__name__}"
        )
    return {name: value for name, value in found.items() if value is not None}


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(never_cache, name="dispatch")
class IdentityView(View):
    """Tells the service which user a token belongs to: ``GET …?token=…``.

    Put it into the URLconf, and its address with ``?token=#{login}`` into the dashboard of the service. The
    answer is a JSON object with ``uid`` and the fields of the user. Every refusal is the same 401: the
    token is damaged or too old, or its user was deleted. So a refusal does not reveal which users exist.

    Example:
        >>> from django.urls import path
        >>> from connectycube.contrib.django import IdentityView
        >>> urlpatterns = [path("chat/identity/", IdentityView.as_view())]
    """

    http_method_names: Sequence[str] = ("get",)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer the question of the service.

        Args:
            request: The request of the service, with the parameter ``token``.

        Returns:
            A JSON object with ``uid`` and the fields of the user; status 401 for a token that is not valid.
        """
        fields = identity_of(request.GET.get("token", ""))
        if fields is None:
            return JsonResponse({"error": "the token is not valid"}, status=401)
        return JsonResponse(fields)


def identity_of(token: str) -> dict[str, Any] | None:
    """Return the fields of the user with that token, among them ``uid``; None if it is not valid."""
    try:
        # Signatures are compared in constant time, and nothing is looked up before.
        uid = _signer().unsign(token[:_LONGEST], max_age=read_settings().identity_max_age)
    except BadSignature:
        return None
    try:
        user: Any = primary(get_user_model()).get(pk=uid)
    except (ObjectDoesNotExist, ValueError, ValidationError):  # the last: no UUID
        return _identity_of_gone_user(uid)
    return {"uid": uid, **fields_of(user)} if user.is_active else None


def _identity_of_gone_user(uid: str) -> dict[str, Any] | None:
    """Return the identity of a user who is gone, for the deletion of the account: we alone sign tokens."""
    from .models import ChatAccount  # models may not be ready when this module is imported

    return {"uid": uid} if primary(ChatAccount).filter(uid=uid, user=None).exists() else None
