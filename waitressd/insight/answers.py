"""What an endpoint of the admin address is: a question in, an answer out, as values.

Knows neither sockets nor the server.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """A question that passed the guard."""

    method: str
    """GET (HEAD is answered as GET without its body) or POST."""
    path: str
    """Percent-decoded, without the query: '/requests/1-88120-14'."""
    parameters: Mapping[str, str]
    """Of the query, decoded; a name that is given twice is a bad question, and never gets here."""
    accept: str
    """The Accept field; '' without one."""


class BadQuestion(Exception):  # noqa: N818 - what it is called on the wire: 400 Bad Request
    """A question that cannot be answered (400). Its text is a sentence that names what is allowed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; HEAD leaves out its body."""

    status: int
    content_type: str
    body: Iterable[bytes]
    """Pieces. Making one takes at most about half a millisecond: the listener pauses between them."""
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the admin address, and what answers there."""

    path: str
    """'/requests'."""
    group: str
    """The name in `admin_expose` (probes, metrics, requests, connections, threads, slow, stats, config, profile, page),
    or 'control'."""
    answer: Callable[[Query], Answer]
    """Called in the thread of the admin address, or in the slow lane. Raises BadQuestion."""
    has_children: bool = False
    """It also answers '/requests/...'; one whose path ends with a slash answers only that."""
    is_slow: bool = False
    """It may take long or touch a disk, so the slow lane calls it."""
