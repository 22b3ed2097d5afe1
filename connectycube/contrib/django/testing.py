"""For tests: what was sent, messages that arrive, and a test case with a service of its own.

In a ``TestCase`` nothing is connected: ``send()`` fills ``outbox``, and ``deliver()`` calls handlers on the
test's thread, in its transaction. :class:`ChatTransactionTestCase` has an emulator and a listener.
"""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models import Model
from django.test import TransactionTestCase, override_settings

from connectycube import ConnectyCube, DialogRef, Message, ReconnectPolicy
from connectycube.errors import ArgumentTypeError

from ..common.offline import SENDER_ID, OfflineChat, arriving_message
from ..common.signal_names import check_signal
from .addresses import address_of, check_user
from .backends import get_backend, live
from .backends.locmem import Backend as LocmemBackend
from .backends.locmem import Outbox, OutboxMessage
from .backends.locmem import outbox as current_outbox
from .conf import LIVE, LOCMEM, Settings, read, read_settings
from .emulating import add_bots, emulator_of
from .handlers import discover, handlers_of
from .listener import Listener
from .models import ChatAccount
from .signals import SIGNALS, ChatSignal

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

    from ..common.offline import MessageFields

__all__ = ["ChatTransactionTestCase", "OutboxMessage", "deliver", "fail_next", "outbox"]

outbox: Outbox
"""What was sent in this test, the oldest first: a list of :class:`OutboxMessage`."""


def __getattr__(name: str) -> Any:
    if name == "outbox":
        return current_outbox()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def fail_next(error: BaseException) -> None:
    """Let the next message that is sent in this test fail.

    Args:
        error: The error that ``send()``, or a handler's answer, raises.
    """
    current_outbox().fail_next(error)


# --- messages that arrive ---------------------------------------------------------------------------

_numbers = itertools.count(10_001)


def deliver(
    body: object,
    sender: object = SENDER_ID,
    dialog: str | DialogRef | None = None,
    *,
    bot: str = "default",
    signal: str | ChatSignal = "message_received",
    **fields: Unpack[MessageFields],
) -> list[OutboxMessage]:
    """Call the handlers of a bot for a message, on this thread and in the test's transaction.

    An error of a handler is raised here, and no handler runs again.

    Args:
        body: The text of the message; or a whole event, such as a Message or a MessageEdit.
        sender: The sender: an id, or a user of Django, who gets a ChatAccount if there is none.
        dialog: The dialog that it came from; None: the private dialog with the sender. An id is that of a
            group.
        bot: The name of the bot that receives it.
        signal: The signal of the event.
        fields: Other fields of the Message, such as ``custom``.

    Returns:
        The messages that the handlers sent, which are in ``outbox``, too.

    Raises:
        ImproperlyConfigured: BACKEND is not ``locmem``, or there is no such bot.
        ArgumentTypeError, ArgumentValueError: An argument is wrong, or a handler is for a bot that the
            setting does not have.
    """
    backend = get_backend()
    if not isinstance(backend, LocmemBackend):
        raise ImproperlyConfigured(
            f"deliver() needs the backend locmem, and CONNECTYCUBE['BACKEND'] is {backend.settings.backend}"
        )
    if backend.settings.bots:
        backend.settings.bot(bot)
    name = check_signal(signal.name if isinstance(signal, ChatSignal) else signal)
    discover(backend.settings.handlers_module, backend.settings.bots)
    event = body
    if isinstance(body, str):
        event = arriving_message(body, _chat_id(sender), dialog, fields)
    chat = _chat_of(bot)
    before = len(current_outbox())
    for handler in handlers_of(bot):
        if handler.signal == name:
            handler.function(chat, event)
    SIGNALS[name].send(sender=type(event), chat=chat, event=event, bot=bot)
    return current_outbox()[before:]


def _chat_id(sender: Any) -> int:
    if not isinstance(sender, Model):
        found = address_of(sender)
        if not isinstance(found, int):
            raise ArgumentTypeError(f"sender must be a user, as an id or an object, not {sender!r}")
        return found
    check_user("sender", sender)
    account, _ = ChatAccount.objects.get_or_create(uid=str(sender.pk), defaults={"user": sender})
    if account.chat_id is None:
        account.chat_id = next(_numbers)
        account.save()
    return int(account.chat_id)


def _chat_of(bot: str) -> OfflineChat:
    """Return what handlers get in a test: what they send is in the outbox."""

    def keep(to: Any, message: Message, custom: dict[str, Any], answered: Message | None) -> None:
        current_outbox().add(
            OutboxMessage(
                to=to,
                body=message.body,
                custom=custom,
                bot=bot,
                in_reply_to=answered,
                message=message,
            )
        )

    return OfflineChat(keep, "ChatTransactionTestCase has a service", address_of)


# --- a service of its own ---------------------------------------------------------------------------

_SECONDS = 10.0


class ChatTransactionTestCase(TransactionTestCase):
    """A test case with an emulator, where bots listen on threads of their own and commits are real.

    It needs the extra ``emulator``, and a database that threads share: any but SQLite in memory. The setting
    CONNECTYCUBE points to the emulator, without files of durable mode and without leases. ``self.emulator``
    is a ``connectycube.emulator.Emulator``, emptied for each test.

    Example:
        >>> from connectycube.contrib.django.testing import ChatTransactionTestCase
        >>> class BotTest(ChatTransactionTestCase):
        ...     def test_the_bot_answers(self):
        ...         alice = self.chat_user("alice")
        ...         alice.chat.send_private(self.bot_id(), "Hello").result()
        ...         self.wait_until_handled()
    """

    bots: ClassVar[tuple[str, ...] | None] = None
    """The names of the bots that listen; None: all."""
    emulator: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        """Start the emulator, and point the setting there."""
        super().setUpClass()
        _check_database()
        emulator = emulator_of(_settings_of_project())
        cls.emulator = emulator.start()
        cls.addClassCleanup(emulator.stop)
        changed = override_settings(CONNECTYCUBE=_settings_for(emulator))
        changed.enable()
        cls.addClassCleanup(changed.disable)

    def setUp(self) -> None:
        """Let the bots log in."""
        super().setUp()
        self.emulator.reset()
        self.addCleanup(self._close_clients)
        self._clients: list[ConnectyCube] = []
        settings = read_settings()
        discover(settings.handlers_module, settings.bots)
        backend = get_backend()
        assert isinstance(backend, live.Backend)
        self.addCleanup(backend.close)
        self._listeners: list[tuple[Listener, threading.Thread]] = []
        self.addCleanup(self._end_listeners)
        add_bots(self.emulator, settings.bots.values())
        for bot in settings.bots.values():
            if self.bots is None or bot.name in self.bots:
                self._listen(Listener(bot=bot, backend=backend, say=lambda sentence: None))

    def _listen(self, listener: Listener) -> None:
        failures: list[BaseException] = []

        def run() -> None:
            try:
                listener.run()
            except BaseException as error:  # noqa: BLE001 - the test raises it
                failures.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, name=f"bot-{listener.bot.name}", daemon=True)
        thread.start()
        self._listeners.append((listener, thread))
        while not listener.ready.wait(0.01):
            if failures:
                raise failures[0]

    def _end_listeners(self) -> None:
        for listener, _ in self._listeners:
            listener.end()
        for _, thread in self._listeners:
            thread.join(_SECONDS)

    def _close_clients(self) -> None:
        for client in self._clients:
            client.close()

    def chat_user(self, login: str, password: str = "a password") -> ConnectyCube:
        """Return the client of a new user, logged in to REST and chat; it is closed after the test.

        Args:
            login: The login of the user.
            password: The password.

        Returns:
            The client.
        """
        self.emulator.add_user(login, password)
        client = ConnectyCube(config=self.emulator.config())
        self._clients.append(client)
        client.login(login=login, password=password)
        client.chat.login()
        return client

    def bot_id(self, bot: str = "default") -> int:
        """Return the id of a bot at the service.

        Args:
            bot: The name of the bot in the setting.

        Returns:
            The id.
        """
        user = get_backend().client(bot).user
        assert user is not None and user.id is not None
        return user.id

    def wait_until_handled(self, bot: str = "default", timeout: float = _SECONDS) -> None:
        """Wait until the bot's handlers have handled all messages that were sent to it before this call.

        Args:
            bot: The name of the bot.
            timeout: Seconds.

        Raises:
            TimeoutError: The handlers did not return in time.
            ChatError: The bot is not logged in, or has lost its connection.
        """
        chat = get_backend().client(bot).chat
        chat.ping(timeout)
        if not chat.wait_until_idle(timeout):
            raise TimeoutError(
                f"the handlers of the bot {bot!r} did not return in {timeout} seconds"
            )


def _check_database() -> None:
    for alias in connections:
        connection = connections[alias]
        if connection.vendor == "sqlite" and connection.is_in_memory_db():  # type: ignore[attr-defined]
            raise ImproperlyConfigured(
                f"ChatTransactionTestCase needs a database that threads share, and {alias!r} is SQLite in"
                f" memory: give DATABASES[{alias!r}] a file for tests, as"
                ' "TEST": {"NAME": BASE_DIR / "test.sqlite3"}'
            )


def _settings_of_project() -> Settings:
    """Return the setting, which need not name an application: the emulator is one."""
    given = {**getattr(django_settings, "CONNECTYCUBE", {}), "BACKEND": LOCMEM}
    settings, problems = read(given, os.environ)
    if settings is None or problems:
        raise ImproperlyConfigured("; ".join(problem.text for problem in problems))
    return settings


def _settings_for(emulator: Any) -> dict[str, Any]:
    """Return the setting for the emulator; the bots are those of the project."""
    given = dict(getattr(django_settings, "CONNECTYCUBE", {}))
    bots = {name: {**bot, "DURABLE": None} for name, bot in dict(given.get("BOTS") or {}).items()}
    return {
        **given,
        "BOTS": bots,
        "BACKEND": LIVE,
        "APP_ID": emulator.app_id,
        "AUTH_KEY": emulator.auth_key,
        "AUTH_SECRET": emulator.auth_secret,
        "ADMIN_KEY": emulator.admin_key,
        "API_URL": emulator.api_url,
        "CHAT_HOST": emulator.domain,
        "CHAT_PORT": emulator.chat_port,
        "CA_FILE": emulator.ca_file,
        "RECONNECT": ReconnectPolicy(max_attempts=None, delay=0.05),
        "LEASE_SECONDS": None,
    }
