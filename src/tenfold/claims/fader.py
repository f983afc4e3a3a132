"""Restyling MNIST: an article's loss, which it shows by pictures alone, and one that can be measured.

The article tells style from label by an autoencoder whose code a reader of labels is kept from, and shows digits in
the style of others. It gives no figure. Here an independent classifier reads the new digits, a fresh probe looks for
the label in the code, and classifiers are trained with what was painted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from tenfold.claims import base
from tenfold.claims.base import Figure, Finished, Found, Picture, Table, TheySay, Training, mean_figure, recognised
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.evaluation.external_test import mean_interval
from tenfold.generators.gates import styles_by_classes
from tenfold.methods import make_method
from tenfold.methods.restyle import Method
from tenfold.report.preview_sheet import preview_png
from tenfold.report.style_grid import style_grid
from tenfold.runs.arms import parse_component
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe

PRESETS = {"the article's loss": "article", "tenfold's": "fast"}
CLASSICAL = "classical(policy=standard,flips=no)"
RESTYLE = "restyle(least_swap_accuracy=0)"
ARMS = {"raw": "raw", "classical": CLASSICAL, "classical + restyle": f"{CLASSICAL}+{RESTYLE}"}
CONTRASTS = (("classical", "raw"), ("classical + restyle", "classical"))
USED_FROM = 0.85
"""Swap accuracy from which tenfold uses restyled pictures."""


@dataclass(frozen=True)
class Scale:
    """How much is trained."""

    images: int
    """For the gates, a fifth of them held out."""
    steps: int | None
    """Of each network; None is what they take by themselves."""
    few: tuple[int, ...]
    """Images a class for the classifiers."""


FULL = Scale(images=5000, steps=None, few=(10, 50))
QUICK = Scale(images=500, steps=100, few=(10,))


@final
class Claim(base.Claim):
    sentence = (
        "An autoencoder trained on its error minus the loss of a reader that guesses labels from its code paints "
        "each digit of MNIST as every other one, in its own style."
    )
    source = (
        "An article on restyling digits, after Lample et al. 2017 (Fader Networks), who had people judge faces. The "
        "article reports pictures and no figure."
    )
    they_say = TheySay(
        "pictures that show the new digit, without a figure (taken for it: 85 % read as the new digit, from where "
        "tenfold uses such pictures, and 10 % by chance)",
        {"read as the new digit": USED_FROM, "by chance": 0.1},
        USED_FROM - 0.1,
    )
    seeds = 3
    quick_seeds = 2

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        return asdict(scale) | {
            "few": list(scale.few),
            "steps": scale.steps or "as many as restyle takes",
            "data": "mnist; a fifth of the images held out for the gates; arms are judged on the 10,000 test images",
            "presets": "article: error minus beta (0.1; the article's is not known to us) times the reader's loss, "
            "unbounded code, one step of the reader, dropout 0.2; fast: what `tenfold restyle` takes",
            "judge": "a classifier of the images that the autoencoder learned from, with no part in its training",
            "probe": "a dense network of two hidden layers of 256 units, trained afresh on the codes",
            "arms": ", ".join(ARMS.values()) + ": one new picture for each real one; the gate is left out, so that "
            "there is something to measure",
        }

    def trainings(self, seeds: Sequence[int], quick: bool) -> list[Training]:
        scale = QUICK if quick else FULL
        gates = [
            Training(
                f"gates, {preset}, seed {seed}",
                {"part": "gates", "preset": preset, "seed": seed, "images": scale.images, "steps": scale.steps},
                cost=150 if scale.steps is None else 40,
            )
            for seed in seeds
            for preset in PRESETS.values()
        ]
        arms = [
            Training(
                f"{few} a class, {arm}, seed {seed}",
                {"part": "arms", "arm": arm, "seed": seed, "few": few, "steps": scale.steps},
                cost=80 if arm.endswith("restyle") else 15,
            )
            for few in scale.few
            for seed in seeds
            for arm in ARMS
        ]
        return gates + arms

    def train(self, settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
        key = Key(f"seed-{settings['seed']}") / "fader" / settings["part"]
        if settings["part"] == "gates":
            return _gates(settings, key)
        return _arm(settings, key / settings["few"])

    def judge(self, finished: Sequence[Finished]) -> Found:
        return _judge(finished)


def _gates(settings: Mapping[str, Any], key: Key) -> dict[str, Any]:
    real = load("mnist", images=settings["images"], seed=settings["seed"]).part("train")
    method = make_method("restyle", {"preset": settings["preset"], **_steps(settings["steps"])})
    assert isinstance(method, Method)
    restyler = method.learn(real, key)
    rows, pictures = styles_by_classes(restyler.fader, restyler.looked_at, key / "grid")
    sheet = style_grid(restyler.looked_at, rows, pictures, seen=not restyler.gates.held_out)
    return {"gates": restyler.gates.to_json(), "grid": base.picture_text(preview_png(sheet)), "images": len(real)}


def _arm(settings: Mapping[str, Any], key: Key) -> dict[str, Any]:
    data = load("mnist", per_class=settings["few"], seed=settings["seed"])
    train, test = data.part("train"), data.part("test")
    recipe = _recipe(ARMS[settings["arm"]], settings["steps"], train, key)
    config = classifier_for(train)
    config = replace(config, steps=settings["steps"] or config.steps)
    classifier = train_classifier(train, None, recipe, key / "classifier", config)
    correct = np.asarray(classifier.probabilities(test.images).argmax(1) == test.labels)
    return {
        "accuracy": round(float(correct.mean()), 6),
        "correct": base.packed(correct),
        "test_images": len(test),
        "swap_accuracy": dict(recipe.details).get("gates", {}).get("swap_accuracy"),
    }


def _recipe(arm: str, steps: int | None, train: ImageDataset, key: Key) -> Recipe:
    recipe = Recipe()
    for component in map(parse_component, arm.split("+")):
        options = dict(component.options) | (_steps(steps) if component.method == "restyle" else {})
        recipe = recipe + make_method(component.method, options).fit(train, None, key / component.method)
    return recipe


def _steps(steps: int | None) -> dict[str, Any]:
    return {} if steps is None else dict.fromkeys(("steps", "judge_steps", "probe_steps"), steps)


def _judge(finished: Sequence[Finished]) -> Found:
    gates = {
        name: [one.result["gates"] for one in finished if one.settings.get("preset") == preset]
        for name, preset in PRESETS.items()
    }
    article, ours = ([one["swap_accuracy"] for one in found] for found in gates.values())
    effect, of_ours = (mean_interval([reached - 0.1 for reached in found]) for found in (article, ours))
    figures = {
        "swapped pictures read as the new digit": "swap_accuracy",
        "real pictures read by the same classifier": "judge_accuracy",
        "labels that a fresh probe reads from the code": "probe_accuracy",
        "style correlation (times 100)": "style_correlation",
        "error, of that of the class's mean picture": "relative_error",
    }
    few = sorted({one.settings["few"] for one in finished if one.settings["part"] == "arms"})

    def of_few(arm: str, count: int) -> Any:
        return recognised(finished, part="arms", arm=arm, few=count)

    tables = [
        Table(
            "The gates of an autoencoder, on held-out pictures",
            "%",
            tuple(gates),
            {row: [_figure(found, name) for found in gates.values()] for row, name in figures.items()},
            "Each seed draws images of its own. The probe would reach 10 % by guessing.",
        ),
        Table(
            "As augmentation: test accuracy",
            "%",
            tuple(ARMS),
            {f"{count} images a class": [mean_figure(of_few(arm, count)) for arm in ARMS] for count in few},
            "tenfold's own classifier and loss; all arms of a seed share images, batches and first weights.",
        ),
        Table(
            "As augmentation: differences",
            "points",
            tuple(f"{arm} − {other}" for arm, other in CONTRASTS),
            {
                f"{count} images a class": [
                    mean_figure(of_few(arm, count) - of_few(other, count)) for arm, other in CONTRASTS
                ]
                for count in few
            },
            f"Paired; {len(few) * len(CONTRASTS)} intervals, not corrected for their number.",
        ),
    ]
    swaps = {
        count: [one.result["swap_accuracy"] for one in finished
                if one.settings.get("few") == count and one.result.get("swap_accuracy") is not None]
        for count in few
    }  # fmt: skip
    grids = {one.settings["preset"]: one.result["grid"] for one in reversed(finished) if "grid" in one.result}
    images = next(one.result["images"] for one in finished if one.settings["part"] == "gates")
    return Found(
        effect=effect,
        meaning="the article's loss, over seeds: images, first weights and batches",
        values={"read as the new digit": float(np.mean(article)), "by chance": 0.1},
        sentence=f"{_percent(article)} of the pictures made with its loss are read as the new digit",
        samples={"images": images, "swaps": gates["tenfold's"][0]["swaps"], "seeds": len(article)},
        tables=tables,
        other_intervals={"tenfold's loss in its place": of_ours},
        notes=(
            "Its loss has no lowest value: the code grows until the reader is fooled, and the label stays in it. A "
            "picture that stays what it was is read as the new digit less often than by chance. tenfold's bounds "
            "both, teaches the reader more, and adds a classifier of real pictures that the painted ones are to "
            "please, which is not the one that judges.",
            "The autoencoders of the arms read so many of the new digits: "
            + "; ".join(f"{_percent(found)} at {count} a class" for count, found in swaps.items() if found)
            + f". Below {100 * USED_FROM:.0f} % restyle would give an arm nothing.",
        ),
        pictures=tuple(
            Picture(
                f"Styles by digits, {name}",
                "Left a held-out digit, beside it its style as every digit; the first seed.",
                base.picture_bytes(grids[preset]),
            )
            for name, preset in PRESETS.items()
        ),
    )


def _percent(shares: Sequence[float]) -> str:
    return f"{100 * np.mean(shares):.1f} %"


def _figure(found: Sequence[Mapping[str, Any]], name: str) -> Figure:
    if name == "relative_error":
        each = [one["reconstruction_error"] / one["trivial_error"] for one in found]
    else:
        each = [one[name] for one in found]
    interval = mean_interval(each)
    return Figure(interval.estimate, interval.low, interval.high, tuple(map(float, each)))
