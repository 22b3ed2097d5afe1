"""Decodes plain messages, which nearly all are, in one pass: from their trees, or by their shapes.

A plain message has an id of the service's form, a text or an attachment, parameters without elements in them,
perhaps the mark of XEP-0333, and nothing else. What is anything else is left to the parser and the table of
kinds (``decoding``), which read everything. What both can read they read alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

from ...models import Attachment
from ...models._json import as_bool, as_time
from ...models.messages import attachment_of
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
from .message_shapes import VALUES, Shape, shape_of
from .message_trees import ATTACHMENT, BODY, CLIENT, MARKABLE, PARAMS, RESERVED

__all__ = ["PlainMessages"]

_DATE_SENT, _DIALOG_ID, _IS_MARKABLE, _SILENT, _SAVE_TO_HISTORY = VALUES[5:]
_MOST_SHAPES = 6
_LONGEST = 4_096  # bytes of a message whose shape is learned
_FIRST_WAIT = 8  # messages without a known shape, until one of them is learned; then twice as many
_LONGEST_WAIT = 8_192  # to compile a shape costs as much as to read some hundred messages
# So many messages in a row without a known shape, and no shape is tried for so many messages.
_MOST_MISSES, _REST = 8, 64
_is_object_id = OBJECT_ID.match


class PlainMessages:
    """Decodes the plain messages to user ``me``, each of at most ``most_elements`` elements."""

    def __init__(self, addresses: Addresses, me: int, most_elements: int) -> None:
        self._addresses = addresses
        self._me = me
        self._most_elements = most_elements
        self.shapes: list[Shape] = []
        """How messages are written; the shape that fitted last is the first."""
        self._wait = _FIRST_WAIT
        self._until_learning = _FIRST_WAIT
        self._misses = 0  # messages that no shape has fitted, since one did
        self._resting: list[Shape] = []  # shapes that are not tried now
        self._until_trying = 0

    def read_alike(self, data: bytes, size: int) -> Delivery | None:
        """Return the event of a message that is written like an earlier one; None if it is not."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        for shape in self.shapes:
            values = shape.match(text)
            if values is not None:
                break
        else:
            self._misses += 1
            if self._misses >= _MOST_MISSES:
                self._resting, self.shapes = self.shapes, []
                self._until_trying = _REST
            return None
        self._misses = 0
        if shape is not self.shapes[0]:
            self.shapes.remove(shape)
            self.shapes.insert(0, shape)
        custom: dict[str, str] = {}
        for name, place in shape.custom:
            custom[name] = values[place]
        attachments: tuple[Attachment, ...] = ()
        for chosen in shape.attachments:
            attachments += (attachment_of(*chosen(values)),)
        size += SIZE_OF_ENTRY * shape.entries
        return self._event(shape.first(values), custom, attachments, shape.is_marked, size)

    def learn(self, data: bytes, tree: Element, delivery: Delivery) -> None:
        """Note that :meth:`read` has read this message: the next ones may be written like it."""
        self._until_learning -= 1
        is_due = self._until_learning <= 0 and len(data) <= _LONGEST
        if self._resting:
            self._until_trying -= 1
            if is_due or self._until_trying <= 0:
                self.shapes, self._resting, self._misses = self._resting, [], 0
        if not is_due:
            return
        self._wait = self._until_learning = min(2 * self._wait, _LONGEST_WAIT)
        shape = shape_of(data.decode(), tree)
        if shape is None:
            return
        # Tried alone, because a message that no shape fits may let all shapes rest.
        trial = PlainMessages(self._addresses, self._me, self._most_elements)
        trial.shapes.append(shape)
        again = trial.read_alike(data, 0)
        if again is not None and again.event == delivery.event:
            self.shapes.insert(0, shape)
            del self.shapes[_MOST_SHAPES:]

    def read(self, tree: Element, size: int) -> Delivery | None:
        """Return the event of a message of ``size`` bytes; None if the message is not plain."""
        body, is_marked, entries = None, False, 0
        reserved: dict[str, str] = {}
        custom: dict[str, str] = {}
        attachments: list[Attachment] = []
        for part in tree:
            tag = part.tag
            if tag == PARAMS and _read_params(part, reserved, custom, attachments):
                entries += len(part)
            elif len(part):
                return None
            elif tag == BODY and body is None:
                body = part.text or ""
            elif tag == MARKABLE:
                is_marked = True
            else:
                return None
        if len(tree) + entries > self._most_elements:
            return None
        get, param = tree.get, reserved.get
        values = (
            get("id"),
            get("type"),
            get("from"),
            get("to"),
            body,
            param(_DATE_SENT),
            param(_DIALOG_ID),
            param(_IS_MARKABLE),
            param(_SILENT),
            param(_SAVE_TO_HISTORY),
        )
        return self._event(
            values, custom, tuple(attachments), is_marked, size + SIZE_OF_ENTRY * entries
        )

    def _event(
        self,
        values: Sequence[Any],
        custom: dict[str, str],
        attachments: tuple[Attachment, ...],
        is_marked: bool,
        size: int,
    ) -> Delivery | None:
        """Return the event of a message whose first ``values`` are those of ``VALUES``; None if not plain."""
        (
            message_id,
            kind,
            sender,
            to,
            body,
            date_sent,
            dialog_id,
            markable,
            silent,
            save_to_history,
        ) = values
        if (
            message_id is None
            or not _is_object_id(message_id)
            or kind in NO_CONVERSATION
            or not (body or attachments)
        ):
            return None
        names = (sender, to, kind == "groupchat", dialog_id, self._me)
        origin = self._addresses.origins.get(names) or origin_of(names, self._addresses)
        if origin is None:
            return None  # such as a text of the server itself
        if markable is not None:
            markable = as_bool(markable)
        message = new_message(
            message_id,
            origin.dialog.id,
            body or None,
            origin.user_id,
            origin.recipient_id,
            as_time(date_sent),
            attachments,
            custom,
            silent in TRUE,
            is_marked if markable is None else markable,
            save_to_history in TRUE,
            None,
            False,
            origin.own,
            origin.dialog,
        )
        return new_delivery(
            MESSAGE_SIGNALS[origin.own],
            message,
            origin.conversation,
            size,
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
        if tag in RESERVED:
            if tag == ATTACHMENT:
                attachment = Attachment.from_json(entry.attrib)
                if attachment.extra and "{" in "".join(attachment.extra):
                    return False  # an attribute with a namespace
                attachments.append(attachment)
            else:
                reserved[tag] = entry.text or ""
        elif (name := tag.removeprefix(CLIENT)) != tag:
            custom[name] = entry.text or ""
        else:
            return False
    return True
