"""Which libraries the package uses, and which part of it each is the business of."""

from __future__ import annotations

ONLY_IN = {
    "xmpp": "chat/protocol",
    "blinker": "chat",
    "requests": "rest",
    "urllib3": "rest",
    "aiohttp": "emulator",
    "trustme": "emulator",
    "asyncio": "emulator",
}
