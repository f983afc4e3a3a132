"""`restyle`: paint each image's style under every other label, and say what these images are worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tenfold.core.configuration import from_json, to_json
from tenfold.core.files import write_bytes, write_json
from tenfold.core.options import RestyleOptions
from tenfold.core.output import require_apart
from tenfold.core.progress import about, note
from tenfold.core.results import DryRun, Result
from tenfold.core.types import Data, ImageDataset
from tenfold.generators.gates import Gates, styles_by_classes
from tenfold.generators.generator_io import CHECKPOINT, save_generator
from tenfold.methods import MethodFailed, make_method
from tenfold.methods.restyle import Method, Restyler
from tenfold.report.image_sheet import preview_png, style_grid
from tenfold.runs.code import code_of
from tenfold.runs.directory import CODE, make_ready
from tenfold.training.callbacks import ProgressBar
from tenfold.training.device import current_device
from tenfold.training.loop import TrainingLoop
from tenfold.verbs import on_chosen_device
from tenfold.verbs.generators import generator_key, training_time
from tenfold.verbs.grown_set import GrowResult, Source, require_room, write_grown
from tenfold.verbs.new_set import new_set
from tenfold.verbs.wanted import chosen_of, labels_of, read_images

FILE = "restyler.safetensors"


@dataclass(frozen=True, eq=False)
class Restyled(Result):
    """What was painted and where it lies."""

    grown: GrowResult
    gates: Gates

    @property
    def directory(self) -> Path:
        return self.grown.directory

    @property
    def sentence(self) -> str:
        return f"{self.grown.sentence}; the grid is {self.grown.directory / 'grid.png'}"

    @property
    def text(self) -> str:
        """What the terminal shows: a line a gate, then what was written."""
        return "\n".join([*self.gates.sentences, self.sentence])

    def to_json(self) -> dict[str, Any]:
        return self.grown.to_json() | {
            "gates": self.gates.to_json(),
            "gates_in_words": list(self.gates.sentences),
            "grid": str(self.grown.directory / "grid.png"),
        }


@on_chosen_device
def restyle(data: Data, out: str | Path, options: RestyleOptions | None = None, **changes: Any) -> Restyled:
    """Train an autoencoder that tells style from label and write what it paints.

    About `options.times` new images for each real one, in OUT/<class>/*.png with OUT/metadata.jsonl, beside
    grid.png, gates.json and restyler.safetensors.

    Each image has the class of a real one and the style of another, its parent, which is of another class. A
    training that was killed goes on, to the same bits: until all is written, a hidden folder in OUT keeps it.

    Args:
        options: how it is trained, and how many images of which classes are painted.
        changes: fields of `RestyleOptions` by name, such as `steps=500`; they stand above `options`.

    Raises:
        InputError: the data, an option or OUT cannot be used.
        MethodFailed: too few of the new labels can be read. The grid and the gates are written, the images are not.
    """
    options = RestyleOptions.of(options, changes)
    method, directory = _method(options), Path(out)
    require_apart(directory, data)
    make_ready(directory, "restyle")
    real = read_images(data, options)
    chosen = chosen_of(real, options.times, labels_of(options.classes, real.class_names))
    require_room(len(chosen), real)
    method = method.for_set(real)
    asked = {**options.to_json(), **asdict(method.config), "device": current_device().kind}
    reads = {real.name: real.fingerprint(), CODE: code_of(type(method).__module__)}
    with new_set(directory, "restyle", asked, reads) as new:
        if not new.found:
            count = real.class_count
            note(f"restyling {len(real)} images of {count} classes, after training the classifiers beside it")
            with new.trainings(free=("times", "classes", "keep_copies")) as checkpoints:
                loop = TrainingLoop(callbacks=[ProgressBar("training restyle")], checkpoint=checkpoints / CHECKPOINT)
                restyler = cast(Restyler, method.learn(real, generator_key(method, options.seed), loop))
                kept = _painted(method, restyler, real, chosen, new.folder, options)
            new.finish(kept)
    if failure := new.kept.get("failed"):
        seen = f"grid.png and gates.json in {directory} show what came out; more images or --steps may help"
        raise MethodFailed(f"{failure}; {seen}")
    return Restyled(GrowResult.of(new), from_json(Gates, new.kept["gates"]))


def _painted(
    method: Method,
    restyler: Restyler,
    real: ImageDataset,
    chosen: npt.NDArray[np.int64],
    directory: Path,
    options: RestyleOptions,
) -> dict[str, Any]:
    """Write the grid, the gates and, where they are passed, the images; gives what is to be known of them."""
    key, seed = generator_key(method, options.seed), options.seed
    rows, images = styles_by_classes(restyler.network, restyler.looked_at, key / "grid")
    grid = preview_png(style_grid(restyler.looked_at, rows, images, seen=not restyler.gates.held_out))
    try:
        grown = method.more(restyler, real, chosen, key)
        source = Source("restyle", method.name(), options.seed, keep_copies=options.keep_copies)
        result = write_grown(directory, real, grown, source)
    except MethodFailed as failure:
        _write_gates(directory, grid, restyler.gates, str(failure))
        for sentence in restyler.gates.sentences:
            note(sentence)
        return {"failed": str(failure)}
    save_generator(directory / FILE, method.name(), restyler, real, grown.details, seed)
    _write_gates(directory, grid, restyler.gates, None)
    return result.kept | {"gates": to_json(restyler.gates)}


@on_chosen_device
def restyle_forecast(data: Data, options: RestyleOptions | None = None, **changes: Any) -> DryRun:
    """Say what `restyle` would train and paint with these options and how long the training takes; writes nothing.

    Raises:
        InputError: the data or an option cannot be used.
    """
    options = RestyleOptions.of(options, changes)
    method = _method(options)
    real = read_images(data, options)
    count = len(chosen_of(real, options.times, labels_of(options.classes, real.class_names)))
    taken, seconds = training_time(method, real, options.seed)
    sentence = (
        f"restyle would be trained on {len(real)} images of {real.class_count} classes for {taken} steps, "
        f"{about(seconds)}, and paint {count} new images"
    )
    facts = {"method": "restyle", "real_images": len(real), "new_images": count, "steps": taken}
    return DryRun(sentence, facts | {"seconds": round(seconds, 1)})


def _method(options: RestyleOptions) -> Method:
    given = {"preset": options.preset, "steps": options.steps, "code_size": options.latent_size}
    method = make_method("restyle", {name: value for name, value in given.items() if value is not None})
    assert isinstance(method, Method)
    return method


def _write_gates(directory: Path, grid: bytes, gates: Gates, refused: str | None) -> None:
    write_bytes(directory / "grid.png", grid)
    write_json(
        directory / "gates.json",
        gates.to_json() | {"in_words": list(gates.sentences), "passed": refused is None, "refused": refused},
    )
