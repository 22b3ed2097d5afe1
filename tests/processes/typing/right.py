"""Lines that a type checker must accept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from connectycube import (
    Chat,
    Config,
    ConnectyCube,
    CustomObject,
    Dialog,
    DialogType,
    Fleet,
    Handling,
    MemberFailure,
    Message,
    MessageFailure,
    Observer,
    Page,
    ReconnectPolicy,
    Request,
    Response,
    RetryPolicy,
    SendHandle,
    Signal,
    StateChange,
    Timeouts,
    Typing,
    User,
)
from connectycube.contrib.celery import ChatTask, hand_over
from connectycube.contrib.desktop import Handover
from connectycube.contrib.flask import FlaskCube
from connectycube.contrib.relay import Context, Relay, Worker
from connectycube.emulator import Emulator, Fault
from connectycube.testing import MockTransport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from connectycube.typing import ConfigFields, Credentials, CustomValue, JsonValue

cube = ConnectyCube(app_id=1, auth_key="key", retry=RetryPolicy(max_retries=0), durable="x.db")
cube = ConnectyCube.from_env(workers=2, timeouts=Timeouts(login=3.0))
chat = cube.chat

# --- receivers ----------------------------------------------------------------------------------


@chat.message_received.connect
def receive(chat: Chat, message: Message) -> None:
    chat.reply(message, "hello")


@chat.message_received.connect(key="other", where=lambda message: message.body is not None)
def receive_others(chat: Chat, event: Message) -> None: ...


@chat.state_changed.connect(handling=Handling(give_up_after=1.0))
def tell(chat: Chat, change: StateChange) -> None: ...


class Desk:
    def received(self, chat: Chat, message: Message) -> None: ...

    def anything(self, chat: Chat, event: object) -> None: ...


def with_more(prefix: str, chat: Chat, message: Message) -> None: ...


desk = Desk()
chat.message_received.connect(desk.received)
chat.typing_started.connect(desk.anything)
chat.message_received.connect(partial(with_more, "> "))
chat.message_received.disconnect(desk.received)
bodies: list[str | None] = []
chat.message_received.connect(lambda chat, message: bodies.append(message.body))
receive(chat, Message(body="x"))
signal: Signal[MessageFailure] = chat.message_failed

# --- streams and handles ------------------------------------------------------------------------

with chat.events(chat.typing_started, 5.0) as events:
    typing: Typing = events.next(where=lambda event: event.user_id == 5)
    for event in events:
        typing = event
message: Message = chat.wait_for(chat.message_received, 5.0)
message = chat.wait_for(chat.message_received, where=lambda found: found.body == "x")
failure: MessageFailure = chat.wait_for(signal)
with chat.follow("0" * 24) as stream:
    message = stream.next()
handle: SendHandle[Message] = chat.send_private(
    5, "hello", colour="blue", nested={"deep": {"n": 1}}
)
handle.add_done_callback(lambda done: print(done.id))
copy: Message | None = handle.server_copy
message = handle.result(1.0)


def send_all(custom: Mapping[str, CustomValue]) -> None:
    chat.send_message("0" * 24, "hello", custom=custom)


# --- REST ---------------------------------------------------------------------------------------

dialogs: Page[Dialog] = cube.dialogs.list(
    type=DialogType.GROUP, name__contains="Hik", sort="-created_at"
)
cube.dialogs.list(extensions={"city": "Lima"})
count: int = cube.dialogs.count(id__in=["0" * 24])
names: list[str | None] = [dialog.name for dialog in cube.dialogs.iter()]
cube.messages.list("0" * 24, date_sent__gt=1_700_000_000, sender_id__in=[1, User(id=2)])
cube.messages.list("0" * 24, date_sent__lte=datetime.now(timezone.utc))
bodies += [message.body for message in cube.messages.iter("0" * 24, body__contains="hello")]
count = cube.messages.count("0" * 24, sender_id=5)
cube.users.list(login__startswith="alic", limit=5)
found: User | None = cube.users.get_by(login="alice")
users: list[int | None] = [user.id for user in cube.users.iter(id__in=[1, 2])]
records: Page[CustomObject] = cube.custom_objects.list("Cars", wheels__gte=3, make__in=["a", "b"])
count = cube.custom_objects.count("Cars", wheels=4)
records = cube.custom_objects.update_by_criteria("Cars", {"wheels": 3, "tags": ["x"]}, make="a")
user: User = cube.login(login="alice", password="secret")


def client(**fields: Unpack[ConfigFields]) -> ConnectyCube:
    return ConnectyCube(**fields)


def enter(**credentials: Unpack[Credentials]) -> User:
    return cube.login(**credentials)


def store(fields: Mapping[str, JsonValue]) -> CustomObject:
    return cube.custom_objects.create("Cars", fields)


config: Config = cube.config.replace(workers=3, reconnect=ReconnectPolicy(delay=1.0))
config = Config.from_env({"CONNECTYCUBE_APP_ID": "1"}, auth_key="key")


class Watching(Observer):
    def state_changed(self, chat: Chat, change: StateChange) -> None: ...


def answer(request: Request) -> Response:
    return Response(200, json={"user": {"id": 1}})


ConnectyCube(config=config.replace(observer=Watching()), transport=MockTransport(answer))

# --- fleets, integrations, the emulator ----------------------------------------------------------

fleet = Fleet(cube, [{"login": "alice", "password": "secret"}], workers=4)
fleet.message_received.connect(lambda chat, message: bodies.append(message.body))
fleet.member_failed.connect(lambda chat, failure: print(failure.error))
failed: Signal[MemberFailure] = fleet.member_failed
member: Chat = fleet.add({"login": "bob", "password": "secret"}).result(5.0)

with Handover(chat, lambda function: function()) as handover:
    handover.connect(chat.message_received, receive, where=lambda message: message.own)
    handover.connect(chat.message_received, lambda chat, message: bodies.append(message.body))

    @handover.connect(chat.typing_started, key="dots")
    def show(chat: Chat, typing: Typing) -> None: ...

    handover.post(lambda: print(typing))
    handover.run(lambda: cube.dialogs.list(), lambda page: print(page[0].name), print).cancel()

flask_cube = FlaskCube()


@flask_cube.on("message_received")
def flask_receive(chat: Chat, message: Message) -> None: ...


flask_cube.client_for(login="alice", password="secret")
sent: list[str | None] = [each.body for each in flask_cube.deliver("hello", 5, custom={"a": "b"})]

relay = Relay("redis://localhost", "cube", 16, groups=["workers"], lease=5.0)
relay.attach(chat, ["message_received"])
worker = Worker("amqp://localhost", group="workers", attempts=3, lease=5.0)


@worker.on("message_received")
def handle_event(message: Message, context: Context) -> None:
    context.reply("hello", colour="blue")


def begin(task: ChatTask) -> None:
    hand_over(chat, task, ["message_received"])


with Emulator(app_id=1, room_echo=False, session_seconds=60.0) as emulator:
    number: int = emulator.add_user("alice", "secret", full_name="Alice", tag_list=["a"])
    emulator.set_switches(join_required=True)
    fault: Fault = emulator.faults.rate_limit(retry_after=2, times=3, user="alice")
    with emulator.faults.stream_error(condition="conflict", on="chat"):
        config = emulator.config(workers=1)
    switches: dict[str, Any] = emulator.switches
