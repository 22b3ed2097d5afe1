"""The backend ``live``: the service itself, or the emulator if the configuration points there."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.utils.crypto import salted_hmac

from connectycube import ConnectyCube, Message, Session, ValidationError
from connectycube.errors import ArgumentValueError

from ..addresses import check_user
from ..conf import Settings
from ..identity import fields_of, token_of_uid
from ..models import ChatAccount
from .base import BaseBackend, Outgoing

if TYPE_CHECKING:
    from connectycube import Chat

__all__ = ["Backend"]

_SESSION_SECONDS = 7_200
"""The service ends a session after so long; an older token would be refused, and renewed."""


class Backend(BaseBackend):
    """Clients that ask the service; each is made at its first use."""

    opens_chat = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._lock = threading.Lock()
        self._clients: dict[str, ConnectyCube] = {}
        self._chats: dict[str, Chat] = {}
        self._application: ConnectyCube | None = None

    # --- bots ---

    def client(self, bot: str) -> ConnectyCube:
        """Return the client of a bot, which is logged in to REST."""
        found = self._clients.get(bot)
        if found is None:
            with self._lock:  # one login, however many threads ask at once
                found = self._clients.get(bot) or self._logged_in(bot)
                self._clients[bot] = found
        return found

    def _logged_in(self, bot: str) -> ConnectyCube:
        wanted = self.settings.bot(bot)
        client = ConnectyCube(config=wanted.config)
        try:
            client.login(**wanted.credentials)
        except BaseException:
            client.close()
            raise
        return client

    def listen_with(self, bot: str, client: ConnectyCube, chat: Chat) -> None:
        """Use the client and the chat of the listener in this process for what the bot sends."""
        self._clients[bot] = client
        self._chats[bot] = chat

    def listen_no_longer(self, bot: str) -> None:
        """Forget the client and the chat of the listener, which closes them."""
        self._clients.pop(bot, None)
        self._chats.pop(bot, None)

    # --- users ---

    def client_for(self, user: Any) -> ConnectyCube:
        """Return a client for a user of Django; the account is made at the first call."""
        check_user("user", user)
        if not user.is_active:
            raise ArgumentValueError(f"user is not active: {user!r}")
        account, _ = ChatAccount.objects.get_or_create(uid=str(user.pk), defaults={"user": user})
        fields = partial(fields_of, user)
        session = self._session_of(account, fields)
        return self.application().with_token(
            str(session.token),
            user_id=session.user_id,
            renew_session=lambda _old: self._new_session(account, fields),
        )

    def client_of_account(self, account: Any) -> ConnectyCube:
        """Return a client for an account whose user of Django may be gone."""
        session = self._new_session(account, dict)
        return self.application().with_token(str(session.token), user_id=session.user_id)

    def application(self) -> ConnectyCube:
        """Return the client of the application, whose connections those of users share."""
        if self._application is None:
            with self._lock:
                if self._application is None:
                    self._application = ConnectyCube(config=self.settings.config)
        return self._application

    def _session_of(self, account: Any, fields: Any) -> Session:
        """Return the session of a user that another process may have begun."""
        kept = caches[self.settings.users.cache].get(self._cache_key(account))
        if kept is not None:
            return Session(token=kept["token"], user_id=kept["user_id"])
        return self._new_session(account, fields)

    def _new_session(self, account: Any, fields: Any) -> Session:
        by_identity = self.settings.users.by == "identity"
        client = self._by_identity(account) if by_identity else self._by_password(account, fields)
        session = client.session
        assert session is not None
        user_id = session.user_id
        kept = {"token": session.token, "user_id": user_id}
        caches[self.settings.users.cache].set(self._cache_key(account), kept, _SESSION_SECONDS)
        if account.chat_id != user_id:
            account.chat_id = user_id
            account.save(update_fields=["chat_id", "changed"])
        return session

    def _cache_key(self, account: Any) -> str:
        return f"connectycube:session:{self.settings.config.app_id}:{account.uid}"

    def _by_identity(self, account: Any) -> ConnectyCube:
        token = token_of_uid(account.uid)
        return self.application().for_user(provider="custom_identity", token=token)

    def _by_password(self, account: Any, fields: Any) -> ConnectyCube:
        """Log a user in with a password that is made of SECRET_KEY; sign the user up who is not there."""
        login, password = f"django-{account.uid}", _password_of(account.uid)
        application = self.application()
        if account.chat_id is None:
            if application.session is None:
                application.sessions.create()
            try:
                application.users.create(
                    **{
                        "external_id": account.uid,
                        **fields(),
                        "login": login,
                        "password": password,
                    }
                )
            except ValidationError:
                pass  # signed up before; if not, the login says so
        return application.for_user(login=login, password=password)

    # --- sending ---

    def send(self, outgoing: Outgoing) -> Message:
        """Send a message: over the chat of the listener if it runs here, else over REST."""
        chat = self._chats.get(outgoing.bot)
        if outgoing.as_user is not None:
            client = self.client_for(outgoing.as_user)
        elif chat is not None:
            address, message = outgoing.address, outgoing.message
            if isinstance(address, int):
                return chat.send_private(address, message).result()
            return chat.send_message(str(address), message).result()
        else:
            client = self.client(outgoing.bot)
        assert outgoing.address is not None
        return client.messages.create(outgoing.address, outgoing.message, send_to_chat=True)

    def close(self) -> None:
        """Close all clients, and with them their chats."""
        with self._lock:
            clients = [*self._clients.values(), self._application]
            self._clients.clear()
            self._chats.clear()
            self._application = None
        for client in clients:
            if client is not None:
                client.close()


def _password_of(uid: str) -> str:
    """Return a password that nobody has to keep; another SECRET_KEY makes another one."""
    return salted_hmac("connectycube.contrib.django.password", uid, algorithm="sha256").hexdigest()[
        :40
    ]
