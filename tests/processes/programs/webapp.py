"""A web application for the servers of other people: its client is made and logged in when it is imported."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from connectycube import ChatState, ConnectyCube

cube = ConnectyCube.from_env()
cube.login(login=os.environ["LOGIN"], password=os.environ["PASSWORD"])


@cube.chat.message_received.connect
def say_which_process(chat, message):
    """Answer each message with the id of the process that received it."""
    chat.reply(message, str(os.getpid()))


if "CHAT_AT_IMPORT" in os.environ:
    cube.chat.login()
    # A fork in C while another thread waits for the interpreter's lock leaves Python itself in disorder.
    time.sleep(0.5)


def user(number: str) -> object:
    """The id in the answer to a REST call for that user."""
    return cube.users.get(int(number)).id


def state() -> object:
    """What the chat says before anything is done with it."""
    return f"{cube.chat.state.name} {cube.chat.is_ready}"


def chat() -> object:
    """Log in to the chat unless this process is, and ask the server something."""
    cube.chat.login()
    cube.chat.ping()
    return os.getpid()


PAGES: dict[str, Callable[..., object]] = {"user": user, "state": state, "chat": chat}


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer with what the page returns, as text."""
    name, *arguments = environ["PATH_INFO"].strip("/").split("/")
    try:
        said = str(PAGES[name](*arguments))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    body = said.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


assert cube.chat.state in (ChatState.IDLE, ChatState.READY)
