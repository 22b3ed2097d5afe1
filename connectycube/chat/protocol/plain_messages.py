"""Decodes plain messages from their trees in one pass: nearly all that arrives.

A plain message has an id of the service's form, a text or an attachment, parameters without elements in them,
perhaps the mark of XEP-0333, and nothing else. What is anything else is left to the parser and the table of
kinds (``decoding``), which read everything. What both can read they read alike.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from ...models import Attachment
from ...models._json import as_bool, as_time
from ...models.messages import RESERVED_NAMES
from . import namespaces as ns
from .addresses import OBJECT_ID, Addresses
from .decoding import (
    MESSAGE_SIGNALS,
    NO_CONVERSATION,
    SIZE_OF_ENTRY,
    TRUE,
    Delivery,
    new_delivery,
    new_message,
    origin_of,
)

__all__ = ["PlainMessages"]

_CLIENT = f"{{{ns.CLIENT}}}"
_BODY = f"{_CLIENT}body"
_PARAMS = f"{_CLIENT}extraParams"
_MARKABLE = f"{{{ns.CHAT_MARKERS}}}markable"
_ATTACHMENT = f"{_CLIENT}attachment"
_DATE_SENT = f"{_CLIENT}date_sent"
_DIALOG_ID = f"{_CLIENT}dialog_id"
_IS_MARKABLE = f"{_CLIENT}markable"
_SAVE_TO_HISTORY = f"{_CLIENT}save_to_history"
_SILENT = f"{_CLIENT}silent"
_RESERVED = frozenset([f"{_CLIENT}{name}" for name in RESERVED_NAMES])
_is_object_id = OBJECT_ID.match


class PlainMessages:
    """Decodes the plain messages to user ``me``, each of at most ``most_elements`` elements."""

    def __init__(self, addresses: Addresses, me: int, most_elements: int) -> None:
        self._addresses = addresses
        self._me = me
        self._most_elements = most_elements

    def read(self, tree: Element, size: int) -> Delivery | None:
        """Return the event of a message of ``size`` bytes; None if the message is not plain."""
        get = tree.get
        message_id, kind = get("id"), get("type")
        if message_id is None or not _is_object_id(message_id) or kind in NO_CONVERSATION:
            return None
        body, is_marked, entries = None, False, 0
        reserved: dict[str, str] = {}
        custom: dict[str, str] = {}
        attachments: list[Attachment] = []
        for part in tree:
            tag = part.tag
            if tag == _PARAMS and _read_params(part, reserved, custom, attachments):
                entries += len(part)
            elif len(part):
                return None
            elif tag == _BODY and body is None:
                body = part.text or ""
            elif tag == _MARKABLE:
                is_marked = True
            else:
                return None
        if not (body or attachments) or len(tree) + entries > self._most_elements:
            return None
        param = reserved.get
        names = (get("from"), get("to"), kind == "groupchat", param(_DIALOG_ID), self._me)
        origin = self._addresses.origins.get(names) or origin_of(names, self._addresses)
        if origin is None:
            return None  # such as a text of the server itself
        markable = as_bool(reserved[_IS_MARKABLE]) if _IS_MARKABLE in reserved else None
        message = new_message(
            message_id,
            origin.dialog.id,
            body or None,
            origin.user_id,
            origin.recipient_id,
            as_time(param(_DATE_SENT)),
            tuple(attachments),
            custom,
            param(_SILENT) in TRUE,
            is_marked if markable is None else markable,
            param(_SAVE_TO_HISTORY) in TRUE,
            None,
            False,
            origin.own,
            origin.dialog,
        )
        return new_delivery(  # type: ignore[no-any-return]
            MESSAGE_SIGNALS[origin.own],
            message,
            origin.conversation,
            size + SIZE_OF_ENTRY * entries,
            (origin.conversation, origin.user_id, message_id),
            None,
            False,
            None,
        )


def _read_params(
    params: Element,
    reserved: dict[str, str],
    custom: dict[str, str],
    attachments: list[Attachment],
) -> bool:
    """Read extraParams; return False if anything in them is not plain."""
    for entry in params:
        if len(entry):
            return False
        tag = entry.tag
        if tag in _RESERVED:
            if tag == _ATTACHMENT:
                attachment = Attachment.from_json(entry.attrib)
                if attachment.extra and "{" in "".join(attachment.extra):
                    return False  # an attribute with a namespace
                attachments.append(attachment)
            else:
                reserved[tag] = entry.text or ""
        elif (name := tag.removeprefix(_CLIENT)) != tag:
            custom[name] = entry.text or ""
        else:
            return False
    return True
