"""A folder with an application and an ini file, that change while a fleet serves them; the ways to start that fleet."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.servers import ROOT

SHARED: Final = """
import ctypes, json, os, random, re, signal, sys, threading, time
import waitressd

VERSION = {version}

{trouble}

def page(path, environ):
    what, _, value = path.strip("/").partition("/")
    if what == "who":
        return json.dumps({{
            "pid": os.getpid(), "parent": os.getppid(), "version": VERSION, "number": waitressd.worker_number(),
            "multiprocess": environ["wsgi.multiprocess"], "environment": sorted(os.environ), "folder": os.getcwd(),
        }})
    if what == "exit":
        os._exit(int(value))
    if what == "signal":
        os.kill(os.getpid(), int(value))
    if what == "sleep":
        time.sleep(float(value))
    elif what == "hold":  # the interpreter lock, as a long regular expression does
        if sys.implementation.name == "cpython":
            ctypes.PyDLL(None).usleep(int(float(value) * 1_000_000))
        until = time.monotonic() + float(value)
        while sys.implementation.name != "cpython" and time.monotonic() < until:
            re.match("(a+)+$", "a" * 20 + "b")
    elif what == "quick":
        pass
    else:
        time.sleep(random.random() / 100)
    at_request()
    return "%d %d\\n" % (VERSION, os.getpid())
"""

AT_REQUEST: Final = "def at_request():\n    pass\n"

FRAMEWORKS: Final[dict[str, str]] = {
    "plain": """
def application(environ, start_response):
    body = page(environ["PATH_INFO"], environ).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

def main(global_config, **settings):
    return application
""",
    "pyramid": """
from pyramid.config import Configurator
from pyramid.response import Response

def view(request):
    return Response(page(request.path_info, request.environ), content_type="text/plain")

def main(global_config, **settings):
    with Configurator(settings=settings) as config:
        config.add_route("all", "/*rest")
        config.add_view(view, route_name="all")
        return config.make_wsgi_app()
""",
    "django": """
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import re_path

settings.configure(SECRET_KEY="tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, LOGGING_CONFIG=None)
django.setup()
urlpatterns = [re_path("", lambda request: HttpResponse(page(request.path_info, request.META)))]
from django.core.wsgi import get_wsgi_application
django_application = get_wsgi_application()

def application(environ, start_response):  # Django's chunks are joined, so that the answer has a length
    def start(status, headers, exc_info=None):
        start_response(status, headers)
    body = b"".join(django_application(environ, start))
    return [body]

def main(global_config, **settings):
    return application
""",
    "flask": """
from flask import Flask, request
application = Flask(__name__)

@application.route("/", defaults={"path": ""})
@application.route("/<path:path>")
def everything(path):
    return page(path, request.environ)

def main(global_config, **settings):
    return application
""",
}
FRAMEWORKS["pyramid"] += "\napplication = main({})\n"

SCRIPT: Final = """
import logging, sys
import waitressd

if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(levelname)s %(message)s")
    from shop import application
    waitressd.serve(application, {settings})
    print("behind serve", flush=True)
"""

LOGGING: Final = (
    "[loggers]\nkeys = root\n[handlers]\nkeys = console\n[formatters]\nkeys = plain\n"
    "[logger_root]\nlevel = INFO\nhandlers = console\n"
    "[handler_console]\nclass = StreamHandler\nargs = (sys.stderr,)\nformatter = plain\n"
    "[formatter_plain]\nformat = %(levelname)s %(process)d %(message)s\n"
)

PSERVE_CODE: Final = "import sys; from pyramid.scripts.pserve import main; sys.exit(main())"
WAYS: Final = ("config", "module", "python -m", "pserve", "serve")


class Site:
    """The folder. `settings` are those of the server, for each way in the form that it takes."""

    def __init__(self, folder: Path, framework: str = "plain", **settings: Any) -> None:
        self.folder = folder
        self.settings: dict[str, object] = {"listen": "127.0.0.1:0", "workers": 2, "threads": 8, **settings}
        self.sections = ""
        """More sections of the ini file."""
        self._framework = framework
        self.write(1)
        self.write_ini()

    def write(self, version: int, trouble: str = "", at_request: str = AT_REQUEST) -> None:
        """Put this version of the application in place of the last, in one step; `trouble` runs as it is imported."""
        text = SHARED.format(version=version, trouble=trouble) + at_request + FRAMEWORKS[self._framework]
        self._replace("shop.py", text)

    def write_ini(self, **settings: object) -> None:
        """Write the ini file; settings given here are added, and those that are None are left out."""
        self.settings = {name: value for name, value in {**self.settings, **settings}.items() if value is not None}
        lines = "".join(f"{name} = {value}\n" for name, value in self.settings.items())
        head = "[app:main]\nuse = call:shop:main\n[server:main]\nuse = egg:waitressd\n"
        self._replace("production.ini", f"{head}{lines}\n{self.sections}{LOGGING}")
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        self._replace("run.py", SCRIPT.format(settings=arguments))

    def _replace(self, name: str, text: str) -> None:
        new = self.folder / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.folder / name)

    def command(self, way: str) -> list[str]:
        """Return the command that starts the server in this way."""
        python = [sys.executable, "-W", "ignore"]
        options = [option for name, value in self.settings.items() for option in _option(name, str(value))]
        match way:
            case "config":
                return [*python, "-m", "waitressd", "--config", "production.ini"]
            case "module":
                return [*_installed("waitressd", [*python, "-m", "waitressd"]), *options, "shop:application"]
            case "python -m":
                return [*python, "-m", "waitressd", *options, "shop:application"]
            case "pserve":
                return [*_installed("pserve", [*python, "-c", PSERVE_CODE]), "production.ini"]
            case _:
                return [*python, "run.py"]

    def environment(self) -> Mapping[str, str]:
        """Return variables for the command: where the application is, and no byte code of an older version of it."""
        return {
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
        }


def _option(name: str, value: str) -> list[str]:
    """Write a setting as the command takes it."""
    name = name.replace("_", "-")
    match value:
        case "on" | "true":
            return [f"--{name}"]
        case "off" | "false":
            return [f"--no-{name}"]
        case "auto" if name == "preload":
            return []  # what it is without
        case _:
            return [f"--{name}={value}"]


def _installed(name: str, otherwise: list[str]) -> list[str]:
    path = Path(sys.executable).with_name(name)
    return [str(path)] if path.exists() else otherwise
