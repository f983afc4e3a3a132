"""What `adapt` leaves: predictions, the classifier, the labelled target, all figures and a report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.adaptation.dann import features_of
from tenfold.adaptation.selection import SOURCE, AdaptedArm, Embedding, embed
from tenfold.adaptation.sets import AdaptSets
from tenfold.core.files import write_bytes, write_json, write_text
from tenfold.data.export import export
from tenfold.report.documents import render_adaptation
from tenfold.report.figures import Panel, embedding_png
from tenfold.report.text import predictions_csv
from tenfold.training.store import save_classifier
from tenfold.verbs.adapt_arms import TrainedArms
from tenfold.verbs.adapt_document import adaptation_document
from tenfold.verbs.predict import Prediction

SHOWN = 1_000
"""Pictures of each domain whose features are looked at."""
LABELLED = "labelled"
PICTURE = "embedding.png"

Rows = npt.NDArray[np.float32]


def write_adaptation(
    directory: Path, sets: AdaptSets, trained: TrainedArms, chosen: AdaptedArm, told: Mapping[str, Any]
) -> dict[str, Any]:
    """Write everything; adapt.json comes last. `told` holds the options, the command and when it began."""
    rows = chosen.classifier.probabilities(sets.target.images)
    labelled = _label(directory / LABELLED, sets, rows, told["confidence"])
    document = adaptation_document(sets, trained, chosen, rows, labelled, told)
    saved = {"arm": chosen.name, "frame": sets.frame.to_json()}
    save_classifier(directory / "classifier.safetensors", chosen.classifier, saved)
    write_text(directory / "predictions.csv", predictions_csv(_predictions(sets, rows)))
    before = next((arm for arm in trained.arms if arm.name == SOURCE), trained.arms[0])
    looks = {arm.name: _look(sets, arm) for arm in (before, chosen)}
    document["domain_probe"] = {name: look.probe for name, look in looks.items()}
    names = tuple(part.name for part in sets.train), sets.target.name
    png = embedding_png([Panel(name, look.source, look.target) for name, look in looks.items()], *names)
    write_bytes(directory / PICTURE, png)
    document["seconds"] = round(time.monotonic() - told["started"], 1)
    write_text(directory / "report.html", render_adaptation(document, png))
    write_json(directory / "adapt.json", document)
    return document


def _look(sets: AdaptSets, arm: AdaptedArm) -> Embedding:
    heldout = np.concatenate([part.images for part in sets.heldout])
    source = heldout if len(heldout) >= 50 else np.concatenate([part.images for part in sets.train])
    seen_source, seen_target = (features_of(arm.classifier, _some(part)) for part in (source, sets.target.images))
    return embed(seen_source, seen_target)


def _some(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return images[:: max(1, -(-len(images) // SHOWN))]


def _predictions(sets: AdaptSets, rows: Rows) -> list[Prediction]:
    names = sets.class_names
    return [
        Prediction(
            file=file,
            label=names[int(row.argmax())],
            confidence=round(float(row.max()), 5),
            probabilities={name: round(float(share), 5) for name, share in zip(names, row, strict=True)},
        )
        for file, row in zip(sets.target.sources, rows, strict=True)
    ]


def _label(directory: Path, sets: AdaptSets, rows: Rows, confidence: float) -> dict[str, Any]:
    """The target as a labelled set: pictures as they were read, those alone of which the classifier is confident."""
    sure = np.flatnonzero(rows.max(1) >= confidence)
    told = {"written": len(sure), "of": len(rows), "confidence": confidence, "directory": LABELLED}
    if len(sure) and not (directory / "metadata.jsonl").exists():
        labelled = replace(sets.target_as_read, labels=rows.argmax(1).astype(np.int64), class_names=sets.class_names)
        records = [
            {"origin": "real", "label_origin": "predicted", "confidence": round(float(rows[index].max()), 5)}
            for index in sure
        ]
        export(directory, labelled.take(sure), records)
    return told
