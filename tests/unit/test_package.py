"""The public names of the package."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import waitressd

ROOT: Final = Path(__file__).parent.parent.parent


def test_every_public_name_can_be_had() -> None:
    for name in waitressd.__all__:
        assert getattr(waitressd, name) is not None
    assert dir(waitressd) == sorted(waitressd.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'waitressd' has no attribute 'sevre'"):
        getattr(waitressd, "sevre")  # noqa: B009 - a checker would see through the plain form


def test_the_serving_core_imports_the_standard_library_alone() -> None:
    """Promise 7, with the interpreter as the witness: what serving needs is loaded, and nothing of others."""
    code = (
        "import sys, waitressd; waitressd.serve, waitressd.create_server, waitressd.Adjustments\n"
        "tops = {name.split('.')[0] for name, module in sys.modules.items() if getattr(module, '__file__', None)}\n"
        "print(sorted(tops - sys.stdlib_module_names - {'waitressd', '__main__', 'sitecustomize', 'a1_coverage'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = {name for name in eval(run.stdout) if not name.startswith(("_", "coverage", "distutils"))}
    assert foreign == set()


def test_http_can_be_had_without_the_server() -> None:
    code = (
        "import sys, waitressd.http.connection\n"
        "print([name for name in ('socket', 'threading', 'waitressd.server', 'logging') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout == "[]\n"
