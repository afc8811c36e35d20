"""How a process was started."""

import os
import signal
import sys
from pathlib import Path

from tests.support.scripts import ROOT, lines_of
from waitressd.command import StartCommand

SHOWS = "from waitressd.command import started\n"


def test_the_words_are_those_that_start_the_same_program_again(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{SHOWS}print(started.words)\n")
    flags = ["-X", "dev", "-W", "ignore"]
    (line,) = lines_of(
        "import os; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])", *flags, str(program), "a b", "-c"
    )
    assert line == str((sys.executable, *flags, str(program), "a b", "-c"))


def test_a_later_change_of_the_environment_or_the_folder_is_not_the_commands(tmp_path: Path) -> None:
    lines = lines_of(
        SHOWS
        + "import os; os.environ['MARK'] = 'changed'; os.chdir('/')\nprint(started.environ['MARK'], started.folder)",
        cwd=tmp_path,
        env={**os.environ, "MARK": "first", "PWD": str(tmp_path)},
    )
    assert lines == [f"first {tmp_path}"]


def test_a_link_to_the_current_release_stays_a_link(tmp_path: Path) -> None:
    release, current = tmp_path / "release-1", tmp_path / "current"
    release.mkdir()
    current.symlink_to(release)
    for told, folder in ((str(current), current), (str(tmp_path), release), ("", release), ("gone", release)):
        lines = lines_of(SHOWS + "print(started.folder)", cwd=current, env={**os.environ, "PWD": told})
        assert lines == [str(folder)]


def test_a_folder_that_is_gone_is_the_root(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = f"import os\nos.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); os.environ.pop('PWD', None)\n"
    assert lines_of(f"{program}{SHOWS}print(started.folder)") == ["/"]


def test_what_was_ignored_from_the_start_is_known_and_what_is_ignored_later_is_not() -> None:
    lines = lines_of(
        "import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        + SHOWS
        + "signal.signal(signal.SIGUSR2, signal.SIG_IGN)\nprint(*sorted(started.ignored))"
    )
    numbers = {int(word) for word in lines[0].split()}
    assert signal.SIGUSR1 in numbers
    assert signal.SIGUSR2 not in numbers


def test_what_a_supervisor_says_to_one_process_is_not_passed_on() -> None:
    environ = {"NOTIFY_SOCKET": "/run/s", "WATCHDOG_USEC": "1", "LISTEN_FDS": "1", "LISTEN_PID": "7", "HOME": "/root"}
    command = StartCommand(("a",), environ, "/")
    assert command.environ_of_child() == {"HOME": "/root"}
    assert command.environ is environ
