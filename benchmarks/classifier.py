"""Is the classifier a straw man, and how fast is its loop?

Trains it on subsets of mnist with classical augmentation and tests on the 10,000 test images; then counts the
training images a second and the share of a trial that is not forward, backward or step, beside a plain PyTorch
loop over the same network without augmentation.

    TENFOLD_DATA=... python benchmarks/classifier.py [--per-class 10,20,50,100] [--subsets 5] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from shared import Comparison, Config, keep_comparisons, machine, measured

from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.methods import make_method
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.runs import Context
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import train_classifier

GOALS = {10: 0.92, 20: 0.94, 50: 0.96, 100: 0.965}


def accuracy(config: Config, context: Context) -> dict[str, float]:
    """Accuracy on the test images of one subset, and the training's seconds."""
    arm, seed = config["arm"], config["seed"]
    data = load("mnist", per_class=config["per_class"], seed=seed)
    train, test, key = data.part("train"), data.part("test"), Key(f"seed-{seed}")
    start = time.perf_counter()
    recipe = make_method(arm).fit(train, None, key / arm)
    classifier = train_classifier(train, None, recipe, key / "classifier", classifier_for(train))
    seconds = time.perf_counter() - start
    predicted = classifier.probabilities(test.images).argmax(1)
    return {"accuracy": float((predicted == test.labels).mean()), "seconds": seconds}


def plain_loop_images_per_second(train: ImageDataset, steps: int) -> float:
    """The same network, optimizer and batch size in the plainest loop there is: the limit for ours."""
    config = classifier_for(train)
    generator = Key("plain").torch_generator()
    network = build(lambda: SmallConvNet(train.image_shape, train.class_count, config.width), generator)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    images = to_float(torch.tensor(train.images[: config.batch_size]))
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.tensor(train.labels[: config.batch_size])
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return steps * config.batch_size / (time.perf_counter() - start)


def speed(name: str) -> dict[str, Any]:
    """Of ours and of the plain loop on one thread, and what of ours is not forward, backward or step."""
    train = load(name, per_class=20).part("train")
    config, key = classifier_for(train), Key("speed") / name
    recipe = make_method("classical").fit(train, None, key)
    held_out = train.take(np.arange(0, len(train), 5))
    # torch loads parts of itself at the first training of a process: a second or so, paid once a worker.
    train_classifier(train, None, recipe, key, replace(config, steps=5))
    start = time.perf_counter()
    details = train_classifier(train, held_out, recipe, key, config).details
    seconds = time.perf_counter() - start
    ours, plain = config.steps * config.batch_size / seconds, plain_loop_images_per_second(train, config.steps)
    core = details["seconds"]["forward/backward/step"]
    return {
        "data": name,
        "images_per_second": round(ours),
        "plain_loop_images_per_second": round(plain),
        "ratio": round(ours / plain, 3),
        "share_outside_forward_backward_step": round(1 - core / seconds, 3),
        "seconds": details["seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", default="10,20,50,100")
    parser.add_argument("--subsets", type=int, default=5)
    parser.add_argument("--arms", default="raw,classical")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--comparisons", type=Path, help="a .json for run.py")
    wanted = parser.parse_args()
    cells = [(int(size), arm) for size in wanted.per_class.split(",") for arm in wanted.arms.split(",")]
    seeds = range(wanted.subsets)
    results = measured(
        accuracy, [{"per_class": size, "arm": arm, "seed": seed} for size, arm in cells for seed in seeds]
    )
    rows: list[dict[str, Any]] = []
    for number, (size, arm) in enumerate(cells):
        values = results[number * len(seeds) :][: len(seeds)]
        shares = [100 * value["accuracy"] for value in values]
        rows.append(
            {
                "per_class": size,
                "arm": arm,
                "mean": round(float(np.mean(shares)), 2),
                "each": [round(share, 2) for share in shares],
                "goal": 100 * GOALS[size] if arm == "classical" and size in GOALS else None,
                "seconds": round(float(np.mean([value["seconds"] for value in values])), 1),
            }
        )
        print(rows[-1], flush=True)
    torch.set_num_threads(1)
    speeds = [speed(name) for name in ("digits", "mnist")]
    print(*speeds, sep="\n")
    what = "training a classifier with augmentation, {data}, 1 thread"
    peer = "a plain PyTorch loop without augmentation"
    keep_comparisons(wanted.comparisons, [Comparison(what.format(**speed), peer, speed["ratio"]) for speed in speeds])
    if wanted.out:
        hardware = f"{machine()}, 1 thread a trial"
        wanted.out.write_text(json.dumps({"hardware": hardware, "accuracy": rows, "speed": speeds}, indent=1))


if __name__ == "__main__":
    main()
