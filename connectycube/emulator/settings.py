"""Settings: the emulated application, and the behaviour of the emulated service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from attrs import Attribute, define, evolve, field, fields
from attrs.validators import optional

from connectycube._checks import check_int, check_str
from connectycube.errors import ArgumentValueError

from .domain.identities import IdentityProvider, SocialIdentity, check_provider, read_provider
from .domain.identity_endpoint import HttpIdentityProvider
from .switches import COUNT, FLAG, NAMES, SECONDS, Form, Switch, function, one_of, switch

__all__ = ["SWITCHES", "Settings", "SwitchValues"]


class SwitchValues(TypedDict, total=False):
    """The switches of the emulator, as keyword arguments of functions that take them."""

    require_signature: bool
    timestamp_seconds: float
    create_users_on_login: bool
    dialog_extensions: Sequence[str] | None
    list_users_v1: bool
    social_identity: SocialIdentity | None
    identity_provider: IdentityProvider | HttpIdentityProvider | None
    offline_messages: bool
    edits_change_history: bool
    deletions_change_history: bool
    join_required: bool
    room_echo: bool
    room_subject: bool
    repeated_message: str
    handled_in_failed: bool
    session_seconds: float
    guest_seconds: float
    resume_seconds: float
    stanza_bytes: int
    stanza_depth: int
    body_bytes: int
    unsent_bytes: int
    unacknowledged_stanzas: int
    unacknowledged_bytes: int
    unacknowledged_overflow: str
    handshake_seconds: float
    state_bytes: int
    files_bytes: int
    connections: int


def _id(instance: object, attribute: Attribute[int], value: object) -> None:
    check_int(attribute.name, value, least=1)


def _key(instance: object, attribute: Attribute[str], value: object) -> None:
    check_str(attribute.name, value)


def _domain(instance: object, attribute: Attribute[str], value: object) -> None:
    text = check_str("domain", value)
    if any(character.isspace() or character in "/@:<>&\"'" for character in text):
        raise ArgumentValueError(f"domain must be a bare host name, not {text!r}")


@define(kw_only=True)
class Settings:
    """One application on one emulator. Times are seconds, sizes bytes.

    All parts of an emulator share one object, whose switches ``change`` sets while the emulator runs.
    """

    app_id: int = field(default=1, validator=_id)
    auth_key: str = field(default="key", validator=_key, repr=False)
    auth_secret: str | None = field(default=None, validator=optional(_key), repr=False)
    admin_key: str = field(default="admin key", validator=_key, repr=False)
    domain: str = field(default="localhost", validator=_domain)

    # Behaviour that differs between applications or releases of the service.
    require_signature: bool = switch(
        False,
        FLAG,
        "Refuse session requests that are not signed, as the service did before SDK 3.0.",
    )
    timestamp_seconds: float = switch(
        300.0,
        SECONDS,
        "How far the timestamp of a signed session request may be from the emulator's time.",
    )
    create_users_on_login: bool = switch(
        True,
        FLAG,
        "Create the user when a session request has an unknown login (the default of applications).",
    )
    dialog_extensions: Sequence[str] | None = switch(
        None,
        NAMES,
        "The fields that `extensions` of dialogs may have; others are ignored. None: any three fields.",
    )
    list_users_v1: bool = switch(
        True, FLAG, "Answer GET /users, which newer applications of the service forbid."
    )
    social_identity: SocialIdentity | None = switch(
        None,
        function("provider", "keys"),
        "Takes the provider and keys of a social log-in; returns the fields of the user, or None to refuse.",
        repr=False,
    )
    identity_provider: IdentityProvider | HttpIdentityProvider | None = switch(
        None,
        Form(check_provider, None, "a URL or a function"),
        "The custom identity provider: its URL, or a function of the token; returns fields with `uid`.",
        converter=read_provider,
        repr=False,
    )
    offline_messages: bool = switch(
        True,
        FLAG,
        "Keep private messages to a user who is offline; deliver them later with a delay stamp (XEP-0203).",
    )
    edits_change_history: bool = switch(
        True,
        FLAG,
        "Change the history by an edit over the chat (XEP-0308) of the sender's own message.",
    )
    deletions_change_history: bool = switch(
        True, FLAG, "Delete the sender's own message from the history by a deletion over the chat."
    )
    join_required: bool = switch(
        False,
        FLAG,
        "Let only users that have joined a room write and receive in it, as the service once did.",
    )
    room_echo: bool = switch(
        True, FLAG, "Send a message in a room to the connection that wrote it, too."
    )
    room_subject: bool = switch(
        False,
        FLAG,
        "Send an empty subject after a join (XEP-0045); the JavaScript SDK takes it for a message.",
    )
    repeated_message: str = switch(
        "relay",
        one_of("relay", "drop", "refuse"),
        "What happens to a message whose id is in history already; `refuse` answers with conflict.",
    )
    handled_in_failed: bool = switch(
        True,
        FLAG,
        "Tell in `<failed/>` how many stanzas were handled (`h`), if that is known. (XEP-0198.)",
    )
    session_seconds: float = switch(
        7200.0, SECONDS, "How long a REST session lives after its last request."
    )
    guest_seconds: float = switch(
        86_400.0, SECONDS, "How long a guest and its session live; requests do not prolong them."
    )
    resume_seconds: float = switch(
        300.0, SECONDS, "How long a chat session can be resumed after its link was lost."
    )

    # Bounds: a client beyond them loses its connection or session; the emulator goes on.
    stanza_bytes: int = switch(1_048_576, COUNT, "The largest stanza taken from a client.")
    stanza_depth: int = switch(64, COUNT, "The deepest nesting taken from a client.")
    body_bytes: int = switch(10_485_760, COUNT, "The largest REST request.")
    unsent_bytes: int = switch(
        8_388_608,
        COUNT,
        "What may be unsent to a client that does not read; beyond that its link is cut.",
    )
    unacknowledged_stanzas: int = switch(
        50_000,
        COUNT,
        "How many stanzas a session keeps for a client that does not acknowledge them.",
    )
    unacknowledged_bytes: int = switch(
        67_108_864,
        COUNT,
        "How large these stanzas may be together, about, before the same happens.",
    )
    unacknowledged_overflow: str = switch(
        "end",
        one_of("end", "forget", "unresumable"),
        "Beyond that: end the session (resource-constraint), forget the oldest stanza, or go on unresumable.",
    )
    handshake_seconds: float = switch(
        30.0,
        SECONDS,
        "How long a client may take from connecting to a bound resource, and for the head of a request.",
    )
    state_bytes: int = switch(
        1_073_741_824,
        COUNT,
        "How large users, dialogs, messages and the rest of the state may become, without files.",
    )
    files_bytes: int = switch(2_147_483_648, COUNT, "How large all files may become together.")
    connections: int = switch(
        4096,
        COUNT,
        "How many connections may be open at all ports together; one that waits for its client makes room.",
    )

    def __attrs_post_init__(self) -> None:
        if self.require_signature and self.auth_secret is None:
            raise ArgumentValueError("require_signature needs an auth_secret to verify with")

    def switches(self) -> dict[str, Any]:
        """Return the value of each switch by name."""
        return {name: getattr(self, name) for name in SWITCHES}

    def change(self, values: Mapping[str, Any]) -> None:
        """Set switches, all or none."""
        unknown = [name for name in values if name not in SWITCHES]
        if unknown:
            known = ", ".join(SWITCHES)
            raise ArgumentValueError(f"there is no switch {unknown[0]!r}; there are {known}")
        checked = evolve(self, **values)
        for name in values:
            setattr(self, name, getattr(checked, name))

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


SWITCHES: dict[str, Switch] = {
    entry.name: Switch(
        name=entry.name,
        default=entry.default,
        meaning=entry.metadata["meaning"],
        form=entry.metadata["form"],
    )
    for entry in fields(Settings)
    if "form" in entry.metadata
}
"""Every switch by its name, in the order of the fields."""
