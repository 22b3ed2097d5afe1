"""Names of a package whose modules are imported at the first use of one of their names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["at_first_use"]


def at_first_use(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions ``__getattr__`` and ``__dir__`` of a package. (PEP 562.)

    Any thread may use a name first: all get the object of the one module, as the import system makes each
    module once. From then on the package has the name itself, and ``__getattr__`` is not called for it.

    Args:
        package: The package's ``__name__``.
        names: The names, by the module below the package that has them.
    """
    module_of = {name: module for module, found in names.items() for name in found}
    namespace = vars(sys.modules[package])

    def getattr_(name: str) -> Any:
        module = module_of.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(f"{package}.{module}"), name)
        return value

    def dir_() -> list[str]:
        return sorted({*namespace, *module_of})

    return getattr_, dir_
