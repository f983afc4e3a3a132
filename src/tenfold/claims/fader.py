"""Restyling MNIST: an article's loss, which it shows by images alone, and one that can be measured.

The article tells style from label by an autoencoder whose code a reader of labels is kept from, and shows digits in
the style of others. It gives no figure. Here an independent classifier reads the new digits, a fresh probe looks for
the label in the code, and classifiers are trained with what was painted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast, final

import numpy as np

from tenfold.claims import engine
from tenfold.claims.engine import Summary, job
from tenfold.claims.tables import Results, figures
from tenfold.claims.training import image_bytes, image_text, recipe_of, right, tested, train_on_all
from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.evaluation.external_test import mean_interval
from tenfold.generators.gates import styles_by_classes
from tenfold.methods import GeneratorMethod, make_method
from tenfold.methods.restyle import Restyler
from tenfold.report.image_sheet import preview_png, style_grid
from tenfold.runs import Context, Job

PRESETS = {"the article's loss": "article", "tenfold's": "fast"}
CLASSICAL = "classical(policy=standard,flips=no)"
RESTYLE = "restyle(least_swap_accuracy=0)"
ARMS = {"raw": "raw", "classical": CLASSICAL, "classical + restyle": f"{CLASSICAL}+{RESTYLE}"}
CONTRASTS = (("classical", "raw"), ("classical + restyle", "classical"))
USED_FROM = 0.85
"""Swap accuracy from which tenfold uses restyled images."""
GATES = {
    "swapped images read as the new digit": "swap_accuracy",
    "real images read by the same classifier": "judge_accuracy",
    "labels that a fresh probe reads from the code": "probe_accuracy",
    "style correlation (times 100)": "style_correlation",
    "error, of that of the class's mean image": "relative_error",
}


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
class Claim(engine.Claim):
    """How often the new digit is read decides, with the article's loss."""

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        return {
            **asdict(scale),
            "few": list(scale.few),
            "steps": scale.steps or "as many as restyle takes",
            **self.text.settings_with(arms=", ".join(ARMS.values())),
        }

    def jobs(self, seeds: Sequence[int], quick: bool) -> list[Job]:
        scale = QUICK if quick else FULL
        gates = {"part": "gates", "images": scale.images, "steps": scale.steps}
        arms = {"part": "arms", "steps": scale.steps}
        return [
            job(measure_gates, f"gates, {preset}, seed {seed}", gates | {"preset": preset, "seed": seed},
                150 if scale.steps is None else 40)
            for seed in seeds
            for preset in PRESETS.values()
        ] + [
            job(train_arm, f"{few} a class, {arm}, seed {seed}", arms | {"arm": arm, "seed": seed, "few": few},
                80 if arm.endswith("restyle") else 15, ARMS[arm])
            for few in scale.few
            for seed in seeds
            for arm in ARMS
        ]  # fmt: skip

    def summary(self, results: Results) -> Summary:
        by_preset = {name: results.of(part="gates", preset=preset) for name, preset in PRESETS.items()}
        gates = {name: [_with_relative_error(one) for one in done.each("gates")] for name, done in by_preset.items()}
        article, ours = ([one["swap_accuracy"] for one in found] for found in gates.values())
        effect, of_ours = (mean_interval([reached - 0.1 for reached in found]) for found in (article, ours))
        few = results.of(part="arms")
        swaps = {
            count: [share for share in few.of(few=count).each("swap_accuracy") if share is not None]
            for count in few.settings("few")
        }
        first = by_preset["the article's loss"][0].result
        return Summary(
            effect=effect,
            values={"read as the new digit": float(np.mean(article)), "by chance": 0.1},
            samples={"images": first["images"], "swaps": gates["tenfold's"][0]["swaps"], "seeds": len(article)},
            tables=[
                self.text.tables["gates"].table(
                    gates,
                    {
                        row: figures([one[name] for one in found] for found in gates.values())
                        for row, name in GATES.items()
                    },
                ),
                *self.text.of_arms(few, "few", "{} images a class", ARMS, CONTRASTS),
            ],
            words={
                "swapped": _percent(article),
                "swaps": "; ".join(
                    f"{_percent(found)} at {count} a class" for count, found in swaps.items() if found
                ),
                "used_from": 100 * USED_FROM,
            },
            other_intervals={"tenfold's loss in its place": of_ours},
            images=[
                self.text.images["styles"].image(image_bytes(done[0].result["grid"]), name=name)
                for name, done in by_preset.items()
            ],
        )


def _with_relative_error(gates: Mapping[str, Any]) -> dict[str, Any]:
    return {**gates, "relative_error": gates["reconstruction_error"] / gates["trivial_error"]}


def _percent(shares: Sequence[float]) -> str:
    return f"{100 * np.mean(shares):.1f} %"


def _key(config: Mapping[str, Any]) -> Key:
    return Key(f"seed-{config['seed']}") / "fader" / str(config["part"])


def measure_gates(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Train an autoencoder, measure what it keeps apart, and draw held-out digits as every other one."""
    real, key = load("mnist", images=config["images"], seed=config["seed"]).part("train"), _key(config)
    method = make_method("restyle", {"preset": config["preset"], **_steps(config["steps"])})
    restyler = cast(Restyler, cast(GeneratorMethod, method).learn(real, key))
    rows, styled = styles_by_classes(restyler.network, restyler.looked_at, key / "grid")
    sheet = style_grid(restyler.looked_at, rows, styled, seen=not restyler.gates.held_out)
    return {"gates": restyler.gates.to_json(), "grid": image_text(preview_png(sheet)), "images": len(real)}


def train_arm(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """A classifier on few images and what the arm makes of them."""
    data, key = load("mnist", per_class=config["few"], seed=config["seed"]), _key(config) / config["few"]
    train, test = data.part("train"), data.part("test")
    recipe = recipe_of(ARMS[config["arm"]], train, key, restyle=_steps(config["steps"]))
    swapped = dict(recipe.details).get("gates", {}).get("swap_accuracy")
    return tested(right(train_on_all(train, recipe, key, context.loop(), config["steps"]), test)) | {
        "swap_accuracy": swapped
    }


def _steps(steps: int | None) -> dict[str, Any]:
    return {} if steps is None else dict.fromkeys(("steps", "judge_steps", "probe_steps"), steps)
