"""From the name of a request log to its hook: built-in formats, entry points, and references to code.

A factory has the shape of every PasteDeploy factory: `factory(global_conf, **options) -> hook`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from typing import Any, Final, Protocol

from waitressd.requestlog.hook import Hook, IsolatedHook
from waitressd.requestlog.options import OptionError, suggest

GROUP: Final = "waitressd.request_log_factory"
OWN_DISTRIBUTION: Final = "waitressd"
DEFAULT_ENTRY: Final = "main"
QUEUE_OPTION: Final = "queue"
LONGEST_QUEUE: Final = 1_000_000

Factory = Callable[..., Any]


class Choice(Protocol):
    """Which log to build; the configuration's own record of it has this shape."""

    @property
    def name(self) -> str:
        """What the operator calls it."""

    @property
    def use(self) -> str | Callable[[Any], object]:
        """The factory: `egg:dist#name`, `call:module:attribute`, `module:attribute`, a built-in; or the hook itself."""

    @property
    def options(self) -> Mapping[str, str]:
        """What the factory gets."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a log cannot be built. `option` is '' where the factory as a whole is meant."""

    choice: Choice
    option: str
    text: str


def load(
    choices: Sequence[Choice], global_conf: Mapping[str, str], built_in: Mapping[str, Factory]
) -> tuple[list[IsolatedHook], list[Trouble]]:
    """Build every log; return the hooks, and everything that is wrong.

    `built_in` are the factories that come with the server, by name; so they are found even if it is not installed.
    """
    hooks: list[IsolatedHook] = []
    troubles: list[Trouble] = []
    for choice in choices:
        try:
            hooks.append(_build(choice, global_conf, built_in))
        except OptionError as error:
            troubles.extend(Trouble(choice, option, text) for option, text in error.problems)
        except _Missing as error:
            troubles.append(Trouble(choice, "use", str(error)))
        except Exception as error:  # border: plugin
            troubles.append(Trouble(choice, "", f"the factory failed: {type(error).__name__}: {error}"))
    return hooks, troubles


class _Missing(Exception):  # noqa: N818 - a sentence about what is not there, which never leaves this module
    """The reference leads nowhere."""


def _build(choice: Choice, global_conf: Mapping[str, str], built_in: Mapping[str, Factory]) -> IsolatedHook:
    if not isinstance(choice.use, str):
        return IsolatedHook(choice.name, choice.use)
    options = dict(choice.options)
    factory = _find_factory(choice.use, built_in)
    queue = _take_queue(options) if QUEUE_OPTION in options else 0
    hook: Hook = factory(dict(global_conf), **options)
    if not callable(hook):
        raise _Missing(f"{choice.use} made {hook!r:.80}, which cannot be called with a record")
    return IsolatedHook(choice.name, hook, queue)


def _find_factory(use: str, built_in: Mapping[str, Factory]) -> Factory:
    """Return the factory that a reference names. Raises _Missing."""
    kind, colon, rest = use.partition(":")
    if not colon:
        if use not in built_in:
            raise _Missing(f"{use} is no built-in request log{suggest(use, built_in)}")
        return built_in[use]
    if kind != "egg":
        return _attribute(rest if kind == "call" else use)
    distribution, _, entry = rest.partition("#")
    if distribution.lower() == OWN_DISTRIBUTION and entry in built_in:
        return built_in[entry]
    return _entry_point(distribution, entry or DEFAULT_ENTRY)


def _entry_point(name: str, entry: str) -> Factory:
    try:
        entries = Distribution.from_name(name).entry_points.select(group=GROUP)
    except (PackageNotFoundError, ValueError):
        raise _Missing(f"there is no distribution {name or '(no name)'} installed here") from None
    for found in entries:
        if found.name == entry:
            return _attribute(found.value.partition("[")[0].strip())
    known = ", ".join(found.name for found in entries) or "none"
    raise _Missing(f"{name} has no entry point {entry} in the group {GROUP}; it has {known}")


def _attribute(reference: str) -> Factory:
    module_name, _, path = reference.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise _Missing(f"cannot import {module_name}: {error}") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _Missing(f"{module_name} has no {path}") from None
    if not callable(found):
        raise _Missing(f"{reference} cannot be called")
    factory: Factory = found
    return factory


def _take_queue(options: dict[str, str]) -> int:
    text = options.pop(QUEUE_OPTION).strip()
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= LONGEST_QUEUE:
        raise OptionError((QUEUE_OPTION, f"expected how many records may wait, 1 to {LONGEST_QUEUE}"))
    return int(text)
