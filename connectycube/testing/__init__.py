"""For tests of applications: a pytest plugin with an emulator, and a transport without a network.

pytest loads ``connectycube.testing.plugin`` by itself (entry point ``connectycube``). Nothing heavy is
imported, and nothing started, before a test asks for a fixture or uses a name of this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectycube import Request, Response

    from .mock_transport import MockTransport, UnmatchedRequestError
    from .people import CubeUser

__all__ = ["CubeUser", "MockTransport", "Request", "Response", "UnmatchedRequestError"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import mock_transport, people

    return getattr(people if name == "CubeUser" else mock_transport, name)
