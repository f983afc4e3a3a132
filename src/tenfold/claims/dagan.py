"""DAGAN on classes it never saw: an article's 82.1 % with it and 69.0 % without, at 5 samples a class of Omniglot.

A generator learns from source classes how images of one class differ; it makes new images of the few samples of other
classes, and a classifier of those reads both. The same on faces and letters, with the arms that the article lacks:
a strong augmentation, and the source classes used in the plain way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from tenfold.claims import base
from tenfold.claims.base import Finished, Found, TheySay, Training
from tenfold.claims.few_shot_arms import ARMS, train_arm, train_judge
from tenfold.claims.few_shot_found import OMNIGLOT, PUBLISHED, accuracies, comparison_tables, judge_tables, pictures
from tenfold.claims.few_shot_generator import sheets, train_generator
from tenfold.claims.few_shot_scales import FULL, QUICK, Scale
from tenfold.claims.few_shot_source import train_source_classifier
from tenfold.claims.few_shot_trainings import CLAIMED, trainings_of
from tenfold.evaluation.external_test import mean_interval, next_value_interval

TRAIN = {
    "generator": train_generator,
    "source": train_source_classifier,
    "arm": train_arm,
    "judge": train_judge,
    "pictures": sheets,
}


@final
class Claim(base.Claim):
    sentence = (
        "With new images from DAGAN a classifier of 211 unseen Omniglot characters, 5 drawings of each, gains "
        "13.1 points of test accuracy over classical augmentation alone."
    )
    source = (
        "Antoniou, Storkey and Edwards 2017, Data Augmentation Generative Adversarial Networks. One figure a "
        "setting, without an interval; the code of the classifiers was not published."
    )
    they_say = TheySay(
        "82.1 % with DAGAN, 69.0 % without",
        {"with DAGAN": OMNIGLOT[5][1], "without": OMNIGLOT[5][0]},
        round(OMNIGLOT[5][1] - OMNIGLOT[5][0], 6),
    )
    seeds = 5
    quick_seeds = 2
    helpers = ("few_shot_sets", "few_shot_generator", "few_shot_source", "few_shot_arms")

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = _scale(quick)
        told: dict[str, Any] = {
            plan.name: f"classes {plan.classes[0]:,} to train on, {plan.classes[1]} to choose settings by, "
            f"{plan.classes[2]} unseen, {plan.test_classes} of them told apart; {plan.size} x {plan.size} pixels; "
            f"classifier of width {plan.width}, {plan.steps:,} steps; dagan"
            f"{_words({**scale.options, **plan.generator})}; {plan.times} new images a real one; source "
            f"classifier of width {plan.source_width}, {plan.source_steps:,} steps"
            + (f", each class also turned to {plan.turns} sides" if plan.turns > 1 else "")
            for plan in scale.sets
        }
        return told | {
            "generator": "tenfold's dagan in its default preset unless options are named; one of each set, trained "
            "on the source classes alone"
            + (
                "; a classifier of the samples must agree with the label of an image"
                if scale.label_filter
                else "; no image is thrown away for its label, near copies of a sample are"
            ),
            "arms": ", ".join(ARMS),
            "classical": f"policy {scale.weak_policy}, no flips; strong: policy {scale.strong_policy}, no flips",
            "classifier": "one network, the same first weights and batches for all arms of a draw; no image is held "
            "back, and the weights of the last steps are averaged",
            "linear head": "linear discriminant analysis with a shrunk covariance, on the square roots of features, "
            "scaled to length 1",
            "a seed": "a draw of the samples; all other images of the unseen classes serve for accuracy alone "
            "(of the letters, their own test images)",
            "judge": f"trained on many real images; {scale.judge_draws} new images of each held-out real one",
        }

    def trainings(self, seeds: Sequence[int], quick: bool) -> list[Training]:
        scale = _scale(quick)
        return [training for plan in scale.sets for training in trainings_of(plan, scale, seeds)]

    def train(self, settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
        return TRAIN[settings["part"]](settings, files)

    def judge(self, finished: Sequence[Finished]) -> Found:
        by_comparison = {name: accuracies(finished, name) for name in PUBLISHED}
        of = by_comparison[CLAIMED[0]][CLAIMED[1]]
        plain, grown = of["classical"], of["classical + dagan"]
        gains = (grown - plain).tolist()
        claimed = next(one for one in finished if _decides(one))
        tables = [table for name, found in by_comparison.items() if found for table in comparison_tables(name, found)]
        seconds = {
            part: round(sum(one.seconds for one in finished if one.settings["part"] == part))
            for part in ("generator", "source")
        }
        return Found(
            effect=mean_interval(gains),
            meaning="over draws of the samples, with one generator",
            values={"with DAGAN": float(grown.mean()), "without": float(plain.mean())},
            sentence=f"{100 * grown.mean():.1f} % with DAGAN, {100 * plain.mean():.1f} % without",
            samples={
                "unseen_classes": claimed.result["classes"],
                "training_images": claimed.result["training_images"],
                "test_images": claimed.result["test_images"],
                "draws_of_the_samples": len(gains),
                "seconds_of_generators": seconds["generator"],
                "seconds_of_source_classifiers": seconds["source"],
            },
            tables=[*tables, *judge_tables(finished)],
            other_intervals={"where a single draw would fall": next_value_interval(gains)},
            notes=(
                "The interval that decides is Student's over draws of the samples: each has its own training and "
                "test images, and all share one generator, so that it does not speak of other generators.",
                "Whether the new images are worth having is said by the last column of the differences: against the "
                "better of both classical augmentations, and not against the one that the article took.",
            ),
            pictures=pictures(finished),
        )


def _scale(quick: bool) -> Scale:
    return QUICK if quick else FULL


def _decides(one: Finished) -> bool:
    told = one.settings
    return told["part"] == "arm" and (told["comparison"], told["samples"]) == CLAIMED


def _words(options: Mapping[str, Any]) -> str:
    """The options in brackets, if any."""
    return f"({', '.join(f'{name}={value}' for name, value in options.items())})" if options else ""
