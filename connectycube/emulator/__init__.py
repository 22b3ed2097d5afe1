"""A ConnectyCube on your own machine: REST and chat, no account.

The emulator is the server's side. It reads and writes the protocol with code of its own, not the client's::

    with Emulator() as emulator:
        alice = emulator.add_user("alice", "secret")
        config = emulator.config()
"""

from connectycube._checks import to_install

try:
    from .command import CommandNotRunError, export_lines, kept_env_file, run_command
    from .control.clock import EmulatorClock
    from .control.exchanges import Exchange, Exchanges
    from .control.faults import Fault, Faults
    from .control.loader import LoadReport
    from .control.seeder import UserFields
    from .coverage import Entry, coverage, coverage_text
    from .domain.identity_endpoint import HttpIdentityProvider
    from .emulator import Emulator
    from .settings import SWITCHES, SwitchValues
    from .switches import Switch
except ModuleNotFoundError as _error:
    if _error.name not in ("aiohttp", "trustme"):
        raise
    raise ModuleNotFoundError(to_install(_error.name, "emulator"), name=_error.name) from None

__all__ = [
    "SWITCHES",
    "CommandNotRunError",
    "Emulator",
    "EmulatorClock",
    "Entry",
    "Exchange",
    "Exchanges",
    "Fault",
    "Faults",
    "HttpIdentityProvider",
    "LoadReport",
    "Switch",
    "SwitchValues",
    "UserFields",
    "coverage",
    "coverage_text",
    "export_lines",
    "kept_env_file",
    "run_command",
]
