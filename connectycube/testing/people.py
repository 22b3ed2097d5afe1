"""People of a test: users of the emulator with clients that are logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from connectycube import Config, ConnectyCube
    from connectycube.emulator import Emulator

__all__ = ["CubeUser", "People"]

_PASSWORD = "a password"


@define(frozen=True, kw_only=True)
class CubeUser:
    """A user of the emulator, with a client that has a REST session of this user.

    ``id`` is the user's, ``cube`` the client. The fixture closes the client at the end of the test.
    """

    login: str
    password: str = field(repr=False)
    id: int
    cube: ConnectyCube = field(repr=False)


class People:
    """Makes users with their clients; to be called from any thread."""

    def __init__(self, emulator: Emulator, config: Config) -> None:
        self._emulator = emulator
        self._config = config
        self._clients: list[ConnectyCube] = []

    def __call__(self, login: str, *, password: str = _PASSWORD, **fields: Any) -> CubeUser:
        """Make a user and log in over REST; ``fields`` are those of a sign-up.

        Raises ArgumentValueError when the login is taken or wrong.
        """
        from connectycube import ConnectyCube

        user_id = self._emulator.add_user(login, password, **fields)
        cube = ConnectyCube(config=self._config)
        self._clients.append(cube)
        cube.login(login=login, password=password)
        return CubeUser(login=login, password=password, id=user_id, cube=cube)

    def close(self) -> None:
        """Close every client, also when one of them fails to; the first failure is raised then."""
        failures: list[BaseException] = []
        while self._clients:
            try:
                self._clients.pop().close()
            except Exception as error:  # noqa: BLE001  (the others have to be closed as well)
                failures.append(error)
        if failures:
            raise failures[0]
