"""The commands: each asks, prints, and ends with 0 (yes), 1 (no), 2 (used wrongly) or 3 (no answer)."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from waitressd.config.errors import ConfigError
from waitressd.tools import views
from waitressd.tools.client import Client, Question
from waitressd.tools.documents import Document
from waitressd.tools.failures import NO, NO_ANSWER, USAGE, YES, NoAnswerError, UsageError
from waitressd.tools.profiles import check_collapsed, summary
from waitressd.tools.tables import Part
from waitressd.tools.target import find_target
from waitressd.tools.terminal import output_of, write_bytes, write_text
from waitressd.tools.texts import harmless, short_time
from waitressd.tools.words import Asked, parse_words

INTERRUPTED: Final = 130
_WAIT_SECONDS: Final = 0.2
_PASSED_ON: Final = ("phase", "route", "older", "worker", "limit", "offset", "state", "client", "window")
_FLAGS: Final = ("stack", "group")


def run(name: str, arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    try:
        asked = parse_words(name, arguments)
        if asked.has("help"):
            write_text(asked.command.help())
            return YES
        client = Client(find_target(asked.words, os.environ), asked.timeout_seconds)
        return _COMMANDS[name](asked, client)
    except UsageError as error:
        _complain(f"waitressd {name}: {error}{_served_instead(name, arguments)}")
        return USAGE
    except ConfigError as error:
        _complain(str(error))
        return USAGE
    except NoAnswerError as error:
        _complain(f"waitressd {name}: {error}")
        return NO_ANSWER
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")


def _served_instead(name: str, arguments: Sequence[str]) -> str:
    """Say how a file with the name of a command is served, to whoever may have meant that."""
    return f" (to serve the file {name}, write file+ini:{name})" if not arguments and Path(name).is_file() else ""


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
    if response.status == 404 and document.has("endpoints"):  # the whole list is not shown there
        raise NoAnswerError(f"{client.target}: /requests is not shown; see admin_expose")
    if asked.has("json"):
        write_bytes(response.body)
    elif response.status == 404:
        write_text(f"no request {asked.identity} is in flight")
    else:
        _print(views.request(document))
    return NO if response.status == 404 else YES


# ---- yes or no -----------------------------------------------------------------------------------------------------


def _ready(asked: Asked, client: Client) -> int:
    end = time.monotonic() + asked.number("wait")
    while True:
        left = end - time.monotonic()
        try:
            status = _yes_or_no(asked, client, is_last=left <= 0)
        except NoAnswerError as error:
            if left <= 0 or not error.may_pass:
                raise
            status = NO_ANSWER
        if status == YES or left <= 0:
            return status
        time.sleep(min(_WAIT_SECONDS, max(0.0, end - time.monotonic())))


def _live(asked: Asked, client: Client) -> int:
    return _yes_or_no(asked, client, is_last=True)


def _yes_or_no(asked: Asked, client: Client, *, is_last: bool) -> int:
    """Ask a probe; what it says is printed if it is the last time, or yes. Raises NoAnswerError."""
    word = asked.command.name
    response, document = client.ask_document(Question(f"/{word}", expected=(200, 503)))
    is_yes = document.is_true(word)
    if is_yes != (response.status == 200) or not (is_yes or document.is_false(word)):
        text = f"{client.target}: the answer (status {response.status}) is not what /{word} gives"
        raise NoAnswerError(f"{text}; is this its admin_listen?")
    if is_yes or is_last:
        if asked.has("json"):
            write_bytes(response.body)
        else:
            write_text(word if is_yes else f"not {word}: {_reason(document)}")
    return YES if is_yes else NO


def _reason(document: Document) -> str:
    since = document.number("since_seconds")
    turn = document.number("turn_age_seconds")
    times = [f"since {short_time(since)}"] if since is not None else []
    times += [f"no turn for {short_time(turn)}"] if turn is not None else []
    reason = harmless(document.text("reason")) or "it does not say why"
    return f"{reason} ({', '.join(times)})" if times else reason


def _drain(asked: Asked, client: Client) -> int:
    response, document = client.ask_document(Question("/control/drain", changes=True, expected=(200, 202)))
    if asked.has("json"):
        write_bytes(response.body)
    else:
        name = harmless(document.text("server")) or str(client.target)
        write_text(f"{name} finishes what it has begun, and ends")
    return YES


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


def _top(_asked: Asked, client: Client) -> int:
    # The rest of the commands pay nothing for it.
    from waitressd.tools.top import run_top  # noqa: PLC0415 - see above, it takes most of the time of a start

    return run_top(client)


_COMMANDS: Final[dict[str, Callable[[Asked, Client], int]]] = {
    "top": _top,
    "ready": _ready,
    "live": _live,
    "profile": _profile,
    "drain": _drain,
    **dict.fromkeys(_LISTINGS, _list),
}
