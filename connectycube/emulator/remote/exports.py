"""Exports: the variables that lead programs to an emulator, by name and as lines for a shell."""

from __future__ import annotations

import shlex
from typing import Any

__all__ = ["export_lines", "variables"]

Emulator = Any
"""The class of that name, whose module imports this one."""


def export_lines(emulator: Emulator) -> list[str]:
    """Return one ``export`` line, quoted for the shell, for each variable that leads to an emulator.

    Args:
        emulator: An emulator that has been started.

    Returns:
        The variables of ``Emulator.environment()``, the addresses for clients in browsers
        (``CONNECTYCUBE_HTTPS_URL``, ``CONNECTYCUBE_WEBSOCKET_URL``), the control API
        (``CONNECTYCUBE_CONTROL_URL``, ``CONNECTYCUBE_CONTROL_TOKEN``) and, if it has one, the page
        (``CONNECTYCUBE_UI_URL``).

    Raises:
        RuntimeError: The emulator has not been started.
    """
    return [f"export {name}={shlex.quote(value)}" for name, value in variables(emulator).items()]


def variables(emulator: Emulator) -> dict[str, str]:
    """Return the same variables by name."""
    page = {} if emulator.ui_url is None else {"CONNECTYCUBE_UI_URL": emulator.ui_url}
    return {
        **emulator.environment(),
        "CONNECTYCUBE_HTTPS_URL": emulator.https_url,
        "CONNECTYCUBE_WEBSOCKET_URL": emulator.websocket_url,
        "CONNECTYCUBE_CONTROL_URL": emulator.control_url,
        "CONNECTYCUBE_CONTROL_TOKEN": emulator.control_token,
        **page,
    }
