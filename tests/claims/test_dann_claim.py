"""The claim `dann`: how its trainings are read, on made-up results, and that one of each kind runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_results import context, done

from made_up_sets import easy_set
from tenfold.adaptation.selection import ARMS
from tenfold.claims import dann
from tenfold.claims.dann import SVHN_TO_MNIST, TASKS, Task, read_task
from tenfold.claims.engine import make_claim
from tenfold.claims.tables import Results
from tenfold.claims.training import image_text, packed
from tenfold.core.keys import Key

IMAGES = 400


def right(share: float, seed: int, name: str) -> str:
    return packed(Key(f"tests/{name}/{seed}").numpy_generator().random(IMAGES) < share)


def finished(seeds: int, gain: float) -> Results:
    """Arms get better one after another, and so does the figure that chooses; the last is chosen."""
    all_arms = [
        done(
            {"part": "arms", "task": task, "seed": seed},
            {
                "arms": {
                    arm: {"correct": right(0.5 + 0.05 * number, seed, f"{task}/{arm}"), "information": 0.1 * number}
                    for number, arm in enumerate(ARMS)
                },
                "chosen": ARMS[-1],
                "picture": image_text(b"png"),
                "test_images": IMAGES,
            },
        )
        for task in TASKS
        for seed in range(seeds)
    ]
    plain = [
        done(
            {"part": "plain", "task": SVHN_TO_MNIST, "arm": arm, "seed": seed},
            {
                "correct": right(0.5 + gain * (arm == "DANN"), seed, arm),
                "source_accuracy": 0.8,
                "test_images": IMAGES,
            },
        )
        for arm in dann.PLAIN
        for seed in range(seeds)
    ]
    return Results(all_arms + plain)


def test_the_articles_comparison_decides_and_the_arms_stand_beside_it() -> None:
    result = make_claim("dann").summary(finished(3, gain=0.2))
    assert result.effect.estimate == pytest.approx(0.2, abs=0.06)
    assert result.values["DANN"] - result.values["source only"] == pytest.approx(result.effect.estimate)
    assert "7,136 SVHN images" in make_claim("dann").text.measured.format(**result.words)
    plain, arms, gains = result.tables
    assert set(plain.rows) == {"source only", "DANN"}
    assert list(arms.rows) == [*ARMS, "chosen without target labels", "best in hindsight", "best published"]
    chosen, last = (arms.rows[name][0] for name in ("chosen without target labels", ARMS[-1]))
    assert chosen is not None
    assert last is not None
    assert chosen.each == last.each
    assert "source only" not in gains.rows
    assert [image.png for image in result.images] == [b"png"] * 3
    result = next(note for note in result.notes if note.startswith(SVHN_TO_MNIST))
    assert "self-training (3 of 3)" in result
    assert "rank correlation" in result


def test_a_training_of_each_kind_gives_what_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def made_up(name: str, seed: int, most: int, *, reframed: bool) -> Task:
        key = f"{name}/{seed}/{reframed}"
        parts = [easy_set([size] * 10, (1, 12, 12), key=f"{key}/{part}") for part, size in enumerate((9, 3, 6, 4))]
        return Task(*parts)

    monkeypatch.setattr(dann, "read_task", made_up)
    claim = make_claim("dann")
    jobs = claim.jobs([0, 1], quick=True)
    assert len(jobs) == 2 * (3 + 2)
    result = Results(done(job.config, job.load()({**job.config, "steps": 2}, context(tmp_path))) for job in jobs)
    assert result[0].result["test_images"] == 40
    summary = claim.summary(result)
    assert np.isfinite([summary.effect.low, summary.effect.high]).all()
    assert summary.images[0].png[:4] == b"\x89PNG"
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
