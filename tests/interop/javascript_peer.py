"""A person who uses ConnectyCube's official JavaScript SDK, in a Node.js process of their own."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from tests.support import components
from tests.support.mailbox import Mailbox
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

SCRIPT = Path(__file__).parent / "javascript" / "peer.mjs"


USED: set[str] = set()
"""Paths of what release 6.1.2 was asked to call in this test, and of its listeners that were called."""


class Release(NamedTuple):
    """A release of the SDK, and the folder that npm installed it into."""

    version: str
    cache: Path


CURRENT = Release("6.1.2", ROOT / ".cache" / "javascript")
OLD = Release("3.35.3", ROOT / ".cache" / "javascript-old")


class Event(NamedTuple):
    """A listener of the SDK was called: its name and arguments."""

    name: str
    args: list[Any]


class JavaScriptError(Exception):
    """The SDK rejected a call; ``code`` and ``info`` are its own, or None."""

    def __init__(self, call: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"{call}: {error.get('message')}")
        self.code = error.get("code")
        self.info = error.get("info")


class JavaScriptPeer:
    """One user in one process: started within ``with``, or from ``start()`` to ``stop()``.

    ``chat_host`` is the XMPP domain, the certificate's name and an address of this machine; TLS is spoken
    from the first byte on ``chat_port``, unless ``chat_url`` says otherwise. ``ca_file`` is trusted besides
    Node.js's own authorities. ``options`` are the SDK's own and are merged over ours. ``build`` is
    "umd" for the file that browsers load, with a global WebSocket as they have it.
    """

    def __init__(
        self,
        *,
        app_id: int,
        chat_port: int,
        ca_file: str | Path,
        chat_host: str = "localhost",
        chat_url: str | None = None,
        auth_key: str = "",
        auth_secret: str = "",
        api_url: str = "http://127.0.0.1:9",
        stream_management: bool = True,
        options: Mapping[str, Any] | None = None,
        release: Release = CURRENT,
        build: str | None = None,
    ) -> None:
        self.events: Mailbox[Event] = Mailbox("events of the JavaScript SDK")
        self.user_id = 0
        self._release = release
        self._build = build
        self._credentials = {"appId": app_id, "authKey": auth_key, "authSecret": auth_secret}
        self._options: dict[str, Any] = {
            "endpoints": {
                "api_url": api_url,
                "chat": chat_host,
                "chat_url": chat_url or f"xmpps://{chat_host}:{chat_port}",
            },
            "chat": {
                "streamManagement": {"enable": stream_management},
                "reconnect": {"enable": True, "timeInterval": 0.2},
            },
            "debug": {"mode": 0},
            **(options or {}),
        }
        self._ca_file = str(ca_file)
        self._process: subprocess.Popen[str] | None = None
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[str, Future[Any]]] = {}

    def __enter__(self) -> JavaScriptPeer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, load the SDK and configure it; nobody is logged in yet."""
        node = shutil.which("node")
        version, cache = self._release
        if node is None or not (cache / "node_modules" / "connectycube").is_dir():
            components.missing(
                f"Node.js with connectycube@{version}",
                "make referees, with Node.js 18 or newer and npm",
            )
        build = [] if self._build is None else [self._build]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in stop()
        self._process = subprocess.Popen(
            # On a machine where localhost is ::1 first, Node.js 18 would try nothing else.
            [node, "--dns-result-order=ipv4first", str(SCRIPT), str(cache), *build],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env={**os.environ, "CUBE_TLS_ENABLE": "1", "NODE_EXTRA_CA_CERTS": self._ca_file},
        )
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), name="javascript-peer", daemon=True
        )
        self._reader.start()
        try:
            assert self.wait_for_event("started") == [version]
            self.call("init", self._credentials, self._options)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Log out of the chat if logged in and end the process; nothing if it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        try:
            if self.user_id:
                self._send(process, "chat.disconnect", []).result(5)
            process.stdin.close()
            process.wait(5)
        except Exception:
            process.kill()
            process.wait()
        self._reader.join()
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        self._log.close()

    # --- what the person does -------------------------------------------------------------------

    def call(self, path: str, *args: Any, timeout: float = 10.0) -> Any:
        """Call a function of the SDK by its path ("chat.dialog.create"), or read a value; await and return.

        Raises JavaScriptError when the SDK rejects the call, TimeoutError when it does not settle in time.
        """
        if self._process is None:
            raise RuntimeError("the JavaScript peer is not running")
        return self._send(self._process, path, list(args)).result(timeout)

    def begin(self, path: str, *args: Any) -> None:
        """Call a function of the SDK that never settles: of what it does only the effects can be seen."""
        if self._process is None:
            raise RuntimeError("the JavaScript peer is not running")
        self._send(self._process, path, list(args))

    def heard(self, name: str) -> list[list[Any]]:
        """Return the arguments of every call of a listener so far, taken or not.

        All that the server sent before is in: this waits for the answer to a ping.
        """
        self.call("chat.pingWithTimeout", 5_000)
        return [event.args for event in self.events.all() if event.name == name]

    def wait_for_event(
        self, name: str, wanted: Callable[..., object] = lambda *args: True, timeout: float = 10.0
    ) -> list[Any]:
        """Take the oldest event of that name for whose arguments ``wanted`` is true; return the arguments."""
        return self.events.wait_for(
            lambda event: event.name == name and wanted(*event.args), timeout
        ).args

    def log_in(self, login: str, password: str) -> int:
        """Create a REST session for the user, log in to the chat with the password; return the user's id."""
        session = self.call("createSession", {"login": login, "password": password})
        return self.connect(session["user_id"], password)

    def connect(self, user_id: int, password: str) -> int:
        """Log in to the chat; return the user's id when the SDK is online, stream management included.

        (What the SDK sends before the server has enabled stream management is never reported as sent.)
        """
        self.call("chat.connect", {"userId": user_id, "password": password})
        self.user_id = user_id
        if self._options["chat"]["streamManagement"]["enable"]:
            wait_until(lambda: self.call("chat.streamManagement.enabled"), "stream management")
        return user_id

    def send_private(
        self, user_id: int, body: str, extension: Mapping[str, Any] | None = None, **params: Any
    ) -> str:
        """Send a message to a user, saved to history unless ``extension`` is given; return its id."""
        message = {
            "type": "chat",
            "body": body,
            "extension": {"save_to_history": 1} if extension is None else dict(extension),
            **params,
        }
        identifier: str = self.call("chat.send", user_id, message)
        return identifier

    def typing(self, user_id: int, *, stop: bool = False) -> None:
        """Say that this user types, or no longer."""
        self.call("chat.sendIsStopTypingStatus" if stop else "chat.sendIsTypingStatus", user_id)

    def delivered(self, user_id: int, message_id: str, dialog_id: str) -> None:
        """Say that a message of ``user_id`` was delivered (the SDK also does so by itself)."""
        self._mark("chat.sendDeliveredStatus", user_id, message_id, dialog_id)

    def read(self, user_id: int, message_id: str, dialog_id: str) -> None:
        """Say that a message of ``user_id`` was read."""
        self._mark("chat.sendReadStatus", user_id, message_id, dialog_id)

    def _mark(self, call: str, user_id: int, message_id: str, dialog_id: str) -> None:
        self.call(call, {"userId": user_id, "messageId": message_id, "dialogId": dialog_id})

    # --- the process ----------------------------------------------------------------------------

    def _send(self, process: subprocess.Popen[str], path: str, args: list[Any]) -> Future[Any]:
        assert process.stdin is not None
        answer: Future[Any] = Future()
        self._note(path)
        with self._lock:
            number = next(self._numbers)
            self._pending[number] = path, answer
            process.stdin.write(json.dumps({"id": number, "call": path, "args": args}) + "\n")
            process.stdin.flush()
        return answer

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            record = json.loads(line)
            if "event" in record:
                self._note(f"chat.{record['event']}")
                self.events.put(Event(record["event"], record["args"]))
                continue
            with self._lock:
                path, answer = self._pending.pop(record["id"])
            if "error" in record:
                answer.set_exception(JavaScriptError(path, record["error"]))
            else:
                answer.set_result(record["result"])
        self._end()

    def _note(self, path: str) -> None:
        if self._release == CURRENT:
            USED.add(path)

    def _end(self) -> None:
        self._log.seek(0)
        error = RuntimeError(f"the JavaScript peer has ended; it said: {self._log.read()[-2000:]}")
        self.events.close(error)
        with self._lock:
            pending, self._pending = self._pending, {}
        for _, answer in pending.values():
            answer.set_exception(error)
