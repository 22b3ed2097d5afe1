"""The messages that have been seen: a bounded window, by id or, where an id says nothing, by content.

Ids of the service's form are unique, so (conversation, sender, id) tells whether a message is a repetition.
Other XMPP clients number their messages, or give each the same id. Such a message is a repetition only where
the server may send it again, and only if an equal one was seen: see :class:`Content`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import OrderedDict
from datetime import datetime

from attrs import asdict, frozen

from ...models import Message

__all__ = [
    "Content",
    "Key",
    "SeenMessages",
    "digest",
    "digest_of_message",
    "seconds",
    "short_id",
]

Key = tuple[str, int, str]
"""The conversation, the sender, and the id; or, in place of the id, the text of :meth:`Content.key`."""

_LONGEST_ID = 64  # bytes; a longer id, or one that is not ASCII, is remembered by a digest
_MOST_ALIKE = 1_000  # messages of one content that are compared with the next one
_MOST = 200_000  # keys that are remembered, however long a gap is
_TOLERANCE = 1.0  # seconds between two dates of one message, as some are rounded
_CONTENT = re.compile(r"(?P<digest>[0-9a-f]{32})/(?P<date>[0-9.\-]*)/[^/]*/(?P<id>.*)", re.DOTALL)


@frozen
class Content:
    """The content of a message whose id is not of the service's form.

    Two of them are the same message if they have the same conversation, sender, id and digest, and dates that
    differ by a second at most. Messages without a date are the same only among themselves.
    """

    conversation: str
    sender: int
    id: str
    digest: str
    date: float | None
    """Unix seconds."""

    def key(self, unique: str) -> Key:
        """Return the key of this message alone; ``unique`` is a text without "/" that no other has."""
        date = "" if self.date is None else f"{self.date:.3f}"
        return self.conversation, self.sender, f"{self.digest}/{date}/{unique}/{self.id}"

    def is_dated_as(self, date: float | None) -> bool:
        """Whether a message of that date may be this one."""
        if self.date is None or date is None:
            return self.date is date
        return abs(self.date - date) <= _TOLERANCE


def short_id(message_id: str) -> str:
    """Return the text by which a message id is remembered: itself, or a digest of it if it takes room.

    JSON writes up to 12 bytes for a character that is not ASCII.
    """
    if len(message_id) <= _LONGEST_ID and message_id.isascii():
        return message_id
    return f"sha256:{digest(message_id)}"


def digest(*parts: object) -> str:
    """Return a digest of texts, and of mappings and lists of texts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def digest_of_message(message: Message) -> str:
    """Return the digest of a message: it is that of each copy, live or in history."""
    files = [asdict(file) for file in message.attachments]
    return digest(message.body or "", dict(message.custom), files)


class SeenMessages:
    """Remembers the last ``window`` keys, and older ones that were seen since ``keep_since``."""

    def __init__(self, window: int = 10_000) -> None:
        self._window = window
        # The moment at which each key was last seen; the oldest is the first.
        self._seen: OrderedDict[Key, float] = OrderedDict()
        # The content of each key that was made of one, with the number of its link. Keys of equal contents
        # are in one group, by conversation, sender and digest.
        self._contents: dict[Key, dict[Key, tuple[Content, int]]] = {}
        # The sender of the first message with an id in a conversation.
        self._authors: dict[tuple[str, str], int] = {}
        self._stored: set[Key] = set()  # the keys among these whose message was found in history
        self._link = 0  # the number of the current link
        # Messages that were found in history alone: the dates by group and key, and the groups by key.
        self._recovered: dict[Key, dict[Key, float | None]] = {}
        self._groups: dict[Key, Key] = {}
        self.keep_since: float = math.inf
        """A key that was seen at this moment or later is remembered, however many there are."""

    def begin_link(self) -> None:
        """Note that a new link begins: the server may send messages of earlier links again."""
        self._link += 1

    def add(self, key: Key, now: float = 0.0, arrived: Content | None = None) -> bool:
        """Note ``key`` as seen; return whether it is new.

        ``arrived`` is the content of a message that arrives with a foreign id. It is not new if history had
        it first: then its copy there has another id.
        """
        # Before the oldest keys are forgotten below, which may be that of the copy.
        recovered = None if arrived is None else self._recovered_copy(arrived)
        is_new = key not in self._seen
        self._seen[key] = now
        if not is_new:
            self._seen.move_to_end(key)
            return False
        content = _content_of(key) if "/" in key[2] else None
        if content is not None:
            alike = self._contents.setdefault(_group_of(content), {})
            alike[key] = (content, self._link)
            if len(alike) > _MOST_ALIKE:
                oldest = next(iter(alike))
                del alike[oldest]
                self._stored.discard(oldest)
        self._authors.setdefault((key[0], key[2] if content is None else content.id), key[1])
        if len(self._seen) > self._window:
            self._forget_oldest()
        if recovered is None:
            return True
        # Each copy in history is the copy of one message that arrives, so it counts once.
        self._forget_recovered(recovered)
        self._stored.add(key)
        return False

    def add_unique(self, key: Key, now: float) -> bool:
        """Do what ``add`` does, for a key with an id of the service's form."""
        seen = self._seen
        if key in seen:
            seen[key] = now
            seen.move_to_end(key)
            return False
        seen[key] = now
        self._authors.setdefault((key[0], key[2]), key[1])
        if len(seen) > self._window:
            self._forget_oldest()
        return True

    def _forget_oldest(self) -> None:
        """Forget the oldest keys, beyond the window, that need not be kept."""
        seen = self._seen
        while len(seen) > self._window:
            oldest, moment = seen.popitem(last=False)
            if moment >= self.keep_since and len(seen) < _MOST:
                seen[oldest] = moment
                seen.move_to_end(oldest, last=False)
                return
            self._forget_about(oldest)

    def has_equal(self, content: Content, *, on_this_link: bool) -> bool:
        """Whether a message of the same id, content and date was seen on an earlier link, or on this one."""
        return any(
            seen.id == content.id
            and seen.is_dated_as(content.date)
            and (on_this_link or link < self._link)
            for seen, link in self._contents.get(_group_of(content), {}).values()
        )

    def knows(self, key: Key | None, content: Content | None) -> bool:
        """Whether :meth:`add` would return False."""
        if content is not None and self._recovered_copy(content) is not None:
            return True
        return key in self._seen

    def _recovered_copy(self, content: Content) -> Key | None:
        alike = self._recovered.get(_group_of(content), {})
        return next((key for key, date in alike.items() if content.is_dated_as(date)), None)

    def _forget_recovered(self, key: Key) -> None:
        group = self._groups.pop(key, None)
        if group is None:
            return
        alike = self._recovered[group]
        del alike[key]
        if not alike:
            del self._recovered[group]

    def add_stored(self, key: Key, message: Message, now: float = 0.0) -> Key | None:
        """Note a message of history as seen; return the key of the copy seen before, None if it is new.

        The copy that arrived live may have another id, which the service has replaced in history.
        """
        if not self.add(key, now):
            return key
        conversation, sender, _ = key
        group = conversation, sender, digest_of_message(message)
        seen = self._contents.get(group, {})
        date = seconds(message.date_sent)
        for live, (content, _) in seen.items():
            # Each of several equal messages in history is the copy of another one that arrived.
            if live not in self._stored and content.is_dated_as(date):
                self._stored.add(live)
                return live
        self._recovered.setdefault(group, {})[key] = date
        self._groups[key] = group
        return None

    def __contains__(self, key: Key | None) -> bool:
        """Whether ``key`` was seen before."""
        return key in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def is_author(self, conversation: str, user_id: int, message_id: str) -> bool | None:
        """Whether a user sent the message with this id in a conversation; None if it was not seen."""
        author = self._authors.get((conversation, short_id(message_id)))
        return None if author is None else author == user_id

    def forget(self, key: Key) -> None:
        """Forget ``key``, because its message was not committed and comes again, or is too old."""
        self._seen.pop(key, None)
        self._forget_about(key)

    def _forget_about(self, key: Key) -> None:
        """Forget what is known of a key that was forgotten."""
        if self._groups:
            self._forget_recovered(key)
        content = _content_of(key) if "/" in key[2] else None
        author_key = (key[0], key[2] if content is None else content.id)
        if self._authors.get(author_key) == key[1]:
            del self._authors[author_key]
        if content is None:
            return
        self._stored.discard(key)
        group = _group_of(content)
        alike = self._contents.get(group, {})
        alike.pop(key, None)
        if not alike:
            self._contents.pop(group, None)


def seconds(date: datetime | None) -> float | None:
    """Return a date as unix seconds; None if there is none."""
    return None if date is None else date.timestamp()


def _group_of(content: Content) -> Key:
    return content.conversation, content.sender, content.digest


def _content_of(key: Key) -> Content | None:
    """Return the content that a key was made of; None if it was made of an id of the service's form."""
    found = _CONTENT.fullmatch(key[2]) if "/" in key[2] else None
    if found is None:
        return None
    date = float(found["date"]) if found["date"] else None
    return Content(key[0], key[1], found["id"], found["digest"], date)
