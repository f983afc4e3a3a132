"""What the trainings of the claim `dcgan` show: sensitivity and specificity of the same images judged in several
seeds, with intervals over images and seeds, and how the cells came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.claims.engine import ReportImage, Summary, Text
from tenfold.claims.lesions import ARMS, COLUMNS, DRAWN, WANTED, Amount, words
from tenfold.claims.tables import Figure, Results, Rows, Shares, Table
from tenfold.claims.training import image_bytes
from tenfold.evaluation import Interval
from tenfold.evaluation.crossed import coverage_note, crossed_interval
from tenfold.evaluation.external_test import mean_interval, next_value_interval
from tenfold.runs import Finished

Labels = npt.NDArray[np.int64]
Parts = npt.NDArray[np.float64]
"""K classes x N images x R seeds: what each image adds to a class's share; the sum over images is the share."""
Places = Mapping[tuple[int, int], Amount]
"""By seed and fold."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What one arm said of every image in every seed."""

    labels: Labels
    """N."""
    predicted: Labels
    """N x R."""
    folds: Labels
    """N x R: in which fold the image was tested."""
    class_count: int

    def sensitivity(self) -> Parts:
        """Of the images of each class, the share recognised."""
        return self._parts(of_the_class=True)

    def specificity(self) -> Parts:
        """Of the images of all other classes, the share not taken for this one."""
        return self._parts(of_the_class=False)

    def _parts(self, of_the_class: bool) -> Parts:
        classes = np.arange(self.class_count)[:, None]
        counted = (self.labels == classes) == of_the_class
        right = (self.predicted == classes[:, None]) == of_the_class
        parts: Parts = (counted[..., None] & right) / counted.sum(axis=1)[:, None, None]
        return parts


def assemble(results: Results, amounts: Places, class_count: int) -> Judged:
    """The trainings of one arm as one table: for each (seed, fold) the one with the amount named there.

    Results hold `rows` (numbers of the test images), `labels` and `predicted`.
    """
    seeds = sorted({seed for seed, _ in amounts})
    chosen = {
        _place(one): one.result for one in results if one.job.config["amount"] == amounts[_place(one)]
    }  # fmt: skip
    count = 1 + max(max(result["rows"]) for result in chosen.values())
    labels = np.full(count, -1, np.int64)
    predicted, folds = (np.full((count, len(seeds)), -1, np.int64) for _ in range(2))
    for (seed, fold), result in chosen.items():
        column = seeds.index(seed)
        labels[result["rows"]] = result["labels"]
        predicted[result["rows"], column] = result["predicted"]
        folds[result["rows"], column] = fold
    if min(labels.min(), predicted.min()) < 0:
        raise ValueError("some images were judged in no fold")
    return Judged(labels, predicted, folds, class_count)


def saturated(results: Results) -> dict[tuple[int, int], Amount]:
    """For each (seed, fold) the amount with the lowest loss on its validation images, the smaller of equals."""
    ordered = sorted(results, key=lambda one: (one.result["inner_loss"], _size(one.job.config["amount"])))
    return {_place(one): one.job.config["amount"] for one in reversed(ordered)}  # the best comes last, and stays


def _place(one: Finished) -> tuple[int, int]:
    return one.job.config["seed"], one.job.config["fold"]


def _size(amount: Amount) -> float:
    return float("inf") if amount is None else amount


def interval_of(parts: Shares, judged: Judged) -> Interval:
    """The 95 % interval, over images and trainings, of a share or of a difference of shares.

    `parts` is N x R, summing over images to each seed's value. The numbers of images a class are fixed by design, so
    that images vary around the mean of their own class alone.
    """
    table = np.full(parts.shape, float(parts.sum(axis=0).mean()))
    for label in np.unique(judged.labels):
        members = judged.labels == label
        table[members] += len(parts) * (parts[members] - parts[members].mean())
    return crossed_interval(table, judged.folds)


def difference_figure(parts: Shares, judged: Judged, least: float = -np.inf, most: float = np.inf) -> Figure:
    """A difference of two arms' parts with its interval, cut off at the least and the most that can be."""
    found = interval_of(parts, judged)
    each = tuple(map(float, parts.sum(axis=0)))
    return Figure(found.estimate, max(least, found.low), min(most, found.high), each)


def share_figure(parts: Shares, judged: Judged) -> Figure:
    """A share with its interval."""
    return difference_figure(parts, judged, 0.0, 1.0)


def summary_of(results: Results, text: Text) -> Summary:
    """What all trainings together show."""
    of_arm = {arm: results.of(arm=arm) for arm in ARMS}
    drawn, cells = results.of(part="pictures"), results.of(part="cells")
    names = of_arm[ARMS[0]][0].result["classes"]
    amounts = saturated(of_arm[ARMS[0]])
    judged = {arm: assemble(of_arm[arm], amounts, len(names)) for arm in ARMS}
    without = judged[ARMS[0]]
    parts = {
        "sensitivity": [one.sensitivity() for one in judged.values()],
        "specificity": [one.specificity() for one in judged.values()],
    }
    gains = {what: after - before for what, (before, after) in parts.items()}
    measured = {
        f"{what}, {arm}": share_figure(values.mean(0), without)
        for what, pair in parts.items()
        for arm, values in zip(ARMS, pair, strict=True)
    }
    gain = gains["sensitivity"].mean(0)
    each = gain.sum(0).tolist()
    shown = [one for one in cells if "failed" not in one.result]
    warning = coverage_note(len(gain) * gain, without.folds)
    differences: Rows = {"macro": [difference_figure(values.mean(0), without) for values in gains.values()]}
    for label, name in enumerate(names):
        differences[name] = [difference_figure(values[label], without) for values in gains.values()]
    tables = text.tables
    return Summary(
        effect=interval_of(gain, without),
        values={name: figure.estimate for name, figure in measured.items()},
        samples={
            "test_images": len(without.labels),
            **{f"of {name}": int((without.labels == label).sum()) for label, name in enumerate(names)},
            "pairs": len(amounts),
            "training_images_a_fold": round(float(np.mean(of_arm[ARMS[0]].each("training_images")))),
        },
        tables=[
            text.beside("macro", measured),
            tables["classes"].table(
                (f"{what}, {arm}" for what in parts for arm in ARMS),
                {
                    name: [share_figure(values[label], without) for pair in parts.values() for values in pair]
                    for label, name in enumerate(names)
                },
            ),
            tables["differences"].table(parts, differences, difference=f"{ARMS[1]} − {ARMS[0]}"),
            tables["amounts"].table((*ARMS, "chosen in so many folds"), _amount_rows(of_arm, amounts, len(names))),
            *(_course_table(one, text) for one in shown),
        ],
        words={
            "shares": [100 * figure.estimate for figure in measured.values()],
            "drawn": _drawn_words(drawn, names),
        },
        other_intervals={
            "over seeds alone": mean_interval(each),
            "where a single seed would fall": next_value_interval(each),
        },
        notes=[*_failures(drawn, cells), *([] if warning is None else [warning])],
        images=[_cells_image(one, text) for one in shown],
    )


def _amount_rows(of_arm: Mapping[str, Results], chosen: Places, class_count: int) -> Rows:
    rows: Rows = {}
    for amount in sorted({one.job.config["amount"] for one in of_arm[ARMS[0]]}, key=_size):
        arms = [assemble(results, dict.fromkeys(chosen, amount), class_count) for results in of_arm.values()]
        share = sum(one == amount for one in chosen.values()) / len(chosen)
        rows[words(amount)] = [*(share_figure(arm.sensitivity().mean(0), arm) for arm in arms), Figure(share)]
    return rows


def _course_table(one: Finished, text: Text) -> Table:
    course = one.result["course"]
    rows = {
        f"steps {part['from']}..{part['to']}": (
            Figure(part["critic_right_on_real"]),
            Figure(part["critic_right_on_generated"]),
        )
        for part in course
    }
    losses = "; ".join(f"{part['critic_loss']:.2f} / {part['generator_loss']:.2f}" for part in course)
    columns = ("on real images", "on generated images")
    return text.tables["course"].table(columns, rows, preset=one.job.config["preset"], losses=losses)


def _cells_image(one: Finished, text: Text) -> ReportImage:
    """The sheet of a finished training, with its figures."""
    values: dict[str, Any] = {**one.result["course"][-1], **one.result, **one.job.config}
    return text.images["cells"].image(image_bytes(one.result["picture"]), columns=COLUMNS, drawn=DRAWN, **values)


def _failures(drawn: Results, cells: Results) -> list[str]:
    return [
        f"DCGAN, seed {one.job.config['seed']}, fold {one.job.config['fold']}: {one.result['failed']}; nothing was "
        "added to the classical arm there."
        for one in drawn
        if "failed" in one.result
    ] + [
        f"Cells, preset {one.job.config['preset']}: {one.result['failed']}" for one in cells if "failed" in one.result
    ]


def _drawn_words(drawn: Results, names: list[str]) -> str:
    told = [one.result for one in drawn if "failed" not in one.result]
    if not told:
        return "No DCGAN gave an image of use."
    total = {name: sum(result.get(name, 0) for result in told) for name in ("drawn", "wrong_label", "near_copies")}
    used = np.sum([result["used"] for result in told], axis=0)
    of_classes = ", ".join(f"{count:,} of {name}" for name, count in zip(names, used, strict=True))
    diversity = [result.get("diversity", 1.0) for result in told]
    return (
        f"Of {total['drawn']:,} images drawn by {len(told)} x {len(WANTED)} DCGANs a classifier of the real images "
        f"disagreed with {total['wrong_label']:,}, and {total['near_copies']:,} were near copies; rejected ones were "
        f"drawn anew, and {used.sum():,} were trained on ({of_classes}). Least diversity over the classes of a fold: "
        f"median {np.median(diversity):.2f} of the real images'."
    )
