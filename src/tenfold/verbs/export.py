"""`export`: a trained classifier for programs without tenfold, with a card that says what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.configuration import from_json
from tenfold.core.errors import InputError, TenfoldError
from tenfold.core.files import read_json, write_bytes, write_text
from tenfold.core.keys import Key
from tenfold.core.manifest import MANIFEST, sha256_of
from tenfold.core.options import DataOptions, ExportOptions
from tenfold.core.output import require_apart
from tenfold.core.progress import note, warn
from tenfold.core.results import Result
from tenfold.data.decoding.pixels import UnreadableError
from tenfold.data.readers import Manifest, manifest_of
from tenfold.report.documents import model_card
from tenfold.runs.code import code_of
from tenfold.runs.directory import CODE, make_ready
from tenfold.training import deployment
from tenfold.training.classifier import TrainedClassifier
from tenfold.training.classifier_io import CLASSIFIER, load_classifier
from tenfold.verbs.new_set import new_set
from tenfold.verbs.predict import as_trained

LARGEST_DIFFERENCE = 1e-4
"""Of a probability, between an exported graph and the classifier itself."""
CHECKED = 64
"""Images on which they are compared."""
PT2, ONNX, CARD = "model.pt2", "model.onnx", "README.md"


@dataclass(frozen=True, eq=False)
class Exported(Result):
    """What was written, and how near to the classifier it is."""

    directory: Path
    files: tuple[str, ...]
    checked_images: int
    checked_on: str
    """Which images, in words."""
    largest_difference: float
    """Of a probability, in any of the graphs."""
    found: bool = False
    """It was there already: nothing was done."""

    @property
    def sentence(self) -> str:
        graphs = " and ".join(name for name in self.files if name in (PT2, ONNX))
        return (
            f"{self.directory} holds {graphs} with the card {CARD}: on {self.checked_images} {self.checked_on} no "
            f"probability differs from the classifier's by more than {self.largest_difference:.1g}"
        )


def export(classifier: str | Path, out: str | Path, options: ExportOptions | None = None, **changes: Any) -> Exported:
    """Write model.pt2 (torch.export), model.onnx where `onnx` is asked for, README.md and the classifier's own files.

    The graphs take raw values, uint8 N x side x side x C, or of vectors float32 N x F, and give calibrated
    probabilities. Each is compared with the classifier, on images that the run was made of where they can be read.

    Args:
        classifier: a run's directory, or classifier.safetensors.
        out: a new directory; where the same command has filled it, nothing is done.
        changes: fields of `ExportOptions` by name, such as `onnx=True`; they stand above `options`.

    Raises:
        InputError: there is no such classifier, one of `tenfold adapt`, or `out` cannot be used.
        TenfoldError: the network cannot be exported, or the graph says something else than the classifier.
    """
    options, source, directory = ExportOptions.of(options, changes), Path(classifier), Path(out)
    source = source / CLASSIFIER if source.is_dir() else source
    if (source.parent / MANIFEST).exists():
        require_apart(directory, source.parent)  # a run in which other files lie is not what it was
    make_ready(directory, "export")
    if options.onnx:
        deployment.require_onnx()
    trained = load_classifier(source)
    facts = read_json(source.with_suffix(".json"))
    if facts.get("frame"):
        raise InputError(f"{source}: classifiers of `tenfold adapt` frame images first, which no graph holds yet")
    reads = {
        "(classifier)": sha256_of(source),
        "(facts)": sha256_of(source.with_suffix(".json")),
        CODE: code_of(__name__),
    }
    with new_set(directory, "export", options.to_json(), reads) as new:
        if not new.found:
            new.finish(_written(new.folder, source, trained, facts, options))
        return Exported(directory, **{**new.kept, "files": tuple(new.kept["files"])}, found=new.found)


def _written(
    folder: Path, source: Path, trained: TrainedClassifier, facts: Mapping[str, Any], options: ExportOptions
) -> dict[str, Any]:
    """Write everything; gives what is to be known of it."""
    images, told = _real_images(source.parent, trained)
    values, expected = deployment.as_input(trained, images), trained.probabilities(images)
    program = deployment.traced(trained)
    note("exporting the classifier")
    contents = {PT2: deployment.as_pt2(program)}
    differences = [_difference(PT2, deployment.pt2_probabilities(contents[PT2], values), expected)]
    if options.onnx:
        known = ("class_names", "image_shape", "feature_names", "value_ranges", "temperature")
        contents[ONNX] = deployment.as_onnx(program, {name: facts[name] for name in known if name in facts})
        differences.append(_difference(ONNX, deployment.onnx_probabilities(contents[ONNX], values), expected))
    result = {
        "files": [*contents, CARD, CLASSIFIER, "classifier.json"],
        "checked_images": len(images),
        "checked_on": told,
        "largest_difference": max(differences),
    }
    for name, content in contents.items():
        write_bytes(folder / name, content)
    for path in (source, source.with_suffix(".json")):
        write_bytes(folder / ("classifier" + path.suffix), path.read_bytes())
    write_text(folder / CARD, model_card(facts, result, reads_vectors=trained.reads_vectors))
    return result


def _difference(name: str, told: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """
    Raises:
        TenfoldError: it is too large.
    """
    difference = float(np.abs(told - expected).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise TenfoldError(
            f"{name} says something else than the classifier, by {difference:.2g} where {LARGEST_DIFFERENCE:g} is "
            "allowed: nothing is written; please report this network"
        )
    return difference


def _real_images(run: Path, trained: TrainedClassifier) -> tuple[npt.NDArray[Any], str]:
    """Some that the run was made of, and what they are in words; made-up ones where they cannot be read."""
    random = Key("export/check").numpy_generator()
    noun = "rows" if trained.reads_vectors else "images"
    try:
        asked = read_json(run / "config.json")["options"]
        options = from_json(DataOptions, {field.name: asked[field.name] for field in fields(DataOptions)})
        data = manifest_of(asked["data"], class_folders=options.class_folders, columns=options.columns)
        rows = _some_of(data, random.permutation(len(data.sources)), trained)
        if rows.shape[1:] == trained.image_shape:
            return rows, f"{noun} of {data.name}"
    except (TenfoldError, LookupError, TypeError, ValueError, OSError):
        pass
    warn(f"the {noun} that the classifier learned from are not at hand: its graphs are compared on made-up ones")
    shape = (CHECKED, *trained.image_shape)
    if trained.reads_vectors:
        return random.normal(size=shape).astype(np.float32), f"made-up {noun}"
    return random.integers(0, 256, shape).astype(np.uint8), f"made-up {noun}"


def _some_of(data: Manifest, order: npt.NDArray[np.int64], trained: TrainedClassifier) -> npt.NDArray[Any]:
    """The first that can be read, as the classifier reads them: no other file is opened."""
    if data.vectors is not None:
        return data.vectors[order[:CHECKED], :, np.newaxis, np.newaxis]
    images: list[npt.NDArray[np.uint8]] = []
    for index in order.tolist():
        with suppress(UnreadableError):
            image = data.image(index, data.roles[index])
            images.append(as_trained(image, trained.image_shape, trained.value_ranges, Counter()))
        if len(images) == CHECKED:
            break
    return np.stack(images)
