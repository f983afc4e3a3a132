"""`run`: check, prove, grow with the winner, train the final classifier, write the report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.core.errors import TooLittleMemory
from tenfold.core.files import write_json
from tenfold.core.progress import note, warn
from tenfold.core.results import Result
from tenfold.core.study_options import RunOptions
from tenfold.core.types import Data
from tenfold.evaluation import Verdict
from tenfold.generators.generator_io import FILE, save_generator
from tenfold.methods import GeneratorMethod, Grown, MethodFailed, method_class
from tenfold.report.classifier_words import candidate_sentence, classifier_rows
from tenfold.runs.arms import Arm, Component
from tenfold.runs.judge import with_measured_classifier
from tenfold.runs.pilot import on_best_start
from tenfold.runs.preparation import opened, prepare, require_ready
from tenfold.runs.remote import named
from tenfold.runs.study import Study, run_study
from tenfold.training.deadline import TimeIsUp, ending_at
from tenfold.training.device import current_device
from tenfold.training.recipe import Recipe
from tenfold.training.step import failing_for_memory
from tenfold.verbs import on_chosen_device, out_at_url
from tenfold.verbs.final_classifier import (
    ALL_IMAGES_OF_A_FOLD,
    end_of,
    final_classifier,
    open_candidate,
    second_classifier,
    tail_of,
)
from tenfold.verbs.grow import grow_images
from tenfold.verbs.grown_set import GrowResult, Source, write_grown
from tenfold.verbs.prove import Forecast, forecast, publish
from tenfold.verbs.wanted import full_size_of, parse_growing, refuse_vectors


@dataclass(frozen=True, eq=False)
class RunResult(Result):
    """A finished run: the study, the classifier, and the grown set if there is one."""

    holds_more = True

    study: Study
    classifier: dict[str, Any]
    grown: GrowResult | None
    growth: str
    """One sentence on what was grown, or why nothing was."""
    candidate: dict[str, Any] | None = None
    """The classifier beside it, of the arm that may be better, or of that `arm` why it is `left_out`; None where
    nothing is open."""

    @property
    def directory(self) -> Path:
        return self.study.directory

    @property
    def verdict(self) -> Verdict:
        return self.study.verdict

    @property
    def sentence(self) -> str:
        told = [self.study.sentence, self.growth]
        if self.candidate is not None:
            told.append(candidate_sentence(self.candidate, self.classifier))
        return "\n".join(told)

    def to_json(self) -> dict[str, Any]:
        return self.study.verdict_json() | {
            "directory": str(self.directory),
            "classifier": self.classifier,
            "candidate": self.candidate,
            "grown": self.grown.to_json() if self.grown else None,
            "growth": self.growth,
        }


@on_chosen_device
@out_at_url
def run(
    data: Data,
    options: RunOptions | None = None,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> RunResult:
    """Answer the whole question: what is in the set, does growing it help, and if so, the grown set.

    The final classifier is trained on all images with the winning arm, or with the baseline where nothing
    helped. Where an arm may be better all the same, its classifier is kept beside that as candidate.safetensors.

    Args:
        options: those of `prove`, and `grow`: a method to grow the set with even if nothing helped.
        out: the run's directory, or a URL that fsspec knows; the same plan there is taken up where it stopped.
        workers: trials at the same time; one a core unless given.
        changes: fields of `RunOptions` by name; they stand above `options`.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C; what was finished is kept.
    """
    options = RunOptions.of(options, changes)
    forced = parse_growing(options.grow) if options.grow is not None else None
    require_ready(out, data, options.test)
    prepared = prepare(data, options)
    if forced is not None:
        refuse_vectors(prepared.data)
    # What was grown once is kept; as long as nothing was, another method may be asked for.
    changeable = ["grow"] if out is not None and not (Path(out) / "grown").exists() else []
    with opened(prepared, out, "run", changeable) as directory:
        prepared = on_best_start(with_measured_classifier(prepared, directory, workers), directory, workers)
        plan = prepared.plan
        study = run_study(prepared, directory, workers, tail=tail_of(prepared, grows=forced is not None))
        helped = study.verdict.outcome == "helped"
        arms = {arm.name: arm for arm in plan.arms}
        winner = arms[study.verdict.best_supported]
        grower = arms[study.verdict.chosen_arm if helped else plan.baseline]
        component = forced or _generating(grower)
        end = end_of(prepared)
        sample, grown_set = None, None
        try:
            if component is not None:
                with ending_at(end), failing_for_memory(current_device()):
                    sample = _grown(study, component)
                source = Source("grow", component.method, plan.seed, only_new=False)
                real = study.data.part("train")
                full_size = full_size_of(data, options, real, component.make({}), plan.seed)
                grown_set = write_grown(study.directory / "grown", real, sample, source, full_size)
            growth = named(_growth(study, grower, helped, grown_set))
        except (MethodFailed, TooLittleMemory) as error:
            warn(str(error))
            growth = f"Nothing was grown: {error}."
        except TimeIsUp:
            growth = f"Nothing was grown: there was no time for {component and component.method} on all images."
        final = final_classifier(study, winner, _ready(study, winner, component, sample), end)
        other = open_candidate(study)
        second = second_classifier(study, other, _ready(study, other, component, sample), end)
        write_json(
            study.directory / "verdict.json",
            study.verdict_json() | {"classifier": final.summary, "candidate": second},
        )
        for remark in final.remarks:
            warn(remark)
        tables = {"The final classifier": classifier_rows(final.summary)}
        remarks = [growth, *final.remarks]
        if second is not None:
            remarks.append(candidate_sentence(second, final.summary))
            if "left_out" not in second:
                tables["The classifier that may be better"] = classifier_rows(second, "candidate")
        publish(
            study,
            "run",
            seconds=time.monotonic() - prepared.started + study.seconds_before,
            generated=sample,
            classifiers=tables,
            warnings=remarks,
        )
    return RunResult(study, dict(final.summary), grown_set, growth, second)


@on_chosen_device
def run_forecast(
    data: Data, options: RunOptions | None = None, *, workers: int | None = None, **changes: Any
) -> Forecast:
    """Say what `run` would do with these options: as `prove_forecast`, with the final classifier, and a second one.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C.
    """
    return forecast("run", data, RunOptions.of(options, changes), workers, ALL_IMAGES_OF_A_FOLD)


def _generating(arm: Arm) -> Component | None:
    """The method of an arm that trains a generator, if one does."""
    return next((part for part in arm.components if method_class(part.method).trains_generator), None)


def _grown(study: Study, component: Component) -> Grown:
    """New images made from all studied images, as many as an arm with this method was judged with."""
    real, times = study.data.part("train"), study.plan.times
    times = getattr(component.make({"times": times}).config, "times", times)  # an augmentation has none
    note(f"growing all {len(real)} images with {component.method}")
    grown = grow_images(real, component, times, study.plan.seed)
    if grown.generator:
        save_generator(
            study.directory / FILE, component.method, grown.generator, real, grown.details, study.plan.seed
        )
    return grown


def _ready(study: Study, arm: Arm | None, component: Component | None, grown: Grown | None) -> dict[str, Recipe]:
    """What the grown set gives a classifier on all images: the same generator's images, where its arm reads such."""
    if arm is None or component is None or grown is None or component != _generating(arm):
        return {}
    method = component.make({})
    if not isinstance(method, GeneratorMethod):  # an augmentation changes images anew in every step
        return {}
    return {component.method: method.recipe(grown, study.data.part("train"))}


def _growth(study: Study, winner: Arm, helped: bool, grown_set: GrowResult | None) -> str:
    if grown_set is not None:
        return f"Grown: {grown_set.sentence}."
    if not helped and study.data.is_vectors:
        return "Nothing is changed while training the classifier, because nothing was shown to help."
    if not helped:
        return (
            "Nothing was grown, because no way of growing was shown to help; "
            "--grow METHOD (such as --grow cgan) grows the set all the same."
        )
    noun = "rows" if study.data.is_vectors else "images"
    return f"No files were grown: {winner.name} works on the {noun} while training, as the final classifier was."
