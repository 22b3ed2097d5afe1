"""One way to ask three servers for users, chats and rooms: the emulator, prosody and ejabberd."""

from __future__ import annotations

import itertools
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from attrs import frozen

from connectycube import Chat, Config, ConnectyCube, DialogRef, DialogType
from connectycube._deadline import Deadline
from connectycube.emulator import Emulator
from tests.interop.server_process import ServerProcess
from tests.interop.slixmpp_peer import SlixmppPeer
from tests.support.inside import driver_of
from tests.support.people import FAST, PASSWORD, Person
from tests.support.proxy import FaultProxy
from tests.support.waiting import TIMEOUT

APP = 7
NOBODY = 999_999_999

ALL = frozenset({"emulator", "prosody", "ejabberd"})

FEATURES: Mapping[str, frozenset[str]] = {
    "carriage return": ALL - {"prosody", "ejabberd"},
    "copies of what was received": ALL - {"emulator"},
    "dialog id": ALL - {"prosody", "ejabberd"},
    "bans of those who were inside": ALL - {"ejabberd"},
    "last activity of anybody": ALL - {"prosody", "ejabberd"},
    "list of occupants": ALL - {"prosody"},
    "nicks of one's choice": ALL - {"emulator"},
    "order amid a resumption": ALL - {"ejabberd"},
    "room messages without a join": ALL - {"prosody", "ejabberd"},
    "rooms by joining": ALL - {"emulator"},
    "rooms that outlive the server": ALL - {"emulator"},
    "privacy lists": ALL - {"prosody"},
    "refusal of system messages": ALL - {"prosody"},
    "resumption after half a stanza": ALL - {"prosody"},
    "tab in an attribute": ALL - {"prosody"},
}
"""What servers do differently: each feature with the servers that have it. README.md explains them."""

_numbers = itertools.count(1)


@frozen
class User:
    """An account on a server."""

    id: int
    login: str
    password: str = PASSWORD

    @property
    def jid(self) -> str:
        """The bare JID."""
        return f"{self.id}-{APP}@localhost"


class Server(ABC):
    """A running server as the tests see it; ``close()`` ends all that a test has made on it.

    Of ``start``, ``stop``, ``kill`` and ``paused`` only a test that owns the server may make use.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._made = ExitStack()
        self._chats: list[Chat] = []

    def supports(self, feature: str) -> bool:
        """Whether the server does what is named in FEATURES."""
        return self.name in FEATURES[feature]

    def person(self, user: User | None = None, *, port: int | None = None, **options: Any) -> Any:
        """Log a user in (a new one by default) and return the Person: id, chat, events.

        ``port`` is that of a proxy, ``resource`` goes to the login and ``options`` to the Config.
        """
        user = user or self.user()
        resource = options.pop("resource", None)
        person = Person(user.id, self.config(port=port, **options), password=user.password)
        self._chats.append(person.chat)
        person.chat.login(user.id, user.password, resource=resource)
        return person

    def chat(self, user: User | None = None, **options: Any) -> Chat:
        """Log a user in, as ``person`` does, and return the Chat alone."""
        chat: Chat = self.person(user, **options).chat
        return chat

    def slixmpp(self, user: User | None = None, **options: Any) -> SlixmppPeer:
        """Log a user (a new one by default) in with slixmpp."""
        user = user or self.user()
        options = {"host": "127.0.0.1", "port": self.port, "ca_file": self.ca_file, **options}
        peer = SlixmppPeer(user.jid, user.password, **options)
        peer.start()
        self._made.callback(peer.stop)
        return peer

    def proxy(self) -> FaultProxy:
        """Return a proxy in front of the server; it outlives the chats that are made after it."""
        return self._made.enter_context(FaultProxy("127.0.0.1", self.port))

    def config(self, *, port: int | None = None, **options: Any) -> Config:
        """Return a Config for the chat alone; it reconnects at once and for ever unless told otherwise."""
        return Config(
            **{
                "app_id": APP,
                "auth_key": "unused",
                "chat_host": "localhost",
                "chat_port": port or self.port,
                "ca_file": self.ca_file,
                "reconnect": FAST,
                **options,
            }
        )

    def room_jid(self, dialog: DialogRef) -> str:
        """Return the JID of a dialog's room."""
        return f"{APP}_{dialog.id}@muc.localhost"

    def close(self) -> None:
        """Log out all that were logged in, and end the proxies."""
        if self._chats:
            # Together, because ejabberd takes a tenth of a second to close a stream.
            with ThreadPoolExecutor(len(self._chats)) as pool:
                list(pool.map(Chat.logout, self._chats))
        self._made.close()

    @property
    @abstractmethod
    def port(self) -> int:
        """Where chats connect to."""

    @property
    @abstractmethod
    def ca_file(self) -> str | Path:
        """The authority of the server's certificate."""

    @abstractmethod
    def user(self) -> User:
        """Make an account."""

    @abstractmethod
    def room(self, owner: Any, *members: Any) -> DialogRef:
        """Make a group dialog of people, or users, whose room nobody else may enter.

        The owner is a Person, and not in the room afterwards.
        """

    @abstractmethod
    def kick(self, dialog: DialogRef, owner: Any, user_id: int, reason: str | None = None) -> None:
        """Let the owner, who is in the room, put a user out of it."""

    @abstractmethod
    def ban(self, dialog: DialogRef, owner: Any, user_id: int) -> None:
        """Let the owner put a user out of the room for good."""

    @abstractmethod
    def remove(self, dialog: DialogRef, owner: Any, user_id: int) -> None:
        """Let the owner take a user out of the dialog."""

    @abstractmethod
    def destroy(self, dialog: DialogRef, owner: Any) -> None:
        """Let the owner end the dialog and its room."""

    @abstractmethod
    def start(self) -> None:
        """Start it again, on the same port and with the same accounts."""

    @abstractmethod
    def stop(self) -> None:
        """Shut it down in good order."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once: the links of its clients are reset."""

    @abstractmethod
    def paused(self) -> AbstractContextManager[Any]:
        """While the block runs connections stay open, new ones are accepted, and nothing answers."""


class EmulatorServer(Server):
    """The emulator."""

    name = "emulator"

    def __init__(self, emulator: Emulator) -> None:
        super().__init__()
        self.emulator = emulator
        self._users: list[User] = []

    @property
    def port(self) -> int:
        """Where chats connect to."""
        return self.emulator.chat_port

    @property
    def ca_file(self) -> str:
        """The authority of the server's certificate."""
        return self.emulator.ca_file

    def user(self) -> User:
        """Make an account."""
        login = f"realtime{next(_numbers)}"
        self._users.append(User(self.emulator.add_user(login, PASSWORD), login))
        return self._users[-1]

    def room(self, owner: Any, *members: Any) -> DialogRef:
        """Make a group dialog over REST."""
        with self._rest(owner) as cube:
            dialog = cube.dialogs.create_group("a room", [member.id for member in members])
        return DialogRef(id=dialog.id, type=dialog.type)

    def kick(self, dialog: DialogRef, owner: Any, user_id: int, reason: str | None = None) -> None:
        """Put a user out of the room, as the service may."""
        assert dialog.id is not None
        assert self.emulator.kick(dialog.id, user_id, actor_id=owner.id, reason=reason)

    def ban(self, dialog: DialogRef, owner: Any, user_id: int) -> None:
        """Put a user out for good, as the service may."""
        assert dialog.id is not None
        assert self.emulator.ban(dialog.id, user_id, actor_id=owner.id)

    def remove(self, dialog: DialogRef, owner: Any, user_id: int) -> None:
        """Take a user out of the dialog over REST."""
        with self._rest(owner) as cube:
            cube.dialogs.update(dialog, remove_occupants=[user_id])

    def destroy(self, dialog: DialogRef, owner: Any) -> None:
        """Delete the dialog over REST, for everybody."""
        with self._rest(owner) as cube:
            cube.dialogs.delete(dialog, force=True)

    @contextmanager
    def _rest(self, owner: Any) -> Iterator[ConnectyCube]:
        login = next(user.login for user in self._users if user.id == owner.id)
        with ConnectyCube(config=self.emulator.config()) as cube:
            cube.login(login=login, password=owner.password)
            yield cube

    def start(self) -> None:
        """Start it again; it forgets accounts, but gives the same ids in the same order."""
        self.emulator.start()
        for user in self._users:
            assert self.emulator.add_user(user.login, user.password) == user.id

    def stop(self) -> None:
        """Shut it down in good order."""
        self.emulator.stop()

    def kill(self) -> None:
        """Reset the links, then end it."""
        self.emulator.cut()
        self.emulator.stop()

    def paused(self) -> AbstractContextManager[Any]:
        """Let all its connections fall silent; those that did are so for good."""
        return self.emulator.faults.start("half_open")


class ProcessServer(Server):
    """A server that others wrote; rooms belong to who made them, and who is an admin there. (XEP-0045.)"""

    def __init__(self, process: ServerProcess) -> None:
        super().__init__()
        self.process = process

    @property
    def port(self) -> int:
        """Where chats connect to."""
        return self.process.port

    @property
    def ca_file(self) -> Path:
        """The authority of the server's certificate."""
        return self.process.ca_file

    def user(self) -> User:
        """Make an account."""
        number = 5000 + next(_numbers)
        self.process.add_user(f"{number}-{APP}", PASSWORD)
        return User(number, f"user{number}")

    def room(self, owner: Any, *members: Any) -> DialogRef:
        """Make a members-only room that stays when all have left."""
        dialog = DialogRef(id=uuid.uuid4().hex[:24], type=DialogType.GROUP)
        owner.chat.join(dialog)
        form = (
            _field("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig")
            + _field("muc#roomconfig_membersonly", "1")
            + _field("muc#roomconfig_persistentroom", "1")
            + _field("muc#roomconfig_whois", "anyone")
        )
        self._ask(dialog, owner, "owner", f"<x xmlns='jabber:x:data' type='submit'>{form}</x>")
        for member in members:  # one by one: prosody reads the first of a request alone
            self._affiliate(dialog, owner, member.id, "member")
        owner.chat.leave(dialog)
        return dialog

    def kick(self, dialog: DialogRef, owner: Any, user_id: int, reason: str | None = None) -> None:
        """Take away the user's role. (XEP-0045, 8.2.)"""
        words = f"<reason>{escape(reason)}</reason>" if reason else ""
        item = f"<item nick='{user_id}' role='none'>{words}</item>"
        self._ask(dialog, owner, "admin", item)

    def ban(self, dialog: DialogRef, owner: Any, user_id: int) -> None:
        """Make the user an outcast. (XEP-0045, 9.1.)"""
        self._affiliate(dialog, owner, user_id, "outcast")

    def remove(self, dialog: DialogRef, owner: Any, user_id: int) -> None:
        """Take away the user's membership. (XEP-0045, 9.4.)"""
        self._affiliate(dialog, owner, user_id, "none")

    def destroy(self, dialog: DialogRef, owner: Any) -> None:
        """Destroy the room. (XEP-0045, 10.9.)"""
        self._ask(dialog, owner, "owner", "<destroy/>")

    def _affiliate(self, dialog: DialogRef, owner: Any, user_id: int, affiliation: str) -> None:
        item = f"<item affiliation='{affiliation}' jid='{user_id}-{APP}@localhost'/>"
        self._ask(dialog, owner, "admin", item)

    def _ask(self, dialog: DialogRef, owner: Any, kind: str, payload: str) -> None:
        query = f"<query xmlns='http://jabber.org/protocol/muc#{kind}'>{payload}</query>"
        room = self.room_jid(dialog)
        driver_of(owner.chat).request("set", room, query, Deadline(TIMEOUT))

    def start(self) -> None:
        """Start it again, on the same port and with the same accounts."""
        self.process.start()

    def stop(self) -> None:
        """Shut it down in good order."""
        self.process.stop()

    def kill(self) -> None:
        """End the process."""
        self.process.kill()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process where it is, and let it go on."""
        self.process.pause()
        try:
            yield
        finally:
            self.process.resume()


class ProsodyServer(ProcessServer):
    """prosody."""

    name = "prosody"


class EjabberdServer(ProcessServer):
    """ejabberd."""

    name = "ejabberd"


def _field(name: str, value: str) -> str:
    return f"<field var='{name}'><value>{value}</value></field>"
