"""The command goes to what asks or to what serves, and neither imports the other."""

import subprocess
import sys
from pathlib import Path

import pytest

from waitressd.entry import main

ROOT = Path(__file__).parent.parent.parent
SHOW = (
    "import sys\nfrom waitressd.entry import main\nstatus = main(sys.argv[1:])\n"
    "print(status, *sorted(name for name in sys.modules if name.startswith(('waitressd', 'textual', 'plaster'))))\n"
)


def modules(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def layers(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if "." in name and name.startswith("waitressd.")}


def test_who_asks_imports_nothing_of_the_server() -> None:
    found = modules("ready", "--timeout=0.1", "127.0.0.1:1")
    assert layers(found) - {"version", "firstuse"} == {
        "entry",
        "tools",
        "config",
        "kinds",
        "wording",
        "standardstreams",
    }
    assert (
        not {"textual", "plaster", "waitressd.config.adjustments", "waitressd.tools.top", "waitressd.tools.tables"}
        & found
    )


def test_who_serves_imports_nothing_that_asks() -> None:
    found = modules("--check-config", "--listen=127.0.0.1:0", "wsgiref.simple_server:demo_app")
    assert "server" in layers(found)
    assert "tools" not in layers(found)
    assert "textual" not in found


def test_a_file_with_the_name_of_a_command_is_served_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAITRESSD_ADMIN", raising=False)
    Path("top").write_text("[server:main]\nuse = egg:waitressd\nthreads = 7\n", encoding="utf-8")
    assert main(["top"]) == 2
    assert "(to serve the file top, write file+ini:top)" in capsys.readouterr().err
    assert main(["--print-config", "file+ini:top"]) == 0
    assert main(["file+ini:top", "--print-config"]) == 0
    assert capsys.readouterr().out.count("threads = 7") == 2


def test_a_word_with_a_colon_is_an_application(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-config", "top:app"]) == 1
    assert "top:app: there is no module top" in capsys.readouterr().err
    assert main(["top:app"]) == 1
    assert "there is no module top" in capsys.readouterr().err


def test_who_converts_imports_nothing_of_the_server() -> None:
    found = modules("convert", "--", "gunicorn", "shop:app")
    assert layers(found) - {"version", "firstuse"} <= {
        "entry",
        "convert",
        "tools",
        "config",
        "kinds",
        "wording",
        "standardstreams",
        "http",
    }
    assert "waitressd.tools.client" not in found
    assert not {
        name for name in modules("ready", "--timeout=0.1", "127.0.0.1:1") if name.startswith("waitressd.convert")
    }
