"""``${NAME}`` and ``${NAME:-default}`` in the values of an ini file, replaced from the environment.

PasteDeploy gives the dollar sign no meaning, so such a value arrives here as it was written, under pserve too.
"""

import re
from collections.abc import Mapping
from typing import Final

from waitressd.kinds import BadValueError

_PLACE: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<broken>\{[^}\s]*\}?))"
)


def expand(text: str, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Replace every ``${NAME}``, and ``$$`` by one dollar sign; return the text and the names that were used.

    As in a shell, ``:-`` takes the default for a variable that is not set or empty. Raises BadValueError.
    """
    names: list[str] = []
    complaints: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, default = match["name"], match["default"]
        if name is None:
            complaints.append(
                f"{match[0]} is no variable; write ${{NAME}}, ${{NAME:-default}}, or $$ for a dollar sign"
            )
            return ""
        if default is not None and "${" in default:
            complaints.append(f"the default of {name} cannot hold another variable; write a text, or set {name}")
            return ""
        names.append(name)
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            complaints.append(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
        return value or ""

    expanded = _PLACE.sub(replace, text)
    if complaints:
        raise BadValueError("; ".join(complaints))
    return expanded, tuple(dict.fromkeys(names))
