"""Lines that a type checker must refuse: each with a part of mypy's complaint."""

from __future__ import annotations

from typing import Any

import connectycube
from connectycube import Chat, ConnectyCube, Message, Typing
from connectycube.contrib.desktop import Handover

cube = ConnectyCube(app_id=1, auth_key="key")
chat = cube.chat


def of_one(chat: Chat) -> None: ...


def of_three(chat: Chat, message: Message, more: int) -> None: ...


def like_blinker(sender: Chat, **keywords: Any) -> None: ...


async def of_a_loop(chat: Chat, message: Message) -> None: ...


def of_typing(chat: Chat, event: Typing) -> None: ...


def turned_round(message: Message, chat: Chat) -> None: ...


chat.message_received.connect(of_one)  # error: expected "Callable[[Chat, Message], None]"
chat.message_received.connect(of_three)  # error: expected "Callable[[Chat, Message], None]"
chat.message_received.connect(like_blinker)  # error: expected "Callable[[Chat, Message], None]"
chat.message_received.connect(of_a_loop)  # error: expected "Callable[[Chat, Message], None]"
chat.message_received.connect(of_typing)  # error: expected "Callable[[Chat, Message], None]"
chat.message_received.connect(turned_round)  # error: expected "Callable[[Chat, Message], None]"
chat.message_received.connect(5)  # error: No overload variant of "connect"
chat.message_received.connect(key="x")(of_typing)  # error: incompatible type
chat.message_received.connect(where=lambda event: event.subject)(print)  # error: has no attribute
chat.message_received(of_typing)  # error: not callable
print(chat.events(chat.typing_started).next().body)  # error: "Typing" has no attribute "body"
print(chat.wait_for(chat.message_received).is_typing)  # error: "Message" has no attribute
print(chat.follow("x").next().subject)  # error: "Message" has no attribute
chat.wait(tiemout=1)  # error: Unexpected keyword argument "tiemout"
chat.send_private("2", "hello")  # error: incompatible type "str"

cube.dialogs.list(nonsense=1)  # error: Unexpected keyword argument "nonsense"
cube.dialogs.count(type="group")  # error: has incompatible type "str"
cube.dialogs.list(extensions__city="Lima")  # error: Unexpected keyword argument
cube.messages.list("d", nonsense=1)  # error: Unexpected keyword argument "nonsense"
cube.messages.iter("d", date_sent__gt="today")  # error: has incompatible type "str"
cube.users.list(nonsense="x")  # error: Unexpected keyword argument "nonsense"
cube.users.list(id__in=5)  # error: has incompatible type "int"
cube.login(nonsense=1)  # error: Unexpected keyword argument "nonsense"
ConnectyCube(nonsense=1)  # error: Unexpected keyword argument "nonsense"
ConnectyCube(app_id="1", auth_key="key")  # error: has incompatible type "str"

handover = Handover(chat, print)
handover.connect(chat.message_received, of_typing)  # error: expected "Callable[[Chat, Message]
handover.connect(chat.message_received)(of_typing)  # error: incompatible type
handover.connect(of_typing)  # error: No overload variant of "connect"
handover.run(lambda: cube.users.get(1), lambda user: user.nonsense)  # error: has no attribute
Handover(cube, print)  # error: incompatible type "ConnectyCube"
print(connectycube.Telegram)  # error: Module has no attribute "Telegram"
