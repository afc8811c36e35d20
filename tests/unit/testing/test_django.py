"""A live server of Django's own tests, with a database in memory that the test and the requests share."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("django")
ROOT: Final = Path(__file__).parent.parent.parent.parent

PROGRAM: Final = """
import threading
import unittest
import urllib.request
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

def count(request):
    from django.contrib.auth.models import User
    User.objects.create(username="made by a request")
    return HttpResponse(", ".join(User.objects.order_by("pk").values_list("username", flat=True)))

urlpatterns = [path("count", count)]
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True, STATIC_URL="/static/",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
from django.contrib.auth.models import User
from django.test import LiveServerTestCase
from django.test.runner import DiscoverRunner
from waitressd.testing.django import LiveServerThread

class Live(LiveServerTestCase):
    server_thread_class = LiveServerThread

    def test_both_see_one_database(self):
        User.objects.create(username="made by the test")
        with urllib.request.urlopen(self.live_server_url + "/count", timeout=20) as response:
            self.assertEqual(response.headers["Server"], "waitressd")
            self.assertEqual(response.read().decode(), "made by the test, made by a request")
        self.assertEqual(User.objects.count(), 2)

runner = DiscoverRunner(verbosity=0)
databases = runner.setup_databases()
result = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Live))
runner.teardown_databases(databases)
assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
raise SystemExit(not result.wasSuccessful())
"""


def test_a_live_server(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
