"""The house rules as functions: a source file in, complaints in words out.

Nothing here reads the tree, so that each rule can be shown a planted violation. `tests/test_house_rules.py` does both.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from types import ModuleType
from typing import Final

FILE_LINES: Final = 500
TEST_FILE_LINES: Final = 1000  # the cases of one module stay together, and tables are long
FUNCTION_LINES: Final = 50
PARAMETERS: Final = 5

_MIDDLE: Final = frozenset({"dispatch", "net", "wsgi", "config", "requestlog", "http", "forks"})
_ASSEMBLY: Final = (
    frozenset({"server", "signals", "wiring", "listeners", "logfiles", "rlimits", "operatorlog", "processend"})
    | {"certificates", "certificatefiles", "encryption", "renewal", "redirect"}
    | {"standardstreams", "systemd", "machine", "memory", "metrics", "peer", "place", "wording", "kinds"}
    | {"fdstore", "insight", "admin", "life", "listening", "inhand", "console"}
    | _MIDDLE
)

MAY_IMPORT: Final[dict[str, frozenset[str]]] = {
    "http": frozenset({"http"}),
    "ratelimit": frozenset(),
    "machine": frozenset(),
    "memory": frozenset(),
    "command": frozenset(),
    "place": frozenset(),
    "life": frozenset(),
    "listening": frozenset({"net"}),
    "version": frozenset(),
    "console": frozenset({"version"}),
    "forks": frozenset(),
    "firstuse": frozenset(),
    "memoryfile": frozenset(),
    "inhand": frozenset({"forks"}),
    "operatorlog": frozenset({"forks"}),
    "processend": frozenset({"net", "operatorlog"}),
    "signals": frozenset({"forks"}),
    "peer": frozenset({"http"}),
    "net": frozenset({"net", "http", "peer", "ratelimit", "operatorlog", "machine"}),
    "dispatch": frozenset({"dispatch", "net", "http", "peer", "ratelimit", "forks", "operatorlog", "machine"}),
    "wsgi": frozenset({"wsgi", "http", "peer", "ratelimit", "forks"}),
    "wording": frozenset(),
    "kinds": frozenset({"wording"}),
    "config": frozenset({"config", "http", "kinds", "wording"}),
    "requestlog": frozenset(
        {"requestlog", "http", "peer", "ratelimit", "forks", "place", "operatorlog", "kinds", "wording", "console"}
        | {"firstuse"}
    ),
    "metrics": frozenset(
        {"metrics", "dispatch", "net", "http", "requestlog", "config", "kinds", "version", "firstuse", "memoryfile"}
    ),
    "insight": frozenset(
        {"insight", "dispatch", "net", "http", "config", "requestlog", "metrics", "peer", "place", "forks", "systemd"}
        | {"ratelimit", "operatorlog", "machine", "kinds", "wording", "life", "version", "inhand"}
    ),
    "admin": frozenset({"insight", "config", "net", "wsgi"}),
    "tools": frozenset({"tools", "http", "config", "kinds", "wording", "console"}),
    "routes": frozenset({"routes"}),
    "applications": frozenset({"config", "kinds", "wording", "wsgi"}),
    "convert": frozenset({"convert", "config", "kinds", "wording", "tools", "ciphers"}),
    "testing": frozenset({"testing", "server", "wsgi"}),
    "systemd": frozenset(),
    "standardstreams": frozenset(),
    "fdstore": frozenset({"net", "systemd"}),
    "listeners": frozenset({"net", "config", "fdstore", "systemd"}),
    "rlimits": frozenset(),
    "certificatefiles": frozenset({"config"}),
    "ciphers": frozenset(),
    "certificates": frozenset({"certificatefiles", "ciphers", "config", "net"}),
    "encryption": frozenset({"certificates", "config", "renewal"}),
    "redirect": frozenset({"http"}),
    "renewal": frozenset({"certificates", "certificatefiles", "config", "operatorlog"}),
    "logfiles": frozenset({"operatorlog", "processend"}),
    "wiring": (_ASSEMBLY - {"server"}) | {"wiring"},
    "server": _ASSEMBLY,
    "logsetup": frozenset({"config", "requestlog"}),
    "fleet": _ASSEMBLY | {"waitressd", "fleet", "command", "logsetup", "version", "memoryfile"},
    "startadvice": frozenset({"config", "fleet", "logfiles"}),
    "serving": _ASSEMBLY | {"fleet", "startadvice"},
    "deploy": _ASSEMBLY | {"waitressd", "fleet", "command", "logsetup", "startadvice", "deploy"},
    "cli": _ASSEMBLY | {"waitressd", "applications", "fleet", "logsetup", "deploy", "cli", "tools"},
    "entry": frozenset({"cli", "tools", "convert", "config", "standardstreams"}),
    "__main__": frozenset({"entry"}),
    "__init__": frozenset({"server", "serving", "config", "http", "place", "version", "firstuse"}),
}
"""Which layers a layer may import; those in the middle do not know each other, and `net` does not know `dispatch`."""

PURE: Final = frozenset({
    "abc", "base64", "binascii", "bisect", "codecs", "collections", "collections.abc", "dataclasses", "enum",
    "functools", "html", "http", "ipaddress", "itertools", "math", "operator", "re", "string", "struct",
    "types", "typing", "urllib.parse",
})  # fmt: skip
"""What `http` may import of the standard library: nothing that touches the world."""

NOT_FOR: Final[dict[str, frozenset[str]]] = {
    "wsgi": frozenset({"socket", "select", "selectors", "ssl", "asyncio"}),
    "config": frozenset({"select", "selectors", "ssl", "threading", "subprocess", "asyncio"}),
}
"""Standard modules that would break a layer's promise: `wsgi` knows no socket, `config` opens nothing."""

INI_READERS: Final = frozenset({
    "waitressd/config/iniloader.py", "waitressd/config/inisource.py", "waitressd/deploy.py", "waitressd/cli.py",
})  # fmt: skip
"""The only files that may import something that is not in the standard library."""

SSL_USERS: Final = frozenset({"waitressd/net/tls.py", "waitressd/certificates.py", "waitressd/ciphers.py"})
"""The only files that may import OpenSSL; they are imported themselves only where TLS is configured."""

THIRD_PARTY: Final = frozenset({"plaster", "plaster_pastedeploy", "paste", "hupper"})

OUTSIDE: Final[dict[str, frozenset[str]]] = {
    "tools": frozenset({"textual", "rich"}),
    "routes": frozenset({"pyramid", "django", "flask"}),
    "testing": frozenset({"pytest", "django", "trustme"}),
}
"""What layers beside the serving core may import of others, where that is installed."""

KEEPS_DEADLINES: Final = frozenset(
    {"net", "server", "deploy", "systemd", "processend", "insight", "waitressd/requestlog/failures.py"}
)
"""Layers and files with threads that keep deadlines; what they have to say goes through `operatorlog`."""

LOGGING_CALL: Final = re.compile(
    r"\.(debug|info|warning|warn|error|critical|exception|isEnabledFor|hasHandlers)$|\b(log|logger|logging|_?target)\.log$"
)

LATER: Final = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
SILENCED: Final = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no\s*cover)(?P<rest>.*)$")
REASON: Final = re.compile(r"(-|#|:)\s*\w+(\W+\w+){2,}")
BORDER: Final = re.compile(r"#\s*border:\s*\w+")

MORE_BOOLEANS: Final[dict[str, int]] = {
    "BackgroundQueue": 2,  # that it ends, and that a forked child has none
    "FileSink": 2,  # what the file is, and how its last line ended
    "Listener": 2,  # that other processes accept from it, and that somebody goes on with it
}
"""Classes with more than one boolean attribute; the numbers may fall and not rise."""

PREDICATE: Final = re.compile(r"_*(is|has|may|can)_")
NOT_EVERYWHERE: Final = frozenset(
    {"grp", "pwd", "resource", "hupper", "multiprocessing.util", "ctypes", "trustme"}
    | {
        "waitressd.fleet",
        "waitressd.fleet.hazards",
        "waitressd.fleet.recruit",
        "waitressd.fleet.insight",
    }  # a single process pays nothing for it
    | {"waitressd.metrics.fleet", "waitressd.server"}  # nor does a master that shows no metrics
    | {"waitressd.config.subcommands", "waitressd.standardstreams"}  # nor is Ctrl-C to be late for the command
    # nor does a master for what it does not need to answer
    | {"waitressd.insight.inquiry", "waitressd.config.inisource", "hashlib", "hmac", "tempfile", "difflib"}
    | {
        "waitressd.cli",
        "waitressd.tools.commands",
        "waitressd.convert.command",
        "waitressd.config.inisource",
    }  # who serves and who asks, of the other
    | {
        "waitressd.tools.listings",
        "waitressd.tools.top",
        "waitressd.tools.screen",
        "termios",
        "tty",
    }  # nor a command that draws no screen
    | {"waitressd.insight.assembly"}  # nor a server without an admin address
    | {
        "waitressd.ciphers",
        "waitressd.certificates",
        "waitressd.net.handshake",
        "waitressd.redirect",
        "waitressd.renewal",
    }  # nor for TLS
)
"""What a system or an installation may lack, or what costs a start that does not need it."""
PROCESS_CALL: Final = re.compile(
    r"os\.(fork|forkpty|exec\w+|posix_spawnp?|spawn\w+|kill|killpg|wait|wait3|wait4|waitid|waitpid|pidfd_open|system|popen)|subprocess\.\w+"
    r"|signal\.pidfd_send_signal"
)
PROCESS_BORDER: Final = "waitressd/fleet/processes.py"
WITHOUT_IMPORTS: Final = {"waitressd/fleet/watched.py": {"signal.pidfd_send_signal"}}
"""A program that imports nothing of the package, and the calls of the border that it therefore does itself."""
BY_TEXT: Final = re.compile(r"waitressd(\.\w+)+:\w+")
LOCK: Final = re.compile(r"\b(role|loop|self)\.lock$|_life_lock$")
OUTWARD: Final = re.compile(
    r"logs?\b|logger|\bsay\b|report|hook|observer|recorder|application|handler|\bcallback|\.run$"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file: its path below the root of the tree, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @property
    def lines(self) -> list[str]:
        """The lines, without their ends."""
        return self.text.splitlines()

    @property
    def short(self) -> str:
        """How a complaint names the file."""
        return self.path.removeprefix("waitressd/")

    @property
    def in_package(self) -> bool:
        """Whether it is part of what is installed."""
        return self.path.startswith("waitressd/")

    @property
    def layer(self) -> str:
        """The layer that the file belongs to: its folder, or its own name at the top of the package."""
        return layer_of(self.path.removesuffix(".py").split("/"))

    def line(self, number: int) -> str:
        """Return one line, counted from 1."""
        return self.lines[number - 1]


def layer_of(parts: list[str]) -> str:
    """Name the layer of a module given as ['waitressd', 'net', 'channel']; the package itself is 'waitressd'."""
    return parts[1] if len(parts) > 1 else parts[0]


def imports(source: Source) -> Iterator[tuple[int, str, int]]:
    """Yield (line, dotted module name, level) of each import, wherever it stands."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module == "waitressd":  # `from waitressd import server` names a module of ours
                yield from ((node.lineno, _ours(alias.name), node.level) for alias in node.names)
            else:
                yield node.lineno, module, node.level


def _ours(name: str) -> str:
    return f"waitressd.{name}" if name in MAY_IMPORT else "waitressd"


def check_layers(source: Source) -> Iterator[str]:
    """Imports of our own modules point inwards."""
    allowed = MAY_IMPORT.get(source.layer)
    if allowed is None:
        yield f"{source.short}: the layer {source.layer!r} is not in MAY_IMPORT; say what it may import"
        return
    for line, module, _ in imports(source):
        parts = module.split(".")
        if parts[0] == "waitressd" and layer_of(parts) not in allowed:
            yield f"{source.short}:{line}: {source.layer} must not import {module}"


def check_absolute_imports(source: Source) -> Iterator[str]:
    """Every import names the whole path."""
    for line, module, level in imports(source):
        if level:
            yield f"{source.short}:{line}: a relative import ({'.' * level}{module}); name the whole path"


def check_outside_imports(source: Source) -> Iterator[str]:
    """Each layer imports only what keeps its promise; packages of others stay where ini files are read."""
    for line, module, level in imports(source):
        top = module.split(".")[0]
        if level or top in {"waitressd", "__future__"}:
            continue
        if source.layer == "http" and module not in PURE:
            yield f"{source.short}:{line}: http must not import {module} (bytes in, values out)"
        elif top in NOT_FOR.get(source.layer, frozenset()):
            yield f"{source.short}:{line}: {source.layer} must not import {module}"
        elif top in {"ssl", "_ssl"} and source.in_package and source.path not in SSL_USERS:
            yield f"{source.short}:{line}: {module} is for {' '.join(sorted(SSL_USERS))} (a plain server goes without)"
        elif top in OUTSIDE.get(source.layer, frozenset()):
            continue
        elif top not in sys.stdlib_module_names and source.path not in INI_READERS:
            yield f"{source.short}:{line}: {module} is not in the standard library (only the readers of ini files may)"
        elif top not in sys.stdlib_module_names and top not in THIRD_PARTY:
            yield f"{source.short}:{line}: {module} is not one of our dependencies"


def check_config_opens_nothing(source: Source) -> Iterator[str]:
    """Reading a configuration resolves no name and opens no descriptor; only ini files are read."""
    if source.layer != "config" or source.path in INI_READERS:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "open" or name.startswith("socket.") or name.endswith((".open", ".read_text", ".resolve")):
                yield f"{source.short}:{node.lineno}: config must not call {name}"


def check_file_length(source: Source) -> Iterator[str]:
    """A file is one idea."""
    limit = TEST_FILE_LINES if source.path.startswith("tests/") else FILE_LINES
    if len(source.lines) > limit:
        yield f"{source.short}: {len(source.lines)} lines, more than {limit}: two ideas?"


def functions(source: Source) -> Iterator[Function]:
    """Yield every function and method."""
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def check_function_length(source: Source) -> Iterator[str]:
    """A function fits on a screen."""
    for function in functions(source):
        count = (function.end_lineno or function.lineno) - function.lineno + 1
        if count > FUNCTION_LINES:
            yield f"{source.short}:{function.lineno}: {function.name} has {count} lines, more than {FUNCTION_LINES}"


def check_parameters(source: Source) -> Iterator[str]:
    """Five parameters at most, self not counted; pytest's fixtures are not parameters."""
    for function in functions(source):
        if not source.in_package and function.name.startswith("test_"):
            continue
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        count = sum(argument.arg not in {"self", "cls"} for argument in arguments)
        if count > PARAMETERS:
            yield f"{source.short}:{function.lineno}: {function.name} takes {count} parameters, more than {PARAMETERS}"


def check_borders(source: Source) -> Iterator[str]:
    """A broad except stands at a border that is named on its line."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = [] if node.type is None else [part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)]
        broad = node.type is None or {"Exception", "BaseException"} & set(caught)
        if broad and not BORDER.search(source.line(node.lineno)):
            yield f"{source.short}:{node.lineno}: a broad except without '# border: which one' on its line"


def check_nothing_waits(source: Source) -> Iterator[str]:
    """Nothing waits for later."""
    for number, line in enumerate(source.lines, 1):
        if match := LATER.search(line):
            yield f"{source.short}:{number}: {match.group()} (nothing waits for later)"


def check_silenced(source: Source) -> Iterator[str]:
    """A silenced check names itself and its reason on the line."""
    for number, line in enumerate(source.lines, 1):
        if (match := SILENCED.search(line)) and not REASON.search(match["rest"]):
            yield f"{source.short}:{number}: a silenced check without its reason on the line"


def check_docstring(source: Source) -> Iterator[str]:
    """A module says what it knows."""
    if not ast.get_docstring(source.tree):
        yield f"{source.short}: no module docstring"


def check_print(source: Source) -> Iterator[str]:
    """A server logs; only its command line prints."""
    if not source.in_package or source.layer == "cli":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{source.short}:{node.lineno}: print, outside of cli.py"


def check_patient_threads(source: Source) -> Iterator[str]:
    """Where deadlines are kept nobody waits for a log: a handler may hang, and a lock of `logging` with it."""
    if not (source.in_package and (source.layer in KEEPS_DEADLINES or source.path in KEEPS_DEADLINES)):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and LOGGING_CALL.search(ast.unparse(node.func)):
            yield f"{source.short}:{node.lineno}: {ast.unparse(node.func)}, and not the operator's log"


def check_booleans(source: Source) -> Iterator[str]:
    """State is an enum: one switch in a class may be a boolean, and two of them are a state machine in hiding."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            found = {name for part in ast.walk(node) for name in _boolean_attributes(part)}
            if len(found) > MORE_BOOLEANS.get(node.name, 1):
                yield f"{source.short}:{node.lineno}: {node.name} keeps its state in {', '.join(sorted(found))}"


def _boolean_attributes(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, bool):
            yield from (part.attr for part in targets if isinstance(part, ast.Attribute) and _is_self(part.value))


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def check_predicates(source: Source) -> Iterator[str]:
    """A question changes nothing."""
    for function in functions(source):
        if PREDICATE.match(function.name):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                    yield f"{source.short}:{node.lineno}: {function.name} changes {ast.unparse(node)}"


def check_late_imports(source: Source) -> Iterator[str]:
    """What a module needs stands at its top, unless this system or this start may lack it; nothing is named by text."""
    for function in functions(source):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {node.module or ""} if isinstance(node, ast.ImportFrom) else {part.name for part in node.names}
                if not names <= NOT_EVERYWHERE:
                    yield f"{source.short}:{node.lineno}: {', '.join(sorted(names))} is imported inside {function.name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and BY_TEXT.fullmatch(node.value):
            yield f"{source.short}:{node.lineno}: {node.value} is named by text; import it"


def check_processes(source: Source) -> Iterator[str]:
    """Births, deaths and signals of processes are in one module."""
    if source.path == PROCESS_BORDER:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or not PROCESS_CALL.fullmatch(name := ast.unparse(node.func)):
            continue
        if name not in WITHOUT_IMPORTS.get(source.path, ()):
            yield f"{source.short}:{node.lineno}: {name}, outside of {PROCESS_BORDER}"


def check_locks(source: Source) -> Iterator[str]:
    """Nothing is logged and nobody is called back while others wait for the role's lock or the server's."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.With) and any(LOCK.search(ast.unparse(item.context_expr)) for item in node.items):
            for part in (part for line in node.body for part in ast.walk(line)):
                if isinstance(part, ast.Call) and OUTWARD.search(ast.unparse(part.func)):
                    yield f"{source.short}:{part.lineno}: {ast.unparse(part.func)} is called under a lock"


def check_circles(sources: list[Source]) -> Iterator[str]:
    """No two modules need each other, for the type checker either."""
    paths = {source.path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): source for source in sources}
    needs = {name: set(_needed(source, paths)) for name, source in paths.items()}
    while free := {name for name, others in needs.items() if not others & needs.keys() - {name}}:
        for name in free:
            del needs[name]
    for name in sorted(needs):
        others = ", ".join(sorted(needs[name] & needs.keys()))
        yield f"{name} is in a circle, or needs one: it imports {others}"


def _needed(source: Source, known: Mapping[str, Source]) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = {f"{node.module}.{part.name}" for part in node.names}
            yield from (modules & known.keys()) or {node.module}
        elif isinstance(node, ast.Import):
            yield from (part.name for part in node.names)


def check_doubles(source: Source) -> Iterator[str]:
    """No doubles of our own code."""
    for line, module, _ in imports(source):
        if module.startswith(("unittest.mock", "mock")):
            yield f"{source.short}:{line}: {module} (no mocks of our own code)"


def check_states(module: ModuleType, not_states: frozenset[str]) -> Iterator[str]:
    """Every member of a state enum stands in a table; an enum without a table is declared as no state machine.

    `not_states` names 'waitressd.http.framing.Framing' and its like: values, not states.
    """
    tables = [value for name, value in vars(module).items() if name.endswith("TRANSITIONS")]
    members = [member for table in tables for row in table.items() for member in _members(row)]
    # Members of two IntEnums compare equal, so the class is part of the question.
    present = {(type(member), member.name) for member in members}
    enums = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, IntEnum)]
    for enum in enums:
        if enum.__module__ != module.__name__ or f"{module.__name__}.{enum.__name__}" in not_states:
            continue
        if enum not in {kind for kind, _ in present}:
            yield f"{module.__name__}: {enum.__name__} has no TRANSITIONS table"
            continue
        for member in enum:
            if (enum, member.name) not in present:
                yield f"{module.__name__}: {enum.__name__}.{member.name} is not in the table"


def _members(row: tuple[object, object]) -> Iterator[IntEnum]:
    """Yield the members in one row: (state, event): state, or state: {states that may follow}."""
    for part in row:
        if isinstance(part, IntEnum):
            yield part
        elif isinstance(part, tuple | frozenset):
            yield from (member for member in part if isinstance(member, IntEnum))


def tests_of(path: str) -> tuple[str, str]:
    """Say where the tests of a module of the package may stand: beside it in the mirror, or as a functional test."""
    *folders, name = path.removeprefix("waitressd/").removesuffix(".py").split("/")
    return "/".join(["tests", "unit", *folders, f"test_{name}"]), f"tests/functional/test_{name}"


def check_has_tests(path: str, tests: frozenset[str], elsewhere: dict[str, str]) -> Iterator[str]:
    """Each module has tests of its own; `elsewhere` maps a module to its test file when that has another name."""
    if path in elsewhere:
        if elsewhere[path] not in tests:
            yield f"{path}: its tests {elsewhere[path]} do not exist"
        return
    places = tests_of(path)
    if not any(test == f"{place}.py" or test.startswith(f"{place}_") for test in tests for place in places):
        yield f"{path}: no tests of its own ({places[0]}.py or {places[1]}.py)"


Check = Callable[[Source], Iterator[str]]

FOR_PACKAGE: Final[tuple[Check, ...]] = (
    check_booleans, check_predicates, check_late_imports, check_locks,
    check_layers, check_outside_imports, check_config_opens_nothing, check_print,
    check_patient_threads, check_processes,
)  # fmt: skip
FOR_ALL: Final[tuple[Check, ...]] = (
    check_absolute_imports, check_file_length, check_function_length, check_parameters, check_borders,
    check_nothing_waits, check_silenced, check_docstring, check_doubles,
)  # fmt: skip
