"""From a finished study to report.html: the sheets of pictures, the command that repeats it, the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.core.files import write_text
from tenfold.core.options import as_typed
from tenfold.methods import Grown
from tenfold.report.image_sheet import Sheet
from tenfold.report.page import ReportContent, render
from tenfold.runs.diagnostics import unpacked
from tenfold.runs.directory import LAST_FILE
from tenfold.runs.plan import most_chosen
from tenfold.runs.study import Study
from tenfold.training.device import current_device
from tenfold.verbs.samples import augmented_sheet, generated_sheet, real_sheet

ARM_NOTES = {
    "raw": "the real images, nothing else",
    "classical": "the baseline: each image turned, moved and scaled a little, anew each time",
    "placebo": "control: the baseline with the same images copied",
    "oracle": "control: the baseline with more real images",
    "probe": "a linear head on a network trained on ImageNet; whether that held some of these pictures is not tested",
    "classical+transfer": "that network trained further; whether ImageNet held some of these pictures is not tested",
}
VECTOR_NOTES = {
    "raw": "the baseline: the real rows, nothing else",
    "placebo": "control: the baseline with the same rows copied",
    "oracle": "control: the baseline with more real rows",
}


def publish(
    study: Study,
    command: str,
    *,
    seconds: float,
    generated: Grown | None = None,
    classifier: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> Path:
    """Write the run's report.html and return its path."""
    images = study.data.part("train")
    sheets: list[Sheet] = []
    if not images.is_vectors:
        usual = most_chosen(study.trials, study.plan.baseline).get("classical", {})
        sheets = [real_sheet(images), augmented_sheet(images, usual)]
    if generated is not None:
        sheets.append(generated_sheet(images, generated.images, generated.labels))
    else:
        for trial in study.trials:
            if "samples" in trial.details:
                made = unpacked(trial.details["samples"])
                sheets.append(generated_sheet(images, *made, title=f"Generated images: {trial.arm}"))
    notes = VECTOR_NOTES if images.is_vectors else ARM_NOTES
    content = ReportContent(
        data_name=study.data.name,
        verdict=study.verdict,
        class_names=study.data.class_names,
        # What is left out as the set is cleaned is listed beside the files that could not be read.
        audit=study.audit.to_json()
        | {"set_aside": [{"source": s.source, "reason": s.reason} for s in study.data.set_aside]},
        sheets=sheets,
        command=as_typed(command, [study.source], study.options),
        config={"data": study.source, **study.options.to_json()}
        | {"plan": study.plan.hash, "code": study.plan.code}
        | {"device": current_device().description},
        final_classifier=classifier and _in_words(classifier),
        duration_seconds=seconds,
        warnings=[*study.plan.fold_plan.warnings, *warnings],
        stop_below=study.plan.stop_below,
        arm_notes={arm.name: notes[arm.name] for arm in study.plan.arms if arm.name in notes},
    )
    path = study.directory / LAST_FILE
    write_text(path, render(content))
    return path


def _in_words(classifier: Mapping[str, Any]) -> dict[str, str]:
    """What classifier.json tells, for people."""
    words = {
        "Files": "classifier.safetensors and classifier.json, for `tenfold predict`",
        "Trained with": f"{classifier['arm']}, on all {classifier['trained_on_images']:,} images",
    }
    if classifier["interval"]:
        accuracy = _percent(classifier["cross_validated_balanced_accuracy"], classifier["interval"])
        words["Balanced accuracy to expect"] = f"{accuracy}, from cross-validation"
    if external := classifier["external_test"]:
        accuracy = _percent(external["accuracy"], external["interval"])
        words["On the sealed external test"] = f"{accuracy} of {external['images']:,} images recognised"
    return words


def _percent(share: float, bounds: Sequence[float]) -> str:
    return f"{100 * share:.1f} % ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})"
