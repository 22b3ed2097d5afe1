"""The engines of the relay, each on its real broker; a test gets names of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectycube.contrib.relay import Engine
from connectycube.contrib.relay.engines import engine_of
from tests.interop.rabbitmq import RabbitMQ
from tests.interop.redis_server import RedisServer

LEASE = 1.0
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running Redis for all tests."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A running RabbitMQ for all tests; it takes some seconds."""
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=pytest.mark.referee(name)) for name in ("redis", "rabbitmq")],
)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of each engine."""
    return str(request.getfixturevalue(f"{request.param}_server").url)


@pytest.fixture
def new_engine(url: str) -> Iterator[Callable[..., Engine]]:
    """Make engines of one prefix, which no other test has: each is another process's."""
    made, prefix = [], f"t{next(_numbers)}"

    def make(**options: Any) -> Engine:
        made.append(engine_of(url, prefix, **{"lease": LEASE, **options}))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(new_engine: Callable[..., Engine]) -> Engine:
    """An engine."""
    return new_engine()
