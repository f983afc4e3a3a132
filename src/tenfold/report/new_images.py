"""What the new images are like: each diagnostic figure in the words of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tenfold.evaluation import ArmResult, Verdict


@dataclass(frozen=True)
class Figure:
    """A diagnostic and what stands beside it for comparison."""

    key: str
    name: str
    explanation: str
    form: Callable[[float], str]
    beside: str = ""
    """Key of the same figure for real images."""
    beside_name: str = ""


@dataclass(frozen=True)
class ShownFigure:
    """One row of the page's table."""

    figure: Figure
    values: tuple[tuple[str, str], ...]
    """One an arm: the figure, and what stands beside it; empty where there is none."""


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _small(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


FIGURES = (
    Figure(
        "generated_alone",
        "Taught by new images alone",
        "Balanced accuracy of a classifier that saw no real image, on real ones it had not seen.",
        _share,
        "real_alone",
        "real alone",
    ),
    Figure(
        "kid",
        "Distance from the real images (KID)",
        "0 where new and unseen real images cannot be told apart by the features of our classifier, more the "
        "further they are apart. Chance may put it a little below 0.",
        _small,
    ),
    Figure(
        "kid_imagenet",
        "The same with ImageNet features",
        "KID by the features of a network trained on everyday photographs.",
        _small,
    ),
    Figure("precision", "Look real (precision)", "Share of new images that lie among the real ones.", _share),
    Figure(
        "density",
        "Look real (density)",
        "How densely real images surround the new ones: about 1 as among real images, 0 far from all, above 1 where "
        "the new ones crowd around what real images have in common.",
        _number,
    ),
    Figure(
        "recall",
        "Variety (recall)",
        "Share of the real images that lie among the new ones: low where only a few kinds are made.",
        _share,
    ),
    Figure("coverage", "Variety (coverage)", "Share of the real images with a new one close by.", _share),
    Figure(
        "diversity",
        "Variety within a class",
        "How widely the new images of a class are spread, beside the real ones: 1 as widely, 0 all alike.",
        _number,
    ),
    Figure(
        "near_copies",
        "Near copies",
        "Share of new images that lie nearer to a training image than 99 % of unseen real images do.",
        _share,
        "heldout_near_copies",
        "unseen real",
    ),
    Figure("drawn", "Drawn in all", "New images in all trials together, before any was thrown away.", _count),
    Figure(
        "rejected_wrong_label",
        "Thrown away: not recognised",
        "Share of those drawn with whose label a classifier of the same real images did not agree.",
        _share,
    ),
    Figure(
        "rejected_near_copies",
        "Thrown away: near copies",
        "Share of those drawn that lie as near to a training image as hardly any two of these do to one another.",
        _share,
    ),
    Figure(
        "distance_ratio",
        "Distance to the nearest training image",
        "As a multiple of that of unseen real images: about 1 for new images, near 0 for copies.",
        _number,
    ),
)


def inspected(verdict: Verdict) -> tuple[ArmResult, ...]:
    """The arms whose new images were looked at."""
    return tuple(arm for arm in verdict.arms if any(_has(arm.diagnostics, figure.key) for figure in FIGURES))


def figures_of(arms: tuple[ArmResult, ...]) -> tuple[ShownFigure, ...]:
    """The figures that at least one of the arms has."""
    return tuple(
        ShownFigure(figure, tuple(_value(figure, arm.diagnostics) for arm in arms))
        for figure in FIGURES
        if any(_has(arm.diagnostics, figure.key) for arm in arms)
    )


def _value(figure: Figure, diagnostics: Mapping[str, float]) -> tuple[str, str]:
    if not _has(diagnostics, figure.key):
        return "–", ""
    beside = ""
    if _has(diagnostics, figure.beside):
        beside = f"{figure.beside_name} {figure.form(diagnostics[figure.beside])}"
    return figure.form(diagnostics[figure.key]), beside


def _has(diagnostics: Mapping[str, float], key: str) -> bool:
    return key in diagnostics and math.isfinite(diagnostics[key])
