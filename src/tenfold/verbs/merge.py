"""Is it better to learn from several small sets together? Each alone, pooled, pooled with DANN, and without one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.adaptation.dann import DomainConfig, DomainTask, train_domains
from tenfold.adaptation.framing import Mend, framing, mends, shared_frame
from tenfold.adaptation.selection import DANN, SETTINGS, augmentation
from tenfold.adaptation.sets import option_of, read_sources
from tenfold.core.errors import InputError
from tenfold.core.files import write_json, write_text
from tenfold.core.keys import Key
from tenfold.core.options import MergeOptions
from tenfold.core.output import require_apart
from tenfold.core.progress import note, warn
from tenfold.core.results import Document
from tenfold.core.typed_command import as_typed
from tenfold.core.types import Data, ImageDataset
from tenfold.data.combine import equal_to_any
from tenfold.report.documents import merging_text, render_merging
from tenfold.runs import Context, Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors.place import executor_for
from tenfold.runs.runner import run_all
from tenfold.training.device import current_device, hardware
from tenfold.verbs import on_chosen_device
from tenfold.verbs.adapt import MODULES
from tenfold.verbs.merge_result import ALIGNED, POOLED, Labels, alone_name, gains_json, merging_sentence, way_json

FOLDS = 3


class Merging(Document):
    """What was found, as merge.json tells it."""

    @property
    def text(self) -> str:
        return merging_text(self.document)


@dataclass(frozen=True)
class Way:
    """One way of using the sources."""

    name: str
    sources: tuple[int, ...]
    """Those that are learned from."""
    judged_on: tuple[int, ...]
    aligned: bool = False


@on_chosen_device
def merge(
    sources: Sequence[Data],
    options: MergeOptions | None = None,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> Merging:
    """Compare learning from each source alone, from all pooled, and from all pooled with DANN between them.

    Every image is judged once, by trainings that did not see it: in three folds of every source by whole groups,
    and of three sources or more also with the whole source left out.

    Args:
        sources: two or more labelled sets, in any form DATA may have; classes are matched by name.
        options: how the trainings are done; `per_class` and `images` are those of each source.
        out: runs/merge-NAMES unless given. What is finished there is not done again.
        workers: trainings at the same time, each on one thread; one a core unless given.
        changes: fields of `MergeOptions` by name; they stand above `options`.

    Raises:
        InputError: a set cannot be used, there are fewer than two, or they share no class.
    """
    if len(sources) < 2:
        raise InputError("merging takes two sets or more; to label another set: tenfold adapt SOURCE --to TARGET")
    started, options = time.monotonic(), MergeOptions.of(options, changes)
    require_apart(Path(out or "runs"), *sources)
    framed, mending, warnings = _read(sources, options)
    for mend in mending:
        note(f"framing: {mend.difference}; {mend.remedy}")
    for warning in warnings:
        warn(warning)
    config = {"sources": [option_of(source) for source in sources], **options.to_json()}
    directory = Path(out) if out is not None else Path("runs") / f"merge-{'-'.join(one.name for one in framed)[:80]}"
    reads = {source.name: source.fingerprint() for source in framed}
    with RunDirectory.opened(directory, "merge", config, reads, changeable=("device", "on")) as run:
        key = Key(f"seed-{options.seed}") / "merge"
        folds = [deal_folds(source, key / "folds" / number) for number, source in enumerate(framed)]
        ways = ways_of([source.name for source in framed])
        with executor_for(workers) as executor:
            done = run_all("trainings", jobs_of(ways, framed, folds, run, options), run, executor)
        predicted = {way.name: _predicted(way, folds, done) for way in ways}
        document = {
            "sources": [
                {
                    "name": source.name,
                    "images": len(source),
                    "groups": len(np.unique(source.groups)),
                    "counts": source.counts().tolist(),
                }
                for source in framed
            ],
            "class_names": list(framed[0].class_names),
            "mends": [{"difference": mend.difference, "remedy": mend.remedy} for mend in mending],
            "ways": [way_json(name, framed, folds, labels) for name, labels in predicted.items()],
            "gains": gains_json(framed, folds, predicted),
            "folds": FOLDS,
            "warnings": warnings,
            "options": config,
            "command": as_typed("adapt", config["sources"], options, out=directory),
            "seconds": round(time.monotonic() - started, 1),
            "hardware": hardware(),
        }
        document["sentence"] = merging_sentence(document)
        write_text(directory / "report.html", render_merging(document))
        write_json(directory / "merge.json", document)
    return Merging(directory, document)


def _read(sources: Sequence[Data], options: MergeOptions) -> tuple[list[ImageDataset], list[Mend], list[str]]:
    """The sets with the same classes in one frame, what was mended for it, and what to know of them."""
    matched, warnings = read_sources(sources, options)
    warnings += _shared(matched)
    if not np.min([source.counts() for source in matched], axis=0).any():
        raise InputError("the sets share no class; classes are matched by their names, so rename the folders")
    framings = [framing(source) for source in matched]
    found: dict[str, Mend] = {}
    for number, target in enumerate(framings):
        for mend in mends(framings[:number], target):
            found.setdefault(mend.kind, mend)
    proposed = list(found.values())
    frame = shared_frame(framings[:-1], framings[-1], proposed, options.size, reframed=options.reframe == "auto")
    return [frame.on(source) for source in matched], proposed, warnings


def _shared(sources: Sequence[ImageDataset]) -> list[str]:
    return [
        f"{copies:,} images of {one.name} are in {other.name} too: what is learned from one is judged on in the "
        "other; remove them from one of the two"
        for number, one in enumerate(sources)
        for other in sources[:number]
        if (copies := int(equal_to_any(one.images, other.images).sum()))
    ]


def deal_folds(source: ImageDataset, key: Key) -> Labels:
    """N fold numbers: the groups of each class are dealt out in turn."""
    fold_of: dict[int, int] = {}
    for label in np.unique(source.labels):
        groups = np.unique(source.groups[source.labels == label])
        for group in (key / int(label)).numpy_generator().permutation(groups):
            fold_of.setdefault(int(group), len(fold_of) % FOLDS)
    return np.array([fold_of[int(group)] for group in source.groups], np.int64)


def ways_of(names: Sequence[str]) -> list[Way]:
    """Each source alone, all pooled, and of three or more all without each one."""
    every = tuple(range(len(names)))
    ways = [Way(alone_name(name), (number,), every) for number, name in enumerate(names)]
    ways += [Way(POOLED, every, every), Way(ALIGNED, every, every, aligned=True)]
    if len(names) > 2:
        for number, name in enumerate(names):
            rest = tuple(other for other in every if other != number)
            ways += [
                Way(f"without {name}", rest, (number,)),
                Way(f"without {name}, DANN", rest, (number,), aligned=True),
            ]
    return ways


def jobs_of(
    ways: Sequence[Way],
    sources: Sequence[ImageDataset],
    folds: Sequence[Labels],
    run: RunDirectory,
    options: MergeOptions,
) -> list[Job]:
    """A job a way and fold."""
    reads = {f"source {number}": run.keep(source) for number, source in enumerate(sources)}
    reads["folds"] = run.keep({str(number): dealt for number, dealt in enumerate(folds)})
    return [
        Job(
            f"{__name__}:train_fold",
            {
                "way": way.name,
                "sources": list(way.sources),
                "judged_on": list(way.judged_on),
                "aligned": way.aligned,
                "fold": fold,
                "seed": options.seed,
                "steps": options.steps,
            },
            reads,
            modules=MODULES,
            device=current_device().kind,
            label=f"{way.name}, fold {fold}",
            cost=1.0 + way.aligned,
        )
        for way in ways
        for fold in range(FOLDS)
    ]


def train_fold(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Learn from all but a fold of some sources, and predict that fold of each source that is judged on."""
    folds, fold = context.arrays("folds"), config["fold"]
    every = {number: context.data(f"source {number}") for number in {*config["sources"], *config["judged_on"]}}
    train = [every[number].take(np.flatnonzero(folds[str(number)] != fold)) for number in config["sources"]]
    how = DomainConfig(steps=config["steps"])
    if config["aligned"]:
        how = replace(how, adversary=SETTINGS[DANN]["adversary"])
    key = Key(f"seed-{config['seed']}") / "merge" / f"fold-{fold}"
    classifier = train_domains(DomainTask(train, train[0].images[:0], augmentation(), key, how), context.loop())
    held = {number: every[number].take(np.flatnonzero(folds[str(number)] == fold)) for number in config["judged_on"]}
    return {
        "predicted": {
            str(number): classifier.probabilities(part.images).argmax(1).tolist() for number, part in held.items()
        }
    }


def _predicted(way: Way, folds: Sequence[Labels], done: Sequence[Finished]) -> dict[int, Labels]:
    """For each source that a way is judged on, its N predictions: each image's by the training of its own fold."""
    labels = {number: np.zeros(len(folds[number]), np.int64) for number in way.judged_on}
    for one in done:
        if one.job.config["way"] == way.name:
            for number, predicted in labels.items():
                predicted[folds[number] == one.job.config["fold"]] = one.result["predicted"][str(number)]
    return labels
