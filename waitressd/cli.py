"""The ``waitressd`` command.

Exit status: 0 after a graceful stop or a good check, 1 when something failed at run time (an address in use, an
application that cannot be loaded), 2 for a wrong command line or configuration, 130 after Ctrl-C before there is
anything to stop. The only traceback ever shown is the application's own.
"""

import contextlib
import logging
import os
import platform
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

from waitressd import __version__
from waitressd.admin import answers_of
from waitressd.applications import StartError, import_application
from waitressd.config import listing
from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import advise, log_advice
from waitressd.config.advicerules import Facts, Machine
from waitressd.config.commandline import Command, parse_command
from waitressd.config.completion import script
from waitressd.config.errors import ConfigError, Problem, together
from waitressd.config.helptext import long_help, short_help
from waitressd.config.inifile import ServerSection
from waitressd.config.inisource import IniSource
from waitressd.config.origins import COMMAND_LINE
from waitressd.console import loading
from waitressd.deploy import WRONG, Runner
from waitressd.encryption import open_certificates, served_certificates
from waitressd.fleet.cores import find_cores
from waitressd.listeners import check_system
from waitressd.logfiles import log_files, unshared_handlers
from waitressd.logsetup import LogSetup
from waitressd.rlimits import connection_bound
from waitressd.signals import patient_signals
from waitressd.standardstreams import fill_streams
from waitressd.wiring import build_request_logs, silent_loggers
from waitressd.wsgi.application import trouble_with
from waitressd.wsgi.task import Application

OK: Final = 0
FAILED: Final = 1

logger = logging.getLogger("waitressd")

# The frames of these are left out of a traceback of the application.
_LOADERS: Final = ("waitressd", "paste", "plaster", "plaster_pastedeploy", "importlib", "runpy", "hupper")


@dataclass(frozen=True)
class Plan:
    """What a command line comes to: checked settings, and where the application comes from."""

    command: Command
    source: IniSource | None
    section: ServerSection
    adjustments: Adjustments

    def load_application(self) -> Application:
        """Import or build the application. Raises StartError, ConfigError, or whatever the application raises."""
        application: Any
        where = self.command.app
        if where:
            application = import_application(where, call=self.command.has("call"))
        else:
            assert self.source is not None
            application = self.source.load_application(self.command.text("app_name"))
            where = self.command.config
        if trouble := trouble_with(application):
            raise StartError(f"{where}: {trouble}")
        return cast("Application", application)

    def advice(self) -> Facts:
        """Gather what advice looks at. Logging must be set up."""
        return Facts(
            self.adjustments,
            self.section.hidden,
            this_machine(),
            silent_loggers(self.adjustments),
            unshared_handlers(),
            served_certificates(self.load_certificates()),
        )

    def load_certificates(self) -> Any:  # noqa: ANN401 - their class comes with ssl, which is not always imported
        """Read the files of TLS. Raises ConfigError."""
        return open_certificates(self.adjustments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    fill_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        command = parse_command(arguments)
        if text := _information(command):
            _answer(text)
            return OK
        return _start(command, arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return WRONG
    except StartError as error:
        print(f"waitressd: {error}", file=sys.stderr)
        return FAILED


def _information(command: Command) -> str:
    if command.has("help_all"):
        return long_help()
    if command.has("help"):
        return short_help()
    if command.has("version"):
        return f"waitressd {__version__} (Python {platform.python_version()})"
    return script(command.text("completion")).removesuffix("\n") if command.has("completion") else ""


def _answer(text: str) -> None:
    """Print what was asked for. Raises StartError if it cannot be written, and ends if the reader has gone."""
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - at its end Python writes again
        if isinstance(error, BrokenPipeError):
            raise SystemExit(FAILED) from None
        raise StartError(f"cannot write to standard output: {error.strerror}") from None


def _start(command: Command, arguments: Sequence[str]) -> int:
    if command.has("print_config"):
        plan = build_plan(command, open_source(command))
        _answer(listing.as_json(plan.adjustments) if command.text("print_config") == "json" else plan_text(plan))
        return OK
    if not (command.config or command.app):
        raise ConfigError([Problem(COMMAND_LINE.place, "", "name an ini file or MODULE:OBJECT (waitressd --help)")])
    if command.has("check_config"):
        return check(command)
    if command.has("reload"):
        refuse_wrong_options(command)
        if not reloading(command, arguments):
            return OK
    return serve(command)


def open_source(command: Command) -> IniSource | None:
    """Read the ini file, if there is one. Raises ConfigError if it cannot be read, StartError without a folder."""
    if command.config and not Path(command.config).is_absolute():
        _current_folder()
    return IniSource(command.config, command.variables) if command.config else None


def build_plan(command: Command, source: IniSource | None) -> Plan:
    """Check every setting. Raises ConfigError with every problem."""
    if command.app and (folder := _current_folder()) not in sys.path:
        sys.path.insert(0, folder)  # as `python -m` does; plugins may be in the current folder too
    if command.variables and source is None:
        name = next(iter(command.variables))
        text = "variables are for an ini file; a setting is given as an option, --NAME=VALUE"
        raise ConfigError([Problem(COMMAND_LINE.place, f"{name}={command.variables[name]}", text)])
    section = source.server_section(command.text("server_name")) if source else ServerSection()
    return Plan(command, source, section, section.check(command.overrides))


def _current_folder() -> str:
    """Return where modules are looked for first. Raises StartError: it was removed, as old releases are."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        raise StartError("the current folder does not exist any more; change to another one") from None


def plan_text(plan: Plan) -> str:
    """List every value, and what `auto` is here; hidden ones are marked, for their line in the file says otherwise."""
    hidden = [f"# hidden by {item.hidden_by}: {item.place}: {item.name} = {item.value}" for item in plan.section.hidden]
    auto = [f"# {find_cores()}"] if plan.adjustments.workers is None else []
    return "\n".join([listing.as_text(plan.adjustments), *auto, *hidden])


# ---- serving -------------------------------------------------------------------------------------------------------


def serve(command: Command) -> int:
    """Load everything in pserve's order (logging, settings, application), then serve until told to stop."""
    plan = examine(command)
    logs = log_setup(command)
    logs.apply(plan.source)
    log_advice(advise(plan.advice(), only_at_start=True))
    settings = plan.adjustments
    reopens = bool(settings.request_log or settings.tls_certificate or settings.admin_token_file or log_files())
    try:
        with (
            patient_signals(reopens=reopens, upgrades=settings.may_be_fleet),
            contextlib.closing(Runner(plan.adjustments, plan.section.global_conf, logs)) as runner,
            runner.end.bounded(),
        ):
            in_log = logger.isEnabledFor(logging.INFO) and logger.hasHandlers()
            prints = not in_log and not command.has("quiet")
            runner.lead_unloaded(prints=prints)
            application = _guarded(plan.load_application, where=command.app or command.config)
            if application is None:
                runner.end.status = FAILED
                return FAILED
            runner.open()
            return runner(application, _say if prints else None)
    except KeyboardInterrupt:  # before the server hears signals itself; a SIGTERM ends with the same status then
        return OK
    except OSError as error:
        raise StartError(str(error.strerror or error)) from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def log_setup(command: Command) -> LogSetup:
    """Say how logging is set up: from the ini file, or to standard error if there is none."""
    level = logging.NOTSET
    if command.has("quiet"):
        level = logging.WARNING
    elif command.has("verbose"):
        level = logging.DEBUG if int(command.options["verbose"]) > 1 else logging.INFO
    return LogSetup(command.config, command.variables, level)


def refuse_wrong_options(command: Command) -> None:
    """Raise ConfigError for what no change of a file would make right; a reloader would wait for one for ever."""
    try:
        build_plan(command, open_source(command))
    except ConfigError as error:
        if any(problem.place == COMMAND_LINE.place for problem in error.problems):
            raise


def reloading(command: Command, arguments: Sequence[str]) -> bool:
    """Whether this process is the one that serves; else hupper ran such a process, again and again, until now."""
    try:
        import hupper  # noqa: PLC0415 - an extra, needed for this option alone
    except ImportError:
        text = "the package hupper is not installed; pip install 'waitressd[reload]'"
        raise ConfigError([Problem(COMMAND_LINE.place, "--reload", text)]) from None
    interval = command.text("reload_interval", "1")
    if not interval.isdigit() or not 1 <= int(interval) <= 3600:
        text = "expected a whole number of seconds, 1 to 3600"
        raise ConfigError([Problem(COMMAND_LINE.place, f"--reload-interval={interval}", text)])
    if hupper.is_active():
        hupper.get_reloader().watch_files(_files_of(command))
        return True
    hupper.start_reloader(
        "waitressd.cli.run_reloaded", reload_interval=int(interval), worker_args=[list(arguments)], verbose=1
    )
    return False


def _files_of(command: Command) -> list[str]:
    if not command.config:
        return []
    try:
        source = IniSource(command.config, command.variables)
        return list(source.server_section(command.text("server_name")).paths)
    except ConfigError:  # what is wrong is said later; its repair must still be noticed
        return [str(Path(command.config.partition("#")[0].partition("?")[0]).absolute())]


def run_reloaded(arguments: list[str]) -> None:
    """Run the command in hupper's worker."""
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(arguments))
    sys.exit(FAILED)


# ---- checking ------------------------------------------------------------------------------------------------------


def examine(command: Command, *, with_logs: bool = False) -> Plan:
    """Look at everything that can be looked at without the application. Raises ConfigError with every problem."""
    problems: list[Problem] = []
    plan = None
    source = open_source(command)
    try:
        plan = build_plan(command, source)
    except ConfigError as error:
        problems += error.problems
    problems += source.logging_problems() if source is not None else []
    looks: list[Callable[[], object]] = []
    if plan is not None:
        looks += [
            partial(check_system, plan.adjustments),
            partial(answers_of, plan.adjustments),
            plan.load_certificates,
        ]
        if with_logs:  # this opens nothing
            looks.append(partial(build_request_logs, plan.adjustments, plan.section.global_conf))
    try:
        together(*looks)
    except ConfigError as error:
        problems += error.problems
    if problems or plan is None:
        raise ConfigError(problems)
    return plan


def check(command: Command) -> int:
    """Report every problem and every advice. Binds nothing."""
    plan = examine(command, with_logs=True)
    log_setup(command).apply(plan.source)
    if _guarded(plan.load_application, where=command.app or command.config) is None:
        return FAILED
    advices = list(dict.fromkeys(advise(plan.advice())))
    for advice in advices:
        _answer(str(advice))
    count = f" (advice: {len(advices)}, see above)" if advices else ""
    _answer(f"{command.config or command.app or 'command line'}: the configuration is good{count}")
    return OK


def this_machine() -> Machine:
    """Ask the system for its memory, its limit on descriptors and the cores for workers; 0 if it does not say."""
    memory = 0
    with contextlib.suppress(ValueError, OSError, AttributeError):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(ValueError, OSError):
            memory = min(memory, int(Path(path).read_text(encoding="ascii")))
    return Machine(memory, connection_bound(0), find_cores().workers)


# ---- applications --------------------------------------------------------------------------------------------------


def _guarded(load: Callable[[], Application], *, where: str) -> Application | None:
    """Load the application; show the traceback of what it raises, without the frames of its loaders."""
    try:
        with loading(where, sys.stderr):
            return load()
    except (ConfigError, StartError):
        raise
    except Exception as error:  # border: loading the application runs its code
        traceback.print_exception(error.with_traceback(_own_part(error.__traceback__)))
        _say("waitressd: the application could not be loaded")
        return None


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    """Skip the frames of loaders at the start of a traceback; None if there are no others."""
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] in _LOADERS:
        trace = trace.tb_next
    return trace
