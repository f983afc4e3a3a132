"""What the new images are like: each diagnostic figure in the words of the page, which stand in diagnostics.toml."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tenfold.evaluation import ArmResult, Verdict

FORMS: Mapping[str, Callable[[float], str]] = {
    "share": lambda value: f"{100 * value:.1f} %",
    "number": lambda value: f"{value:.2f}".replace("-", "−"),
    "count": lambda value: f"{value:,.0f}",
    "small": lambda value: f"{value:.3g}".replace("-", "−"),
}


@dataclass(frozen=True)
class Figure:
    """A diagnostic and what stands beside it for comparison."""

    key: str
    name: str
    explanation: str
    form: str
    """Of `FORMS`."""
    beside: str = ""
    """Key of the same figure for real images."""
    beside_name: str = ""


@dataclass(frozen=True)
class ShownFigure:
    """One row of the page's table."""

    figure: Figure
    values: tuple[tuple[str, str], ...]
    """One an arm: the figure, and what stands beside it; empty where there is none."""


def diagnosed(verdict: Verdict) -> tuple[ArmResult, ...]:
    """The arms whose new images were looked at."""
    return tuple(arm for arm in verdict.arms if any(_has(arm.diagnostics, figure.key) for figure in _figures()))


def figures_of(arms: Sequence[ArmResult]) -> tuple[ShownFigure, ...]:
    """The figures that at least one of the arms has."""
    return tuple(
        ShownFigure(figure, tuple(_value(figure, arm.diagnostics) for arm in arms))
        for figure in _figures()
        if any(_has(arm.diagnostics, figure.key) for arm in arms)
    )


@cache
def _figures() -> tuple[Figure, ...]:
    told = tomllib.loads((files("tenfold.report") / "diagnostics.toml").read_text("utf-8"))
    return tuple(Figure(**figure) for figure in told["figure"])


def _value(figure: Figure, diagnostics: Mapping[str, float]) -> tuple[str, str]:
    if not _has(diagnostics, figure.key):
        return "–", ""
    form, beside = FORMS[figure.form], ""
    if _has(diagnostics, figure.beside):
        beside = f"{figure.beside_name} {form(diagnostics[figure.beside])}"
    return form(diagnostics[figure.key]), beside


def _has(diagnostics: Mapping[str, float], key: str) -> bool:
    return key in diagnostics and math.isfinite(diagnostics[key])
