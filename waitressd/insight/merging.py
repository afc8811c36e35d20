"""Documents of several workers as one: lists are put together, sums are added, of ages the oldest is taken. Pure."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import starmap
from typing import Any, Final

from waitressd.insight.percentiles import PERCENTILES, percentile

SHOWN_CLIENTS: Final = 10
SHOWN_ROWS: Final = {"requests": 200, "connections": 1000}  # where the question has no limit

Document = dict[str, Any]
Documents = Sequence[tuple[int, Document]]
"""Each with the number of its worker; in the middle of a reload, two may have the same."""
Parameters = Mapping[str, str]


def merge(path: str, documents: Documents, parameters: Parameters) -> Document:
    """Make one document of those of several workers, by the endpoint. At least one; without what all begin with."""
    return _MERGERS[path](documents, parameters)


def can_merge(path: str) -> bool:
    """Whether there is a rule for an endpoint."""
    return path in _MERGERS


def page(parameters: Parameters) -> dict[str, str]:
    """Return what each worker is asked, so that the rows that are wanted are among theirs."""
    asked = dict(parameters)
    limit, offset = _number(parameters, "limit", SHOWN_ROWS["connections"]), _number(parameters, "offset", 0)
    if "offset" in parameters and limit >= 0 and offset >= 0:
        asked |= {"limit": str(limit + offset), "offset": "0"}
    return asked


def _requests(documents: Documents, parameters: Parameters) -> Document:
    every = _bodies(documents)
    merged: Document = {"total": _sum(every, "total"), "stacks_missing": _first(every, "stacks_missing")}
    if "places" in every[0]:
        merged["places"] = _places(_rows(every, "places"))
    rows = sorted(_rows(every, "requests"), key=lambda row: -(row["age_seconds"] or 0.0))
    return merged | {"requests": rows[: _number(parameters, "limit", SHOWN_ROWS["requests"])]}


def _places(rows: Iterable[Document]) -> list[Document]:
    places: dict[Any, Document] = {}
    for row in rows:
        known = places.setdefault(row["place"], {"place": row["place"], "count": 0, "oldest_seconds": None, "ids": []})
        known["count"] += row["count"]
        known["oldest_seconds"] = _most((known["oldest_seconds"], row["oldest_seconds"]))
        known["ids"] += row["ids"]
    return sorted(places.values(), key=lambda row: -row["count"])


def _connections(documents: Documents, parameters: Parameters) -> Document:
    every = _bodies(documents)
    states: dict[str, Document] = {}
    clients: dict[Any, int] = {}
    for document in every:
        for name, state in document["states"].items():
            known = states.setdefault(name, {"count": 0, "oldest_seconds": None})
            known["count"] += state["count"]
            known["oldest_seconds"] = _most((known["oldest_seconds"], state["oldest_seconds"]))
        for row in document["clients"]:
            clients[row["client"]] = clients.get(row["client"], 0) + row["count"]
    most = sorted(clients.items(), key=lambda item: -item[1])[:SHOWN_CLIENTS]
    limit, offset = _number(parameters, "limit", SHOWN_ROWS["connections"]), _number(parameters, "offset", 0)
    return {
        "total": _sum(every, "total"),
        "limit_count": _sum(every, "limit_count"),
        "states": states,
        "clients": [{"client": client, "count": count} for client, count in most],
        "connections": _rows(every, "connections")[offset : offset + limit],
    }


def _threads(documents: Documents, _parameters: Parameters) -> Document:
    rows = [row | {"worker": worker} for worker, document in documents for row in document["threads"]]
    return {"stacks_missing": _first(_bodies(documents), "stacks_missing"), "threads": rows}


def _slow(documents: Documents, _parameters: Parameters) -> Document:
    every = _bodies(documents)
    merged: Document = {"threshold_seconds": _first(every, "threshold_seconds")}
    for kind in ("slow", "failed"):
        merged[kind] = sorted(_rows(every, kind), key=operator.itemgetter("at"), reverse=True)
    return merged


def _config(documents: Documents, _parameters: Parameters) -> Document:
    """All workers have the same; in the middle of a reload, the last one that has answered has the new one."""
    last = documents[-1][1]
    return {"settings": last["settings"], "advice": last["advice"]}


def _stats(documents: Documents, _parameters: Parameters) -> Document:
    every = _bodies(documents)
    process = [document["process"] for document in every]
    return {
        "uptime_seconds": _most(document["uptime_seconds"] for document in every),
        "window_seconds": _most(document["window_seconds"] for document in every),
        "rates": _added(document["rates"] for document in every),
        "phases": {name: _phase([document["phases"][name] for document in every]) for name in every[0]["phases"]},
        "routes": _routes(_rows(every, "routes")),
        "threads": _added(document["threads"] for document in every),
        "queue": {
            "depth": _total(document["queue"]["depth"] for document in every),
            "oldest_seconds": _most(document["queue"]["oldest_seconds"] for document in every),
            "limit": _total(document["queue"]["limit"] for document in every),
        },
        "connections": _sum(every, "connections"),
        "connection_limit": _sum(every, "connection_limit"),
        "process": {
            "rss_bytes": _sum(process, "rss_bytes"),
            "cpu_share": _sum(process, "cpu_share"),
            "fds": _most(row["fds"] for row in process),  # each process has a limit of its own
            "fd_limit": _first(process, "fd_limit"),
        },
        "findings": sorted(_rows(every, "findings"), key=lambda row: (row["severity"] != "bad", row["code"])),
        "history": _history([document["history"] for document in every]),
    }


def add_silent(stats: Document, figures: Iterable[Mapping[str, Any]]) -> None:
    """Add what workers that do not answer had written of themselves last: their threads are busy all the same."""
    for each in figures:
        busy, limit = each["busy_threads"], each["threads_limit"]
        for name, count in (("busy", busy), ("limit", limit), ("idle", max(0, limit - busy))):
            stats["threads"][name] = _total((stats["threads"][name], count))
        stats["queue"]["depth"] = _total((stats["queue"]["depth"], each["queue_depth"]))
        stats["connections"] = _total((stats["connections"], each["connections"]))


def _phase(rows: Sequence[Document]) -> Document:
    counted = [row for row in rows if row["count"] is not None]
    if not counted:
        return dict(rows[0])
    count = _total(row["count"] for row in counted)
    bounds = [bound for bound, _ in counted[0]["buckets"]]
    buckets = [
        sum(column) for column in zip(*([number for _, number in row["buckets"]] for row in counted), strict=True)
    ]
    finite = [bound for bound in bounds if bound is not None]
    return {
        "count": count,
        "mean": _mean((row["mean"], row["count"]) for row in counted),
        **{name: percentile(buckets, finite, share) for name, share in PERCENTILES.items()},
        "buckets": [list(pair) for pair in zip(bounds, buckets, strict=True)],
    }


def _routes(rows: Iterable[Document]) -> list[Document]:
    groups: dict[Any, list[Document]] = {}
    for row in rows:
        groups.setdefault(row["route"], []).append(row)
    return sorted(starmap(_route, groups.items()), key=lambda row: -row["requests"])


def _route(route: str, rows: Sequence[Document]) -> Document:
    return {
        "route": route,
        "requests": _sum(rows, "requests"),
        "failed": _sum(rows, "failed"),
        # That of all of them together lies between those of the workers: never too low.
        **{name: _most(row[name] for row in rows) for name in PERCENTILES},
        "mean": {phase: _mean((row["mean"][phase], row["requests"]) for row in rows) for phase in rows[0]["mean"]},
    }


def _history(rows: Sequence[Document]) -> Document:
    merged: Document = {"step_seconds": rows[0]["step_seconds"]}
    for name in rows[0]:
        if name != "step_seconds":
            of: Callable[[Iterable[Any]], Any] = _most if name in PERCENTILES else _total
            # Workers may begin a step at different moments, so the last places belong together.
            length = min(len(row[name]) for row in rows)
            columns = zip(*(row[name][len(row[name]) - length :] for row in rows), strict=True)
            merged[name] = [of(column) for column in columns]
    return merged


def _bodies(documents: Documents) -> list[Document]:
    return [document for _, document in documents]


# -- of numbers of which some are not known


def _known(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _total(values: Iterable[Any]) -> Any:  # noqa: ANN401 - whole numbers stay whole
    known = _known(values)
    total = sum(known)
    return (round(total, 6) if isinstance(total, float) else total) if known else None


def _most(values: Iterable[Any]) -> Any:  # noqa: ANN401 - as above
    return max(_known(values), default=None)


def _mean(pairs: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in pairs if value is not None and weight]
    weight = sum(weight for _, weight in known)
    return round(sum(value * weight for value, weight in known) / weight, 6) if weight else None


def _sum(documents: Iterable[Document], name: str) -> Any:  # noqa: ANN401 - as above
    return _total(document[name] for document in documents)


def _added(rows: Iterable[Document]) -> Document:
    return reduce(lambda one, other: {name: _total((one[name], other[name])) for name in one}, rows)


def _first(documents: Iterable[Document], name: str) -> Any:  # noqa: ANN401 - whatever the value is
    return next(iter(_known(document[name] for document in documents)), None)


def _rows(documents: Iterable[Document], name: str) -> list[Document]:
    return [row for document in documents for row in document[name]]


def _number(parameters: Parameters, name: str, default: int) -> int:
    """Return a parameter that the workers check."""
    value = parameters.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 15 else default


_MERGERS: Final[Mapping[str, Callable[[Documents, Parameters], Document]]] = {
    "/requests": _requests,
    "/connections": _connections,
    "/threads": _threads,
    "/slow": _slow,
    "/config": _config,
    "/stats": _stats,
}
