"""The projects of the manual's pages on frameworks, served as those pages say."""

import http.client
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from tests.functional.test_config_serving import PSERVE, WAITRESSD
from tests.support.servers import ServerProcess, server_process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the projects listen on what Unix has")

ROOT: Final = Path(__file__).parent.parent.parent
EXAMPLES: Final = ROOT / "docs" / "examples"
ENVIRONMENT: Final = {"PORT": "0", "SHOP_SECRET": "a secret that is for tests", "WORKERS": "1"}
FORWARDED: Final = {
    "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"
}  # fmt: skip


@contextmanager
def example(name: str, folder: Path, command: tuple[str, ...] = WAITRESSD) -> Iterator[ServerProcess]:
    """Serve a project of the manual from a copy of it."""
    project = folder / name
    if not project.exists():
        shutil.copytree(EXAMPLES / name, project)
    path = f"{ROOT}:{project}"
    environment = {**ENVIRONMENT, "PYTHONPATH": path}
    with server_process(["production.ini"], command=command, cwd=project, environment=environment) as server:
        yield server
        assert server.terminate() == 0, server.output


def ask(server: ServerProcess, path: str, method: str = "GET", body: str = "", **fields: str) -> tuple[int, Any, str]:
    """Ask for a page; return its status, its fields and its text."""
    address = server.address
    assert not isinstance(address, str)
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request(method, path, body or None, fields)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def sees_the_client_behind_a_proxy(server: ServerProcess, host: str = "shop.example") -> None:
    assert (
        ask(server, "/", **{**FORWARDED, "X-Forwarded-Host": host})[2] == f"Welcome, 203.0.113.9, by https at {host}\n"
    )
    assert ask(server, "/")[2].startswith("Welcome, 127.0.0.1, by http at 127.0.0.1:")


def test_flask(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    with example("flask", tmp_path) as server:
        sees_the_client_behind_a_proxy(server)
        assert json.loads(ask(server, "/cart/3")[2]) == {"items": [0, 1, 2]}
        assert ask(server, "/nowhere")[0] == 404


@pytest.mark.parametrize("command", [WAITRESSD, PSERVE], ids=["waitressd", "pserve"])
def test_pyramid(tmp_path: Path, command: tuple[str, ...]) -> None:
    pytest.importorskip("pyramid")
    shutil.copytree(EXAMPLES / "pyramid", tmp_path / "pyramid")
    install(tmp_path / "pyramid")
    with example("pyramid", tmp_path, (*command[:1], "-W", "ignore", *command[1:])) as server:
        sees_the_client_behind_a_proxy(server)
        assert json.loads(ask(server, "/cart/2")[2]) == {"items": [0, 1]}


def install(project: Path) -> None:
    """Do what `pip install -e .` does for entry points, without a network."""
    described = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = project / f"{described['name']}-{described['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n", encoding="utf-8"
    )
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
        for group, values in described["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points), encoding="utf-8")


PASSWORD: Final = "secret of the admin"
MANAGE: Final = """\
import django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
call_command("createsuperuser", interactive=False, username="admin", email="admin@shop.example")
"""


def manage(project: Path) -> None:
    """Do in one process what the page does by three commands."""
    done = subprocess.run(
        [sys.executable, "-c", MANAGE], cwd=project, capture_output=True, text=True, check=False, timeout=55,
        env={**ENVIRONMENT, "DJANGO_SUPERUSER_PASSWORD": PASSWORD, "DJANGO_SETTINGS_MODULE": "shop.settings"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_django_with_its_admin_and_static_files(tmp_path: Path) -> None:
    pytest.importorskip("django")
    pytest.importorskip("whitenoise")
    project = tmp_path / "django"
    shutil.copytree(EXAMPLES / "django", project)
    manage(project)
    with example("django", tmp_path) as server:
        sees_the_client_behind_a_proxy(server, "localhost")
        status, fields, text = ask(server, "/admin/login/")
        assert status == 200
        style = re.findall(r'href="(/static/admin/css/base\.[0-9a-f]+\.css)"', text)[0]
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', text)[0]
        cookie = fields["Set-Cookie"].partition(";")[0]
        status, fields, text = ask(server, style)
        assert (status, "immutable" in fields["Cache-Control"]) == (200, True)
        assert len(text) == int(fields["Content-Length"])
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token}
        status, fields, _ = ask(
            server, "/admin/login/?next=/admin/", "POST", urlencode(form),
            **{"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        assert (status, fields["Location"]) == (302, "/admin/")
        session = "; ".join(value.partition(";")[0] for value in fields.get_all("Set-Cookie"))
        assert "Welcome," in ask(server, "/admin/", Cookie=session)[2]
