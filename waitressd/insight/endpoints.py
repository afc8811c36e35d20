"""Which endpoint answers a path, and what is said of those that there are."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.guard import CONTROL, Door, Refused, is_control

JSON: Final = "application/json"
INDEX: Final = "/index"


def json_answer(status: int, document: Mapping[str, Any], fields: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Make an answer of a small document. Nothing in it becomes markup, wherever it is shown."""
    text = json.dumps(document).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Answer(status, JSON, [text.encode() + b"\n"], fields)


def refusal_answer(refused: Refused, paths: Iterable[str] | None = None) -> Answer:
    """Say in one sentence why there is no answer, and by which setting; with the paths where there is one."""
    document: dict[str, Any] = {"error": refused.text, "setting": refused.setting or None}
    if paths is not None:
        document["endpoints"] = list(paths)
    return json_answer(refused.status, document, refused.fields)


def bad_question(text: str) -> Answer:
    """Say what is wrong with the parameters of a question."""
    return json_answer(400, {"error": text, "setting": None})


def no_parameters(query: Query) -> None:
    """Raise BadQuestion for an endpoint that takes no parameter."""
    if query.parameters:
        raise BadQuestion(f"{query.path} takes no parameters.")


class EndpointTable:
    """The endpoints of a server. Any thread; it does not change."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = {endpoint.path: endpoint for endpoint in endpoints}
        self._parents = [endpoint for endpoint in self._endpoints.values() if endpoint.has_children]

    def find(self, path: str, door: Door) -> Endpoint | None:
        """Return what answers a path; None if there is nothing, or if the door does not expose it."""
        if path == INDEX:
            return Endpoint(INDEX, "index", lambda query: self._index(query, door))
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            endpoint = next(
                (each for each in self._parents if path.startswith(f"{each.path.removesuffix('/')}/")), None
            )
        return endpoint if endpoint is not None and _is_exposed(endpoint, door) else None

    def paths(self, door: Door) -> list[str]:
        """Return what may be asked at a door."""
        return [INDEX, *(endpoint.path for endpoint in self._shown(door))]

    def _shown(self, door: Door) -> list[Endpoint]:
        return [endpoint for endpoint in self._endpoints.values() if _is_allowed(endpoint, door)]

    def _index(self, query: Query, door: Door) -> Answer:
        no_parameters(query)
        rows = [
            {
                "path": endpoint.path,
                "group": endpoint.group,
                "method": "POST" if is_control(endpoint.path) else "GET",
                "has_children": endpoint.has_children,
            }
            for endpoint in self._shown(door)
        ]
        return json_answer(200, {"endpoints": rows})


def _is_allowed(endpoint: Endpoint, door: Door) -> bool:
    if is_control(endpoint.path):
        return endpoint.path.removeprefix(f"{CONTROL}/") in door.control
    return endpoint.group in door.exposed


def _is_exposed(endpoint: Endpoint, door: Door) -> bool:
    # What may be changed is known to everybody who may ask: that it is not allowed is another answer (403).
    return is_control(endpoint.path) or endpoint.group in door.exposed
