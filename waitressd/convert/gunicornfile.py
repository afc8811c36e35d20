"""Reads ``gunicorn.conf.py``: its assignments, from its syntax. The file is never run."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from waitressd.config.errors import ConfigError, Problem
from waitressd.convert import gunicorntable
from waitressd.convert.literals import AUTO, Cores, UnknownValueError, evaluate
from waitressd.convert.model import Item, Sketch, Unknown

_CONDITION: Final = "it depends on something that only a run of the file decides; write the value that you need"
_NOT_RUN: Final = "code that the file runs; put it where the application starts, if it is still needed"
_LINE_ENDS: Final = re.compile(r"\r\n?|\n")
_DEFINES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def looks_like_it(text: str) -> bool:
    """Whether a text is Python and sets something that gunicorn knows."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(gunicorntable.row_of(name) for name, _ in _settings(tree.body))


def parse(name: str, text: str) -> ast.Module:
    """Parse the text of a file; `name` is what messages call it. Raises ConfigError where it is no Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        text = f"this is no Python file: {getattr(error, 'msg', None) or error}"
        raise ConfigError([Problem(f"{name}:{line}", "", text)]) from None


def convert(name: str, text: str) -> Sketch:
    """Convert the text of a file; `name` is what messages and comments call it. Raises ConfigError for a wrong one."""
    tree = parse(name, text)
    sketch = Sketch(f"gunicorn's {name}")
    items: dict[str, Item] = {}
    names: dict[str, object] = {}
    for node in tree.body:
        for item in _read(node, name, names, text):
            items[item.name] = item  # a later one wins, as when the file runs
    for item in items.values():
        row = gunicorntable.row_of(item.name)
        if row is not None:
            row.apply(sketch, item)
        else:
            sketch.leave(item, _NOT_RUN)
    gunicorntable.finish(sketch, list(items.values()))
    return sketch


def _read(node: ast.stmt, name: str, names: dict[str, object], text: str) -> Iterator[Item]:
    """Yield what one statement of the file sets."""
    source = (ast.get_source_segment(text, node) or "").strip()
    place = f"{name}:{node.lineno}"
    if isinstance(node, _DEFINES):
        if gunicorntable.row_of(node.name):
            yield Item(place, node.name, True, source.partition("\n")[0] or node.name)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        yield from _assigned(node, place, names, source)
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        names.pop(node.target.id, None)
        if gunicorntable.row_of(node.target.id):
            yield Item(place, node.target.id, Unknown(str(UnknownValueError(node))), source)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a text that explains
    elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
        yield from _inner(node, name, names, text)


def _inner(node: ast.stmt, name: str, names: dict[str, object], text: str) -> Iterator[Item]:
    """Yield what a condition, a loop or other code would set."""
    lines = _LINE_ENDS.split(text)  # as the parser counts them
    found = list(_settings(node))
    for inner, _ in found:
        names.pop(inner, None)
    found = [(inner, line) for inner, line in found if gunicorntable.row_of(inner)]
    for inner, line in found:
        yield Item(f"{name}:{line}", inner, Unknown(_CONDITION), lines[line - 1].strip())
    if not found:
        yield Item(f"{name}:{node.lineno}", f"line {node.lineno}", True, lines[node.lineno - 1].strip())


def _assigned(node: ast.Assign | ast.AnnAssign, place: str, names: dict[str, object], source: str) -> Iterator[Item]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    found = [target.id for target in targets if isinstance(target, ast.Name)]
    if node.value is None:
        return
    value: object
    try:
        value = evaluate(node.value, names)
        names.update(dict.fromkeys(found, value))
    except (UnknownValueError, RecursionError):
        value = Unknown(str(UnknownValueError(node)))
        for name in found:
            names.pop(name, None)
    for name in found:
        if value is not None and gunicorntable.row_of(name):
            yield Item(place, name, _as_item(name, value), source)


def _as_item(name: str, value: object) -> object:
    """Turn what an expression gives into what an item has."""
    if isinstance(value, Cores):
        if name == "workers":
            return AUTO
        return Unknown("it is made of the number of processors; write a number")
    if isinstance(value, list):
        flat = [AUTO if isinstance(item, Cores) else item for item in value if item is not None]
        return flat if not any(isinstance(item, list | dict) for item in flat) else str(flat)
    return str(value) if isinstance(value, dict) else value


def _settings(tree: ast.AST | list[ast.stmt]) -> Iterator[tuple[str, int]]:
    """Yield the names that are set anywhere below, and their lines; not those of functions and classes."""
    if isinstance(tree, list):
        for node in tree:
            if isinstance(node, _DEFINES):
                yield node.name, node.lineno
            else:
                yield from _settings(node)
        return
    for child in ast.walk(tree):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id, child.lineno
