"""A worker among its siblings: how it begins to share its clients with them, and how it ends that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from zlib import crc32

from waitressd.fleet.board import Board, Field
from waitressd.fleet.heirs import Heirs
from waitressd.fleet.link import Message
from waitressd.fleet.mailboxes import mailboxes_in
from waitressd.net.handover import FORM
from waitressd.net.listener import Listener
from waitressd.server import Server


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that the holder of the dispatcher role does once."""

    action: Callable[[], object]

    def settle(self) -> None:
        """Do it."""
        self.action()

    def close(self) -> None:
        """It has failed; there is nothing to give back."""


class Fellow:
    """One worker among its siblings. The thread that hears the master, unless a method says otherwise."""

    def __init__(self, server: Server, board: Board, own: int) -> None:
        """`own` is the index of its row."""
        self._server = server
        self._board = board
        self._own = own
        self._heirs: Heirs | None = None

    def learn(self, message: Message, listeners: Sequence[Listener]) -> None:
        """Learn of mailboxes. With the first ones, which have its own among them, the worker begins to share."""
        boxes = mailboxes_in(message)
        if self._heirs is not None:
            self._heirs.add(boxes)
            return
        if self._board.row(self._own)[Field.PLACE] not in boxes:  # there was no descriptor for that; it does without
            for box in boxes.values():
                box.close()
            return
        (lane,) = self._server.lanes
        dispatcher = lane.dispatcher
        self._heirs = heirs = Heirs(self._board, self._own, boxes)
        addresses, bounds = addresses_of(listeners), dispatcher.bounds

        def join() -> None:
            if not dispatcher.draining:
                dispatcher.join(heirs)
                heirs.serve(addresses, bounds.threads, bounds.connection_limit)

        dispatcher.settle_soon(Errand(join))
        self._server.on_tick.append(self.on_tick)

    def on_tick(self, now: float) -> None:
        """Give kept connections to siblings that have fewer. The thread inside `Server.run`."""
        count = self._heirs.gift(now) if self._heirs is not None else 0
        if count:
            (lane,) = self._server.lanes
            lane.dispatcher.settle_soon(Errand(partial(lane.dispatcher.share, count)))

    def leave(self) -> None:
        """Take nothing of siblings any more. Any thread."""
        if self._heirs is not None:
            self._heirs.leave()


def addresses_of(listeners: Sequence[Listener]) -> int:
    """Return a number that is equal for workers that serve the same addresses in the same way, never 0."""
    served = sorted((listener.name, listener.service, listener.proxy_protocol) for listener in listeners)
    return crc32(repr((FORM, served)).encode()) or 1
