"""The clients of one application in this process, and how it sends."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from connectycube import Chat, ConnectyCube, Message

from ..common.offline import Outbox, refusing_client, stored_copy
from ..common.sending import address_of
from .bell import Bell
from .conf import LIVE, LOCMEM, Settings
from .servers import is_ending
from .testing import OutboxMessage

if TYPE_CHECKING:
    from connectycube.typing import Credentials as LoginCredentials
    from connectycube.typing import RenewSession

    class ClientCredentials(LoginCredentials, total=False):
        """The arguments of ``client_for``, for functions that pass them on."""

        user_id: int | None
        renew_session: RenewSession | None


__all__ = ["Clients", "Credentials"]

_WHY = (
    "app.testing is on, so CONNECTYCUBE_BACKEND is 'locmem'; use cube.send(), a client of your own with a"
    " MockTransport, or an emulator with CONNECTYCUBE_BACKEND = 'live'"
)


@frozen
class Credentials:
    """What ``client_for`` is given, as an object that shows nothing of it in the frames of an error."""

    given: Mapping[str, Any] = field(repr=False)


@define(eq=False)
class Clients:
    """What one application has in this process; nothing is opened before it is used."""

    settings: Settings
    outbox: Outbox[OutboxMessage] = field(factory=Outbox[OutboxMessage])
    """What was sent, with the backend ``locmem``."""
    bell: Bell = field(init=False)
    """Wakes the streams of this application, in all processes."""
    _process: int = field(factory=os.getpid, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _bot: ConnectyCube | None = field(default=None, init=False)
    _application: ConnectyCube | None = field(default=None, init=False)
    _chat: Chat | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._hang_bell()

    def _hang_bell(self) -> None:
        self.bell = Bell(self.settings.folder, is_ending)

    def backend(self, *, testing: bool) -> str:
        """Return "live" or "locmem"."""
        return self.settings.backend or (LOCMEM if testing else LIVE)

    # --- clients ---

    def bot(self, *, testing: bool) -> ConnectyCube:
        """Return the client of the application's user; the first call logs in."""
        if self.backend(testing=testing) == LOCMEM:
            return self._refusing()
        if self._bot is None:
            with self._locked():
                if self._bot is None:
                    self._bot = self._logged_in()
        return self._bot

    def _logged_in(self) -> ConnectyCube:
        client = ConnectyCube(config=self.settings.config())
        try:
            client.login(**self.settings.credentials())
        except BaseException:
            client.close()
            raise
        return client

    def user(self, credentials: Credentials, *, testing: bool) -> ConnectyCube:
        """Return a client of a user, which shares its connections with those of others."""
        has_session = "token" in credentials.given and "provider" not in credentials.given
        if self.backend(testing=testing) == LOCMEM:
            refusing = self._refusing()
            return refusing.with_token(**credentials.given) if has_session else refusing
        application = self._shared()
        if has_session:
            return application.with_token(**credentials.given)
        return application.for_user(**credentials.given)

    def _shared(self) -> ConnectyCube:
        if self._application is None:
            with self._locked():
                if self._application is None:
                    self._application = ConnectyCube(config=self.settings.config())
        return self._application

    def _locked(self) -> threading.Lock:
        if self._process != os.getpid():
            # A thread of the parent may hold the old lock forever. The clients themselves know of forks.
            self._process, self._lock = os.getpid(), threading.Lock()
        return self._lock

    def _refusing(self) -> ConnectyCube:
        return refusing_client(self.settings.config(offline=True), _WHY)

    def close(self) -> None:
        """Close the clients, and end the streams; the next use opens others."""
        self.bell.end_streams()
        self._hang_bell()
        with self._locked():
            clients, self._bot, self._application = (self._bot, self._application), None, None
        for client in clients:
            if client is not None:
                client.close()

    # --- the listener of this process ---

    def listen_with(self, client: ConnectyCube, chat: Chat) -> None:
        """Send with the chat of the listener, which runs in this process."""
        self._bot, self._chat = client, chat

    def listen_no_longer(self) -> None:
        """Forget the client and the chat of the listener, which closes them."""
        self._bot = self._chat = None

    # --- sending ---

    def send(
        self, to: Any, message: Message, as_client: ConnectyCube | None, *, testing: bool
    ) -> Message:
        """Send a message: over the chat of the listener if it runs here, else over REST."""
        address = address_of(to)
        if self.backend(testing=testing) == LOCMEM:
            copy = stored_copy(message, address)
            self.outbox.add(OutboxMessage(to=to, message=copy, as_client=as_client))
            return copy
        chat = self._chat
        if as_client is None and chat is not None:
            if isinstance(address, int):
                return chat.send_private(address, message).result()
            return chat.send_message(address, message).result()
        client = as_client if as_client is not None else self.bot(testing=testing)
        made = client.messages.create(address, message, send_to_chat=True)
        self.bell.ring(made.dialog_id)
        return made
