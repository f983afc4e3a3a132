"""`tenfold adapt` with its verbs replaced: what reaches them, and which of them."""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenfold.cli import main
from tenfold.core.options import AdaptOptions, MergeOptions

Ran = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tenfold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ran:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tenfold", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    calls: dict[str, Any] = {}
    for module, name in (("adapt", "adapt"), ("adapt", "adapt_forecast"), ("merge", "merge")):

        def verb(*arguments: Any, name: str = name, **options: Any) -> Any:
            calls[name] = (arguments, options)
            return types.SimpleNamespace(text=f"{name} text", to_json=lambda: {"verb": name})

        monkeypatch.setattr(importlib.import_module(f"tenfold.verbs.{module}"), name, verb)
    return calls


def test_sources_target_and_documented_defaults_reach_the_verb(tenfold: Ran, seen: dict[str, Any]) -> None:
    assert tenfold("adapt", "one", "two", "--to", "mine")[:2] == (0, "adapt text\n")
    assert seen["adapt"] == ((["one", "two"], "mine", AdaptOptions()), {"out": None, "workers": None})
    some = "--to mine --test sealed --reframe no --steps 50 --confidence 0.5"
    more = "--seed 3 --size 16 --per-class 9 --out there --workers 1 --json"
    status, out, _ = tenfold("adapt", "one", *some.split(), *more.split())
    assert (status, json.loads(out)) == (0, {"verb": "adapt"})
    options = AdaptOptions(test="sealed", reframe="no", steps=50, seed=3, size=16, per_class=9, confidence=0.5)
    assert seen["adapt"] == ((["one"], "mine", options), {"out": Path("there"), "workers": 1})


def test_a_dry_run_only_tells(tenfold: Ran, seen: dict[str, Any]) -> None:
    assert tenfold("adapt", "one", "--to", "mine", "--dry-run")[:2] == (0, "adapt_forecast text\n")
    assert seen == {"adapt_forecast": ((["one"], "mine", AdaptOptions()), {"workers": None})}


def test_without_a_target_the_sources_are_merged(tenfold: Ran, seen: dict[str, Any]) -> None:
    assert tenfold("adapt", "one", "two", "--seed", "5")[:2] == (0, "merge text\n")
    assert seen == {"merge": ((["one", "two"], MergeOptions(seed=5)), {"out": None, "workers": None})}
    for option in (("--test", "sealed"), ("--dry-run",)):
        status, _, err = tenfold("adapt", "one", "two", *option)
        assert status == 2
        assert "need a target: tenfold adapt SOURCE... --to TARGET" in err
