"""What the master listens to: the links of its processes, and what those say that load their code.

Knows descriptors and the poller; what is said over a link is the master's business.
"""

import contextlib
import selectors
from collections.abc import Iterable, Mapping
from typing import Any

from waitressd.fleet.codes import Loading
from waitressd.fleet.link import Keep
from waitressd.fleet.roster import Process


class Links:
    """The processes that one poller listens to. The master's thread."""

    def __init__(self, poller: selectors.BaseSelector) -> None:
        self._poller = poller
        self._passed_on: list[Loading] = []  # of processes that have loaded their code

    def listen_to(self, process: Process) -> None:
        """Have the poller name a process whose link has something, and what it says while it loads."""
        if process.link is not None:
            self._poller.register(process.link, selectors.EVENT_READ, process)
        if process.loading is not None:
            self._poller.register(process.loading, selectors.EVENT_READ, process.loading)

    def carry(self, keep: Keep) -> list[dict[str, Any]]:
        """Write down for another program in this process what is passed on."""
        return [loading.carry(keep) for loading in self._passed_on if loading.pipe >= 0]

    def resume(self, fields: Iterable[Mapping[str, Any]], processes: Iterable[Process]) -> None:
        """Go on with what `carry` has written down, and listen to these. Raises OSError."""
        for each in fields:
            loading = Loading.resume(each)
            self._passed_on.append(loading)
            self._poller.register(loading, selectors.EVENT_READ, loading)
        for process in processes:
            self.listen_to(process)

    def forget_link(self, fd: int) -> None:
        """A link was closed. At once: what follows may open another descriptor with this number."""
        self._poller.unregister(fd)

    def hear_loading(self, loading: Loading) -> None:
        """Take what a process says; it is passed on once its code is loaded."""
        if loading.pipe < 0:  # closed since the poller has found it
            return
        is_open = loading.read()
        if loading in self._passed_on:
            loading.pass_on()
        if not is_open:
            self._poller.unregister(loading)
            if loading in self._passed_on:
                self._passed_on.remove(loading)
                loading.close()

    def pass_on_loading(self, process: Process) -> None:
        """Pass on what a process has said, which has loaded its code; and, until they end, its children say."""
        if process.loading is not None:
            process.loading.pass_on()
            self._passed_on.append(process.loading)
            process.loading = None

    def close(self, process: Process) -> None:
        """Listen to a process no more."""
        for source in (process.link, process.loading):
            if source is not None:
                with contextlib.suppress(KeyError):
                    self._poller.unregister(source)
        process.close()

    def close_all(self) -> None:
        """Close what is still passed on."""
        for loading in self._passed_on:
            loading.close()
