"""Where conversations take place: the emulator, prosody or ejabberd, each in a process of its own."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from connectycube import (
    Chat,
    Config,
    ConnectyCube,
    DialogRef,
    DialogType,
    Handling,
    Limits,
    ReconnectPolicy,
    RetryPolicy,
    Timeouts,
)
from tests.interop.ejabberd import Ejabberd
from tests.interop.prosody import Prosody
from tests.interop.realtime.servers import APP, PASSWORD, EjabberdServer, ProsodyServer
from tests.interop.server_process import ServerProcess
from tests.soak.emulator_process import EmulatorProcess
from tests.support.certificates import make_certificates

# Who is cut off comes back soon, and a peer that is dead is noticed after three seconds.
OPTIONS: dict[str, Any] = {
    "reconnect": ReconnectPolicy(max_attempts=None, delay=0.05, max_delay=0.4),
    "handling": Handling(delay=0.02, max_delay=0.2),
    "retry": RetryPolicy(delay=0.02, max_delay=0.2),
    "timeouts": Timeouts(
        connect=4.0,
        login=4.0,
        iq=20.0,
        join=20.0,
        rest_read=10.0,
        liveness_interval=0.5,
        liveness_answer=2.5,
    ),
    "limits": Limits(stanza_bytes=20_000, message_bytes=10_000_000),
}
TOO_LARGE_TO_READ = 30_000  # characters of a message
TOO_LARGE_TO_SEND = 1_200_000  # none of the servers takes a stanza of this size

_LOGIN_SECONDS = 30.0  # for the first one, when nothing goes wrong but many log in at once


class Process(Protocol):
    """What schedules do with a server's process."""

    @property
    def port(self) -> int:
        """Where chats connect to."""

    def start(self) -> None:
        """Start it, on the same port as before."""

    def stop(self) -> None:
        """End it in good order."""

    def kill(self) -> None:
        """End it at once."""

    def pause(self) -> None:
        """Stop it where it is."""

    def resume(self) -> None:
        """Let it go on."""


@frozen
class Client:
    """One user's chat, logged in; ``close()`` ends it."""

    id: int
    chat: Chat
    close: Callable[[], None]


class Place(ABC):
    """A running server."""

    process: Process

    @abstractmethod
    def client(self, port: int, **options: Any) -> Client:
        """Make an account and log it in through a proxy's port, with OPTIONS and others for its Config."""

    @abstractmethod
    def group(self, members: Sequence[Any]) -> DialogRef:
        """Make a group dialog of members (they have ``id`` and ``chat``); all enter its room."""

    @abstractmethod
    def begin_fault(self, text: str) -> Callable[[], None]:
        """Let the service go wrong, in the words of ``--fault``; return what ends that."""

    @abstractmethod
    def history(self, dialog: DialogRef, user_id: int) -> list[str] | None:
        """Return the ids that the history of a user's dialog holds; None if there is no history."""


class EmulatorPlace(Place):
    """The emulator. Its clients have REST sessions, so that they can ask history."""

    def __init__(self, process: EmulatorProcess) -> None:
        self.process: EmulatorProcess = process
        self._numbers = itertools.count(1)

    def client(self, port: int, **options: Any) -> Client:
        """Make an account and log it in, to REST and to the chat."""
        process = self.process
        login = f"member{next(self._numbers)}"
        process.call("add_user", login)
        cube = ConnectyCube(
            config=Config(
                app_id=APP,
                auth_key="key",
                api_url=process.api_url,
                chat_host="localhost",
                chat_port=port,
                ca_file=process.ca_file,
                **{**OPTIONS, **options},
            )
        )
        cube.login(login=login, password=PASSWORD)
        user = cube.chat.login(timeout=_LOGIN_SECONDS)
        assert user.id is not None
        return Client(user.id, cube.chat, cube.close)

    def group(self, members: Sequence[Any]) -> DialogRef:
        """Make the dialog, whose messages reach all members, and enter its room."""
        ids = [member.id for member in members]
        dialog = DialogRef(
            id=self.process.call("add_group", ids[0], ids[1:]), type=DialogType.GROUP
        )
        for member in members:
            member.chat.join(dialog)
        return dialog

    def begin_fault(self, text: str) -> Callable[[], None]:
        """Start the fault; it ends with its process at the latest."""
        generation, number = self.process.generation, self.process.call("begin_fault", text)

        def end() -> None:
            if self.process.generation == generation:
                self.process.call("end_fault", number)

        return end

    def history(self, dialog: DialogRef, user_id: int) -> list[str] | None:
        """Return what is stored, none if there is no such dialog."""
        dialog_id = dialog.id or self.process.call("private_dialog", user_id, dialog.peer_id)
        found: list[str] = self.process.call("history", dialog_id) if dialog_id else []
        return found


class XmppPlace(Place):
    """A server that others wrote: no history, no faults of its own."""

    def __init__(self, server: ProsodyServer | EjabberdServer) -> None:
        self.server = server
        self.process: ServerProcess = server.process

    def client(self, port: int, **options: Any) -> Client:
        """Make an account and log it in."""
        user = self.server.user()
        chat = Chat(self.server.config(port=port, **{**OPTIONS, **options}))
        chat.login(user.id, user.password, timeout=_LOGIN_SECONDS)
        return Client(user.id, chat, chat.logout)

    def group(self, members: Sequence[Any]) -> DialogRef:
        """Make a members-only room and let all members enter it."""
        dialog = self.server.room(members[0], *members[1:])
        if isinstance(self.process, Ejabberd):
            self.process.wait_until_member_is_stored(f"{members[-1].id}-{APP}")  # the last of all
        for member in members:
            member.chat.join(dialog)
        return dialog

    def begin_fault(self, text: str) -> Callable[[], None]:
        """There are none."""
        raise NotImplementedError

    def history(self, dialog: DialogRef, user_id: int) -> list[str] | None:
        """There is none."""
        return None


@contextmanager
def place(kind: str) -> Iterator[Place]:
    """Run a server of this kind in a folder that is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"soak-{kind}-"))
    try:
        if kind == "emulator":
            process = EmulatorProcess(folder)
            with process:
                yield EmulatorPlace(process)
        elif kind == "prosody":
            prosody = Prosody(folder, make_certificates(folder))
            prosody.log_level = "info"
            with prosody:
                yield XmppPlace(ProsodyServer(prosody))
        else:
            with Ejabberd(folder, make_certificates(folder)) as ejabberd:
                yield XmppPlace(EjabberdServer(ejabberd))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
