"""What must answer at once loads nothing heavy. import-linter sees what a file imports; this sees when."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys

import pytest

import tenfold.cli
import tenfold.core
import tenfold.report

HEAVY = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "PIL")
"""Of these `tenfold --help` loads none; `core` and `report` may use all but torch."""


def _loaded_by(program: str) -> list[str]:
    ending = f"import sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", f"{program}\n{ending}"], check=True, capture_output=True, text=True)
    return ran.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", ")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_answers_at_once(arguments: list[str]) -> None:
    program = f"""
import sys
from tenfold.cli import main
sys.argv = ["tenfold", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code"""
    before = os.times()
    assert _loaded_by(program) == [""]
    after = os.times()
    computed = after.children_user + after.children_system - before.children_user - before.children_system
    assert computed < 1, "the goal is 0.3 s; this allows for a slow machine, and a busy one adds nothing"


@pytest.mark.parametrize("package", [tenfold.cli, tenfold.core, tenfold.report], ids=lambda p: p.__name__)
def test_torch_is_not_loaded_by(package: object) -> None:
    modules = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    assert modules
    assert "torch" not in _loaded_by("\n".join(f"import {name}" for name in modules))


def test_the_public_transforms_are_an_attribute() -> None:
    assert _loaded_by("import tenfold; assert tenfold.transforms.__name__ == 'tenfold.transforms'")[0] == "torch"


def test_the_public_api_is_there_without_loading_it() -> None:
    assert _loaded_by("import tenfold; assert {'load', 'check', 'prove', 'grow', 'run'} <= set(tenfold.__all__)") == [
        ""
    ]
