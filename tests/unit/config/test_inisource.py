"""The target of our own command: sections by name, any loader of plaster, the application."""

from pathlib import Path
from typing import Any

import pytest

from waitressd.config.errors import ConfigError
from waitressd.config.inifile import ServerSection
from waitressd.config.inisource import IniSource

OUTER = """\
[DEFAULT]
http_port = 8080
[server:main]
use = egg:waitressd#main
listen =
    127.0.0.1:%(http_port)s
    [::1]:%(http_port)s
[server:second]
use = main
threads = 5
[server:hidden]
use = egg:waitressd
threads = 3
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "outer.ini").write_text(OUTER, encoding="utf-8")
    return str(tmp_path / "outer.ini")


def values(section: ServerSection) -> dict[str, object]:
    return {name: item.value for name, item in section.given.items()}


def test_a_source_names_its_sections_by_the_fragment_of_the_uri(path: str) -> None:
    assert values(IniSource(f"{path}#hidden", {}).server_section("")) == {"threads": "3"}
    assert values(IniSource(f"{path}#hidden", {}).server_section("second"))["threads"] == "5"
    assert values(IniSource(f"{path}?http_port=1", {}).server_section(""))["listen"] == "\n127.0.0.1:1\n[::1]:1"


def test_a_source_may_be_another_loader_of_plaster(path: str) -> None:
    """The loader of plaster_pastedeploy is asked by a scheme of its own; an unknown scheme is refused."""
    source = IniSource(f"pastedeploy+ini://{path}", {})
    assert values(source.server_section("hidden")) == {"threads": "3"}
    with pytest.raises(ConfigError, match="Could not find a matching loader"):
        IniSource("nothing://a", {})


def test_the_application_comes_from_the_file(path: str) -> None:
    text = OUTER + "[app:main]\nuse = call:tests.support.configapp:factory\nport = %(http_port)s\n"
    Path(path).write_text(text, encoding="utf-8")
    from tests.support import configapp

    configapp.loaded.clear()
    application: Any = IniSource(path, {"http_port": "9"}).load_application("")
    assert callable(application)
    assert configapp.loaded == [{"port": "9"}]


LOADER = """\
class Loader:
    def __init__(self, uri):
        self.uri = uri

    def get_settings(self, section, defaults):
        return {"server:main": {"threads": "7"}, "server:other": {"use": "egg:gunicorn"}}[section]

    def setup_logging(self, defaults):
        self.logging = defaults

    def get_wsgi_app(self, name, defaults):
        return [name, defaults["color"]]
"""


def test_any_loader_of_plaster_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shoploader.py").write_text(LOADER, encoding="utf-8")
    metadata = tmp_path / "shoploader-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shoploader\nVersion: 1\n", encoding="utf-8")
    entry = "shop = shoploader:Loader\n"
    (metadata / "entry_points.txt").write_text(
        f"[plaster.loader_factory]\n{entry}[plaster.wsgi_loader_factory]\n{entry}", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    source = IniSource("shop://somewhere", {"color": "blue"})
    section = source.server_section("")
    assert section.check().threads == 7
    assert section.given["threads"].origin.place == "shop://somewhere [server:main]"
    assert source.load_application("") == ["main", "blue"]
    assert source.logging_problems() == []
    source.setup_logging()
    with pytest.raises(ConfigError, match="egg:gunicorn: this names another server"):
        source.server_section("other")
