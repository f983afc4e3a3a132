"""The claim `dann`: how its trainings are read, on made-up results, and that one of each kind runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_sets import easy_set
from tenfold.adaptation.selection import ARMS
from tenfold.claims import dann, dann_tasks
from tenfold.claims.base import Finished, make_claim, packed, picture_bytes, picture_text
from tenfold.claims.dann_tasks import SVHN_TO_MNIST, TASKS, Task, read_task
from tenfold.core.keys import Key

IMAGES = 400


def right(share: float, seed: int, name: str) -> str:
    return packed(Key(f"tests/{name}/{seed}").numpy_generator().random(IMAGES) < share)


def finished(seeds: int, gain: float) -> list[Finished]:
    """Arms get better one after another, and so does the figure that chooses; the last is chosen."""
    all_arms = [
        Finished(
            {"part": "arms", "task": task, "seed": seed},
            {
                "arms": {
                    arm: {"correct": right(0.5 + 0.05 * number, seed, f"{task}/{arm}"), "information": 0.1 * number}
                    for number, arm in enumerate(ARMS)
                },
                "chosen": ARMS[-1],
                "picture": picture_text(b"png"),
                "test_images": IMAGES,
            },
            1.0,
        )
        for task in TASKS
        for seed in range(seeds)
    ]
    plain = [
        Finished(
            {"part": "plain", "task": SVHN_TO_MNIST, "arm": arm, "seed": seed},
            {
                "correct": right(0.5 + gain * (arm == "DANN"), seed, arm),
                "source_accuracy": 0.8,
                "test_images": IMAGES,
            },
            1.0,
        )
        for arm in dann.PLAIN
        for seed in range(seeds)
    ]
    return all_arms + plain


def test_the_articles_comparison_decides_and_the_arms_stand_beside_it() -> None:
    found = make_claim("dann").judge(finished(3, gain=0.2))
    assert found.effect.estimate == pytest.approx(0.2, abs=0.06)
    assert found.values["DANN"] - found.values["source only"] == pytest.approx(found.effect.estimate)
    assert "7,136 SVHN images" in found.sentence
    plain, arms, gains = found.tables
    assert set(plain.rows) == {"source only", "DANN"}
    assert list(arms.rows) == [*ARMS, "chosen without target labels", "best in hindsight", "best published"]
    chosen, last = (arms.rows[name][0] for name in ("chosen without target labels", ARMS[-1]))
    assert chosen is not None
    assert last is not None
    assert chosen.each == last.each
    assert "source only" not in gains.rows
    assert len(found.pictures) == 3
    assert picture_bytes(picture_text(found.pictures[0].png)) == b"png"
    told = next(note for note in found.notes if note.startswith(SVHN_TO_MNIST))
    assert "self-training (3 of 3)" in told
    assert "rank correlation" in told


def test_a_training_of_each_kind_gives_what_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def made_up(name: str, seed: int, most: int, *, reframed: bool) -> Task:
        key = f"{name}/{seed}/{reframed}"
        parts = [easy_set([size] * 10, (1, 12, 12), key=f"{key}/{part}") for part, size in enumerate((9, 3, 6, 4))]
        return Task(*parts)

    monkeypatch.setattr(dann, "read_task", made_up)
    claim = make_claim("dann")
    trainings = claim.trainings([0, 1], quick=True)
    assert len(trainings) == 2 * (3 + 2)
    done = []
    for training in trainings:
        settings: dict[str, Any] = {**training.settings, "steps": 2}
        done.append(Finished(training.settings, claim.train(settings, tmp_path), 1.0))
    assert done[0].result["test_images"] == 40
    found = claim.judge(done)
    assert np.isfinite([found.effect.low, found.effect.high]).all()
    assert found.pictures[0].png[:4] == b"\x89PNG"
    assert claim.settings(False)["arms"].endswith("self-training")


def test_the_tasks_keep_their_test_parts_apart(data_directory: Path) -> None:
    task = read_task("USPS to MNIST", 0, 500, reframed=True)
    assert (len(task.target), len(task.test)) == (500, 10_000)
    assert set(task.target.labels) == {0}
    assert len(task.source) + len(task.heldout) == 500
    assert task.source.image_shape == task.target.image_shape == task.test.image_shape == (1, 28, 28)
    shown = {image.tobytes() for image in task.target.images}
    assert not any(image.tobytes() in shown for image in task.test.images)
    plain = read_task(SVHN_TO_MNIST, 0, 200, reframed=False)
    assert plain.source.image_shape == (1, 28, 28)
    assert dann_tasks.SIDE == 28
