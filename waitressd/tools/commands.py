"""The commands: each asks, prints, and ends with 0 (yes), 1 (no), 2 (used wrongly) or 3 (no answer)."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from waitressd.config.errors import ConfigError
from waitressd.tools.client import Client, Question
from waitressd.tools.documents import Document
from waitressd.tools.failures import NO, NO_ANSWER, USAGE, YES, NoAnswerError, UsageError
from waitressd.tools.printing import write_bytes, write_text
from waitressd.tools.target import find_target
from waitressd.tools.texts import harmless, short_time
from waitressd.tools.words import Asked, parse_words

_WAIT_SECONDS: Final = 0.2


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


def _complain(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")


def _served_instead(name: str, arguments: Sequence[str]) -> str:
    """Say how a file with the name of a command is served, to whoever may have meant that."""
    return f" (to serve the file {name}, write file+ini:{name})" if not arguments and Path(name).is_file() else ""


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


def _listing(asked: Asked, client: Client) -> int:
    from waitressd.tools.listings import run_listing  # noqa: PLC0415 - probes are asked often, and need no tables

    return run_listing(asked, client)


def _top(_asked: Asked, client: Client) -> int:
    # The rest of the commands pay nothing for it.
    from waitressd.tools.top import run_top  # noqa: PLC0415 - see above, it takes most of the time of a start

    return run_top(client)


_COMMANDS: Final[dict[str, Callable[[Asked, Client], int]]] = {
    "top": _top,
    "ready": _ready,
    "live": _live,
    "profile": _listing,
    "drain": _drain,
    **dict.fromkeys(("requests", "connections", "threads", "slow", "stats"), _listing),
}
