"""From the request logs of a configuration to the request loggers of listeners.

Introduces the request log to the configuration, to sockets and to WSGI; none of them knows another.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, Final

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.origins import PYTHON
from waitressd.config.requestlogs import RequestLog
from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.metrics import request_log
from waitressd.peer import Origin
from waitressd.requestlog.dev import dev
from waitressd.requestlog.formats import combined, common, template
from waitressd.requestlog.jsonlines import json_lines
from waitressd.requestlog.loading import Factory, Trouble, load
from waitressd.requestlog.requestlogger import Identify, RequestLogger, RequestLogs
from waitressd.requestlog.sinks import DEFAULT_LOGGER
from waitressd.wording import assignment_hint
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.task import Application, TaskSettings, Transport, WsgiHandler

BUILT_IN: Final[Mapping[str, Factory]] = {
    "common": common,
    "combined": combined,
    "template": template,
    "json": json_lines,
    "dev": dev,
    "metrics": request_log,
}
"""The factories of the request logs that come with the server, by the names that an operator gives them."""

_LINE_FORMATS: Final = ("common", "combined", "json", "template")


def build_request_logs(adjustments: Adjustments, global_conf: Mapping[str, str]) -> RequestLogs | None:
    """Build the hooks that `request_log` names; they open nothing yet. Return None without any.

    Raises ConfigError with everything that is wrong with them, each with its line.
    """
    if not adjustments.request_log:
        return None
    hooks, troubles = load(adjustments.request_log, global_conf, BUILT_IN)
    if troubles:
        raise ConfigError(_problem(adjustments, trouble) for trouble in troubles)
    return RequestLogs(hooks)


def silent_loggers(adjustments: Adjustments) -> tuple[str, ...]:
    """Return the loggers that built-in request logs write to and that drop the lines. Logging must be set up."""
    names = dict.fromkeys(
        log.options.get("logger", DEFAULT_LOGGER)
        for log in adjustments.request_log
        if str(log.use).removeprefix("egg:waitressd#") in _LINE_FORMATS and "path" not in log.options
    )
    loggers = map(logging.getLogger, names)
    return tuple(each.name for each in loggers if not (each.isEnabledFor(logging.INFO) and each.hasHandlers()))


def _problem(adjustments: Adjustments, trouble: Trouble) -> Problem:
    log = trouble.choice
    assert isinstance(log, RequestLog)
    setting = adjustments.origin_of("request_log")
    origin = log.origins.get(trouble.option, log.origin)
    if origin == PYTHON:
        # The log has no section of its own, so the setting that names it is shown.
        subject = f"request_log = {shorten(log.name)}" + (f" ({trouble.option})" if trouble.option != "use" else "")
        return Problem(setting.place, subject, trouble.text)
    value = str(log.use) if trouble.option == "use" else log.options.get(trouble.option, "")
    text = trouble.text + assignment_hint(value)
    return Problem(origin.place, f"{trouble.option} = {shorten(value)}".strip(" ="), text)


def build_handler(
    application: Application, environ: EnvironSettings, tasks: TaskSettings, logger: RequestLogger | None
) -> Callable[[Request, BinaryIO | None, Transport], None]:
    """Make what runs the requests of one listener, and tells a request logger about them."""
    # The method rather than the object: called through a context it takes half the time (35 ns of each request).
    return WsgiHandler(application, EnvironBuilder(environ), tasks, logger).__call__


def build_logger(logs: RequestLogs | None, environ: EnvironSettings) -> RequestLogger | None:
    """Make the request logger of one listener; None without request logs."""
    return None if logs is None else RequestLogger(logs, environ.proxies.trusts, _identifier(environ))


def _identifier(settings: EnvironSettings) -> Identify:
    """Return what finds the client of a refused request, as the application's environ would have named it."""
    builder = EnvironBuilder(replace(settings, proxies=replace(settings.proxies, is_silent=True)))

    def identify(request: Request, origin: Origin) -> dict[str, Any] | None:
        try:
            # Without `known`: what is built here is of no use to later requests.
            return builder.build(replace(request, known=None), None, origin, bool)
        except HttpError:
            return None

    return identify
