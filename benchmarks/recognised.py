"""Are a generator's images of the class they are drawn for? Asked of a classifier of other real images.

For each seed a generator learns from a few images of each class, drawn anew, and a classifier from many others. Five
images for each of the few are judged: how many the classifier recognises, beside held-out real images; how far those
of a class spread; how many lie nearer to a training image than all but 1 % of held-out real images do. None is
filtered or rejected before.

    TENFOLD_DATA=... python benchmarks/recognised.py [--sets digits,mnist] [--method cgan] [--per-class 20]
        [--seeds 5] [--precision float32,bfloat16] [--out benchmarks/results/recognised.md]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from shared import Config, machine, measured, table

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.duplicates import near_copies
from tenfold.data.load import load
from tenfold.methods import GeneratorMethod, make_method, spread
from tenfold.runs import Context
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import TrainedClassifier, train_classifier

TIMES = 5
"""Generated images for each real one."""
JUDGE_IMAGES = 6000
"""That the classifier learns from, at most."""
HELD_OUT = 2000
"""Real images, at most, that it is tested on beside the generated ones."""
GOAL = 0.85


HEAD = ("seed", "seconds", "steps", "roll-backs", "recognised", "real, held out", "diversity", "near copies")


def judge(data: ImageDataset, key: Key) -> tuple[TrainedClassifier, ImageDataset]:
    """A classifier of images that the generator does not learn from, and real images that it has not seen either."""
    rest, test, random = data.part("reserve"), data.part("test"), key.numpy_generator()
    rest = rest.take(random.permutation(len(rest))[:JUDGE_IMAGES])
    recipe = make_method("classical", {"policy": "standard", "flips": "no"}).fit(rest, None, key)
    classifier = train_classifier(rest, None, recipe, key / "classifier", classifier_for(rest))
    return classifier, test.take(random.permutation(len(test))[:HELD_OUT])


def train_and_judge(config: Config, context: Context) -> dict[str, float]:
    """How a generator's images are recognised, beside the share of held-out real ones that are."""
    seed, method = config["seed"], config["method"]
    data, key = load(config["set"], per_class=config["per_class"], seed=seed), Key(f"seed-{seed}")
    train, (classifier, held_out) = data.part("train"), judge(data, key / "judge")
    trainer = cast(GeneratorMethod, make_method(method, {"precision": config["precision"]}))
    start = time.perf_counter()
    learned = trainer.learn(train, key / method)
    seconds = time.perf_counter() - start
    chosen = spread(TIMES, len(train))
    seeds = [(key / "sample" / index).seed for index in range(len(chosen))]
    drawn = learned.sample(learned.conditions(train, key)(chosen, np.array(seeds)), seeds, train.image_shape)

    def share(images: np.ndarray, labels: np.ndarray) -> float:
        return float((classifier.probabilities(images).argmax(1) == labels).mean())

    return {
        "seed": seed,
        "seconds": seconds,
        "steps": learned.details["generator_steps"],
        "recoveries": learned.details["recoveries"],
        "recognised": share(drawn, train.labels[chosen]),
        "real": share(held_out.images, held_out.labels),
        "diversity": learned.details["diversity"],
        "near_copies": near_copies(drawn, train.images, held_out.images).share,
    }


FORMS = (".0f", ".0f", ".0f", ".0f", ".1%", ".1%", ".2f", ".1%")


def section(config: Mapping[str, Any], result: list[dict[str, float]]) -> list[str]:
    met = sum(row["recognised"] >= GOAL for row in result)
    rows = [[f"{value:{form}}" for value, form in zip(row.values(), FORMS, strict=True)] for row in result]
    return [
        f"## {config['method']} on {config['set']}, {config['per_class']} images a class, {config['precision']}",
        "",
        *table(HEAD, rows),
        "",
        f"At least {GOAL:.0%} recognised: {met} of {len(result)} seeds.",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="digits,mnist")
    parser.add_argument("--method", default="cgan")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    lines = [
        "# Are generated images of the class they are drawn for?",
        "",
        f"{machine()}, a training on each, one thread a training. Made by `python benchmarks/recognised.py`.",
        "",
        f"{TIMES} images for each real one, none filtered or rejected. Recognised: by a classifier of up to "
        f"{JUDGE_IMAGES:,} other real",
        "images. Diversity: the spread of a class's images over that of its real ones, the least of all classes.",
        "Near copies: nearer to a training image than all but 1 % of held-out real images; 1 % is what chance gives.",
        "",
    ]
    configs = [
        {"set": name, "method": wanted.method, "per_class": wanted.per_class, "precision": precision}
        for name in wanted.sets.split(",")
        for precision in wanted.precision.split(",")
    ]
    seeds = range(wanted.seeds)
    results = measured(train_and_judge, [config | {"seed": seed} for config in configs for seed in seeds])
    for number, config in enumerate(configs):
        lines += section(config, results[number * len(seeds) :][: len(seeds)])
    print("\n".join(lines))
    if wanted.out:
        wanted.out.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
