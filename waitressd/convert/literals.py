"""Values of Python expressions, read from their syntax: literals, names that have one, and a few well-known calls.

Nothing is run. What would have to be is an `UnknownValueError` that says so.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from waitressd.convert.model import Text, from_environment

AUTO: Final = "auto"
_CORES: Final = frozenset(
    {
        "multiprocessing.cpu_count",
        "os.cpu_count",
        "cpu_count",
        "os.process_cpu_count",
        "process_cpu_count",
        "mp.cpu_count",
    }
)
_GETENV: Final = frozenset({"os.environ.get", "os.getenv", "environ.get", "getenv"})
_ENVIRON: Final = frozenset({"os.environ", "environ"})
_CONVERSIONS: Final = frozenset({"int", "str", "float"})
_LONGEST_TEXT: Final = 10_000
_OPERATORS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Cores:
    """A number that depends on how many processors there are, and how it is written."""

    source: str


class UnknownValueError(Exception):
    """The value is known only to a program that runs."""

    def __init__(self, node: ast.AST) -> None:
        super().__init__("computed when gunicorn runs the file; write the value yourself")
        self.node = node


def evaluate(node: ast.expr, names: Mapping[str, object]) -> object:
    """Return the value of an expression: None, a text, number, `Text`, `Cores`, list or dictionary.

    `names` has the values of names. Raises UnknownValueError.
    """
    reader = _READERS.get(type(node))
    if reader is None:
        raise UnknownValueError(node)
    return reader(node, names)


def _constant(node: ast.Constant, _names: Mapping[str, object]) -> object:
    if isinstance(node.value, str | int | float | None):
        return node.value
    raise UnknownValueError(node)


def _name(node: ast.Name, names: Mapping[str, object]) -> object:
    if node.id not in names:
        raise UnknownValueError(node)
    return names[node.id]


def _list(node: ast.List | ast.Tuple, names: Mapping[str, object]) -> list[object]:
    return [evaluate(item, names) for item in node.elts]


def _dict(node: ast.Dict, names: Mapping[str, object]) -> object:
    del names  # no setting of ours is made of one
    return {"": ast.unparse(node)}


def _attribute(node: ast.Attribute, _names: Mapping[str, object]) -> str:
    """Take a constant of the module ssl by its name."""
    if isinstance(node.value, ast.Name) and node.value.id == "ssl":
        return node.attr
    raise UnknownValueError(node)


def _unary(node: ast.UnaryOp, names: Mapping[str, object]) -> object:
    value = evaluate(node.operand, names)
    if isinstance(node.op, ast.USub) and isinstance(value, int | float):
        return -value
    if isinstance(node.op, ast.Not) and isinstance(value, bool):
        return not value
    raise UnknownValueError(node)


def _binary(node: ast.BinOp, names: Mapping[str, object]) -> object:
    left, right = evaluate(node.left, names), evaluate(node.right, names)
    if isinstance(left, int | float) and isinstance(right, int | float) and type(node.op) in _OPERATORS:
        try:
            return _OPERATORS[type(node.op)](left, right)
        except (ZeroDivisionError, OverflowError):
            raise UnknownValueError(node) from None
    if any(isinstance(side, Cores) for side in (left, right)) and _are_numbers(left, right):
        return Cores(ast.unparse(node))
    if isinstance(node.op, ast.Add) and _are_texts(left, right):
        return _joined(node, [left, right])
    raise UnknownValueError(node)


def _are_numbers(*values: object) -> bool:
    return all(isinstance(value, int | float | Cores) for value in values)


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str | Text) for value in values)


def _joined(node: ast.AST, values: Sequence[object]) -> object:
    text = Text()
    for value in values:
        text += value
    if sum(len(part) for part in text.parts if isinstance(part, str)) > _LONGEST_TEXT:
        raise UnknownValueError(node)
    return text.example if text.is_plain else text


def _formatted(node: ast.JoinedStr, names: Mapping[str, object]) -> object:
    parts = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue) and (part.format_spec is not None or part.conversion != -1):
            raise UnknownValueError(node)
        value = evaluate(part.value if isinstance(part, ast.FormattedValue) else part, names)
        if not isinstance(value, str | int | float | Text):
            raise UnknownValueError(node)
        parts.append(value)
    return _joined(node, parts)


def _or(node: ast.BoolOp, names: Mapping[str, object]) -> object:
    """Take ``os.environ.get(NAME) or DEFAULT`` and ``os.cpu_count() or 1``."""
    first, *others = node.values
    value = evaluate(first, names)
    if not isinstance(node.op, ast.Or) or len(others) != 1:
        raise UnknownValueError(node)
    if isinstance(value, Cores):
        return value
    if isinstance(first, ast.Call) and len(first.args) == 1 and isinstance(value, Text):
        return _environment(node, first.args[0], evaluate(others[0], names))
    return value if value else evaluate(others[0], names)


def _call(node: ast.Call, names: Mapping[str, object]) -> object:
    function = ast.unparse(node.func)
    if node.keywords or len(node.args) > 2:
        raise UnknownValueError(node)
    if function in _CORES and not node.args:
        return Cores(ast.unparse(node))
    if function in _GETENV and node.args:
        default = evaluate(node.args[1], names) if len(node.args) == 2 else None
        return _environment(node, node.args[0], default)
    if function == "len" and "sched_getaffinity" in ast.unparse(node):
        return Cores(ast.unparse(node))
    if function in {"min", "max"} and len(node.args) == 2:
        values = [evaluate(argument, names) for argument in node.args]
        if _are_numbers(*values) and any(isinstance(value, Cores) for value in values):
            return Cores(ast.unparse(node))
    if function in _CONVERSIONS and len(node.args) == 1:
        return _converted(node, function, evaluate(node.args[0], names))
    raise UnknownValueError(node)


def _converted(node: ast.Call, function: str, value: object) -> object:
    if isinstance(value, Text | Cores):
        return value
    try:
        if isinstance(value, str | int | float):
            return {"int": int, "str": str, "float": float}[function](value)
    except (ValueError, OverflowError):
        pass
    raise UnknownValueError(node)


def _subscript(node: ast.Subscript, _names: Mapping[str, object]) -> object:
    if ast.unparse(node.value) in _ENVIRON:
        return _environment(node, node.slice, None)
    raise UnknownValueError(node)


def _environment(node: ast.AST, name: ast.expr, default: object) -> Text:
    value = AUTO if isinstance(default, Cores) else default
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        raise UnknownValueError(node)
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float | None):
        raise UnknownValueError(node)
    try:
        return Text.of(from_environment(name.value, None if value is None else str(value)))
    except ValueError:
        raise UnknownValueError(node) from None


_READERS: Final[dict[type[ast.expr], Callable[..., object]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.List: _list,
    ast.Tuple: _list,
    ast.Dict: _dict,
    ast.Attribute: _attribute,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.JoinedStr: _formatted,
    ast.BoolOp: _or,
    ast.Call: _call,
    ast.Subscript: _subscript,
}
