"""``manage.py connectycube_listen``: one bot with its handlers, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from attrs import evolve
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError
from django.utils import autoreload

from connectycube.errors import ConnectyCubeError, LeaseStoreError

from ....common.health import address_of_port
from ....common.listener import HeldElsewhereError
from ...conf import Bot
from ...databases import one_line
from ...listener import Listener
from ...models import Lease
from ..base import bot_of, check_database, discover_handlers, live_backend, settings_or_error

__all__ = ["Command"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    """Connects a bot to the chat, and calls its handlers."""

    help = (
        "Connect a bot to the chat and call its handlers until SIGTERM or Ctrl-C. One process at a time"
        " listens for a bot; another one waits for its end."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--bot", metavar="NAME", help="a key of BOTS (default: the only one)")
        parser.add_argument(
            "--workers",
            type=int,
            metavar="N",
            help="threads that call handlers, instead of WORKERS",
        )
        parser.add_argument(
            "--no-wait",
            action="store_true",
            help="end with status 1 if another process listens for this bot, instead of waiting",
        )
        parser.add_argument(
            "--reload",
            action="store_true",
            help="start again when the code changes; for development",
        )
        parser.add_argument(
            "--health-file",
            metavar="FILE",
            help="write this file each second while the listener works",
        )
        parser.add_argument(
            "--health-port",
            metavar="[HOST:]PORT",
            help="answer HTTP requests with 200 while the listener works, and 503 otherwise",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Listen."""
        if options["reload"]:
            autoreload.run_with_reloader(self._listen_until_reload, options)
        elif threading.current_thread() is not threading.main_thread():
            self._listen(options, ())  # Python handles signals in the main thread alone
        else:
            # A signal that comes before the bot listens ends the process, with its exit handlers.
            before = signal.signal(signal.SIGTERM, _exit)
            try:
                with suppress(KeyboardInterrupt):
                    self._listen(options, _SIGNALS)
            finally:
                signal.signal(signal.SIGTERM, before)

    def _listen_until_reload(self, options: dict[str, Any]) -> None:
        """Listen on the reloader's thread; an error is shown, and the next change starts again."""
        try:
            self._listen(options, ())
        except CommandError as error:
            self.stderr.write(self.style.ERROR(f"CommandError: {error}"))

    def _listen(self, options: dict[str, Any], signals: tuple[int, ...]) -> None:
        listener = self._listener(options)
        # The reloader ends the process while another thread listens: log out, and give the lease back.
        atexit.register(listener.close)
        try:
            listener.run(signals)
        except LeaseStoreError as error:
            if isinstance(error.__cause__, HeldElsewhereError):
                text = f"{error.__cause__}; without --no-wait this process would wait"
                raise CommandError(text) from None
            raise CommandError(str(error)) from None
        except (ConnectyCubeError, OSError) as error:
            raise CommandError(f"{type(error).__name__}: {error}") from None
        except (DatabaseError, InterfaceError) as error:
            text = f"the database does not answer: {one_line(error)}"
            raise CommandError(text) from None
        finally:
            atexit.unregister(listener.close)

    def _listener(self, options: dict[str, Any]) -> Listener:
        settings = settings_or_error()
        backend, bot = live_backend(), bot_of(settings, options["bot"])
        address = None
        if options["health_port"] is not None:
            try:
                address = address_of_port(options["health_port"])
            except ValueError:
                text = f"--health-port must be a port, or HOST:PORT, not {options['health_port']!r}"
                raise CommandError(text) from None
        check_database(Lease)
        discover_handlers(settings)
        return Listener(
            bot=_with_workers(bot, options["workers"]),
            backend=backend,
            lease_seconds=settings.lease_seconds,
            waits=not options["no_wait"],
            health_file=options["health_file"],
            health_address=address,
            say=self._say,
        )

    def _say(self, sentence: str) -> None:
        self.stdout.write(f"connectycube_listen: {sentence}")
        self.stdout.flush()


def _with_workers(bot: Bot, workers: int | None) -> Bot:
    if workers is None:
        return bot
    try:
        return evolve(bot, config=bot.config.replace(workers=workers))
    except ConnectyCubeError as error:
        raise CommandError(f"--{error}") from None


def _exit(number: int, frame: Any) -> None:
    sys.exit(0)
