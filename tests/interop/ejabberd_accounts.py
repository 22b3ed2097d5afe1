"""A program, not a module: says to ejabberd who has an account, as its external authentication asks.

``python ejabberd_accounts.py FOLDER``: each file of the folder is an account, named for the percent-encoded
user and holding the password. So accounts can be made while ejabberd does not run, and survive its being
killed, which those of its own database do not.
"""

import sys
from pathlib import Path
from urllib.parse import quote


def path_of(folder: Path, user: str) -> Path:
    """Return the file of an account."""
    return folder / quote(user, safe="")


def answer(folder: Path, question: str) -> bool:
    """Answer ``auth:user:domain:password`` or ``isuser:user:domain``; all else is refused."""
    operation, user, _, *password = question.split(":", 3)
    file = path_of(folder, user)
    if operation == "auth":
        return file.exists() and [file.read_text()] == password
    return operation == "isuser" and file.exists()


def serve(folder: Path) -> None:
    """Answer until ejabberd closes the pipe; both ways a length of two bytes goes before each packet."""
    while head := sys.stdin.buffer.read(2):
        question = sys.stdin.buffer.read(int.from_bytes(head, "big")).decode()
        sys.stdout.buffer.write(bytes((0, 2, 0, answer(folder, question))))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
