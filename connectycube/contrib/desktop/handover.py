"""Handover: receivers of a chat on the GUI thread, as long as there is a window."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from attrs import define

from connectycube import Chat, ChatState, ClientClosedError, NotHandledError, Signal
from connectycube._checks import check_callable, name_of
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .background import Background
from .call import Call, WindowClosed

if TYPE_CHECKING:
    from connectycube import Handling

    from .post import Post

__all__ = ["Handover"]

logger: logging.Logger = logging.getLogger("connectycube.desktop")

Event = TypeVar("Event")
Result = TypeVar("Result")
Self = TypeVar("Self", bound="Handover")

KEPT = frozenset(
    {"message_received", "own_message_received", "system_message_received"}
    | {"message_edited", "message_deleted", "reaction_changed"}
)
"""The signals whose events the chat keeps until their receivers have handled them."""
_OVER = (ChatState.CLOSING, ChatState.CLOSED, ChatState.IDLE)

_LOOK = (
    0.05  # seconds between two looks of a waiting worker at the states of the chat and the window
)
_PATIENCE = 0.2  # seconds without a sign of life of the window, once the chat is over
_FAREWELL = 3.0  # seconds after close() within which the chat may be ended as well
_MOST_THREADS = 4

_closed: weakref.WeakSet[Handover] = weakref.WeakSet()
"""The closed handovers whose receivers are still connected."""
_closed_lock = threading.Lock()


@define(eq=False)
class _Link:
    """One connected receiver. A worker knows the link alone, and so never holds an object of the window."""

    signal: Signal[Any]
    name: str
    receiver: Callable[..., Any] | None
    """None: it was disconnected, or the window was closed."""
    function: Callable[[Chat, Any], None]
    """What the signal calls, on a worker."""
    key: str | None = None


@define(eq=False)
class _Ends:
    """What follows a call of ``run``. The thread of the call does not know it, and so never lets go of it."""

    name: str
    done: Callable[[Any], object] | None
    failed: Callable[[BaseException], object] | None

    def tell(self, future: Future[Any]) -> None:
        """Call ``done`` or ``failed``."""
        error = future.exception()
        if error is None:
            if self.done is not None:
                self.done(future.result())
        elif self.failed is not None:
            self.failed(error)
        else:
            logger.error("%s raised, off the GUI thread", self.name, exc_info=error)


class Handover:
    """Calls receivers of a chat on the GUI thread, until the window is closed.

    A worker of the chat posts each event to the GUI thread and waits until the receiver has returned. So all
    that is promised of receivers holds here: events arrive in the order of their conversation; a receiver
    that raises is reported to ``callback_failed``, runs again or is given up as ``Handling`` says; in durable
    mode an event counts as handled when the receiver has returned; and while the window is frozen events wait
    in the bounded queue of the chat. ``where`` and the managers of ``chat.around`` run on the worker.

    Use it in a ``with`` statement, or call :meth:`close` when the window closes. Methods may be called from
    any thread.

    Example:
        >>> from connectycube.contrib.desktop import Handover
        >>> def post(function):  # tk_post(root) and qt_post() make one for a window
        ...     function()
        >>> with Handover(chat, post) as handover:
        ...     @handover.connect(chat.message_received)
        ...     def show(chat, message):
        ...         print(message.body)
    """

    def __init__(self, chat: Chat, post: Post) -> None:
        """Make the hand-over of one chat to one GUI thread; connects nothing.

        Args:
            chat: The chat, ``cube.chat``.
            post: Called as ``post(function)`` on any thread: has ``function()`` called on the GUI thread.
                ``tk_post(root)`` and ``qt_post()`` make one.

        Raises:
            ArgumentTypeError: ``chat`` is no Chat, or ``post`` cannot be called like this.
        """
        if not isinstance(chat, Chat):
            raise ArgumentTypeError(
                f"chat must be a Chat, such as cube.chat, not {type(chat).__name__}"
            )
        check_callable("post", post, "function")
        self._chat = chat
        self._post: Post = post
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._ends: dict[
            Future[Any], _Ends
        ] = {}  # of the calls of run() that have not been told of
        self._closed_at: float | None = None
        self._has_ended = False
        """Whether the chat was over at some time after the window was closed."""
        # Monotonic times, which several threads write without a lock: each value is right.
        self._alive_at = 0.0  # when the GUI thread last began or ended a call
        self._over_since: float | None = None  # since when the chat was seen to be over
        self._is_frozen = False  # whether the GUI thread has done nothing since then
        self._background = Background("connectycube-handover", _MOST_THREADS)
        with _closed_lock:
            others = [one for one in _closed if one.chat is chat]
        for other in others:
            other._let_go()  # the chat goes on, with this window
        when_destroyed = getattr(post, "call_when_destroyed", None)
        if when_destroyed is not None:
            when_destroyed(self.close)

    @property
    def chat(self) -> Chat:
        """The chat whose events are handed over."""
        return self._chat

    @property
    def is_closed(self) -> bool:
        """Whether the window was closed: nothing is called on the GUI thread any more."""
        return self._closed_at is not None

    # --- receivers ---

    @overload
    def connect(
        self,
        signal: Signal[Event],
        receiver: Callable[[Chat, Event], None],
        /,
        *,
        where: Callable[[Event], object] | None = None,
        key: str | None = None,
        handling: Handling | None = None,
    ) -> Callable[[Chat, Event], None]: ...
    @overload
    def connect(
        self,
        signal: Signal[Event],
        receiver: None = None,
        /,
        *,
        where: Callable[[Event], object] | None = None,
        key: str | None = None,
        handling: Handling | None = None,
    ) -> Callable[[Callable[[Chat, Event], None]], Callable[[Chat, Event], None]]: ...
    def connect(
        self,
        signal: Signal[Any],
        receiver: Any = None,
        /,
        *,
        where: Callable[[Any], object] | None = None,
        key: str | None = None,
        handling: Handling | None = None,
    ) -> Any:
        """Call ``receiver(chat, event)`` on the GUI thread for every event of a signal from now on.

        A receiver that is connected already keeps its place, and gets the new options.

        Args:
            signal: A signal of the chat, such as ``chat.message_received``.
            receiver: A function or another callable that takes ``(chat, event)``. Without it ``connect``
                returns a decorator.
            where: The receiver is called only for events for which ``where(event)`` is true. It is called on
                a worker, so it must not touch the window.
            key: The receiver's name in the signal; it replaces an earlier receiver of the same key.
            handling: When the receiver runs again after it raised; None is ``Config.handling``.

        Returns:
            The receiver, so that ``connect`` works as a decorator.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``signal`` is no signal of this chat; ``receiver`` cannot
                be called, does not take ``(chat, event)``, or is a coroutine function or a generator
                function; or an option is wrong.
            ClientClosedError: The handover, or the client, was closed.
        """
        self._check_signal(signal)

        def connected(receiver: Any) -> Any:
            if isinstance(receiver, Signal):
                raise ArgumentTypeError("receiver must be callable, not Signal")
            check_callable("receiver", receiver, "chat", "event")
            with self._lock:
                self._check_open()
                link = self._link_of(signal, receiver) or self._new_link(signal, receiver)
                # A fleet's signal is that of all its members; it would call the receiver for each of them.
                signal.connect(
                    link.function, where=where, key=key, handling=handling, sender=self._chat
                )
                link.key = key
                others = [one for one in self._links if one is not link]
                replaced = [one for one in others if key and (one.signal, one.key) == (signal, key)]
                self._links = [*(one for one in others if one not in replaced), link]
            for one in replaced:
                one.receiver = None
            return receiver

        return connected if receiver is None else connected(receiver)

    def disconnect(self, signal: Signal[Any], receiver: Callable[..., Any]) -> None:
        """Call ``receiver`` no longer, also for an event that waits; one that is not connected is ignored.

        Args:
            signal: The signal it was connected to.
            receiver: The receiver that was given to :meth:`connect`.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``signal`` is no signal of this chat.
        """
        self._check_signal(signal)
        with self._lock:
            link = self._link_of(signal, receiver)
            if link is None:
                return
            signal.disconnect(link.function)
            link.receiver = None
            self._links.remove(link)

    def _check_signal(self, signal: object) -> None:
        if not isinstance(signal, Signal):
            raise ArgumentTypeError(
                f"signal must be a signal, such as chat.message_received, not {type(signal).__name__}"
            )
        if getattr(self._chat, signal.name, None) is not signal:
            raise ArgumentValueError(
                f"signal {signal.name} is that of another chat: use the chat of this handover"
            )

    def _check_open(self) -> None:
        if self._closed_at is not None:
            raise ClientClosedError("the handover was closed: make a new one for a new window")

    def _link_of(self, signal: Signal[Any], receiver: object) -> _Link | None:
        for link in self._links:
            if link.signal is signal and _is_same(link.receiver, receiver):
                return link
        return None

    def _new_link(self, signal: Signal[Any], receiver: Callable[..., Any]) -> _Link:
        def hand_over(chat: Chat, event: Any) -> None:
            self._hand_over(link, event)

        # The name of the receiver: logs and durable mode know it by that.
        name = name_of(receiver)
        hand_over.__module__, _, hand_over.__qualname__ = name.partition(".")
        link = _Link(signal, name, receiver, hand_over)
        return link

    # --- one event: on a worker, then on the GUI thread ---

    def _hand_over(self, link: _Link, event: Any) -> None:
        """Have the receiver called on the GUI thread, and wait until it has returned or raised."""
        is_kept = link.signal.name in KEPT
        is_frozen = self._is_over() and self._is_frozen
        if is_frozen and is_kept:
            self._leave()
        seconds = 0.0 if is_frozen else _LOOK
        call = Call(link.name, partial(self._receive, link, event))
        if not self._send(call.run):
            self._end(is_kept)
            return
        while not call.wait(seconds):
            seconds = _LOOK
            if self.is_closed and call.take_back():
                self._end(is_kept)
                return
            if self._is_without_life(call):
                call.forget()
                if is_kept:
                    call.take_back()
                    self._leave()
                return  # it stays posted: the window that comes back is told that the chat was closed
        try:
            call.raise_error()
        except WindowClosed:
            self._end(is_kept)

    def _receive(self, link: _Link, event: Any) -> None:
        """Call the receiver, on the GUI thread."""
        with self._lock:
            receiver = link.receiver
            if self._closed_at is not None:
                raise WindowClosed
        self._alive_at = time.monotonic()
        self._is_frozen = False
        try:
            if receiver is not None:
                receiver(self._chat, event)
        finally:
            self._alive_at = time.monotonic()

    def _is_over(self) -> bool:
        """Whether the chat has ended, or is about to: then somebody may wait for the workers."""
        if self._chat.state not in _OVER:
            self._over_since, self._is_frozen = None, False
            return False
        if self._over_since is None:
            self._over_since = time.monotonic()
        return True

    def _is_without_life(self, call: Call) -> bool:
        """Whether the chat is over and the GUI thread does nothing: perhaps it waits in ``logout()``."""
        over_since = self._over_since if self._is_over() else None
        if over_since is None:
            return False
        signs = (over_since, self._alive_at, call.since)
        self._is_frozen = self._is_frozen or time.monotonic() - max(signs) > _PATIENCE
        return self._is_frozen

    def _leave(self) -> None:
        """Leave an event to the next login: the chat keeps what was not handled when it ended."""
        raise NotHandledError("the chat was closed before the window had this event")

    def _end(self, is_kept: bool) -> None:
        """Return from a receiver whose window is closed; an event that is kept waits for the chat's end.

        In durable mode it is not handled, so it must stay for the next login. If the chat goes on without
        the window, the receivers are disconnected, and it waits for them no longer.
        """
        if not is_kept:
            return
        while True:
            if self._is_over():
                self._has_ended = True
                self._leave()
            assert self._closed_at is not None
            if self._has_ended or time.monotonic() - self._closed_at > _FAREWELL:
                self._let_go()
            if not self._links:
                return
            time.sleep(_LOOK)

    # --- other calls on the GUI thread, and off it ---

    def post(self, function: Callable[[], object]) -> None:
        """Have ``function()`` called on the GUI thread soon; nothing happens after :meth:`close`.

        For done-callbacks of send handles and other threads. An error that it raises is logged at ERROR.

        Args:
            function: Called without arguments.

        Raises:
            ArgumentTypeError: ``function`` cannot be called like this.
        """
        check_callable("function", function)
        self._send(partial(self._run_posted, name_of(function), function))

    def run(
        self,
        function: Callable[[], Result],
        done: Callable[[Result], object] | None = None,
        failed: Callable[[BaseException], object] | None = None,
    ) -> Future[Result]:
        """Call ``function()`` off the GUI thread, then ``done(result)`` or ``failed(error)`` on it.

        For calls that block, such as all of REST. At most four run at a time, and others wait for their turn.
        After :meth:`close` neither ``done`` nor ``failed`` is called, and a call that has not begun is
        cancelled. A call that has begun goes on to its end, on a daemon thread, which then lets go of the
        function.

        Args:
            function: Called without arguments on a thread of the handover; it must not touch the window.
            done: Called with the result.
            failed: Called with the error. None: the error is logged at ERROR.

        Returns:
            A future with the result. Do not wait for it on the GUI thread; ``cancel()`` works until the call
            begins, and then nothing is called.

        Raises:
            ArgumentTypeError: An argument cannot be called like this.
            ClientClosedError: The handover was closed.
        """
        check_callable("function", function)
        if done is not None:
            check_callable("done", done, "result")
        if failed is not None:
            check_callable("failed", failed, "error")
        future: Future[Result] = Future()
        future.add_done_callback(lambda future: self._send(partial(self._finish, future)))
        with self._lock:
            self._check_open()
            self._ends[future] = _Ends(name_of(function), done, failed)
            self._background.call(function, future)
        return future

    def _finish(self, future: Future[Any]) -> None:
        """Tell the end of a call of ``run``, on the GUI thread."""
        with self._lock:
            ends = self._ends.pop(future, None)
        if ends is not None and not future.cancelled():
            self._run_posted(ends.name, partial(ends.tell, future))

    def _run_posted(self, name: str, function: Callable[[], object]) -> None:
        if self.is_closed:
            return
        try:
            function()
        except Exception:
            logger.exception("%s raised, on the GUI thread", name)

    def _send(self, function: Callable[[], object]) -> bool:
        """Post a function; return False if the window is closed."""
        if self.is_closed:
            return False
        try:
            self._post(function)
        except Exception as error:  # noqa: BLE001 - it is the toolkit's code
            logger.warning("the window is taken as closed, because post() raised %r", error)
            self.close()
            return False
        return True

    # --- the end ---

    def close(self) -> None:
        """End the hand-over: nothing is called on the GUI thread any more.

        An event whose receiver has not begun stays with the chat. May be called from any thread, and more
        than once.
        """
        with self._lock:
            if self._closed_at is not None:
                return
            self._closed_at = time.monotonic()
            # The objects of the window are let go here, and not on a worker, where Tk could not be called.
            released = [self._post, self._ends, *(link.receiver for link in self._links)]
            self._post, self._ends = _nowhere, {}
            for link in self._links:
                link.receiver = None
        del released  # without the lock: what is let go may be code of the application
        self._background.cancel()
        with _closed_lock:
            _closed.add(self)

    def _let_go(self) -> None:
        """Disconnect the receivers: the chat goes on without this window."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.signal.disconnect(link.function)
        with _closed_lock:
            _closed.discard(self)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Handover of {self._chat!r}{', closed' if self.is_closed else ''}>"


def _is_same(one: object, other: object) -> bool:
    """Whether two receivers are one: a method is a new object each time it is asked for."""
    if isinstance(one, MethodType) and isinstance(other, MethodType):
        return one.__func__ is other.__func__ and one.__self__ is other.__self__
    return one is other


def _nowhere(function: Callable[[], object]) -> None:
    """Post nothing: the window is closed."""
