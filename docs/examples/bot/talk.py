"""Talk to somebody from a terminal: python talk.py MY_LOGIN THEIR_LOGIN, or MY_LOGIN 'NAME OF A GROUP'.

Each line that you write is sent there, and whatever others write to you is printed. The end of the input
(Ctrl-D) or Ctrl-C ends it.
"""

import sys

from connectycube import ConnectyCube, ConnectyCubeError

if len(sys.argv) != 3:
    sys.exit(f"usage: {__doc__.splitlines()[0]}")
me, other = sys.argv[1:]


def show(chat, message):
    body = "".join(each if each.isprintable() else " " for each in message.body or "")
    print(f"{message.sender_id}: {body}", flush=True)


try:
    with ConnectyCube.from_env() as cube:
        cube.login(login=me, password="a password")  # the emulator makes a user of an unknown login
        user = cube.users.get_by(login=other)
        groups = cube.dialogs.list(name=other, limit=1)
        if user is None and not groups:
            sys.exit(f"talk.py: there is no user and no group {other!r}")
        dialog = groups[0] if user is None else cube.dialogs.create_private(user)
        cube.chat.message_received.connect(show)
        cube.chat.login()
        print(f"you are user {cube.user.id}; write a line", flush=True)
        for line in filter(str.strip, sys.stdin):
            cube.chat.send_message(dialog, line.rstrip("\n")).result()
        cube.chat.logout()
except ConnectyCubeError as error:
    sys.exit(f"talk.py: {error}")
except KeyboardInterrupt:
    sys.exit(130)
