"""What the trainings of the liver-lesion design and of the cell article showed, as tables, notes and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tenfold.claims import cells_article
from tenfold.claims.base import Figure, Finished, Found, Table
from tenfold.claims.lesions_design import WANTED, Amount, words
from tenfold.claims.lesions_figures import Judged, Parts, assemble, difference_figure, interval_of, share_figure
from tenfold.claims.lesions_trainings import ARMS
from tenfold.evaluation.crossed import coverage_note
from tenfold.evaluation.external_test import mean_interval, next_value_interval

Pairs = Mapping[str, tuple[Parts, Parts]]
"""By what is told, sensitivity or specificity: of the classical arm, and with DCGAN."""


def saturated(finished: Sequence[Finished]) -> dict[tuple[int, int], Amount]:
    """For each (seed, fold) the amount with the lowest loss on its inner images, the smaller of equals."""
    chosen: dict[tuple[int, int], Finished] = {}
    for one in sorted(finished, key=lambda one: _size(one.settings["amount"])):
        place = (one.settings["seed"], one.settings["fold"])
        if place not in chosen or one.result["inner_loss"] < chosen[place].result["inner_loss"]:
            chosen[place] = one
    return {place: one.settings["amount"] for place, one in chosen.items()}


def _size(amount: Amount) -> float:
    return float("inf") if amount is None else amount


def found(finished: Sequence[Finished], said: Mapping[str, float]) -> Found:
    """What all trainings together show, beside what was said, by the names of `TheySay.values`."""
    of_arm = {arm: [one for one in finished if one.settings.get("arm") == arm] for arm in ARMS}
    pictures = [one for one in finished if one.settings["part"] == "pictures"]
    cells = [one for one in finished if one.settings["part"] == "cells"]
    names = of_arm[ARMS[0]][0].result["classes"]
    amounts = saturated(of_arm[ARMS[0]])
    judged = {arm: assemble(of_arm[arm], amounts, len(names)) for arm in ARMS}
    without, with_dcgan = judged.values()
    parts = {
        "sensitivity": (without.sensitivity(), with_dcgan.sensitivity()),
        "specificity": (without.specificity(), with_dcgan.specificity()),
    }
    measured = {
        f"{what}, {arm}": share_figure(values.mean(0), without)
        for what, pair in parts.items()
        for arm, values in zip(ARMS, pair, strict=True)
    }
    before, after = parts["sensitivity"]
    gain = (after - before).mean(0)
    each = gain.sum(0).tolist()
    values = {name: figure.estimate for name, figure in measured.items()}
    notes = [
        "Intervals are over images and trainings together; sensitivity and specificity are of one class against the "
        "rest, and their macro means weigh all classes alike.",
        "The study gives a single run on one set of lesions and no interval; its lesions were not ours to test on.",
        _drawn_words(pictures, names),
        "Of the cell article too few steps can be afforded on two cores: its whole schedule belongs to a GPU, which "
        "the loop takes where there is one.",
        *_failures(pictures, cells),
    ]
    if (warning := coverage_note(len(gain) * gain, without.folds)) is not None:
        notes.append(warning)
    shown = [one for one in cells if "failed" not in one.result]
    return Found(
        effect=interval_of(gain, without),
        meaning="of macro sensitivity, over images and trainings",
        values=values,
        sentence="sensitivity {:.1f} -> {:.1f} %, specificity {:.1f} -> {:.1f} %".format(
            *(100 * value for value in values.values())
        ),
        samples={
            "test_images": len(without.labels),
            **{f"of {name}": int((without.labels == label).sum()) for label, name in enumerate(names)},
            "pairs": len(amounts),
            "training_images_a_fold": round(
                float(np.mean([one.result["training_images"] for one in of_arm[ARMS[0]]]))
            ),
        },
        tables=[
            Table(
                "Macro averages",
                "%",
                ("they say", "we measured"),
                {name: (Figure(said[name]), figure) for name, figure in measured.items()},
            ),
            _class_table(parts, names, without),
            _difference_table(parts, names, without),
            _amount_table(of_arm, amounts, len(names)),
            *(_course_table(one) for one in shown),
        ],
        other_intervals={
            "over seeds alone": mean_interval(each),
            "where a single seed would fall": next_value_interval(each),
        },
        notes=notes,
        pictures=[cells_article.picture(one.settings, one.result) for one in shown],
    )


def _class_table(parts: Pairs, names: Sequence[str], judged: Judged) -> Table:
    return Table(
        "A class against the rest",
        "%",
        tuple(f"{what}, {arm}" for what in parts for arm in ARMS),
        {
            name: [share_figure(values[label], judged) for pair in parts.values() for values in pair]
            for label, name in enumerate(names)
        },
    )


def _difference_table(parts: Pairs, names: Sequence[str], judged: Judged) -> Table:
    differences = {what: after - before for what, (before, after) in parts.items()}
    rows = {"macro": [difference_figure(values.mean(0), judged) for values in differences.values()]}
    for label, name in enumerate(names):
        rows[name] = [difference_figure(values[label], judged) for values in differences.values()]
    return Table(
        f"Differences: {ARMS[1]} − {ARMS[0]}",
        "points",
        tuple(differences),
        rows,
        "Paired: both arms share images, folds and first weights. The intervals are not corrected for their number.",
    )


def _amount_table(
    of_arm: Mapping[str, Sequence[Finished]], chosen: Mapping[tuple[int, int], Amount], class_count: int
) -> Table:
    rows: dict[str, list[Figure | None]] = {}
    for amount in sorted({one.settings["amount"] for one in of_arm[ARMS[0]]}, key=_size):
        everywhere = dict.fromkeys(chosen, amount)
        arms = [assemble(of_arm[arm], everywhere, class_count) for arm in ARMS]
        share = sum(one == amount for one in chosen.values()) / len(chosen)
        rows[words(amount)] = [*(share_figure(arm.sensitivity().mean(0), arm) for arm in arms), Figure(share)]
    return Table(
        "Macro sensitivity by the amount of classical augmentation",
        "%",
        (*ARMS, "chosen in so many folds"),
        rows,
        "The amount is chosen for each fold by the classical arm's loss on its inner images, before dcgan is added.",
    )


def _course_table(one: Finished) -> Table:
    return Table(
        f"Cells, preset {one.settings['preset']}: how often the critic is right",
        "%",
        ("on real images", "on generated images"),
        {
            f"steps {part['from']}..{part['to']}": (
                Figure(part["critic_right_on_real"]),
                Figure(part["critic_right_on_generated"]),
            )
            for part in one.result["course"]
        },
        "Losses, critic / generator: "
        + "; ".join(f"{part['critic_loss']:.2f} / {part['generator_loss']:.2f}" for part in one.result["course"])
        + ".",
    )


def _failures(pictures: Sequence[Finished], cells: Sequence[Finished]) -> list[str]:
    told = [
        f"DCGAN, seed {one.settings['seed']}, fold {one.settings['fold']}: {one.result['failed']}; nothing was added "
        "to the classical arm there."
        for one in pictures
        if "failed" in one.result
    ]
    return told + [
        f"Cells, preset {one.settings['preset']}: {one.result['failed']}" for one in cells if "failed" in one.result
    ]


def _drawn_words(pictures: Sequence[Finished], names: Sequence[str]) -> str:
    told = [one.result for one in pictures if "failed" not in one.result]
    if not told:
        return "No DCGAN gave a picture of use."
    total = {name: sum(result.get(name, 0) for result in told) for name in ("drawn", "wrong_label", "near_copies")}
    used = np.sum([result["used"] for result in told], axis=0)
    of_classes = ", ".join(f"{count:,} of {name}" for name, count in zip(names, used, strict=True))
    diversity = [result.get("diversity", 1.0) for result in told]
    return (
        f"Of {total['drawn']:,} pictures drawn by {len(told)} x {len(WANTED)} DCGANs a classifier of the real images "
        f"disagreed with {total['wrong_label']:,}, and {total['near_copies']:,} were near copies; rejected ones were "
        f"drawn anew, and {used.sum():,} were trained on ({of_classes}). Least diversity over the classes of a fold: "
        f"median {np.median(diversity):.2f} of the real images'."
    )
