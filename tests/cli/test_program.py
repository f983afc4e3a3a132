"""Commands made from options types: what their help says, what reaches the function, what is printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from tenfold.cli.program import Answer, from_options
from tenfold.core.configuration import Option, Options
from tenfold.core.options import Classes
from tenfold.core.progress import parse_duration


@dataclass(frozen=True, kw_only=True)
class Base(Options):
    seed: Annotated[int, Option("Names every draw.", "NUMBER", min=0)] = 0


@dataclass(frozen=True, kw_only=True)
class Some(Base):
    method: Annotated[str, Option("What makes them.", "METHOD", flag="--with")]
    learning_curve: Annotated[bool, Option("Train on less.", flag="--learning-curve/--no-learning-curve")] = True
    budget: Annotated[float | None, Option("How long.", "TIME", reads=parse_duration)] = None
    classes: Classes = ()


Data = Annotated[str, typer.Argument(metavar="DATA")]


@pytest.fixture
def call() -> Callable[..., Any]:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    @app.command()
    @from_options
    def make(data: Data, options: Some, out: Annotated[str, typer.Option()] = "here") -> Answer:
        """Make some."""
        return {"data": data, "out": out, **options.to_json()}, f"made of {data}"

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, list(words))

    return run


def test_defaults_and_what_is_typed_reach_the_function(call: Any) -> None:
    document = json.loads(call("cells", "--with", "cgan", "--json").stdout)
    assert document == {
        "data": "cells", "out": "here", "seed": 0, "method": "cgan", "learning_curve": True, "budget": None,
        "classes": [],
    }  # fmt: skip
    typed = "cells --with dcgan --no-learning-curve --budget 1m --class a --class b --seed 3 --out there"
    assert json.loads(call(*typed.split(), "--json").stdout) == {
        "data": "cells", "out": "there", "seed": 3, "method": "dcgan", "learning_curve": False, "budget": 60.0,
        "classes": ["a", "b"],
    }  # fmt: skip
    assert call("cells", "--with", "cgan").stdout == "made of cells\n"


def test_help_comes_from_the_options_their_own_before_inherited_ones(call: Any) -> None:
    result = call("--help").stdout
    assert "Make some." in result
    assert "What makes them." in result
    assert "--with METHOD" in result
    assert result.index("--with") < result.index("--seed")
    assert "[default: 0; x>=0]" in " ".join(result.split())
    assert "exchange" not in result


def test_old_flags_are_hidden_and_still_count(call: Any) -> None:
    result = call("cells", "--with", "cgan", "--no-exchange", "--json")
    assert json.loads(result.stdout)["learning_curve"] is False
    assert result.stderr == "warning: --exchange is now called --learning-curve\n"
