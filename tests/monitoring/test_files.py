"""The alerts and the board of the manual are what Prometheus and Grafana take."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

HERE: Final = Path(__file__).parent
FILES: Final = HERE.parent.parent / "docs" / "monitoring"
PROMTOOL: Final = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus)")


def promtool(*arguments: str | Path) -> None:
    assert PROMTOOL is not None
    run = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
    return found


def expressions() -> Iterator[str]:
    """Yield what the panels of the board ask for."""
    for panel in board()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


@needs_promtool
def test_the_alerts_are_rules() -> None:
    promtool("check", "rules", FILES / "alerts.yml")


@needs_promtool
def test_the_alerts_speak_when_they_should(tmp_path: Path) -> None:
    for file in (FILES / "alerts.yml", HERE / "alerts-test.yml"):
        shutil.copy(file, tmp_path)
    promtool("test", "rules", tmp_path / "alerts-test.yml")


def test_every_alert_has_a_test() -> None:
    rules, tests = (file.read_text(encoding="utf-8") for file in (FILES / "alerts.yml", HERE / "alerts-test.yml"))
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) == len(set(alerts)) >= 10
    spoken = set(re.findall(r"eval_time: \S+\n +alertname: (\w+)\n +exp_alerts:\n", tests))
    assert spoken == set(alerts)


@needs_promtool
def test_what_the_board_asks_for_can_be_asked(tmp_path: Path) -> None:
    lines = ["groups:", "  - name: board", "    rules:"]
    for number, expression in enumerate(expressions()):
        for name, value in (("$__rate_interval", "5m"), ("$job", "shop"), ("$instance", ".+")):
            expression = expression.replace(name, value)  # noqa: PLW2901 - as Grafana does
        assert "$" not in expression
        lines += [f"      - record: board:{number}", f"        expr: {json.dumps(expression)}"]
    rules = tmp_path / "board.yml"
    rules.write_text("\n".join(lines) + "\n", encoding="utf-8")
    promtool("check", "rules", rules)


def test_the_board_is_for_any_source_job_and_instance() -> None:
    names = [variable["name"] for variable in board()["templating"]["list"]]
    assert names == ["datasource", "job", "instance"]
    for panel in board()["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            selectors = re.findall(r"(?:waitressd|http_server|process)_\w+(\S*)", target["expr"])
            assert selectors
            assert all(each.startswith('{job="$job",') for each in selectors), target["expr"]
            assert target["expr"].count('instance=~"$instance"') == len(selectors)


def test_panels_have_a_place_and_a_name_of_their_own() -> None:
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert len(set(titles)) == len(titles) >= 20
    cells: Counter[tuple[int, int]] = Counter()
    for place in (panel["gridPos"] for panel in panels):
        assert place["x"] + place["w"] <= 24
        rows, columns = range(place["y"], place["y"] + place["h"]), range(place["x"], place["x"] + place["w"])
        cells.update((x, y) for y in rows for x in columns)
    assert max(cells.values()) == 1
