"""The backend ``live``: the service itself, or the emulator if the configuration points there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from django.utils.crypto import salted_hmac

from connectycube import Config, ConnectyCube, Message, Session, ValidationError
from connectycube.errors import ArgumentValueError

from ..addresses import check_user
from ..conf import Settings
from ..identity import fields_of, token_of_uid
from ..models import ChatAccount
from ..tokens import CacheTokenStore
from .base import BaseBackend, Outgoing

if TYPE_CHECKING:
    from connectycube import Chat

__all__ = ["Backend"]


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
        return self._client_of(account, partial(fields_of, user))

    def client_of_account(self, account: Any) -> ConnectyCube:
        """Return a client for an account whose user of Django may be gone."""
        return self._client_of(account, dict)

    def application(self) -> ConnectyCube:
        """Return the client of the application, whose connections and token store those of users share."""
        if self._application is None:
            with self._lock:
                if self._application is None:
                    self._application = ConnectyCube(config=self._config_for_users())
        return self._application

    def _config_for_users(self) -> Config:
        config = self.settings.config
        if config.token_store is not None:
            return config
        return config.replace(token_store=CacheTokenStore(self.settings.users.cache))

    def _client_of(self, account: Any, fields: Callable[[], Mapping[str, Any]]) -> ConnectyCube:
        by_identity = self.settings.users.by == "identity"
        client = self._by_identity(account) if by_identity else self._by_password(account, fields)
        session = client.session
        assert session is not None
        if account.chat_id != session.user_id:
            account.chat_id = session.user_id
            account.save(update_fields=["chat_id", "changed"])
        return client

    def _by_identity(self, account: Any) -> ConnectyCube:
        """Log a user in with a token of this moment; the session is found without it."""
        uid = account.uid

        def renew(_ended: Session, client: ConnectyCube) -> Session:
            return client.sessions.create(provider="custom_identity", token=token_of_uid(uid))

        return self.application().for_user(
            provider="custom_identity",
            token=token_of_uid(uid),
            renew_session=renew,
            shared_as=_name_of_session(uid),
        )

    def _by_password(self, account: Any, fields: Callable[[], Mapping[str, Any]]) -> ConnectyCube:
        """Log a user in with a password that is made of SECRET_KEY; sign the user up who is not there."""
        # The password is in no local variable, which a report of an error would show.
        login = f"django-{account.uid}"
        application = self.application()
        if account.chat_id is None:
            given: dict[str, Any] = {"external_id": account.uid, **fields(), "login": login}
            try:
                application.users.create(
                    **dict[str, Any](given, password=_password_of(account.uid))
                )
            except ValidationError:
                pass  # signed up before; if not, the login says so
        return application.for_user(login=login, password=_password_of(account.uid))

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


def _name_of_session(uid: str) -> str:
    """Return the name under which the token store has a user's session: sites of another key find none."""
    return _hash("session", uid)


def _password_of(uid: str) -> str:
    """Return a password that nobody has to keep; another SECRET_KEY makes another one."""
    return _hash("password", uid)[:40]


def _hash(purpose: str, uid: str) -> str:
    salt = f"connectycube.contrib.django.{purpose}"
    return salted_hmac(salt, uid, algorithm="sha256").hexdigest()
