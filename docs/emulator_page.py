"""Make the pictures of the emulator's page: ``PYTHONPATH=. python docs/emulator_page.py``.

They show a few people on an emulator whose clock stands still, in Chromium, in the light and in the dark.
"""

from __future__ import annotations

import base64
from contextlib import ExitStack
from pathlib import Path

from connectycube.emulator import Emulator
from tests.support.browser import Window, window
from tests.support.waiting import wait_until
from tests.support.wire_client import Client

FOLDER = Path(__file__).parent
PEOPLE = {"anna": "Anna Weber", "ben": "Ben Okafor", "carla": "Carla Ito", "dmitri": "Dmitri Novak"}
WIDTH, HEIGHT = 1440, 680


class Clock:
    """A Saturday evening, a minute later at each message."""

    now = 1_796_489_520.0

    def time(self) -> float:
        """Return unix seconds."""
        return self.now


def fill(emulator: Emulator, clock: Clock, stack: ExitStack) -> None:
    """Let people meet, read and lose a connection."""
    ids = {
        login: emulator.add_user(login, "a password", full_name=name)
        for login, name in PEOPLE.items()
    }
    anna, ben, carla, dmitri = ids.values()
    hikers = emulator.add_dialog("group", anna, [ben, carla, dmitri], name="Hikers")
    emulator.add_broadcast_dialog("Weather warnings", carla)
    pair = emulator.add_dialog("private", anna, [ben])

    def connect(user: int, resource: str) -> Client:
        client = stack.enter_context(Client(emulator))
        client.authenticated(user, "a password").bind(resource)
        client.available()
        client.enable()
        return client

    phone = connect(anna, "phone")
    connect(anna, "desktop")
    reader, other = connect(ben, "laptop"), connect(carla, "phone")

    def say(dialog: str, sender: int, body: str, **readers: Client) -> None:
        clock.now += 60
        message = emulator.send_message(dialog, sender, body)
        for marker, client in readers.items():
            client.send(
                f"<message to='{sender}-1@localhost' type='chat'><{marker}"
                f" xmlns='urn:xmpp:chat-markers:0' id='{message['_id']}'/></message>"
            )
            client.sync()

    say(hikers, anna, "Shall we meet at six on Sunday?", displayed=reader, received=other)
    say(hikers, carla, "Six is early, but the light is worth it.", displayed=reader)
    say(hikers, anna, "At the station then. I bring the map, Ben brings the tea.", displayed=reader)
    say(pair, ben, "Green or black?", displayed=phone)
    say(
        hikers,
        dmitri,
        "I come by bicycle:\n  <b>don't</b> wait for me & save me a cup",
        received=phone,
    )
    emulator.cut(carla)
    emulator.faults.delay(seconds=0.5, user="dmitri")


def picture(page: Window, name: str, scheme: str) -> None:
    """Write what the window shows."""
    page.resize(WIDTH, scheme)
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # The colours change with a transition.
    page.driver.execute_async_script(
        "Promise.all(document.getAnimations().map((each) => each.finished)).then(arguments[0])"
    )
    shot = page.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (FOLDER / name).write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Make both."""
    clock = Clock()
    with Emulator(ui_port=0, clock=clock) as emulator, ExitStack() as stack:
        fill(emulator, clock, stack)
        page = stack.enter_context(window())
        page.resize(WIDTH, "light")
        page.open(emulator.ui_url or "")
        page.wait_for(".message .body")
        wait_until(lambda: "Hikers" in page.shown("#messages-title"))
        picture(page, "emulator-page.png", "light")
        picture(page, "emulator-page-dark.png", "dark")


if __name__ == "__main__":
    main()
