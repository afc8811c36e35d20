"""The border to the system: births, deaths and signals of processes. Nothing else forks, executes, kills or waits.

Knows processes; decides nothing. What only Linux has is asked for when it is needed, and its absence is said.
"""

import contextlib
import faulthandler
import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from waitressd import forks
from waitressd.command import StartCommand

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_GET_CHILD_SUBREAPER: Final = 37
# Without SIGQUIT: who has a handler for it wants the stacks of the child, too.
DEFAULT_SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGTTIN", "SIGTTOU")
    if hasattr(signal, name)
)
# What a service manager may send to every process of a service, and would end one that has no handler yet.
COMMANDS: Final = tuple(
    getattr(signal, name) for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU") if hasattr(signal, name)
)
_STANDARD_ERROR: Final = 2
_PID_BYTES: Final = 32
_CGROUP: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Death:
    """How a child has ended."""

    pid: int
    status: int  # the exit status; minus the number of the signal that ended it

    def __str__(self) -> str:
        """Say it as an operator would: `exit status 3`, `signal 9 (SIGKILL)`."""
        if self.status >= 0:
            return f"exit status {self.status}"
        with contextlib.suppress(ValueError):
            return f"signal {-self.status} ({signal.Signals(-self.status).name})"
        return f"signal {-self.status}"


def can_adopt() -> bool:
    """Whether this system can make a process the parent of every orphan below it (prctl(2), Linux)."""
    import ctypes  # noqa: PLC0415 - see `_prctl`

    asked = ctypes.c_int()
    return _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(asked))


def adopt_orphans() -> bool:
    """Make this process the parent of every orphan below it; False where that cannot be had. The master alone.

    A worker is born by way of a process in between that ends at once, and so becomes a child of the master. What it
    executes is that parent as well.
    """
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, argument: object) -> bool:
    # Large, and a master that takes the place of another has no use for it.
    import ctypes  # noqa: PLC0415 - see above

    try:
        return sys.platform.startswith("linux") and not ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)
    except (OSError, AttributeError):  # a C library without it
        return False


def fork(child: Callable[[], NoReturn]) -> int:
    """Fork; the child calls `child`, which never returns. Raises OSError: the system has no more processes.

    Signals wait in the child until it calls `hear_signals`: one that goes to the whole group must find decided what
    becomes of it.
    """
    _flush()
    former = signal.pthread_sigmask(signal.SIG_BLOCK, DEFAULT_SIGNALS)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
    if pid:
        return pid
    try:
        _begin_anew()
        child()
    except BaseException:  # border: the child's own code; its parent learns no more than the exit status
        traceback.print_exc()
        _flush()
    finally:
        os._exit(70)  # nothing here may ever come back to the frames of the parent


def fork_for_master(child: Callable[[], NoReturn]) -> int:
    """Fork a grandchild that the master inherits; return its pid. Raises OSError."""
    reading, writing = os.pipe()

    def between() -> NoReturn:
        os.write(writing, b"%d" % fork(born))
        os._exit(0)

    def born() -> NoReturn:
        os.close(reading)
        os.close(writing)
        child()

    try:
        middle = fork(between)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    # One read, not until the end of the pipe: a worker that hangs in somebody's hook for forks holds it open.
    told = os.read(reading, _PID_BYTES)
    os.close(reading)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(middle, 0)
    if not told:
        raise OSError("the system gives no more processes")
    return int(told)


def _flush() -> None:
    """Write out what would be written twice, by parent and child."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()


def _begin_anew() -> None:
    """Forget what was the parent's. The only thread of a child."""
    signal.set_wakeup_fd(-1)
    forks.welcome_child()
    for name in ("random", "numpy.random"):
        generator = sys.modules.get(name)
        if generator is not None:  # it goes on where the parent's was, in every child alike
            generator.seed()


def show_stacks_on_request(fd: int = _STANDARD_ERROR) -> None:
    """Have SIGQUIT write the stack of every thread to standard error or another file, also where one hangs in C code.

    A process that was forked calls it again: its signals are not its parent's. A handler of the application stays.
    Where it was ignored, as in what a shell script starts in the background, it is not any more: it ends nobody here.
    """
    nobodys = (signal.SIG_DFL, signal.SIG_IGN)
    if hasattr(faulthandler, "register") and signal.getsignal(signal.SIGQUIT) in nobodys:  # not on Windows
        faulthandler.unregister(signal.SIGQUIT)  # else it believes that its handler is there
        faulthandler.register(signal.SIGQUIT, file=fd, all_threads=True)


def hear_signals() -> None:
    """Let signals through, those that have waited since `fork` first. The only thread of a child."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def ignore_commands() -> dict[signal.Signals, Any]:
    """Ignore the signals that are meant for the master; return the handlers of those that nobody has ignored before.

    Not SIGQUIT, which asks for stacks, nor SIGCHLD. The main thread.
    """
    handlers = {number: signal.getsignal(number) for number in DEFAULT_SIGNALS if number != signal.SIGCHLD}
    handlers = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
    for number in handlers:
        signal.signal(number, signal.SIG_IGN)
    return handlers


def hear_again(handlers: Mapping[signal.Signals, Any]) -> None:
    """Give the application its handlers back, in a worker that is forked from where they were ignored.

    What has no handler stays ignored, as it is the master's, but for SIGTERM and SIGUSR1, which the server hears.
    """
    for number, handler in handlers.items():
        if callable(handler) and handler != signal.default_int_handler:
            signal.signal(number, handler)
        elif number in (signal.SIGTERM, signal.SIGUSR1):
            hold_back(number)


def hold_back(number: signal.Signals) -> None:
    """Have a signal wait until there is a handler and it is unblocked; else it would end the process.

    SIGUSR1 comes to every process at once where log files are rotated.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (number,))
    signal.signal(number, signal.SIG_DFL)


def end_with_parent() -> None:
    """Have the system kill this process when its parent ends (prctl(2), PR_SET_PDEATHSIG); nothing where it cannot."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def outlive_parent() -> None:
    """Take that back."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def freeze() -> None:
    """Keep the collector away from what is there already, so that forks share its memory as long as possible."""
    gc.collect()
    if hasattr(gc, "freeze"):  # CPython
        gc.freeze()


def spawn(command: StartCommand, environ: Mapping[str, str], link: int, stderr: int) -> int:
    """Start a program that inherits the descriptor `link` and writes errors to `stderr`; return its pid.

    The master's commands wait in it until it unblocks them. Raises OSError.
    """
    words, folder = list(command.words), command.folder
    with _blocked(COMMANDS, signal.SIG_SETMASK):
        process = subprocess.Popen(  # noqa: S603 - the command that has started this program
            words, env=dict(environ), cwd=folder, pass_fds=[link], stderr=stderr
        )
    process.returncode = 0  # it is waited for by `reap`
    return process.pid


def spawn_program(path: Path, link: int) -> int:
    """Run a file that needs nothing but the standard library, with the descriptor `link`; return its pid.

    Signals wait in it until it unblocks them, as after `fork`. Raises OSError.
    """
    with _blocked((*DEFAULT_SIGNALS, signal.SIGQUIT)):
        process = subprocess.Popen(  # noqa: S603 - a file of ours
            [sys.executable, "-I", "-S", str(path), str(link)], pass_fds=[link], stdin=subprocess.DEVNULL
        )
    process.returncode = 0  # it is waited for by `reap`
    return process.pid


@contextlib.contextmanager
def _blocked(numbers: Sequence[signal.Signals], how: int = signal.SIG_BLOCK) -> Iterator[None]:
    """Keep signals back for the block, with SIG_SETMASK these alone. What is executed in it inherits that."""
    former = signal.pthread_sigmask(how, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def execute(command: Sequence[str], environ: Mapping[str, str], descriptors: Sequence[int]) -> NoReturn:
    """Become another program in this process, which keeps these descriptors. Raises OSError."""
    _flush()
    for fd in descriptors:
        os.set_inheritable(fd, True)
    try:
        os.execve(command[0], list(command), dict(environ))  # noqa: S606 - without a shell, as it should be
    except OSError:
        for fd in descriptors:
            os.set_inheritable(fd, False)
        raise


def reap_known(pids: Iterable[int]) -> Iterator[Death]:
    """Take those of these children that have ended; others may be waited for by somebody else in this process."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                yield Death(pid, os.waitstatus_to_exitcode(status))


def reap() -> Iterator[Death]:
    """Take every child that has ended, also those that this process has inherited."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            yield Death(pid, os.waitstatus_to_exitcode(status))


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Signal a child that has not been reaped. Harmless when it has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def end_child(pid: int) -> None:
    """Kill a child that has not been reaped, and reap it."""
    kill(pid)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def watch_process(pid: int) -> int | None:
    """Return a descriptor that stands for a process (pidfd_open(2)) and never for another; None if it cannot be had."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def is_stopped(pid: int) -> bool:
    """Whether a signal or a debugger keeps a process from running; False where the system does not say."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] in ("T", "t")
    return False


def can_measure_memory() -> bool:
    """Whether this system tells what memory a process has of its own (Linux, smaps_rollup)."""
    return Path("/proc/self/smaps_rollup").exists()


def private_memory(pid: int) -> int | None:
    """Return how many bytes of memory a process shares with no other; None where that is not told.

    What a fork shares with its template does not count, until it is changed. It takes some milliseconds.
    """
    with contextlib.suppress(OSError, ValueError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        sizes = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
        return sum(sizes) << 10 if sizes else None
    return None


def oom_kills(root: Path = _CGROUP, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return how many processes of this cgroup the kernel has killed for want of memory; 0 where it does not say."""
    count = 0
    with contextlib.suppress(OSError, ValueError):
        for line in own.read_text(encoding="ascii", errors="replace").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            folder = root / ("memory" if controllers else "") / path.lstrip("/")
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    count += sum(
                        int(item.split()[1])
                        for item in (folder / name).read_text(encoding="ascii").splitlines()
                        if item.startswith("oom_kill ")
                    )
    return count
