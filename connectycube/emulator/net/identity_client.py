"""IdentityClient: asks the custom identity provider, and no other server."""

from __future__ import annotations

import asyncio

import aiohttp
from yarl import URL

from ..domain.identity_endpoint import Answer, Question

__all__ = ["IdentityClient"]

_MOST_BYTES = 65_536
_AT_ONCE = 16  # however many clients log in: the emulator sends requests to one server for them


class IdentityClient:
    """Sends questions to an identity provider; to be used on the thread of one loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, question: Question) -> Answer:
        """Send a question and return its answer. Nothing of the question is in the text of a failure."""
        try:
            return await asyncio.wait_for(self._ask_in_turn(question), question.timeout)
        except asyncio.TimeoutError:
            return Answer(failure="the response is late")
        except aiohttp.ClientConnectorError:
            return Answer(failure="no connection")
        except (aiohttp.ClientError, OSError, ValueError):
            return Answer(failure="no response of HTTP")

    async def _ask_in_turn(self, question: Question) -> Answer:
        async with self._turns:
            return await _answer(question)


async def _answer(question: Question) -> Answer:
    # Names are those of the system, also if aiodns is installed. Nothing of the environment, no cookies, no
    # redirect, and no compressed response, which may grow.
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        ) as session,
        session.request(
            question.method,
            URL(question.url, encoded=True),
            headers=question.headers,
            data=None if question.body is None else question.body.encode(),
            allow_redirects=False,
        ) as response,
    ):
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _MOST_BYTES:
                return Answer(failure=f"the response is larger than {_MOST_BYTES} bytes")
        return Answer(status=response.status, body=bytes(body))
