"""For tests without a network: what was sent, messages that arrive, a client that refuses requests."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypedDict, TypeVar

from attrs import evolve, field, frozen

from connectycube import (
    Attachment,
    ChatState,
    Config,
    ConnectyCube,
    DialogRef,
    Message,
    Request,
    User,
)
from connectycube._checks import check_str
from connectycube.errors import ArgumentTypeError

from .sending import address_of

if TYPE_CHECKING:
    from connectycube.typing import CustomValue

__all__ = [
    "BOT_ID",
    "SENDER_ID",
    "OfflineChat",
    "Outbox",
    "arriving_message",
    "refusing_client",
    "stored_copy",
]

BOT_ID = 1
SENDER_ID = 1_001

Entry = TypeVar("Entry")


class Outbox(list[Entry]):
    """What was sent in this test, the oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self._failures: list[BaseException] = []

    def clear(self) -> None:
        """Forget the messages, and the errors of ``fail_next()``."""
        super().clear()
        self._failures.clear()

    def fail_next(self, error: BaseException) -> None:
        """Let the next message that is sent fail.

        Args:
            error: What ``send()``, or a handler's answer, raises.

        Raises:
            ArgumentTypeError: ``error`` is no exception.
        """
        if not isinstance(error, BaseException):
            raise ArgumentTypeError(f"error must be an exception, not {type(error).__name__}")
        self._failures.append(error)

    def add(self, message: Entry) -> None:
        """Keep a message, unless ``fail_next()`` says otherwise."""
        if self._failures:
            raise self._failures.pop(0)
        self.append(message)


class MessageFields(TypedDict, total=False):
    """The fields of a Message beside its body, sender and dialog, for functions that pass them on."""

    id: str | None
    dialog_id: str | None
    sender_id: int | None
    recipient_id: int | None
    date_sent: datetime | None
    attachments: Iterable[Attachment]
    custom: Mapping[str, Any]
    read: bool | None
    read_ids: tuple[int, ...]
    delivered_ids: tuple[int, ...]
    views_count: int | None
    reactions: Mapping[str, Any] | None
    created_at: datetime | None
    updated_at: datetime | None
    silent: bool
    markable: bool
    save_to_history: bool
    destroy_after: int | None
    delayed: bool
    recovered: bool
    redelivered: bool
    own: bool


def stored_copy(message: Message, address: int | str | None) -> Message:
    """Return a message as it would be stored: with an id and the time."""
    return evolve(
        message,
        id=secrets.token_hex(12),
        date_sent=datetime.now(timezone.utc).replace(microsecond=0),
        recipient_id=address if isinstance(address, int) else None,
        dialog_id=address if isinstance(address, str) else None,
    )


def arriving_message(
    body: str, sender_id: int, dialog: str | DialogRef | None, fields: MessageFields
) -> Message:
    """Return a message as a bot receives it; without a dialog it comes from the private one."""
    if dialog is None:
        place = DialogRef.private(sender_id, f"{sender_id:024x}")
    elif isinstance(dialog, str):
        place = DialogRef.room(check_str("dialog", dialog))
    else:
        place = dialog
    given: dict[str, Any] = {
        "id": secrets.token_hex(12),
        "dialog_id": place.id,
        "dialog": place,
        "sender_id": sender_id,
        "recipient_id": BOT_ID if place.peer_id is not None else None,
        "date_sent": datetime.now(timezone.utc).replace(microsecond=0),
    }
    known: dict[str, Any] = {**given, **fields, "body": body}
    return Message(**known)


# --- a client that refuses every request ------------------------------------------------------------


def refusing_client(config: Config, why: str) -> ConnectyCube:
    """Return a client that raises an AssertionError instead of sending a request; ``why`` ends its text."""
    client = ConnectyCube(config=config, transport=_Refusing(why))
    # With a session: otherwise the error would be that there is none.
    return client.with_token("no token", user_id=BOT_ID)


@frozen
class _Refusing:
    """A transport that sends nothing."""

    _why: str

    def send(self, request: Request) -> NoReturn:
        raise AssertionError(f"{request.method} {request.url} was not sent: {self._why}")


# --- the chat that handlers get ---------------------------------------------------------------------


@frozen
class _SentHandle:
    """The handle of a message that is in the outbox: sent already."""

    message: Message

    @property
    def id(self) -> str | None:
        return self.message.id

    def result(self, timeout: float | None = None) -> Message:
        return self.message

    def exception(self, timeout: float | None = None) -> None:
        return None

    def done(self) -> bool:
        return True

    def cancel(self) -> bool:
        return False

    def add_done_callback(self, function: Callable[[Any], object]) -> None:
        function(self)


@frozen
class OfflineChat:
    """What handlers get in a test: what they send goes to ``keep(to, message, custom, answered)``."""

    _keep: Callable[[Any, Message, dict[str, Any], Message | None], object]
    _instead: str
    """What has a service, for a test that needs one."""
    _address_of: Callable[[Any], int | str | None] = address_of
    user: User = field(factory=lambda: User(id=BOT_ID))
    state: ChatState = ChatState.READY
    is_ready: bool = True

    def send_message(
        self, dialog: Any, message: str | Message, **custom: CustomValue
    ) -> _SentHandle:
        """Keep a message to a dialog."""
        return self._send(dialog, message, custom)

    def send_private(
        self, user_id: Any, message: str | Message, **custom: CustomValue
    ) -> _SentHandle:
        """Keep a message to a user."""
        return self._send(user_id, message, custom)

    def reply(self, message: Message, reply: str | Message, **custom: CustomValue) -> _SentHandle:
        """Keep an answer."""
        if not isinstance(message, Message):
            raise ArgumentTypeError(f"message must be a Message, not {type(message).__name__}")
        return self._send(message.dialog, reply, custom, message)

    def _send(
        self, to: Any, body: str | Message, custom: dict[str, Any], answered: Message | None = None
    ) -> _SentHandle:
        message = body if isinstance(body, Message) else Message(body=check_str("body", body))
        own = custom.pop("custom", {})
        for name in ("clean", "timeout"):
            custom.pop(name, None)
        copy = stored_copy(message, self._address_of(to))
        self._keep(to, copy, {**copy.custom, **own, **custom}, answered)
        return _SentHandle(copy)

    def _nothing(self, *_: Any, **__: Any) -> None:
        """Statuses, typing and rooms: nobody is there who would see them."""

    mark_read: ClassVar[Callable[..., None]] = _nothing
    mark_delivered: ClassVar[Callable[..., None]] = _nothing
    send_typing: ClassVar[Callable[..., None]] = _nothing
    send_stop_typing: ClassVar[Callable[..., None]] = _nothing
    join: ClassVar[Callable[..., None]] = _nothing
    leave: ClassVar[Callable[..., None]] = _nothing

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the chat of deliver() has no {name}: {self._instead}")
