"""The mailboxes of a fleet, one for each place, as the master holds them.

The master never looks into one. It holds both ends, so what lies there outlives the worker that it was meant for and
goes to the next one of that place; and it gives both ends to every worker.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from waitressd.fleet.link import MAX_DESCRIPTORS, Keep, Message
from waitressd.net.mailbox import Mailbox

NAME: Final = "mailboxes"
_PLACES_AT_ONCE: Final = MAX_DESCRIPTORS // 2


class Worker(Protocol):
    """A worker that serves."""

    place: int

    def tell(self, name: str, descriptors: list[int], **fields: object) -> None:
        """Send it a message."""


class Mailboxes:
    """All of them. The master's thread."""

    def __init__(self) -> None:
        self._boxes: dict[int, Mailbox] = {}

    def carry(self, keep: Keep) -> list[list[int]]:
        """Write them down for another program in this process, with what lies in them."""
        return [[place, *map(keep, box.descriptors)] for place, box in self._boxes.items()]

    def resume(self, fields: Iterable[Sequence[int]]) -> None:
        """Go on with what `carry` has written down. Raises OSError: a descriptor is not what it was."""
        for place, *ends in fields:
            for end in ends:
                os.set_inheritable(end, False)
            self._boxes[place] = Mailbox.from_descriptors(*ends)

    def introduce(self, newcomer: Worker, others: Iterable[Worker]) -> None:
        """Tell a worker that serves from now on of all mailboxes, and the `others` of its own if that is new.

        Where the system has no more descriptors it does without its siblings.
        """
        place = newcomer.place
        if place not in self._boxes:
            try:
                self._boxes[place] = Mailbox.create()
            except OSError:
                return
            for other in others:
                self._tell(other, [place])
        self._tell(newcomer, [place, *(other for other in self._boxes if other != place)])  # its own comes first

    def _tell(self, worker: Worker, places: list[int]) -> None:
        for start in range(0, len(places), _PLACES_AT_ONCE):
            some = places[start : start + _PLACES_AT_ONCE]
            ends = [end for place in some for end in self._boxes[place].descriptors]
            worker.tell(NAME, ends, places=some)

    def close(self) -> None:
        """Give everything back; twice is harmless."""
        for box in self._boxes.values():
            box.close()
        self._boxes.clear()


def mailboxes_in(message: Message) -> dict[int, Mailbox]:
    """Take the mailboxes that the master has passed, by their places."""
    inlets, outlets = message.descriptors[::2], message.descriptors[1::2]
    ends = zip(message.fields["places"], inlets, outlets, strict=True)
    return {int(place): Mailbox.from_descriptors(inlet, outlet) for place, inlet, outlet in ends}
