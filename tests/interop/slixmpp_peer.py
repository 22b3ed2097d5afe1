"""A person who uses slixmpp, an XMPP client library that others wrote.

slixmpp lives in an event loop on a thread of its own; tests drive it with blocking calls from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar
from xml.sax.saxutils import escape, quoteattr

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from tests.support.mailbox import Mailbox

Result = TypeVar("Result")

CHAT_STATES = "http://jabber.org/protocol/chatstates"
CHAT_MARKERS = "urn:xmpp:chat-markers:0"


class PeerError(Exception):
    """slixmpp could not log in, or was disconnected."""


class SlixmppPeer:
    """One user on one connection: logged in within ``with``, or from ``start()`` to ``stop()``.

    ``jid`` is bare; ``host`` and ``port`` are where TLS is spoken from the first byte, with a certificate
    that ``ca_file`` vouches for. ``stream_management`` turns XEP-0198 on, resumption included; a session is
    ready when the server has enabled it.

    ``messages`` and ``presences`` hold the stanzas that came, as slixmpp's objects (``stanza["body"]``,
    ``stanza["from"].bare``, ``stanza.xml``); ``links`` the words "ready", "resumed" and "disconnected".
    """

    def __init__(
        self,
        jid: str,
        password: str,
        *,
        host: str,
        port: int,
        ca_file: str | Path,
        stream_management: bool = True,
    ) -> None:
        self.jid = jid
        self.messages: Mailbox[Any] = Mailbox(f"messages for {jid}")
        self.presences: Mailbox[Any] = Mailbox(f"presences for {jid}")
        self.links: Mailbox[str] = Mailbox(f"links of {jid}")
        self._password = password
        self._address = (host, port)
        self._ca_file = str(ca_file)
        self._stream_management = stream_management
        self._ready: Future[None] = Future()
        self._transport: asyncio.Transport | None = None

    def __enter__(self) -> SlixmppPeer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, timeout: float = 15.0) -> None:
        """Log in and return when the session is ready; raise PeerError when it is refused."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"slixmpp-{self.jid}", daemon=True)
        self._thread.start()
        try:
            self._do(self._make_client)
            self._do(lambda: self._client.connect(*self._address))
            self._ready.result(timeout)
            self.links.wait_for(lambda word: word == "ready", timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the stream in good order and end the thread; nothing if it has ended."""
        if not self._loop.is_running():
            return
        with contextlib.suppress(Exception):
            self._await(self._disconnect(), 10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # --- what the person does -------------------------------------------------------------------

    @property
    def full_jid(self) -> str:
        """The JID with the resource the server bound."""
        return str(self._client.boundjid.full)

    def send_message(
        self,
        to: str,
        body: str,
        *,
        message_id: str | None = None,
        type: str = "chat",
        markable: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> str:
        """Send a message, with ``<markable/>`` and ``<extraParams>`` if wanted; return its id."""
        known = message_id or uuid.uuid4().hex[:24]
        params = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in (extra or {}).items())
        self.send_raw(
            f"<message to={quoteattr(to)} type={quoteattr(type)} id={quoteattr(known)}>"
            f"<body>{escape(body, {chr(13): '&#13;'})}</body>"
            + (f"<markable xmlns='{CHAT_MARKERS}'/>" if markable else "")
            + (f"<extraParams xmlns='jabber:client'>{params}</extraParams>" if params else "")
            + "</message>"
        )
        return known

    def send_marker(
        self,
        to: str,
        marker: Literal["received", "displayed"],
        message_id: str,
        dialog_id: str | None = None,
    ) -> None:
        """Say that a message was delivered or read. (XEP-0333.)"""
        params = (
            f"<extraParams xmlns='jabber:client'><dialog_id>{dialog_id}</dialog_id></extraParams>"
        )
        self.send_raw(
            f"<message to={quoteattr(to)} type='chat' id='{uuid.uuid4().hex[:24]}'>"
            f"<{marker} xmlns='{CHAT_MARKERS}' id={quoteattr(message_id)}/>"
            f"{params if dialog_id else ''}</message>"
        )

    def send_chat_state(
        self, to: str, state: Literal["composing", "paused"], type: str = "chat"
    ) -> None:
        """Say that this user types, or no longer. (XEP-0085.)"""
        self.send_raw(
            f"<message to={quoteattr(to)} type={quoteattr(type)}><{state} xmlns='{CHAT_STATES}'/></message>"
        )

    def join(self, room: str, nick: str) -> Any:
        """Enter a room, asking for none of its history; return its answer, or its refusal. (XEP-0045.)"""
        own = f"{room}/{nick}"
        self.send_raw(
            f"<presence to={quoteattr(own)}><x xmlns='http://jabber.org/protocol/muc'>"
            "<history maxstanzas='0'/></x></presence>"
        )
        return self.presences.wait_for(
            lambda presence: presence["from"].full == own or presence["type"] == "error"
        )

    def send_raw(self, xml: str) -> None:
        """Send a stanza as it is; slixmpp counts it for stream management like its own."""
        element = _parsed(xml)
        kind = {"message": slixmpp.Message, "presence": slixmpp.Presence, "iq": slixmpp.Iq}[
            element.tag.partition("}")[2]
        ]
        self._do(lambda: kind(self._client, xml=element).send())

    def ask(self, xml: str, timeout: float = 10.0) -> Any:
        """Send a request, an ``<iq/>`` without an id, and return the answer; PeerError if it is refused."""
        try:
            return self._await(self._ask(_parsed(xml), timeout), timeout + 1)
        except IqError as error:
            raise PeerError(f"{self.jid}: {error.iq['error']['condition']} for {xml}") from None

    def ping(self, to: str | None = None, timeout: float = 10.0) -> float:
        """Return how many seconds ``to`` (the server by default) took to answer. (XEP-0199.)"""
        began = time.monotonic()
        target = to or self._client.boundjid.host
        self._await(self._ping(target, timeout), timeout)
        return time.monotonic() - began

    def cut(self) -> None:
        """Reset this side's connection without a word; the session may be resumed."""
        self._do(lambda: self._client.transport.abort())
        self.links.wait_for(lambda word: word == "disconnected")

    def reconnect(self, timeout: float = 15.0) -> str:
        """Connect again after a lost link; return "resumed" or "ready" (a new session)."""
        self._do(lambda: self._client.connect(*self._address))
        return self.links.wait_for(lambda word: word in ("ready", "resumed"), timeout)

    # --- the loop's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            if self._transport is not None:
                self._transport.abort()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    def _make_client(self) -> None:
        client = self._client = slixmpp.ClientXMPP(self.jid, self._password)
        client.ssl_context = ssl.create_default_context(cafile=self._ca_file)
        client.enable_starttls = client.enable_plaintext = client.use_aiodns = False
        client.register_plugin("xep_0199")
        if self._stream_management:
            client.register_plugin("xep_0198")
        client.add_event_handler("session_start", self._on_session_start)
        client.add_event_handler("sm_enabled", self._on_ready)
        client.add_event_handler("session_resumed", lambda _: self.links.put("resumed"))
        client.add_event_handler("tls_success", self._on_tls)
        client.add_event_handler("disconnected", self._on_disconnected)
        client.add_event_handler(
            "failed_all_auth", lambda _: self._refuse("the password was refused")
        )
        client.add_event_handler(
            "connection_failed", lambda why: self._refuse(f"no connection: {why}")
        )
        for tag, mailbox in (("message", self.messages), ("presence", self.presences)):
            matcher = MatchXPath(f"{{jabber:client}}{tag}")
            client.register_handler(Callback(f"every {tag}", matcher, mailbox.put))

    def _on_tls(self, event: Any) -> None:
        self._transport = self._client.transport

    def _on_disconnected(self, event: Any) -> None:
        if (
            self._transport is not None
        ):  # Python 3.10 complains of a TLS transport that was lost, not closed
            self._transport.close()
            self._transport = None
        self.links.put("disconnected")

    def _on_session_start(self, event: Any) -> None:
        self._client.send_presence()
        if not self._stream_management:
            self._on_ready(event)

    def _on_ready(self, event: Any) -> None:
        self.links.put("ready")
        if not self._ready.done():
            self._ready.set_result(None)

    def _refuse(self, why: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(PeerError(f"{self.jid}: {why}"))

    async def _ask(self, element: Any, timeout: float) -> Any:
        iq = slixmpp.Iq(self._client, xml=element)
        iq["id"] = self._client.new_id()
        return await iq.send(timeout=timeout)

    async def _ping(self, target: str, timeout: float) -> None:
        await self._client.plugin["xep_0199"].send_ping(target, timeout=timeout)

    async def _disconnect(self) -> None:
        self._client.cancel_connection_attempt()
        await self._client.disconnect(wait=2.0)

    def _await(self, work: Coroutine[Any, Any, Result], timeout: float) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def _do(self, action: Callable[[], Any]) -> None:
        async def act() -> None:
            action()

        self._await(act(), 10)


def _parsed(xml: str) -> Any:
    return slixmpp.xmlstream.ET.fromstring(f"<s xmlns='jabber:client'>{xml}</s>")[0]
