"""A support bot: it answers simple questions, and calls a person when a customer asks for one.

For that it makes a group with the customer and the operator, and says nothing there, until the operator
writes "/bot". BOT_LOGIN, BOT_PASSWORD and OPERATOR (a login) are in the environment, beside the variables of
``ConnectyCube.from_env()``. Ctrl-C or SIGTERM ends it in good order. ``kill -9`` does no harm: the next start
goes on with what was left, because everything is in two files, ``bot.db`` and ``desk.db``.
"""

import logging
import os
import re
import signal
import sqlite3
import sys

from connectycube import (
    ApiError,
    ArgumentValueError,
    ConnectyCube,
    ConnectyCubeError,
    DialogType,
    Handling,
    ReconnectPolicy,
    is_transient,
)

logging.basicConfig(stream=sys.stdout, format="%(message)s")  # warnings of the package, too
log = logging.getLogger("bot")  # what others wrote goes in with !r, without control characters
log.setLevel(logging.INFO)

ANSWERS = {
    "open": "We are open from 9 to 18 o'clock, on Saturdays until 14.",
    "price": "A hiking map is 12 euros, and delivery is free.",
    "return": "Send it back within 30 days; the label is in the parcel.",
}
HELP = "I know about: open, price, return. Write 'person', and I call one."


class Desk:
    """Who answers in each group, the bot or a person: kept in a file, one row for each change."""

    def __init__(self, path):
        self.database = sqlite3.connect(path, check_same_thread=False)  # the bot has one worker
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS changes (message_id TEXT PRIMARY KEY, group_id TEXT, answers TEXT)"
        )

    def give(self, group_id, answers, message):
        """Note that from this message on the bot, or a person, answers; a repetition changes nothing."""
        with self.database:
            self.database.execute(
                "INSERT INTO changes VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (message.id, group_id, answers),
            )

    def is_of_a_person(self, group_id):
        last = "SELECT answers FROM changes WHERE group_id = ? ORDER BY rowid DESC LIMIT 1"
        return self.database.execute(last, (group_id,)).fetchone() == ("person",)


class Bot:
    def __init__(self, cube, operator, desk):
        self.cube, self.operator, self.desk = cube, operator, desk

    def on_message(self, chat, message):
        """Read a message and answer it.

        After a kill this may run again for the same message. What it sends has the same ids then, so nobody
        gets an answer twice.
        """
        chat.mark_read(message)
        words = re.findall(r"[\w/]+", (message.body or "").lower())
        in_a_group = message.dialog.type is not DialogType.PRIVATE
        if in_a_group and message.sender_id == self.operator.id:
            self.obey(chat, message, words)
        elif in_a_group and self.desk.is_of_a_person(message.dialog_id):
            log.info(f"left to the person: {message.body!r}")
        elif "person" in words:
            self.call_a_person(chat, message)
        else:
            found = [answer for word, answer in ANSWERS.items() if word in words]
            chat.reply(message, "\n".join(found) or HELP)
            log.info(f"answered user {message.sender_id}: {message.body!r}")

    def call_a_person(self, chat, message):
        group = self.group_with(message.sender_id)
        chat.send_message(
            group, f"{self.operator.full_name}, user {message.sender_id} asks for you."
        )
        chat.reply(message, f"{self.operator.full_name} answers in the group {group.name!r}.")
        self.desk.give(group.id, "person", message)
        log.info(f"handed user {message.sender_id} over to {self.operator.login}")

    def obey(self, chat, message, words):
        """The operator has written in a group: only "/bot" is for the bot."""
        if words == ["/bot"]:
            chat.reply(message, "I am back. " + HELP)
            self.desk.give(message.dialog_id, "bot", message)
            log.info(f"took over again in {message.dialog_id}")

    def group_with(self, customer_id):
        """Return the one group of a customer. A run that was killed may have made it already."""
        name = f"Support for user {customer_id}"
        for group in self.cube.dialogs.iter(type=DialogType.GROUP, name=name):
            if group.user_id == self.cube.user.id:  # anybody can make a group of this name
                return group
        return self.cube.dialogs.create_group(name, [customer_id, self.operator])


def passes(error):
    """Whether to run again after an error: then the conversation waits, and others go on."""
    return is_transient(error) or isinstance(error, (ApiError, sqlite3.OperationalError))


def on_own_message(chat, message):
    """Another device of the bot's account wrote this; `message_received` never has it."""
    log.info(f"written by hand: {message.body!r}")


def main():
    try:
        login, password, operator = (
            os.environ[n] for n in ("BOT_LOGIN", "BOT_PASSWORD", "OPERATOR")
        )
    except KeyError as error:
        print(f"bot.py: the variable {error.args[0]} is missing", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # as long as wait() does not handle them
    try:
        with ConnectyCube.from_env(
            durable="bot.db",  # an event is kept until its receiver has handled it
            reconnect=ReconnectPolicy(max_attempts=None),
            handling=Handling(transient=passes, give_up_after=3600),
        ) as cube:
            cube.login(login=login, password=password)
            person = cube.users.get_by(login=operator)
            if person is None:
                print(f"bot.py: OPERATOR: there is no user {operator!r}", file=sys.stderr)
                return 1
            bot = Bot(cube, person, Desk("desk.db"))
            # Connected before the login, because that calls them for what was left. The keys are the names by
            # which the file knows the receivers that have handled an event, so they must stay the same.
            cube.chat.message_received.connect(bot.on_message, key="answer")
            cube.chat.own_message_received.connect(on_own_message, key="own")
            cube.chat.login()
            log.info(f"{login} is ready; write to it")
            cube.chat.wait(signals=(signal.SIGTERM, signal.SIGINT))
            log.info("logged out")
    except (ConnectyCubeError, sqlite3.Error) as error:
        print(f"bot.py: {error}", file=sys.stderr)
        return 2 if isinstance(error, ArgumentValueError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
