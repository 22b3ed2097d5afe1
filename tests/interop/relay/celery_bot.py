"""A bot that hands its messages over to the task of ``celery_tasks``, as a program until SIGTERM."""

from __future__ import annotations

import os
import signal

from connectycube import ConnectyCube
from connectycube.contrib.celery import hand_over
from tests.interop.relay.celery_tasks import answer


def main() -> None:
    """Log in and hand over."""
    with ConnectyCube.from_env() as cube:
        cube.login(
            login=os.environ["CONNECTYCUBE_LOGIN"], password=os.environ["CONNECTYCUBE_PASSWORD"]
        )
        hand_over(cube.chat, answer)
        cube.chat.login()
        cube.chat.wait(signals=(signal.SIGTERM,))


if __name__ == "__main__":
    main()
