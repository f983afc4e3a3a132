"""What adapt.json says of an adaptation: sets, framing, arms, classes, and the sealed test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from tenfold.adaptation.selection import LOST_SOURCE, SOURCE, AdaptedArm
from tenfold.adaptation.sets import AdaptSets
from tenfold.evaluation.external_test import mcnemar, paired_interval
from tenfold.evaluation.scores import balanced_accuracy, recalls, wilson_interval
from tenfold.training.device import hardware
from tenfold.verbs.adapt_arms import TrainedArms

Rows = npt.NDArray[np.float32]


def adaptation_document(
    sets: AdaptSets,
    trained: TrainedArms,
    chosen: AdaptedArm,
    rows: Rows,
    labelled: dict[str, Any],
    told: Mapping[str, Any],
) -> dict[str, Any]:
    """Plain JSON values.

    Args:
        rows: N x K probabilities of the target's pictures.
        labelled: what was written as the labelled target.
        told: the options and the command.
    """
    tested = _tested(sets, trained.arms)
    warnings = [*sets.warnings, *_doubts(trained, chosen)]
    document: dict[str, Any] = {
        "chosen": chosen.name,
        "chosen_by": "the greatest mutual information between the target's pictures and their predicted classes, "
        f"among arms within {100 * LOST_SOURCE:.0f} points of the best on held-out source pictures; no target label "
        "was read",
        "sources": [
            {"name": part.name, "trained_on": len(part), "held_out": len(out)}
            for part, out in zip(sets.train, sets.heldout, strict=True)
        ],
        "target": {"name": sets.target.name, "images": len(sets.target)},
        "framing": [
            {"name": name, **asdict(found)}
            for name, found in zip(
                (*(part.name for part in sets.train), sets.target.name), sets.framings, strict=True
            )
        ],
        "mends": [
            {
                "difference": mend.difference,
                "remedy": mend.remedy,
                "applied": told["reframe"] == "auto" or mend.kind == "grey",
            }
            for mend in sets.mending
        ],
        "frame": sets.frame.to_json(),
        "arms": [_arm(arm, chosen, trained, tested) for arm in trained.arms],
        "failures": trained.failures,
        "classes": _classes(sets, rows, chosen),
        "labelled": labelled,
        "test": _test(sets, chosen, trained.arms, tested),
        "warnings": warnings,
        "options": {name: value for name, value in told.items() if name not in ("command", "started")},
        "command": told["command"],
        "hardware": hardware(),
    }
    return document | {"sentence": _sentence(document)}


def _doubts(trained: TrainedArms, chosen: AdaptedArm) -> list[str]:
    told = [f"{name} failed: {reason}" for name, reason in trained.failures.items()]
    for arm in trained.arms:
        if arm.collapsed:
            told.append(
                f"{arm.name} has collapsed: {arm.missing} of {len(arm.shares)} classes are hardly ever predicted on "
                "the target"
            )
    if chosen.missing and not chosen.collapsed:
        told.append(
            f"{chosen.missing} of {len(chosen.shares)} classes are hardly ever predicted on the target; it may not "
            "have them, or they are lost"
        )
    return told


def _arm(arm: AdaptedArm, chosen: AdaptedArm, trained: TrainedArms, tested: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": arm.name,
        "chosen": arm is chosen,
        "source_score": round(arm.source_score, 5),
        "information": round(arm.information, 5),
        "missing_classes": arm.missing,
        "collapsed": arm.collapsed,
        "test": tested.get(arm.name),
        "seconds": trained.seconds[arm.name],
        **arm.details,
    }


def _tested(sets: AdaptSets, arms: Sequence[AdaptedArm]) -> dict[str, Any]:
    if sets.test is None:
        return {}
    found = {}
    for arm in arms:
        predicted = arm.classifier.probabilities(sets.test.images).argmax(1)
        share = float((predicted == sets.test.labels).mean())
        found[arm.name] = {
            "accuracy": round(share, 5),
            "interval": [round(bound, 5) for bound in wilson_interval(share, len(predicted))],
            "balanced_accuracy": round(balanced_accuracy(sets.test.labels, predicted), 5),
        }
    return found


def _test(
    sets: AdaptSets, chosen: AdaptedArm, arms: Sequence[AdaptedArm], tested: Mapping[str, Any]
) -> dict[str, Any] | None:
    test = sets.test
    if test is None:
        return None
    base = next((arm for arm in arms if arm.name == SOURCE), arms[0])
    ours, theirs = (arm.classifier.probabilities(test.images).argmax(1) == test.labels for arm in (chosen, base))
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    gain = paired_interval(only_ours, only_theirs, len(test))
    truth = [tested[arm.name]["accuracy"] for arm in arms]
    figures = [arm.information for arm in arms]
    correlation = (
        float(spearmanr(figures, truth).statistic) if len(set(truth)) > 1 and len(set(figures)) > 1 else None
    )
    return {
        "name": test.name,
        "images": len(test),
        **tested[chosen.name],
        "against": base.name,
        "gain_points": [round(100 * value, 3) for value in (gain.estimate, gain.low, gain.high)],
        "p_value": mcnemar(only_ours, only_theirs),
        "rank_correlation": correlation,
        "best_arm": arms[int(np.argmax(truth))].name,
    }


def _classes(sets: AdaptSets, rows: Rows, chosen: AdaptedArm) -> list[dict[str, Any]]:
    predicted, confidence = rows.argmax(1), rows.max(1)
    recall = None
    if sets.test is not None:
        found = chosen.classifier.probabilities(sets.test.images).argmax(1)
        recall = recalls(sets.test.labels, found, len(sets.class_names))
    told = []
    for label, name in enumerate(sets.class_names):
        members = predicted == label
        told.append(
            {
                "name": name,
                "source_images": sum(int((part.labels == label).sum()) for part in (*sets.train, *sets.heldout)),
                "predicted": int(members.sum()),
                "mean_confidence": round(float(confidence[members].mean()), 4) if members.any() else None,
                "recall": None if recall is None or np.isnan(recall[label]) else round(float(recall[label]), 4),
            }
        )
    return told


def _sentence(document: Mapping[str, Any]) -> str:
    sources = " + ".join(source["name"] for source in document["sources"])
    opening = f"Of {len(document['arms'])} ways from {sources} to {document['target']['name']}, {document['chosen']} "
    opening += "was chosen without target labels"
    test = document["test"]
    if test is None:
        return f"{opening}; no labelled test was given, so nothing is known of how often it is right."
    gain, low, high = test["gain_points"]
    against = "" if document["chosen"] == test["against"] else (
        f", {gain:+.1f} points against {test['against']} ({low:+.1f} to {high:+.1f})"
    )  # fmt: skip
    share, bounds = test["accuracy"], test["interval"]
    return (
        f"{opening}: {100 * share:.1f} % of {test['images']:,} sealed test pictures are recognised "
        f"({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}){against}."
    )
