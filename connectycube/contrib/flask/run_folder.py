"""The run folder: where the processes of an application on one machine find each other."""

from __future__ import annotations

import os
import stat

from attrs import frozen

from connectycube.errors import ArgumentValueError

__all__ = ["RunFolder"]


@frozen
class RunFolder:
    """A folder with the sockets of web workers, and the lease of the listener.

    One in the temporary folder must be this user's: anybody may make folders there, under any name, and would
    see which dialogs have news. One that the application names may be shared as its permissions say.
    """

    path: str
    is_temporary: bool

    def is_safe(self) -> bool:
        """Whether nobody else has made it; True if it is missing.

        Raises:
            OSError: It cannot be looked at.
        """
        if not self.is_temporary or not hasattr(os, "getuid"):
            return True
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return True
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()

    def made(self) -> str:
        """Make it if it is missing, for this user alone; return the path.

        Raises:
            OSError: It cannot be made.
            ArgumentValueError: Somebody else has made it.
        """
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        if not self.is_safe():
            raise ArgumentValueError(
                f"{self.path} belongs to another user: set CONNECTYCUBE_RUN_FOLDER to a folder of this one"
            )
        return self.path
