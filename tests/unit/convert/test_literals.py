"""Values of expressions, and which of them only a run would give."""

import ast

import pytest

from waitressd.convert.literals import Cores, UnknownValueError, evaluate
from waitressd.convert.model import Text


def value(text: str) -> object:
    found = evaluate(ast.parse(text, mode="eval").body, {"port": 80, "host": "a", "items": [1]})
    return found.written if isinstance(found, Text) else found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a'", "a"),
        ("None", None),
        ("-3", -3),
        ("not True", False),
        ("2 * 30 + 1 - 4 // 2", 59),
        ("7 / 2", 3.5),
        ("0o660", 432),
        ("['a', ('b',), 1]", ["a", ["b"], 1]),
        ("port", 80),
        ("f'{host}:{port}'", "a:80"),
        ("'a' + ':' + str(port)", "a:80"),
        ("int('4')", 4),
        ("float('4')", 4.0),
        ("ssl.CERT_REQUIRED", "CERT_REQUIRED"),
        ("os.environ['A']", "${A}"),
        ("os.environ.get('A')", "${A}"),
        ("os.environ.get('A', 'b')", "${A:-b}"),
        ("int(os.getenv('A', 4))", "${A:-4}"),
        ("os.getenv('A', True)", "${A:-true}"),
        ("int(os.environ.get('A') or 4)", "${A:-4}"),
        ("int(os.environ.get('A', os.cpu_count() * 2))", "${A:-auto}"),
        ("f'0.0.0.0:{os.environ.get(\"PORT\", 8000)}'", "0.0.0.0:${PORT:-8000}"),
        ("'' or 'b'", "b"),
    ],
)
def test_values(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "multiprocessing.cpu_count() * 2 + 1",
        "os.cpu_count() or 1",
        "min(8, 2 * cpu_count())",
        "max(cpu_count() - 1, 1)",
        "len(os.sched_getaffinity(0))",
        "int(os.cpu_count() * 1.5)",
        "(2 * os.process_cpu_count()) + port",
    ],
)
def test_a_number_of_processors_is_one(text: str) -> None:
    assert isinstance(value(text), Cores)


@pytest.mark.parametrize(
    "text",
    [
        "open('a').read()", "nothing", "b'a'", "...", "1 / 0", "10.0 * 'a'", "'a' * 3", "2 ** 999", "int('x')",
        "os.environ.get(host)", "os.environ.get('A', [])", "os.environ.get('A', 'b}c')", "os.environ['a b']",
        "socket.gethostname()", "f'{port:05}'", "f'{items}'", "[x for x in items]", "lambda: 1", "a.b", "items[0]",
        "min(1, 2)", "max(port)", "print('a')", "dict(a=1)", "'a' if port else 'b'", "host or 1 or 2", "host and 1",
    ],
)  # fmt: skip
def test_what_would_have_to_run_is_unknown(text: str) -> None:
    with pytest.raises(UnknownValueError, match="write the value yourself"):
        # The last two have three values, and an operator of another kind.
        value(text)


def test_a_dictionary_is_only_seen() -> None:
    assert value("{'a': open('b')}") == {"": "{'a': open('b')}"}
