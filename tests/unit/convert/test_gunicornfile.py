"""Files of gunicorn are read from their syntax, and nothing of them is run."""

from pathlib import Path

from waitressd.convert import gunicornfile
from waitressd.convert.model import Sketch, Verdict


def sketch(text: str) -> Sketch:
    return gunicornfile.convert("g.py", text)


def left(text: str) -> dict[str, str]:
    return {item.name: why for verdict, item, why in sketch(text).left if verdict is not Verdict.NEEDLESS}


def test_nothing_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = f"open({str(trap)!r}, 'w')\nworkers = open({str(trap)!r}, 'w').write('3') or 3\n"
    assert "workers" in left(text)
    assert not trap.exists()


def test_the_last_assignment_counts() -> None:
    lines = sketch("threads = 2\nthreads: int = 3\nthreads = backlog = 4\n").lines
    assert (lines["threads"].example, lines["backlog"].example) == ("4", "4")


def test_a_name_that_changes_in_between_has_no_value() -> None:
    found = left("a = 1\nif x:\n    a = 2\nthreads = a\n")
    assert found["threads"].startswith("computed")
    assert left("n = 1\nn += 1\nbacklog = n\n")["backlog"].startswith("computed")
    assert left("backlog = 1\nbacklog += 1\n")["backlog"].startswith("computed")


def test_a_condition_is_not_looked_at() -> None:
    assert left("if x:\n    threads = 3\n")["threads"].startswith("it depends")
    assert left("for threads in (1, 2):\n    pass\n")["threads"].startswith("it depends")
    assert left("with x as backlog:\n    pass\n")["backlog"].startswith("it depends")


def test_other_code_is_named_and_helpers_are_not() -> None:
    found = left("import os\n'text'\nx = 1\ny: int\ndef f(): pass\nclass A: pass\npass\nprint(1)\ndel x\n")
    assert [name for name in found if name.startswith("line")] == ["line 8", "line 9"]


def test_values_of_the_wrong_kind_stay_comments() -> None:
    found = left("bind = {'a': 1}\nthreads = [[1]]\nbacklog = cpu_count()\nworkers = 1.5\nkeyfile = 'a\\nb'\n")
    assert set(found) == {"bind", "threads", "backlog", "workers", "keyfile"}
    assert "made of the number of processors" in found["backlog"]
    assert found["keyfile"] == "tls_key does not take this: a value is one line"


def test_none_is_what_is_not_set() -> None:
    assert "bind" not in left("bind = None\n")
    assert sketch("bind = None\n").lines["listen"].example == "127.0.0.1:8000"


def test_what_is_recognised() -> None:
    assert gunicornfile.looks_like_it("bind = 'a'")
    assert gunicornfile.looks_like_it("if x:\n  workers = 3")
    assert gunicornfile.looks_like_it("def post_fork(server, worker): pass")
    assert not gunicornfile.looks_like_it("a = 1")
    assert not gunicornfile.looks_like_it("bind = = 1")
    assert not gunicornfile.looks_like_it("(" * 1000)
