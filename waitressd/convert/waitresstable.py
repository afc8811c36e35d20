"""What each option of waitress 3 is here: the same, and what the table of settings says about it."""

from waitressd.config.adjustments import ALIASES, SETTINGS
from waitressd.config.hints import fold, suggest
from waitressd.config.settings import Standing
from waitressd.convert.model import Item, Sketch, Unknown, Verdict


def apply(sketch: Sketch, item: Item) -> None:
    """Convert one option."""
    name = ALIASES.get(fold(item.name), fold(item.name))
    row = SETTINGS.get(name)
    if isinstance(item.value, Unknown):
        sketch.leave(item, item.value.why)
    elif row is None or row.kind.python_only:
        sketch.leave(item, f"waitress has no such option{suggest(item.name, SETTINGS)}")
    elif row.heritage.standing in (Standing.INERT, Standing.RETIRED):
        sketch.leave(item, row.heritage.note.removesuffix("."), Verdict.NEEDLESS)
    elif row.kind.repeats:
        sketch.add(name, item.values, item)
    else:
        sketch.put(name, item.values, item)


def finish(sketch: Sketch) -> None:
    """Say which defaults differ where the file leaves them."""
    differing = [
        row
        for row in SETTINGS.values()
        if row.heritage.standing is Standing.CHANGED and row.name not in sketch.lines and row.name != "ident"
    ]
    if differing:
        names = ", ".join(f"{row.name} = {row.shown_default}" for row in differing)
        sketch.remarks.append(f"Defaults that differ from those of waitress: {names}.")
