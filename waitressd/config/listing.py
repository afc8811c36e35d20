"""The listing of effective values with the origin of each, as text and as JSON."""

import json
from typing import Any

from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.origins import Source
from waitressd.config.settings import Setting

_VALUE_COLUMN = 46


def rows(adjustments: Adjustments) -> list[tuple[Setting, str]]:
    """List every setting that a file can have, with its value as a file would say it."""
    return [
        (row, row.kind.show(getattr(adjustments, row.name))) for row in SETTINGS.values() if not row.kind.python_only
    ]


def as_text(adjustments: Adjustments) -> str:
    """Write one line for each setting: name, value, where the value comes from."""
    lines = []
    for row, value in rows(adjustments):
        if row.is_inert and row.name not in adjustments.origins:
            continue
        text = f"{row.name} = {value}".rstrip()
        lines.append(f"{text:<{_VALUE_COLUMN}}  {adjustments.origin_of(row.name)}")
    return "\n".join(lines)


def as_json(adjustments: Adjustments) -> str:
    """Write an object for each setting: its value as a file would say it, and where it comes from."""
    settings: dict[str, Any] = {}
    for row, value in rows(adjustments):
        origin = adjustments.origin_of(row.name)
        entry: dict[str, Any] = {"value": value, "source": origin.source.value}
        if origin.source is Source.FILE:
            entry |= {"file": origin.path, "line": origin.line, "section": origin.section}
        if origin.variables:
            entry["environment"] = list(origin.variables)
        settings[row.name] = entry
    return json.dumps({"listeners": [str(item) for item in adjustments.listeners], "settings": settings}, indent=2)
