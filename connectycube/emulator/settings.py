"""Settings: the emulated application, and the behaviour of the emulated service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import Attribute, field, frozen

from connectycube._checks import check_bool, check_int, check_number, check_one_of, check_str
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .domain.identities import IdentityProvider, SocialIdentity

__all__ = ["Settings"]


def _string(instance: object, attribute: Attribute[str], value: object) -> None:
    check_str(attribute.name, value)


def _bool(instance: object, attribute: Attribute[bool], value: object) -> None:
    check_bool(attribute.name, value)


def _count(instance: object, attribute: Attribute[int], value: object) -> None:
    check_int(attribute.name, value, least=1)


def _seconds(instance: object, attribute: Attribute[float], value: object) -> None:
    check_number(attribute.name, value, least=0.0)


def _one_of(*choices: str) -> Callable[[object, Attribute[str], object], None]:
    def check(instance: object, attribute: Attribute[str], value: object) -> None:
        check_one_of(attribute.name, value, choices)

    return check


def _three_names(
    instance: object, attribute: Attribute[Sequence[str] | None], value: object
) -> None:
    if value is None:
        return
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ArgumentTypeError(f"{attribute.name} must be a sequence of names, not {value!r}")
    for name in value:
        check_str(attribute.name, name)
    if len(value) > 3:
        raise ArgumentValueError(f"{attribute.name} must not have more than three names")


@frozen(kw_only=True)
class Settings:
    """One application on one emulator; immutable. Times are seconds, sizes bytes."""

    app_id: int = field(default=1, validator=_count)
    auth_key: str = field(default="key", validator=_string, repr=False)
    auth_secret: str | None = field(default=None, repr=False)
    domain: str = field(default="localhost")

    # Behaviour that differs between applications or releases of the service.
    require_signature: bool = field(default=False, validator=_bool)
    """Refuse session requests that are not signed, as the service did before SDK 3.0."""
    timestamp_seconds: float = field(default=300.0, validator=_seconds)
    """How far the timestamp of a signed session request may be from the emulator's time."""
    create_users_on_login: bool = field(default=True, validator=_bool)
    """Create the user when a session request has an unknown login (the default of applications)."""
    dialog_extensions: Sequence[str] | None = field(default=None, validator=_three_names)
    """The fields that ``extensions`` of dialogs may have; others are ignored. None: any three fields."""
    list_users_v1: bool = field(default=True, validator=_bool)
    """Answer GET /users, which newer applications of the service forbid."""
    social_identity: SocialIdentity | None = field(default=None, repr=False)
    """Takes the provider and keys of a social log-in; returns the fields of the user, or None to refuse."""
    identity_provider: IdentityProvider | None = field(default=None, repr=False)
    """The custom identity provider: takes the token sent as login; returns fields with ``uid``, or None."""
    offline_messages: bool = field(default=True, validator=_bool)
    """Keep private messages to a user who is offline; deliver them later with a delay stamp (XEP-0203)."""
    edits_change_history: bool = field(default=True, validator=_bool)
    """Change the history by an edit over the chat (XEP-0308) of the sender's own message."""
    deletions_change_history: bool = field(default=True, validator=_bool)
    """Delete the sender's own message from the history by a deletion over the chat."""
    join_required: bool = field(default=False, validator=_bool)
    """Let only users that have joined a room write and receive in it, as the service once did."""
    room_echo: bool = field(default=True, validator=_bool)
    """Send a message in a room to the connection that wrote it, too."""
    room_subject: bool = field(default=False, validator=_bool)
    """Send an empty subject after a join (XEP-0045); the JavaScript SDK takes it for a message."""
    repeated_message: str = field(default="relay", validator=_one_of("relay", "drop", "refuse"))
    """What happens to a message whose id is in history already; ``refuse`` answers with conflict."""
    handled_in_failed: bool = field(default=True, validator=_bool)
    """Tell in ``<failed/>`` how many stanzas were handled (``h``), if that is known. (XEP-0198.)"""
    session_seconds: float = field(default=7200.0, validator=_seconds)
    """How long a REST session lives after its last request."""
    guest_seconds: float = field(default=86_400.0, validator=_seconds)
    """How long a guest and its session live; requests do not prolong them."""
    resume_seconds: float = field(default=300.0, validator=_seconds)
    """How long a chat session can be resumed after its link was lost."""

    # Bounds: a client beyond them loses its connection or session; the emulator goes on.
    stanza_bytes: int = field(default=1_048_576, validator=_count)
    stanza_depth: int = field(default=64, validator=_count)
    body_bytes: int = field(default=10_485_760, validator=_count)
    """The largest REST request."""
    unsent_bytes: int = field(default=8_388_608, validator=_count)
    """What may be unsent to a client that does not read; beyond that its link is cut."""
    unacknowledged_stanzas: int = field(default=50_000, validator=_count)
    """How many stanzas a session keeps for a client that does not acknowledge them."""
    unacknowledged_overflow: str = field(
        default="end", validator=_one_of("end", "forget", "unresumable")
    )
    """Beyond that: end the session (resource-constraint), forget the oldest stanza, or go on unresumable."""
    handshake_seconds: float = field(default=30.0, validator=_seconds)
    """How long a client may take from the TCP connection to a bound resource."""

    @auth_secret.validator
    def _check_secret(self, attribute: Attribute[str | None], value: object) -> None:
        if value is not None:
            check_str("auth_secret", value)

    @require_signature.validator
    def _check_require_signature(self, attribute: Attribute[bool], value: bool) -> None:
        if value and self.auth_secret is None:
            raise ArgumentValueError("require_signature needs an auth_secret to verify with")

    @social_identity.validator
    @identity_provider.validator
    def _check_callable(self, attribute: Attribute[Any], value: object) -> None:
        if value is not None and not callable(value):
            raise ArgumentTypeError(f"{attribute.name} must be callable, not {value!r}")

    @domain.validator
    def _check_domain(self, attribute: Attribute[str], value: object) -> None:
        text = check_str("domain", value)
        if any(character.isspace() or character in "/@:<>&\"'" for character in text):
            raise ArgumentValueError(f"domain must be a bare host name, not {text!r}")

    @property
    def muc_domain(self) -> str:
        """The domain of the rooms (XEP-0045)."""
        return f"muc.{self.domain}"

    def room_jid(self, dialog_id: str) -> str:
        """Return the JID of a dialog's room."""
        return f"{self.app_id}_{dialog_id}@{self.muc_domain}"

    def user_jid(self, user_id: int) -> str:
        """Return the bare JID of a user."""
        return f"{user_id}-{self.app_id}@{self.domain}"
