"""The commands that print tables: lists, figures, profiles. Each asks, prints, and returns its exit status."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from waitressd.tools import views
from waitressd.tools.client import Client, Question
from waitressd.tools.documents import Document
from waitressd.tools.failures import NO, YES, NoAnswerError, UsageError
from waitressd.tools.printing import write_bytes, write_text
from waitressd.tools.profiles import check_collapsed, summary
from waitressd.tools.tables import Part
from waitressd.tools.terminal import output_of
from waitressd.tools.texts import harmless
from waitressd.tools.words import Asked

_PASSED_ON: Final = ("phase", "route", "older", "worker", "limit", "offset", "state", "client", "window")
_FLAGS: Final = ("stack", "group")


def run_listing(asked: Asked, client: Client) -> int:
    """Run one of these commands. Raises NoAnswerError and UsageError."""
    return _profile(asked, client) if asked.command.name == "profile" else _list(asked, client)


def _print(parts: Sequence[Part]) -> None:
    write_text("\n".join(output_of(sys.stdout).parts(parts)))


# ---- lists ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Listing:
    """A document with lists: the keys of these, and how it is shown."""

    keys: tuple[str, ...]
    view: Callable[[Document, Asked], Sequence[Part]]


_LISTINGS: Final = {
    "requests": _Listing(
        ("requests",), lambda document, asked: views.requests(document, is_whole=not asked.has("route"))
    ),
    "connections": _Listing(("connections",), lambda document, _: views.connections(document)),
    "threads": _Listing(("threads",), lambda document, _: views.threads(document)),
    "slow": _Listing(("slow", "failed"), lambda document, asked: views.slow(document, with_stacks=asked.has("stack"))),
    "stats": _Listing((), lambda document, _: views.stats(document, sys.stdout.encoding or "utf-8")),
}


def _list(asked: Asked, client: Client) -> int:
    if asked.identity:
        return _one_request(asked, client)
    name = asked.command.name
    listing = _LISTINGS[name]
    parameters = {key: asked.text(key) for key in _PASSED_ON if asked.has(key)}
    if name != "slow":  # there the stacks are part of the document
        parameters |= {key: "1" for key in _FLAGS if asked.has(key)}
    response, document = client.ask_document(Question(f"/{name}", parameters))
    if not all(document.is_list(key) for key in listing.keys) or not document.has("at"):
        raise NoAnswerError(f"{client.target}: the answer is not what /{name} gives; is this its admin_listen?")
    if asked.has("json"):
        write_bytes(response.body)
    else:
        _print(listing.view(document, asked))
    is_empty = not any(document.rows(key) for key in listing.keys)
    return NO if is_empty and asked.has("fail-empty") else YES


def _one_request(asked: Asked, client: Client) -> int:
    question = Question(f"/requests/{asked.identity}", expected=(200, 404))
    response, document = client.ask_document(question)
    if response.status == 404 and document.has("setting"):  # the list itself is not shown there
        raise NoAnswerError(f"{client.target}: /requests is not shown there; see {harmless(document.text('setting'))}")
    if asked.has("json"):
        write_bytes(response.body)
    elif response.status == 404:
        write_text(f"no request {asked.identity} is in flight")
    else:
        _print(views.request(document))
    return NO if response.status == 404 else YES


# ---- profiles ------------------------------------------------------------------------------------------------------


def _profile(asked: Asked, client: Client) -> int:
    path = asked.text("output")
    if path and not Path(path).parent.is_dir():
        raise UsageError(f"--output={harmless(path)}: there is no folder {harmless(str(Path(path).parent))}")
    form = asked.text("format") or ("speedscope" if path.endswith(".json") or asked.has("json") else "collapsed")
    parameters = {"seconds": str(asked.seconds), "format": form}
    parameters |= {key: asked.text(key) for key in ("rate", "threads") if asked.has(key)}
    question = Question("/profile", parameters, extra_seconds=asked.seconds, expected=(200, 409))
    response = client.ask_document(question)[0] if form == "speedscope" else client.ask(question)
    if response.status == 409:
        write_text("another profile is being taken; ask again when it is done")
        return NO
    if form == "collapsed":
        check_collapsed(response.body, str(client.target))
    if path:
        _write_file(path, response.body)
    elif form == "speedscope" or not sys.stdout.isatty():
        write_bytes(response.body)
    else:
        _print(summary(response.body))
    return YES


def _write_file(path: str, data: bytes) -> None:
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise UsageError(f"--output={harmless(path)}: {error.strerror}") from None
