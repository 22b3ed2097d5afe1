"""Lines that a type checker must refuse: before each a part of mypy's complaint, and pyright's rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import connectycube
from connectycube import Chat, Config, ConnectyCube, Fleet, Message, Signal, Timeouts, Typing
from connectycube.contrib.desktop import Handover
from connectycube.contrib.flask import FlaskCube
from connectycube.contrib.relay import Context, Relay, Worker
from connectycube.emulator import Emulator

if TYPE_CHECKING:
    from connectycube.typing import ConfigFields, Credentials, CustomValue

cube = ConnectyCube(app_id=1, auth_key="key")
chat = cube.chat

# --- receivers ----------------------------------------------------------------------------------


def of_one(chat: Chat) -> None: ...


def of_three(chat: Chat, message: Message, more: int) -> None: ...


def like_blinker(sender: Chat, **keywords: Any) -> None: ...


async def of_a_loop(chat: Chat, message: Message) -> None: ...


def of_typing(chat: Chat, event: Typing) -> None: ...


def turned_round(message: Message, chat: Chat) -> None: ...


# error: expected "Callable[[Chat, Message], None]" | reportCallIssue
chat.message_received.connect(of_one)
# error: expected "Callable[[Chat, Message], None]" | reportCallIssue
chat.message_received.connect(of_three)
# error: expected "Callable[[Chat, Message], None]" | reportCallIssue
chat.message_received.connect(like_blinker)
# error: expected "Callable[[Chat, Message], None]" | reportCallIssue
chat.message_received.connect(of_a_loop)
# error: expected "Callable[[Chat, Message], None]" | reportCallIssue
chat.message_received.connect(of_typing)
# error: expected "Callable[[Chat, Message], None]" | reportCallIssue
chat.message_received.connect(turned_round)
# error: No overload variant of "connect" | reportCallIssue
chat.message_received.connect(5)
# error: incompatible type | reportArgumentType
chat.message_received.connect(key="x")(of_typing)
# error: No overload variant of "connect" | reportArgumentType
chat.message_received.connect(key=5)(print)
# error: has no attribute | reportAttributeAccessIssue
chat.message_received.connect(where=lambda event: event.subject)(print)
# error: not callable | reportCallIssue
chat.message_received(of_typing)
# error: has no attribute "mesage_received" | reportAttributeAccessIssue
chat.mesage_received.connect(print)
# error: Incompatible types in assignment | reportAssignmentType
wrong: Signal[Typing] = chat.message_received

# --- streams and handles ------------------------------------------------------------------------

# error: "Typing" has no attribute "body" | reportAttributeAccessIssue
print(chat.events(chat.typing_started).next().body)
# error: "Message" has no attribute | reportAttributeAccessIssue
print(chat.wait_for(chat.message_received).is_typing)
# error: "Message" has no attribute | reportAttributeAccessIssue
print(chat.follow("x").next().subject)
# error: has incompatible type "str" | reportArgumentType
chat.events("message_received")
# error: has no attribute | reportAttributeAccessIssue
chat.wait_for(chat.typing_started, where=lambda found: found.body)
# error: Unexpected keyword argument "tiemout" | reportCallIssue
chat.wait(tiemout=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
chat.login(nonsense=1)
# error: incompatible type "str" | reportArgumentType
chat.send_private("2", "hello")
# error: has incompatible type "list[str]" | reportArgumentType
chat.send_message("x", "hello", colour=["red"])
# error: incompatible type "str": "None" | reportArgumentType
chat.send_message("x", "hello", custom={"a": None})
# error: "Message" has no attribute | reportAttributeAccessIssue
print(chat.send_private(2, "hello").result().subject)
# error: Incompatible types in assignment | reportAssignmentType
custom: CustomValue = None

# --- REST ---------------------------------------------------------------------------------------

# error: Unexpected keyword argument "nonsense" | reportCallIssue
cube.dialogs.list(nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
cube.dialogs.iter(nonsense=1)
# error: has incompatible type "str" | reportArgumentType
cube.dialogs.count(type="group")
# error: Unexpected keyword argument | reportCallIssue
cube.dialogs.list(extensions__city="Lima")
# error: has no attribute "nonsense" | reportAttributeAccessIssue
cube.dialogs.list().nonsense()
# error: Unexpected keyword argument "nonsense" | reportCallIssue
cube.messages.list("d", nonsense=1)
# error: has incompatible type "str" | reportArgumentType
cube.messages.iter("d", date_sent__gt="today")
# error: has incompatible type "str" | reportArgumentType
cube.messages.count("d", sender_id="alice")
# error: has incompatible type "object" | reportArgumentType
cube.messages.create("d", "hello", colour=object())
# error: Unexpected keyword argument "nonsense" | reportCallIssue
cube.users.list(nonsense="x")
# error: has incompatible type "int" | reportArgumentType
cube.users.list(id__in=5)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
cube.users.iter(nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
cube.users.get_by(nonsense="x")
# error: Item "None" of "User | None" has no attribute "id" | reportOptionalMemberAccess
print(cube.users.get_by(login="x").id)
# error: has incompatible type "object" | reportArgumentType
cube.custom_objects.list("Cars", wheels=object())
# error: incompatible type | reportArgumentType
cube.custom_objects.count("Cars", wheels__in={"a": object()}.values())
# error: incompatible type "str": "object" | reportArgumentType
cube.custom_objects.create("Cars", {"a": object()})
# error: Unexpected keyword argument "nonsense" | reportCallIssue
cube.login(nonsense=1)
# error: Extra key "pasword" | reportAssignmentType
credentials: Credentials = {"pasword": "x"}

# --- configuration ------------------------------------------------------------------------------

# error: Unexpected keyword argument "nonsense" | reportCallIssue
ConnectyCube(nonsense=1)
# error: has incompatible type "str" | reportArgumentType
ConnectyCube(app_id="1", auth_key="key")
# error: Unexpected keyword argument "nonsense" | reportCallIssue
ConnectyCube.from_env(nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
Config(app_id=1, auth_key="key", nonsense=1)
# error: has incompatible type "str" | reportArgumentType
Config.from_env(workers="2")
# error: Unexpected keyword argument "nonsense" | reportCallIssue
cube.config.replace(nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
Timeouts(nonsense=1.0)
# error: is read-only | reportAttributeAccessIssue
cube.config.workers = 5
# error: Extra key "nonsense" | reportAssignmentType
fields: ConfigFields = {"nonsense": 1}

# --- fleets, integrations, the emulator ----------------------------------------------------------

fleet = Fleet(cube)
# error: Extra key "pasword" | reportArgumentType
fleet.add({"pasword": "x"})
# error: expected "Callable[[Chat, MemberFailure], None]" | reportCallIssue
fleet.member_failed.connect(of_typing)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
Fleet(cube, nonsense=1)

handover = Handover(chat, print)
# error: expected "Callable[[Chat, Message] | reportCallIssue
handover.connect(chat.message_received, of_typing)
# error: incompatible type | reportArgumentType
handover.connect(chat.message_received)(of_typing)
# error: No overload variant of "connect" | reportArgumentType
handover.connect(of_typing)
# error: has no attribute | reportAttributeAccessIssue
handover.run(lambda: cube.users.get(1), lambda user: user.nonsense)
# error: incompatible type "ConnectyCube" | reportArgumentType
Handover(cube, print)

# error: Unexpected keyword argument "nonsense" | reportCallIssue
flask_cube = FlaskCube(nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
flask_cube.client_for(nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
flask_cube.deliver("hello", nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
Relay("redis://localhost", nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
Worker("redis://localhost", nonsense=1)
# error: has incompatible type "str" | reportArgumentType
Worker("redis://localhost", lease="5")


def answer(context: Context) -> None:
    # error: has incompatible type "list[str]" | reportArgumentType
    context.reply("hello", colour=["red"])


# error: Unexpected keyword argument "nonsense" | reportCallIssue
emulator = Emulator(nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
emulator.set_switches(nonsense=1)
# error: has incompatible type "str" | reportArgumentType
emulator.set_switches(room_echo="yes")
# error: Unexpected keyword argument "nonsense" | reportCallIssue
emulator.add_user("alice", "secret", nonsense=1)
# error: Unexpected keyword argument "nonsense" | reportCallIssue
emulator.config(nonsense=1)
# error: "Faults" has no attribute "nonsense" | reportAttributeAccessIssue
emulator.faults.nonsense()
# error: Unexpected keyword argument "nonsense" | reportCallIssue
emulator.faults.rate_limit(nonsense=1)
# error: Missing named argument "seconds" | reportCallIssue
emulator.faults.delay()
# error: Module has no attribute "Telegram" | reportAttributeAccessIssue
print(connectycube.Telegram)
