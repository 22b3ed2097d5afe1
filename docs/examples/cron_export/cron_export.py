"""Export all messages of an account: cron_export.py FOLDER, for cron.

Each dialog has a file in FOLDER, ``DIALOG_ID.jsonl``, with a line for each message, the oldest first. A later
run adds the messages that are new. It marks nothing as read, and prints nothing unless something is wrong.

A run that was killed left ``DIALOG_ID.jsonl.part``; the next one goes on there. EXPORT_LOGIN and
EXPORT_PASSWORD are in the environment, beside the variables of ``ConnectyCube.from_env()``.

Exit status: 0 everything is exported; 1 a dialog or a file failed; 2 a wrong argument or variable; 4 the
login was refused; 6 the network failed; 7 another run is at work, or the service limits the rate.
"""

import fcntl
import json
import os
import re
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from connectycube import (
    ApiError,
    ApiNetworkError,
    ApiTimeoutError,
    ArgumentValueError,
    AuthenticationError,
    ConnectyCube,
    ConnectyCubeError,
    Message,
    RateLimitError,
)

LATE = timedelta(hours=1)
"""How long after its date a message may be stored, as by a client that was offline when it wrote."""


class WrongUse(Exception):
    """An argument or a variable is missing or wrong."""


class Busy(Exception):
    """Another run is at work."""


class Damaged(Exception):
    """What is there cannot be gone on with."""


STATUS = {
    (WrongUse, ArgumentValueError): 2,
    AuthenticationError: 4,
    (ApiNetworkError, ApiTimeoutError): 6,
    (Busy, RateLimitError): 7,
}


def export_dialog(cube, dialog, folder):
    """Bring the file of a dialog up to date: other programs see the old one or the new one, as a whole."""
    file = folder / f"{dialog.id}.jsonl"
    part = folder / f"{dialog.id}.jsonl.part"
    if file.exists() and not part.exists():
        if dialog.last_message_id is not None and dialog.last_message_id == last_id(file):
            return
        copy = folder / f"{dialog.id}.jsonl.copy"
        shutil.copyfile(file, copy)  # it may be killed here as well, so a part is always whole
        copy.rename(part)
    known, newest = read(part)
    # History is asked for by date, because ids are not in the order of time: each client chooses its own. The
    # id says whether a message has its line already, so the request may begin before the newest one.
    since = {} if newest is None else {"date_sent__gte": newest - LATE}
    with part.open("a", encoding="ascii") as lines:
        for message in cube.messages.iter(dialog, mark_as_read=False, **since):
            if message.id not in known:
                lines.write(json.dumps(message.to_dict()) + "\n")
        lines.flush()
        os.fsync(lines.fileno())
    part.rename(file)


def last_id(file):
    """Return the id of the message in the last line, without reading the others."""
    with file.open("rb") as lines:
        lines.seek(max(0, file.stat().st_size - 1_000_000))
        try:
            return json.loads(lines.read().rstrip(b"\n").rpartition(b"\n")[2])["id"]
        except (ValueError, KeyError):
            return None  # no line, a very long one, or a damaged one: then all are read


def read(part):
    """Return the ids of the messages that have a line, and the date of the newest one."""
    known, newest, end = set(), None, 0
    with part.open("a+b") as lines:
        lines.seek(0)
        for line in lines:
            if not line.endswith(b"\n"):
                lines.truncate(end)  # a run was killed while it wrote this line
                break
            end += len(line)
            try:
                message = Message.from_dict(json.loads(line))
            except ValueError:
                raise Damaged(f"{part} has a damaged line; move the file away") from None
            known.add(message.id)
            if newest is None or (message.date_sent is not None and message.date_sent > newest):
                newest = message.date_sent
    return known, newest


def lock(folder):
    """Keep other runs away, until this process ends in whatever way."""
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Busy(f"another run exports into {folder}") from None


def export(words):
    """Export each dialog; return what has failed, after all others were exported."""
    if len(words) != 1 or words[0].startswith("-"):
        raise WrongUse("usage: cron_export.py FOLDER")
    for name in ("EXPORT_LOGIN", "EXPORT_PASSWORD"):
        if name not in os.environ:
            raise WrongUse(f"the variable {name} is missing")
    os.umask(0o077)  # what people wrote is for the owner of the archive alone
    folder, failures = Path(words[0]), []
    folder.mkdir(parents=True, exist_ok=True)
    lock(folder)
    with ConnectyCube.from_env() as cube:
        cube.login(login=os.environ["EXPORT_LOGIN"], password=os.environ["EXPORT_PASSWORD"])
        for dialog in cube.dialogs.iter():
            try:
                if not re.fullmatch(r"\w+", dialog.id):
                    raise Damaged("its id is no name of a file")
                export_dialog(cube, dialog, folder)
            except (ApiNetworkError, ApiTimeoutError, AuthenticationError, RateLimitError):
                raise  # the other dialogs would fail, too
            except (ApiError, OSError, Damaged) as error:
                failures.append(f"dialog {dialog.id}: {error}")
    return failures


def main(words):
    status = 1
    try:
        failures = export(words)
    except (ConnectyCubeError, OSError, WrongUse, Busy) as error:
        failures = [error]
        status = next((status for errors, status in STATUS.items() if isinstance(error, errors)), 1)
    except KeyboardInterrupt:
        return 130
    for failure in failures:
        print(f"cron_export.py: {failure}", file=sys.stderr)
    return status if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
