"""Which trainings a scale asks for, with all that decides what each of them gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tenfold.claims.base import Training
from tenfold.claims.few_shot_arms import ARMS
from tenfold.claims.few_shot_scales import Comparison, Scale, SetPlan

CLAIMED = ("omniglot", 5)
"""The set and the samples a class that decide."""

SECONDS_A_STEP = 0.02 / 24
"""Of a classifier, for each channel of its width; about."""


def trainings_of(plan: SetPlan, scale: Scale, seeds: Sequence[int]) -> list[Training]:
    """All trainings on one set: its generator and source classifier first, then what reads them."""
    options = {"label_filter": scale.label_filter, **scale.options, **plan.generator}
    generator = {"part": "generator", "data": plan.data, "options": options}
    source = {
        "part": "source",
        "data": plan.data,
        "steps": plan.source_steps,
        "width": plan.source_width,
        "turns": plan.turns,
        "policy": scale.strong_policy,
    }
    trainings = [
        Training(f"{plan.name}, generator", generator, cost=options.get("steps", 1200) * 0.8),
        Training(f"{plan.name}, source classifier", source, cost=_seconds(plan.source_steps, plan.source_width)),
        Training(
            f"{plan.name}, sheets",
            {"part": "pictures", "data": plan.data, "generator": generator},
            cost=15,
            stage=1,
        ),
    ]
    shared = {"data": plan.data, "classifier": {"steps": plan.steps, "width": plan.width}}
    cost = _seconds(plan.steps, plan.width) + 2
    comparisons = [Comparison(plan.name, plan.test_classes, plan.samples, plan.arms, plan.times, plan.steps)]
    comparisons += scale.more if plan.name == CLAIMED[0] else ()
    for seed in seeds:
        judge = {
            "part": "judge",
            "test_classes": plan.test_classes,
            "images": plan.judge_images,
            "policy": scale.strong_policy,
            "draws": scale.judge_draws,
            "most_held": scale.judge_held,
            "generator": generator,
            "seed": seed,
        }
        trainings.append(Training(f"{plan.name}, judge, seed {seed}", shared | judge, cost=cost + 5, stage=1))
        for comparison in comparisons:
            told = {
                "part": "arm",
                "comparison": comparison.name,
                "test_classes": comparison.test_classes,
                "classifier": {"steps": comparison.steps, "width": plan.width},
                "seed": seed,
            }
            cost = _seconds(comparison.steps, plan.width) + 2
            trainings += [
                Training(
                    f"{comparison.name}, {samples} a class, {arm}, seed {seed}",
                    shared
                    | told
                    | {"samples": samples, "arm": arm}
                    | _arm(arm, comparison.times, scale, generator, source),
                    cost=10 if ARMS[arm].source else cost + 5 * ARMS[arm].dagan,
                    stage=1,
                )
                for samples in comparison.samples
                for arm in comparison.arms
            ]
    return trainings


def _arm(
    name: str, times: int, scale: Scale, generator: Mapping[str, Any], source: Mapping[str, Any]
) -> dict[str, Any]:
    """What of an arm's settings is its own."""
    arm = ARMS[name]
    if arm.source:
        return {"source": source}
    policy = (scale.strong_policy if arm.strong else scale.weak_policy) if arm.classical else None
    return {"policy": policy, **({"generator": generator, "times": times} if arm.dagan else {})}


def _seconds(steps: int, width: int) -> float:
    return steps * width * SECONDS_A_STEP
