"""Lines that a type checker must accept."""

from __future__ import annotations

from functools import partial

from connectycube import Chat, ConnectyCube, DialogType, Message, SendHandle, Typing, User
from connectycube.contrib.desktop import Handover

cube = ConnectyCube(app_id=1, auth_key="key")
chat = cube.chat


@chat.message_received.connect
def receive(chat: Chat, message: Message) -> None:
    chat.reply(message, "hello")


@chat.message_received.connect(key="other", where=lambda message: message.body is not None)
def receive_others(chat: Chat, event: Message) -> None: ...


class Desk:
    def received(self, chat: Chat, message: Message) -> None: ...

    def anything(self, chat: Chat, event: object) -> None: ...


def with_more(prefix: str, chat: Chat, message: Message) -> None: ...


desk = Desk()
chat.message_received.connect(desk.received)
chat.typing_started.connect(desk.anything)
chat.message_received.connect(partial(with_more, "> "))
bodies: list[str | None] = []
chat.message_received.connect(lambda chat, message: bodies.append(message.body))
receive(chat, Message(body="x"))

with chat.events(chat.typing_started, 5.0) as events:
    typing: Typing = events.next(where=lambda event: event.user_id == 5)
    for event in events:
        typing = event
message: Message = chat.wait_for(chat.message_received, 5.0)
with chat.follow("0" * 24) as stream:
    message = stream.next()

cube.dialogs.list(type=DialogType.GROUP, name__contains="Hik", sort="-created_at")
cube.dialogs.list(extensions={"city": "Lima"})
cube.dialogs.count(id__in=["0" * 24])
cube.messages.list("0" * 24, date_sent__gt=1_700_000_000, sender_id__in=[1, User(id=2)])
bodies += [message.body for message in cube.messages.iter("0" * 24, body__contains="hello")]
cube.users.list(login__startswith="alic", limit=5)
handle: SendHandle[Message] = chat.send_private(5, "hello", colour="blue")

with Handover(chat, lambda function: function()) as handover:
    handover.connect(chat.message_received, receive, where=lambda message: message.own)
    handover.connect(chat.message_received, lambda chat, message: bodies.append(message.body))

    @handover.connect(chat.typing_started, key="dots")
    def show(chat: Chat, typing: Typing) -> None: ...

    handover.post(lambda: print(typing))
    handover.run(lambda: cube.dialogs.list(), lambda page: print(page[0].name), print).cancel()
