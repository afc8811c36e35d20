"""What a ledger says, in the shapes that tests compare."""

from collections import Counter
from collections.abc import Iterable

from waitressd.net.ledger import Key, Ledger, endings

NAMES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")


def counts(ledger: Ledger) -> dict[Key, int]:
    """How many requests there were of each kind."""
    return {key: sum(endings(ledger.row(key)).values()) for key in ledger.all_keys()}


def ended(ledgers: Iterable[Ledger]) -> Counter[tuple[str, str]]:
    """How many requests there were by class of status and by what ended them, as the metrics call both."""
    found: Counter[tuple[str, str]] = Counter()
    for ledger in ledgers:
        for key in ledger.all_keys():
            for name, count in endings(ledger.row(key)).items():
                if count:
                    found[NAMES[key[2] // 100], name] += count
    return found
