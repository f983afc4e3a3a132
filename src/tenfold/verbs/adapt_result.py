"""What `adapt` finds and leaves: predictions, the classifier, the labelled target, all figures and a report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from tenfold.adaptation.dann import features_of
from tenfold.adaptation.selection import LOST_SOURCE, SOURCE, AdaptedArm, Embedding, choose, embed
from tenfold.adaptation.sets import AdaptSets
from tenfold.core.files import write_bytes, write_json, write_text
from tenfold.core.results import Document
from tenfold.core.types import ImageDataset
from tenfold.data.export import export
from tenfold.evaluation.external_test import compare_external
from tenfold.evaluation.scores import accuracy_interval, balanced_accuracy, recalls
from tenfold.report.documents import adaptation_text, render_adaptation
from tenfold.report.embedding import Panel, embedding_png
from tenfold.report.page import percent
from tenfold.report.text import images_in_groups, predictions_csv
from tenfold.training.classifier_io import save_classifier
from tenfold.training.device import hardware
from tenfold.verbs.predict import predictions_of

SHOWN = 1_000
"""Images of each domain whose features are looked at."""
LABELLED, EMBEDDING = "labelled", "embedding.png"

Rows = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


class Adaptation(Document):
    """What was found, as adapt.json tells it."""

    @property
    def chosen(self) -> str:
        """The arm whose classifier was kept."""
        return str(self.document["chosen"])

    @property
    def text(self) -> str:
        return adaptation_text(self.document)


@dataclass(frozen=True, eq=False)
class TrainedArms:
    """All arms that came to an end, in their order."""

    arms: tuple[AdaptedArm, ...]
    seconds: Mapping[str, float]
    failures: Mapping[str, str]
    """Why an arm gave nothing."""

    @property
    def base(self) -> AdaptedArm:
        """What others are compared with: the source alone, where it came to an end."""
        return next((arm for arm in self.arms if arm.name == SOURCE), self.arms[0])


def write_adaptation(
    directory: Path, sets: AdaptSets, trained: TrainedArms, options: Mapping[str, Any], run: Mapping[str, Any]
) -> dict[str, Any]:
    """Write everything; adapt.json comes last. `run` holds the command and when it began."""
    chosen = choose(trained.arms)
    rows = chosen.classifier.probabilities(sets.target.images)
    predicted = {} if sets.test is None else {
        arm.name: arm.classifier.probabilities(sets.test.images).argmax(1) for arm in trained.arms
    }  # fmt: skip
    looks = {arm.name: _look(sets, arm) for arm in (trained.base, chosen)}
    arms = [_arm(arm, chosen, trained, sets.test, predicted.get(arm.name)) for arm in trained.arms]
    document: dict[str, Any] = {
        "chosen": chosen.name,
        "chosen_by": "the greatest mutual information between the target's images and their predicted classes, "
        f"among arms within {100 * LOST_SOURCE:.0f} points of the best on held-out source images; no target label "
        "was read",
        **_sets_json(sets, options),
        "arms": arms,
        "failures": dict(trained.failures),
        "classes": _classes(sets, rows, predicted.get(chosen.name)),
        "labelled": _label(directory / LABELLED, sets, rows, options["confidence"]),
        "test": sealed_test(sets.test, arms, chosen, trained, predicted) if sets.test is not None else None,
        "warnings": [*sets.warnings, *_doubts(trained, chosen)],
        "options": dict(options),
        "command": run["command"],
        "hardware": hardware(),
        "domain_probe": {name: look.probe for name, look in looks.items()},
    }
    document["sentence"] = _sentence(document)
    for arm in trained.arms:
        slug = arm.name.lower().replace(" + ", "-").replace(" ", "-")
        told = arm.to_json() | {"seconds": trained.seconds[arm.name]}
        save_classifier(directory / "arms" / f"{slug}.safetensors", arm.classifier, told)
    saved = {"arm": chosen.name, "frame": sets.frame.to_json()}
    save_classifier(directory / "classifier.safetensors", chosen.classifier, saved)
    write_text(
        directory / "predictions.csv", predictions_csv(predictions_of(sets.target.sources, rows, sets.class_names))
    )
    panels = [Panel(name, look.source, look.target) for name, look in looks.items()]
    png = embedding_png(panels, tuple(part.name for part in sets.train), sets.target.name)
    write_bytes(directory / EMBEDDING, png)
    document["seconds"] = round(time.monotonic() - run["started"], 1)
    write_text(directory / "report.html", render_adaptation(document, png))
    write_json(directory / "adapt.json", document)
    return document


def _sets_json(sets: AdaptSets, options: Mapping[str, Any]) -> dict[str, Any]:
    names = (*(part.name for part in sets.train), sets.target.name)
    return {
        "sources": [
            {"name": part.name, "trained_on": len(part), "held_out": len(out)}
            for part, out in zip(sets.train, sets.heldout, strict=True)
        ],
        "target": {"name": sets.target.name, "images": len(sets.target)},
        "framing": [{"name": name, **asdict(one)} for name, one in zip(names, sets.framings, strict=True)],
        "mends": [
            {
                "difference": mend.difference,
                "remedy": mend.remedy,
                "applied": options["reframe"] == "auto" or mend.kind == "grey",
            }
            for mend in sets.mending
        ],
        "frame": sets.frame.to_json(),
    }


def _doubts(trained: TrainedArms, chosen: AdaptedArm) -> list[str]:
    doubts = [f"{name} failed: {reason}" for name, reason in trained.failures.items()]
    doubts += [
        f"{arm.name} has collapsed: {arm.missing} of {len(arm.shares)} classes are hardly ever predicted on the "
        "target"
        for arm in trained.arms
        if arm.collapsed
    ]
    if chosen.missing and not chosen.collapsed:
        doubts.append(
            f"{chosen.missing} of {len(chosen.shares)} classes are hardly ever predicted on the target; it may not "
            "have them, or they are lost"
        )
    return doubts


def _arm(
    arm: AdaptedArm, chosen: AdaptedArm, trained: TrainedArms, test: ImageDataset | None, predicted: Labels | None
) -> dict[str, Any]:
    return {
        "name": arm.name,
        "chosen": arm is chosen,
        "source_score": round(arm.source_score, 5),
        "information": round(arm.information, 5),
        "missing_classes": arm.missing,
        "collapsed": arm.collapsed,
        "test": None if test is None or predicted is None else judged(test, predicted),
        "seconds": trained.seconds[arm.name],
        **arm.details,
    }


def judged(data: ImageDataset, predicted: Labels, folds: Labels | None = None) -> dict[str, Any]:
    """How often predictions of N images are right; the interval is over other images, by their groups.

    It is over other trainings too where `folds` names N trainings that judged an image each.
    """
    right = (predicted == data.labels)[:, None].astype(np.float64)
    accuracy = accuracy_interval(right, data.groups, None if folds is None else folds[:, None])
    return {
        "accuracy": round(accuracy.estimate, 5),
        "interval": [round(accuracy.low, 5), round(accuracy.high, 5)],
        "balanced_accuracy": round(balanced_accuracy(data.labels, predicted), 5),
    }


def sealed_test(
    test: ImageDataset,
    arms: list[dict[str, Any]],
    chosen: AdaptedArm,
    trained: TrainedArms,
    predicted: Mapping[str, Labels],
) -> dict[str, Any]:
    """The chosen arm on the sealed test, alone and against the source alone; one training of each."""
    ours, theirs = (predicted[arm.name][None] for arm in (chosen, trained.base))
    comparison = compare_external(ours, theirs, test.labels, test.groups)
    gain = comparison.difference
    truth = [arm["test"]["accuracy"] for arm in arms]
    figures = [arm.information for arm in trained.arms]
    varied = len(set(truth)) > 1 and len(set(figures)) > 1
    return {
        "name": test.name,
        "images": len(test),
        "groups": comparison.groups,
        **next(arm["test"] for arm in arms if arm["chosen"]),
        "against": trained.base.name,
        "gain_points": [round(100 * value, 3) for value in (gain.estimate, gain.low, gain.high)],
        "p_value": comparison.p_value,
        "rank_correlation": float(spearmanr(figures, truth).statistic) if varied else None,
        "best_arm": arms[int(np.argmax(truth))]["name"],
    }


def _classes(sets: AdaptSets, rows: Rows, tested: Labels | None) -> list[dict[str, Any]]:
    predicted, confidence = rows.argmax(1), rows.max(1)
    recall = np.full(len(sets.class_names), np.nan)
    if sets.test is not None and tested is not None:
        recall = recalls(sets.test.labels, tested, len(sets.class_names))
    by_class = []
    for label, name in enumerate(sets.class_names):
        members = predicted == label
        by_class.append(
            {
                "name": name,
                "source_images": sum(int((part.labels == label).sum()) for part in (*sets.train, *sets.heldout)),
                "predicted": int(members.sum()),
                "mean_confidence": round(float(confidence[members].mean()), 4) if members.any() else None,
                "recall": None if np.isnan(recall[label]) else round(float(recall[label]), 4),
            }
        )
    return by_class


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
    of = images_in_groups(test["images"], test["groups"], "sealed test image")
    return (
        f"{opening}: {percent(share)} % of {of} are recognised "
        f"({percent(bounds[0])} to {percent(bounds[1])}){against}."
    )


def _look(sets: AdaptSets, arm: AdaptedArm) -> Embedding:
    heldout = np.concatenate([part.images for part in sets.heldout])
    source = heldout if len(heldout) >= 50 else np.concatenate([part.images for part in sets.train])
    seen_source, seen_target = (features_of(arm.classifier, _some(part)) for part in (source, sets.target.images))
    return embed(seen_source, seen_target)


def _some(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return images[:: max(1, -(-len(images) // SHOWN))]


def _label(directory: Path, sets: AdaptSets, rows: Rows, confidence: float) -> dict[str, Any]:
    """The target as a labelled set: images as they were read, those alone of which the classifier is confident."""
    sure = np.flatnonzero(rows.max(1) >= confidence)
    summary = {"written": len(sure), "of": len(rows), "confidence": confidence, "directory": LABELLED}
    if len(sure) and not (directory / "metadata.jsonl").exists():
        columns = {"labels": rows.argmax(1).astype(np.int64), "class_names": sets.class_names}
        records = [
            {"origin": "real", "label_origin": "predicted", "confidence": round(float(rows[index].max()), 5)}
            for index in sure
        ]
        export(directory, sets.target_as_read.with_columns(**columns).take(sure), records)
    return summary
