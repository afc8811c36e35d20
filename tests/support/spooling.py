"""Processes that write a request log until they are killed: `python -m tests.support.spooling FOLDER ROUNDS`."""

import json
import os
import random
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Final, NoReturn

from waitressd.requestlog import filesink
from waitressd.requestlog.filesink import PERMISSIONS, FileSink
from waitressd.requestlog.recovery import append_left
from waitressd.requestlog.spool import read_left, share_spools

WHOLE: Final = re.compile(r"\d+:\d+:x* end")


class Writer:
    """A process that writes lines, tells of each once `write` has returned, and ends by a kill alone."""

    def __init__(self, number: int, path: str) -> None:
        read, write = os.pipe()
        spools, share = os.pipe()
        self._told: Final = open(read, encoding="ascii")  # noqa: PTH123, SIM115 - a descriptor, closed by `kill`
        self.number: Final = number
        self._pid: Final = os.fork()
        if not self._pid:
            try:
                self._work(path, write, share)
            finally:
                os._exit(1)
        os.close(write)
        os.close(share)
        fd = int(os.read(spools, 10))  # the number that it has in that process
        os.close(spools)
        self._spool: Final = os.open(f"/proc/{self._pid}/fd/{fd}", os.O_RDONLY)

    def _work(self, path: str, write: int, share: int) -> NoReturn:
        filesink.FLUSH_SECONDS = 0.0005  # type: ignore[misc]  # so that it is often killed in the middle of a write
        share_spools(lambda fd, _path, _mode: os.write(share, b"%d" % fd) > 0)
        sink = FileSink(path)
        sink.start(None)
        count = 0
        while True:
            sink.write(f"{self.number}:{count}:{'x' * random.randrange(400)} end")
            os.write(write, b"%d\n" % count)
            count += 1

    def hear(self, count: int) -> int:
        """Wait until it has told of so many more lines, and return the number of the last."""
        last = -1
        for _ in range(count):
            last = int(self._told.readline())
        return last

    def kill(self, path: str) -> list[str]:
        """Kill it, write what it has left, and name the lines that it has told of."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        append_left(read_left(self._spool), path, PERMISSIONS)
        os.close(self._spool)
        with self._told as told:
            rest = [line for line in told if line.endswith("\n")]
        return [f"{self.number}:{count}" for count in range(int(rest[-1]) + 1)] if rest else []


def main(folder: str, rounds: int) -> None:
    """Kill writers, each with a file of its own, one after the other, and say what became of their lines."""
    told, lines = set(), []
    for number in range(rounds):
        path = str(Path(folder) / f"{number}.log")
        writer = Writer(number, path)
        writer.hear(random.randrange(1, 300))
        told.update(writer.kill(path))
        lines += Path(path).read_text("ascii").splitlines()
    found = Counter(":".join(line.split(":")[:2]) for line in lines)
    print(json.dumps({
        "told": len(told),
        "lost": sorted(told - found.keys()),
        "doubled": [name for name, count in found.items() if count > 1],
        "torn": [line for line in lines if not WHOLE.fullmatch(line)],
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
