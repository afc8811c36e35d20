"""Names of a package that are imported at their first use.

A package that is a public place for names of its modules would else bring all of them to whoever imports one.
"""

import sys
from importlib import import_module

TYPE_CHECKING = False  # as type checkers know it: see waitressd.entry, before which this is imported
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def names_at_first_use(
    package: str, homes: "Mapping[str, str]"
) -> "tuple[Callable[[str], Any], Callable[[], list[str]]]":
    """Return `__getattr__` and `__dir__` for a package whose names live in the modules that `homes` says.

    The module system remembers each name from then on. Any thread.
    """

    def look_up(name: str) -> "Any":  # noqa: ANN401 - the names have different types; checkers see their imports
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = vars(sys.modules[package])[name] = getattr(import_module(home), name)
        return value

    return look_up, lambda: sorted(homes)
