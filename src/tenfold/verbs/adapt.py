"""`adapt`: a classifier for unlabelled target images from labelled source images."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.adaptation.dann import DomainConfig, DomainStep, DomainTask
from tenfold.adaptation.selection import (
    ADABN,
    ARMS,
    AUGMENTED,
    SELF,
    TRAINED,
    AdaptedArm,
    augmentation,
    described,
    train_arm,
)
from tenfold.adaptation.sets import AdaptSets, option_of, read_sets
from tenfold.core.errors import InputError, TenfoldError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.core.options import AdaptOptions
from tenfold.core.output import require_apart
from tenfold.core.progress import about, note, warn
from tenfold.core.results import DryRun
from tenfold.core.typed_command import as_typed
from tenfold.core.types import Data
from tenfold.runs import Context, Finished, Job
from tenfold.runs.code import code_of
from tenfold.runs.directory import CODE, RunDirectory, make_ready
from tenfold.runs.executors.place import cores_for_jobs, executor_for
from tenfold.runs.runner import run_all
from tenfold.training.classifier_io import load_classifier, save_classifier
from tenfold.training.device import current_device
from tenfold.training.loop import TrainingLoop
from tenfold.training.step import TrainingFailed
from tenfold.verbs import on_chosen_device
from tenfold.verbs.adapt_result import Adaptation, TrainedArms, write_adaptation

MODULES = ("tenfold.adaptation.selection",)
"""The code that decides what an arm's training gives."""
BEFORE = {ADABN: (AUGMENTED,), SELF: tuple(arm for arm in ARMS if arm != SELF)}
"""The arms that an arm takes its weights from, or chooses from; of the others none."""
CLASSIFIER_FILE = "classifier.safetensors"


@on_chosen_device
def adapt(
    sources: Data | Sequence[Data],
    to: Data,
    options: AdaptOptions | None = None,
    *,
    test: Data | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> Adaptation:
    """Carry a classifier of the sources over to the target, whose labels are never read.

    Seven arms are trained and one is chosen without target labels; `out` then holds predictions.csv, the classifier,
    labelled/ (the target with predicted labels, as far as they are confident), adapt.json and report.html.

    Args:
        sources: one or more labelled sets, in any form DATA may have.
        to: the target: a folder of images, or anything `tenfold.load` reads.
        options: how the arms are trained and what is written; `per_class` and `images` are those of each source.
        test: a labelled set like the target (its test part, where it has one), shown to nothing until the end; it
            stands above `options.test`.
        out: runs/adapt-TARGET unless given. What is finished there is not done again.
        workers: arms trained at the same time, each on one thread; one a core unless given.
        changes: fields of `AdaptOptions` by name; they stand above `options`.

    Raises:
        InputError: a set or an option cannot be used.
        TenfoldError: no arm came to an end.
    """
    options, test = _asked(options, test, changes)
    given = [sources] if isinstance(sources, Data) else list(sources)
    if not given:
        raise InputError("name at least one labelled set to learn from: tenfold adapt SOURCE --to TARGET")
    names, target = [option_of(one) for one in given], option_of(to)
    config = {"sources": names, "to": target, **options.to_json()}
    started = time.monotonic()
    require_apart(Path(out or "runs"), *given, to, test)
    if out is not None:
        make_ready(Path(out), "adapt")
    sets = read_sets(given, to, test, options)
    directory = Path(out) if out is not None else Path("runs") / f"adapt-{Path(sets.target.name).name}"
    _tell(sets, options)
    reads = sets.fingerprints() | {CODE: code_of("tenfold.adaptation.sets:read_sets", MODULES)}
    with RunDirectory.opened(directory, "adapt", config, reads, changeable=("device", "on")) as run:
        finished = directory / "adapt.json"
        if finished.exists():
            note(f"finished already: {directory}")
            return Adaptation(directory, read_json(finished))
        with executor_for(workers) as executor:
            done = run_all("arms", arm_jobs(sets, run, options), run, executor, may_fail=True)
        trained = _trained(done, run)
        command = as_typed("adapt", [*names, "--to", target], options, out=directory)
        document = write_adaptation(directory, sets, trained, config, {"command": command, "started": started})
    return Adaptation(directory, document)


@on_chosen_device
def adapt_forecast(
    sources: Sequence[Data],
    to: Data,
    options: AdaptOptions | None = None,
    *,
    test: Data | None = None,
    workers: int | None = None,
    **changes: Any,
) -> DryRun:
    """Read and audit the sets and say how long the trainings would take; writes nothing.

    Raises:
        InputError: a set cannot be used.
    """
    options, test = _asked(options, test, changes)
    sets = read_sets(sources, to, test, options)
    _tell(sets, options)
    key, how = Key(f"seed-{options.seed}") / "adapt" / "forecast", DomainConfig(steps=options.steps, confusion=1.0)
    task, loop = DomainTask(sets.train, sets.target.images, augmentation(), key, how), TrainingLoop()
    each = loop.seconds_a_step(lambda attempt: DomainStep(task, loop.device)) * how.steps
    # Two of the trained arms read the source alone, which is half a step; self-training waits for all the others.
    together = len(TRAINED) - 2
    seconds = each * (together / min(workers or cores_for_jobs(), together) + 1)
    images = sum(len(part) for part in sets.train)
    facts = {"seconds": round(seconds, 1), "target_images": len(sets.target), "mends": len(sets.mending)}
    return DryRun(
        f"{len(ARMS)} arms would be trained on {images:,} labelled images and {len(sets.target):,} of "
        f"{sets.target.name} without labels: {about(seconds)}",
        facts,
    )


def _asked(
    options: AdaptOptions | None, test: Data | None, changes: dict[str, Any]
) -> tuple[AdaptOptions, Data | None]:
    """The options with the test set's name, and the test set, which may be a loaded one."""
    named = AdaptOptions.of(options, changes | ({} if test is None else {"test": option_of(test)}))
    return named, named.test if test is None else test


def _tell(sets: AdaptSets, options: AdaptOptions) -> None:
    for mend in sets.mending:
        applied = options.reframe == "auto" or mend.kind == "grey"
        done = mend.remedy if applied else f"--reframe auto mends it ({mend.remedy})"
        note(f"framing: {mend.difference}; {done}")
    if not sets.mending:
        note("framing: source and target are framed alike")
    for warning in sets.warnings:
        warn(warning)


def arm_jobs(sets: AdaptSets, run: RunDirectory, options: AdaptOptions) -> list[Job]:
    """A job an arm. None of them reads the sealed test."""
    reads = {"target": run.keep(sets.target)}
    for number, (part, heldout) in enumerate(zip(sets.train, sets.heldout, strict=True)):
        reads |= {f"source {number}": run.keep(part), f"held out {number}": run.keep(heldout)}
    jobs: dict[str, Job] = {}
    for arm in ARMS:
        jobs[arm] = Job(
            f"{__name__}:train_one",
            {"arm": arm, "sources": len(sets.train), "seed": options.seed, "steps": options.steps},
            reads,
            {name: jobs[name] for name in BEFORE.get(arm, ())},
            modules=MODULES,
            device=current_device().kind,
            label=arm,
            cost=float(arm in TRAINED) + 0.01,
        )
    return list(jobs.values())


def train_one(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Train an arm and leave its classifier; `failed` says why there is none."""
    sources, heldout = (
        [context.data(f"{part} {number}") for number in range(config["sources"])] for part in ("source", "held out")
    )
    target, key = context.data("target").images, Key(f"seed-{config['seed']}") / "adapt"
    needed = (_read(name, *context.needed(name)) for name in BEFORE.get(config["arm"], ()))
    before = [arm for arm in needed if arm is not None]
    how = DomainConfig(steps=config["steps"])
    try:
        classifier = train_arm(config["arm"], before, sources, target, key, how, context.loop())
        arm = described(config["arm"], classifier, before, heldout, classifier.probabilities(target))
    except (TrainingFailed, StopIteration) as error:
        return {"failed": str(error) or f"it takes its weights from {AUGMENTED}, which failed"}
    save_classifier(context.directory / CLASSIFIER_FILE, classifier, arm.to_json())
    return arm.to_json()


def _read(name: str, result: Mapping[str, Any] | None, directory: Path) -> AdaptedArm | None:
    """An arm that was trained; None where it failed."""
    if result is None or "failed" in result:
        return None
    classifier = load_classifier(directory / CLASSIFIER_FILE)
    score, information, shares, details = (
        result[one] for one in ("source_score", "information", "shares", "details")
    )
    return AdaptedArm(name, classifier, score, information, tuple(shares), details)


def _trained(done: Sequence[Finished], run: RunDirectory) -> TrainedArms:
    reasons = {one.job.label: one.failure or (one.result or {}).get("failed") for one in done}
    failures = {name: str(reason) for name, reason in reasons.items() if reason}
    for name, reason in failures.items():
        warn(f"{name} is left out: {reason}")
    found = [(one, _read(one.job.label, one.result, run.of(one.job))) for one in done]
    arms = {arm: round(one.seconds, 1) for one, arm in found if arm is not None}
    if not arms:
        raise TenfoldError(f"no arm came to an end ({'; '.join(failures.values())})")
    return TrainedArms(tuple(arms), {arm.name: seconds for arm, seconds in arms.items()}, failures)
