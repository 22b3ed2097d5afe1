"""The errors of the relay: each says what is wrong with the engine or the envelope, and what to do."""

from __future__ import annotations

from connectycube.errors import ConnectyCubeError

__all__ = [
    "ClaimLostError",
    "EngineFullError",
    "EngineSettingsError",
    "EngineUnavailableError",
    "EnvelopeError",
    "RelayError",
]


class RelayError(ConnectyCubeError):
    """The root of the errors of the relay, but for errors of arguments.

    Example:
        >>> from connectycube.contrib.relay import Envelope, RelayError
        >>> try:
        ...     Envelope.from_json(b"{}")
        ... except RelayError as error:
        ...     print(type(error).__name__)
        EnvelopeError
    """


class EngineUnavailableError(RelayError):
    """The engine cannot be reached, or did not answer in time; the call can be repeated."""


class EngineFullError(RelayError):
    """A queue of the engine has no room: workers are too slow, or none runs; the call can be repeated."""


class EngineSettingsError(RelayError):
    """The queues of the engine do not fit to the settings: other partitions, another type, no permission."""


class EnvelopeError(RelayError):
    """An envelope or an answer cannot be read: another schema, or no envelope at all."""


class ClaimLostError(RelayError):
    """Another worker has the partition: this one was too slow, or the engine gave up its connection."""
