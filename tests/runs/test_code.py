from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tenfold
from tenfold.runs import code
from tenfold.runs.code import code_of

FILES = {
    "__init__": "version = 1",
    "training/__init__": "",
    "training/loop": "from tenfold.core.keys import Key\nfrom tenfold.core.progress import note\nRATE = 0.1",
    "training/other": "from tenfold.training import loop\nx = 1",
    "core/__init__": "",
    "core/keys": "class Key:\n    path: str",
    "core/progress": "def note(): ...",
    "methods/__init__": "def make(): ...",
    "methods/mixup": "from tenfold import methods",
    "runs/__init__": "class Job: ...",
    "runs/trial": (
        "from typing import TYPE_CHECKING\nimport numpy\n"
        "if TYPE_CHECKING:\n    from tenfold.training.other import x\n"
        "def run(config, context):\n    from tenfold.training import loop\n    return loop.RATE"
    ),
}


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small tenfold, in which files can be changed."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(tenfold, "__file__", str(tmp_path / "__init__.py"))
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for kept in (code_of, code._read, code._file_of):
        kept.cache_clear()


def code_after(path: Path, text: str, *modules: str) -> str:
    path.write_text(text)
    forget()
    return code_of("tenfold.runs.trial:run", modules)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("training/loop", FILES["training/loop"] + "  # a comment"),
        ("training/loop", '"""A docstring."""\n\n\n' + FILES["training/loop"]),
        ("training/loop", FILES["training/loop"].replace("0.1", "(\n    0.1\n)")),
        ("core/keys", 'class Key:\n    """Of draws."""\n\n    path: str\n    """Its name."""'),
        ("core/progress", "def note(): return 1"),
        ("training/other", "x = 2"),
        ("methods/new", "STEPS = 100"),
        ("runs/__init__", "class Job: hash = 1"),
        ("__init__", "version = 2"),
    ],
)
def test_what_changes_no_result_leaves_finished_work_as_it_is(house: Path, name: str, text: str) -> None:
    assert code_after(house / f"{name}.py", text) == code_of("tenfold.runs.trial:run")
    before = code_after(house / f"{name}.py", FILES.get(name, ""))
    assert code_after(house / f"{name}.py", text) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("training/loop", FILES["training/loop"].replace("0.1", "0.2")),
        ("core/keys", "class Key:\n    path: str\n    seed: int"),
        ("runs/trial", FILES["runs/trial"].replace("loop.RATE", "2 * loop.RATE")),
    ],
)
def test_a_constant_of_what_is_imported_at_any_depth_counts(house: Path, name: str, text: str) -> None:
    before = code_of("tenfold.runs.trial:run")
    assert code_after(house / f"{name}.py", text) != before


def test_methods_that_a_configuration_names_count_where_they_are_named(house: Path) -> None:
    mixup = "tenfold.methods.mixup"
    without, with_it = code_of("tenfold.runs.trial:run"), code_of("tenfold.runs.trial:run", (mixup,))
    assert without != with_it
    assert code_after(house / "methods/mixup.py", "from tenfold import methods\nALPHA = 1", mixup) != with_it
    assert code_of("tenfold.runs.trial:run") == without
    before = code_of("tenfold.runs.trial:run", (mixup,))
    assert code_after(house / "methods/__init__.py", "def make(): return 1", mixup) != before


def test_a_module_that_is_not_there_is_told() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"tenfold\.methods\.gone"):
        code_of("tenfold.runs.trial:run", ("tenfold.methods.gone",))
