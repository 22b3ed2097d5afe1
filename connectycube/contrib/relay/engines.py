"""The engine of a URL: Redis Streams or RabbitMQ, each imported if it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from connectycube._checks import check_str
from connectycube.errors import ArgumentValueError

from .engine import Engine

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["EngineOptions", "engine_of"]


class EngineOptions(TypedDict, total=False):
    """More arguments of an engine's class: ``remember`` is one of Redis alone."""

    lease: float
    remember: float


_MODULES = {
    "redis": ("redis_streams", "RedisEngine"),
    "rediss": ("redis_streams", "RedisEngine"),
    "unix": ("redis_streams", "RedisEngine"),
    "amqp": ("rabbitmq", "RabbitEngine"),
    "amqps": ("rabbitmq", "RabbitEngine"),
}


def engine_of(url: str | Engine, prefix: str, **options: Unpack[EngineOptions]) -> Engine:
    """Return the engine of a URL; an engine is returned as it is.

    Args:
        url: ``redis://host:6379/0`` or ``amqp://user:password@host:5672/vhost``, or an Engine.
        prefix: What all names in the broker begin with.
        options: More arguments of the engine's class.

    Raises:
        ArgumentValueError: The URL has another scheme.
        ModuleNotFoundError: The library of the engine is not installed; the error says how to install it.
    """
    if isinstance(url, Engine):
        return url
    scheme = urlsplit(check_str("url", url)).scheme
    # The error shows the scheme alone: the rest of the URL may hold a password.
    if scheme not in _MODULES:
        raise ArgumentValueError(
            f"url must begin with redis://, rediss://, unix://, amqp:// or amqps://, not {scheme}://"
        )
    module, name = _MODULES[scheme]
    found: Engine = getattr(import_module(f"{__package__}.{module}"), name)(url, prefix, **options)
    return found
