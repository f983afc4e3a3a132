"""`grow` and `sample` in shards: .tar files, any of which can be made anywhere, and all of them in parallel.

A shard is there when the .json beside it is, which is written last: so a command that was killed goes on, and several
machines can fill one directory.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.core.configuration import from_json, to_json
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_json
from tenfold.core.options import PROCESSES, GrowOptions, SampleOptions
from tenfold.core.output import UNFINISHED, require_apart, require_empty
from tenfold.core.progress import note
from tenfold.core.results import Result
from tenfold.core.types import Data, ImageDataset
from tenfold.data.cache import ImageCache
from tenfold.data.readers.known import KNOWN
from tenfold.data.tar_shards import shard_name
from tenfold.data.value_range import EXPORTED
from tenfold.generators.generator_io import FILE, save_generator
from tenfold.methods import GeneratorMethod
from tenfold.runs import Context, Job
from tenfold.runs.code import code_of, made_with
from tenfold.runs.directory import CODE, RunDirectory, asked_for
from tenfold.runs.executors.place import executor_for
from tenfold.runs.runner import run_all
from tenfold.training.checkpoint import checkpoints_in
from tenfold.training.device import current_device, one_thread
from tenfold.verbs.generators import generator_key, truncated
from tenfold.verbs.orders import order_of
from tenfold.verbs.shard_maker import COUNTED, Maker, Plan, maker_of
from tenfold.verbs.wanted import parse_growing, read_images

Options = GrowOptions | SampleOptions


@dataclass(frozen=True)
class Which:
    """The shards that are to be made now, and by how many at a time: it changes no result."""

    shard: int | None = None
    """This one alone, from 0; None is all."""
    workers: int | None = None
    """As many as the device bears, unless given."""
    on: str = PROCESSES
    """The place where that is done."""


ALL = Which()


@dataclass(frozen=True, eq=False)
class Sharded(Result):
    """What lies in a directory of shards."""

    directory: Path
    method: str
    shards: int
    """That the whole set has."""
    there: int
    """Of these."""
    made: int
    """By this command."""
    real_images: int
    new_images: int
    near_copies: int
    """Generated images that lie as near to a real one as hardly any two real images do."""
    kept_copies: bool

    @property
    def sentence(self) -> str:
        beside = f" beside {self.real_images:,} real ones" if self.real_images else ""
        held = f"{self.new_images:,} new images made by {self.method}{beside}"
        done = self.there == self.shards
        which = f"all {self.shards:,} shards" if done else f"{self.there:,} of {self.shards:,} shards"
        before = self.there - self.made
        remark = f" ({before:,} of the shards were there already)" if before else ""
        copies = "" if self.kept_copies or not self.near_copies else f", {self.near_copies:,} near copies left out"
        return f"{which} are in {self.directory}, with {held}{copies}{remark}"


def grow_in_shards(data: Data, directory: Path, options: GrowOptions, which: Which) -> Sharded:
    """As `grow`; a generator that has to learn first is kept beside the shards, and learns once.

    Raises:
        InputError: the data, the method or the directory cannot be used, or it holds shards of another plan.
        MethodFailed: the method gives nothing usable.
    """
    _require_sensible(options, which)
    require_apart(directory, data)
    method = truncated(parse_growing(options.method).make({}), options.truncation)
    real = read_images(data, options)
    place = None if isinstance(data, ImageDataset) else _anywhere(data)
    generator = str((directory / FILE).resolve()) if isinstance(method, GeneratorMethod) else None
    plan = Plan("grow", method.name(), options.to_json(), options.shards or 1, generator, place)
    reads = {real.name: real.fingerprint(), CODE: code_of(type(method).__module__)}
    _begin(directory, plan, reads, real)
    if isinstance(method, GeneratorMethod) and not (directory / FILE).with_suffix(".json").exists():
        run = directory / UNFINISHED / "run"
        with RunDirectory.opened(run, "grow", plan.options, reads), checkpoints_in(run):
            learned = method.learn(real, generator_key(method, options.seed))
        save_generator(directory / FILE, method.name(), learned, real, learned.details, options.seed)
        shutil.rmtree(run)
    return _written(directory, plan, real, reads, which)


def sample_in_shards(
    generator: str | Path, data: Data | None, directory: Path, options: SampleOptions, which: Which
) -> Sharded:
    """As `sample`, without its sheets.

    Raises:
        InputError: the generator, the data or the directory cannot be used, or it holds shards of another plan.
        MethodFailed: nothing that the generator makes may be used.
    """
    _require_sensible(options, which)
    require_apart(directory, data)
    order = order_of(generator, data, options)
    plan = Plan("sample", order.method.name(), options.to_json(), options.shards or 1, os.path.abspath(generator))
    reads = {order.real.name: order.real.fingerprint(), "(generator)": order.generator.hash}
    reads[CODE] = code_of(type(order.method).__module__)
    _begin(directory, plan, reads, order.real)
    return _written(directory, plan, order.real if order.checked else None, reads, which)


def make_shard(config: Mapping[str, Any], context: Context) -> None:
    """A shard as a job; it is written beside the others, not into the job's directory."""
    with one_thread():  # on several, sums are taken in another order
        maker = _kept_maker(json.dumps(config["plan"], sort_keys=True), context.sets.get("real"))
        maker.write(Path(config["out"]), config["shard"])


@functools.lru_cache(maxsize=1)
def _kept_maker(plan: str, place: Path | None) -> Maker:
    """Of all shards that a process makes: to read everything, and to train what checks labels, takes seconds."""
    real = None if place is None else ImageCache(place.parent).open(place)
    return maker_of(from_json(Plan, json.loads(plan)), real)


def _written(
    directory: Path, plan: Plan, real: ImageDataset | None, reads: Mapping[str, str], which: Which
) -> Sharded:
    wanted = range(plan.shards) if which.shard is None else [which.shard]
    missing = [number for number in wanted if not _record(directory, plan, number).exists()]
    if which.shard is None and missing:
        _make_all(missing, directory, plan, real, reads, which.workers)
    elif missing:
        with one_thread():
            maker_of(plan, real).write(directory, missing[0])
    return _told(directory, plan, len(missing))


def _make_all(
    missing: list[int],
    directory: Path,
    plan: Plan,
    real: ImageDataset | None,
    reads: Mapping[str, str],
    workers: int | None,
) -> None:
    place = directory / UNFINISHED / "shards"
    with RunDirectory.opened(place, plan.command, plan.options, reads) as run, executor_for(workers) as executor:
        shutil.rmtree(place / "jobs", ignore_errors=True)  # which shards are there is seen from the shards
        kept = {} if real is None else {"real": run.keep(real)}
        config = {"plan": to_json(plan), "out": str(directory.resolve())}
        function, device = f"{__name__}:{make_shard.__name__}", current_device().kind
        jobs = [
            Job(function, {**config, "shard": number}, kept, device=device, label=f"shard {number}")
            for number in missing
        ]
        note(f"making {len(missing):,} of {plan.shards:,} shards")
        run_all("shards", jobs, run, executor)
    if not all(_record(directory, plan, number).exists() for number in missing):
        raise InputError(f"shards that other machines made are not in {directory}; it must be one that all share")
    shutil.rmtree(directory / UNFINISHED)


def _require_sensible(options: Options, which: Which) -> None:
    """
    Raises:
        InputError: there is no such shard.
    """
    if options.shards is None:
        raise InputError("--shard, --workers and --on are for a set in shards: --shards 1000")
    if which.shard is not None and not 0 <= which.shard < options.shards:
        raise InputError(
            f"--shard {which.shard}: of {options.shards} shards the first is 0, the last {options.shards - 1}"
        )


def _begin(directory: Path, plan: Plan, reads: Mapping[str, str], real: ImageDataset) -> None:
    """See that the directory is empty or holds shards of this plan, and say in config.json what it is.

    Several processes may do so at once, on several machines: they write the same.

    Raises:
        InputError: it holds something else.
    """
    path = directory / "config.json"
    asked = asked_for(plan.command, {**plan.options, "device": current_device().kind}, reads)
    if not path.exists():
        require_empty(directory)
        if real.value_ranges:
            write_json(directory / EXPORTED, dict(real.value_ranges))
        write_json(path, asked | {"made_with": made_with()})
        return
    before = read_json(path)
    changed = [name for name, value in asked.items() if not isinstance(before, dict) or before.get(name) != value]
    if changed:
        what = " and ".join(changed)
        raise InputError(f"{directory} holds shards of another set (other {what}); choose another directory")


def _record(directory: Path, plan: Plan, shard: int) -> Path:
    return (directory / shard_name(shard, plan.shards)).with_suffix(".json")


def _told(directory: Path, plan: Plan, made: int) -> Sharded:
    counts, there = Counter[str](), 0
    for path in (_record(directory, plan, number) for number in range(plan.shards)):
        if path.exists():
            there += 1
            counts.update({name: int(read_json(path)[name]) for name in COUNTED})
    return Sharded(
        directory, plan.method, plan.shards, there, made, counts["real_images"], counts["new_images"],
        counts["near_copies"], bool(plan.options["keep_copies"]),
    )  # fmt: skip


def _anywhere(data: str | Path) -> str:
    """The data's name as other processes find it."""
    known = isinstance(data, str) and data in KNOWN
    return os.path.abspath(data) if not known and os.path.exists(data) else str(data)
