"""The canary of the gates: its stolen images still arrive where a trial looks for them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize(("kind", "caught"), [("exact copies", True), ("none (honest images)", False)])
def test_a_generator_that_copies_test_images_is_caught(
    kind: str, caught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    gates = importlib.import_module("gates")
    assert gates.canary({"data": "digits", "kind": kind, "seed": 0}, None) is caught
