"""What fuzz.py reads: for each kind of input valid samples, and the way in that tenfold's commands take."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import typer
from fuzz_inputs import MUTATIONS, of_bytes, zipped
from PIL import Image

from tenfold.adaptation.framing import frame_of
from tenfold.cli import app
from tenfold.core.files import json_bytes, read_json
from tenfold.core.keys import Key
from tenfold.core.manifest import MANIFEST
from tenfold.core.study_options import RunOptions
from tenfold.core.types import ImageDataset, Trial
from tenfold.data.audit import audit, cleaned
from tenfold.data.decoding import decode
from tenfold.data.load import load
from tenfold.generators.generator_io import save_generator
from tenfold.methods import load_generator, make_method
from tenfold.runs import Job
from tenfold.runs.arms import parse_arms
from tenfold.runs.directory import RunDirectory
from tenfold.runs.repeats import trial_of
from tenfold.training.checkpoint import State
from tenfold.training.classifier import ClassifierConfig, train_classifier
from tenfold.training.classifier_io import load_classifier, save_classifier
from tenfold.training.recipe import Recipe

Sample = dict[str, bytes]
"""Relative path -> content."""
RANDOM = Key("fuzz") / "samples"


@dataclass(frozen=True)
class Kind:
    """One kind of input: what is damaged, and how it is read."""

    samples: Callable[[Path], list[Sample]]
    read: Callable[[Path], object]
    damaged: Callable[[str], bool] = lambda name: True
    """Which files of a sample are."""


def images(count: int, *shape: int) -> Any:
    return RANDOM.numpy_generator().integers(0, 256, (count, *shape), dtype=np.uint8)


def encoded(pixels: Any, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def tables(_: Path) -> list[Sample]:
    """A folder of four images with each kind of table, and tables of numbers."""
    files = {f"{i}.png": encoded(one, "PNG") for i, one in enumerate(images(4, 6, 6))}
    rows = [{"file_name": name, "label": "ab"[i % 2], "group": f"p{i}"} for i, name in enumerate(files)]
    grown = [
        {**row, "origin": "generated" if i == 3 else "real", "parents": ["0.png"], "source": name}
        for i, (name, row) in enumerate(zip(files, rows, strict=True))
    ]
    text = "file_name,label,patient_id,split\n" + "".join(f"{i}.png,{'ab'[i % 2]},p{i},train\n" for i in range(4))
    hot = "image\tcat\tdog\tage\n" + "".join(f"{i}\t{i % 2}\t{1 - i % 2}\t{i + 20}\n" for i in range(4))
    numbers = "label,patient,x,y\n" + "".join(f"{'ab'[i % 2]},p{i},{i}.5,{i * i}\n" for i in range(6))
    return [
        {**files, "metadata.csv": text.encode()},
        {**files, "metadata.tsv": hot.encode()},
        {**files, "metadata.jsonl": lines(rows)},
        {**files, "metadata.jsonl": lines(grown), "value_ranges.json": b'{"integers": [0, 4095]}'},
        {"numbers.csv": numbers.encode()},
    ]


def labels(_: Path) -> list[Sample]:
    """A folder of images whose labels stand in a COCO file, an export of Label Studio, or a CSV above it."""
    files = {f"set/{i}.png": encoded(one, "PNG") for i, one in enumerate(images(4, 6, 6))}
    coco = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in range(4)],
        "categories": [{"id": i, "name": "ab"[i]} for i in range(2)],
        "annotations": [{"id": i, "image_id": i, "category_id": i % 2} for i in range(4)],
    }
    studio = [
        {"data": {"image": f"/data/?d={i}.png"}, "annotations": [{"result": [{"value": {"choices": ["ab"[i % 2]]}}]}]}
        for i in range(4)
    ]
    above = "id,breed\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(4))
    return [
        {**files, "set/coco.json": json.dumps(coco).encode()},
        {**files, "set/annotations/studio.json": json.dumps(studio).encode()},
        {**files, "set.csv": above.encode()},
    ]


def arrays(_: Path) -> list[Sample]:
    """An .npz of images, of vectors, and in MedMNIST's parts."""
    names, words = np.array([0, 1, 0, 1, 0, 1]), np.array(["a", "b"])
    pixels = images(6, 8, 8)
    sets: list[dict[str, Any]] = [
        {
            "images": pixels,
            "labels": names,
            "class_names": words,
            "groups": np.arange(6),
            "split": np.array(["train"] * 6),
        },
        {"features": pixels[:, 0, :4].astype("f4"), "labels": words[names], "patient": np.arange(6)},
        {
            f"{part}_{what}": {"images": pixels, "labels": names[:, None]}[what]
            for part in ("train", "test")
            for what in ("images", "labels")
        },
        {"images": images(6, 4, 4, 3).astype("f8") / 255, "labels": words[names]},
    ]
    return [{"set.npz": zipped({f"{name}.npy": npy(array) for name, array in one.items()})} for one in sets]


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def small_set() -> ImageDataset:
    numbers = np.arange(8)
    sources = tuple(map(str, numbers))
    return ImageDataset("set", images(8, 1, 8, 8), numbers % 2, ("a", "b"), numbers, sources, np.full(8, "train"))


def models(folder: Path) -> list[Sample]:
    """A classifier, a generator that has learned nothing, and a checkpoint."""
    config = ClassifierConfig(steps=2, batch_size=4, width=2, looks=1)
    trained = train_classifier(small_set(), None, Recipe(), RANDOM, config)
    frame = {"side": 8, "channels": 1, "read_side": 8, "ground": "any", "contrast": 0.0, "fill": 0.0}
    save_classifier(folder / "classifier.safetensors", trained, {"frame": frame})
    generators = []
    for name, more in (("cgan", {"least_diversity": 0.0, "label_filter": False}), ("vae", {})):
        generator = make_method(name, {"width": 2, "steps": 1, **more}).generator(small_set())  # type: ignore[attr-defined]
        generator.fit(small_set(), RANDOM)
        save_generator(folder / name / "generator.safetensors", name, generator, small_set(), {}, 0)
        generators.append(contents(folder / name))
    checkpoint = State(trained.network.state_dict(), {"step": 3, "losses": [0.5]}).pack()
    classifier = {name: (folder / name).read_bytes() for name in ("classifier.safetensors", "classifier.json")}
    return [classifier, *generators, {"checkpoint.safetensors": checkpoint}]


def read_model(folder: Path) -> object:
    if (folder / "checkpoint.safetensors").exists():
        return State.unpack((folder / "checkpoint.safetensors").read_bytes())
    if (folder / "classifier.safetensors").exists():
        classifier = load_classifier(folder)
        frame_of(read_json(folder / "classifier.json").get("frame"))
        return classifier.probabilities(images(2, *classifier.image_shape))
    return load_generator(folder)


def configurations(_: Path) -> list[Sample]:
    """The config.json of an earlier run."""
    options = RunOptions(arms="raw,classical(policy=light)+mixup,cgan(steps=500)", budget=90.0)
    config = {"command": "run", "options": {"data": "digits", **options.to_json()}, "reads": {"digits": "0"}}
    return [{"config.json": json.dumps(config).encode()}]


@cache
def run_command() -> Any:
    return typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]


def read_configuration(folder: Path) -> object:
    """As `tenfold run --config FILE`, and the options as Python callers give them."""
    context = run_command().make_context("run", ["--config", str(folder / "config.json")])
    options = RunOptions.of(
        None, {name: context.params[name] for name in ("arms", "seed", "size", "times", "repeats")}
    )
    given = read_json(folder / "config.json")["options"]
    RunOptions.of(None, {name: value for name, value in given.items() if name != "data"})
    return parse_arms(options.arms or "raw")


JOB = Job("fuzz:nothing", {"arm": "raw"})
ASKED: tuple[str, dict[str, Any], dict[str, str]] = ("prove", {"data": "set", "seed": 0}, {"set": "0"})


def runs(folder: Path) -> list[Sample]:
    """A run with a finished trial; once more as a kill has left it, with a lock and half a file."""
    trial = Trial("raw", 0, 0, 0.5, 0.7, [0, 1], [[0.5, 0.5], [0.1, 0.9]], [], 1.0, {"steps": 3})
    with RunDirectory.opened(folder / "run", *ASKED) as run:
        run.store(JOB, asdict(trial), 1.0)
    whole = {f"run/{name}": content for name, content in contents(folder / "run").items()}
    return [whole, {**whole, "run/.lock": b"12345", "run/.config.json.abc.partial": b"{", "run/rest.json": b"{}"}]


def read_run(folder: Path) -> object:
    with RunDirectory.opened(folder / "run", *ASKED) as run:
        found = run.found(JOB)
        run.manifest()
        return found and trial_of(found)


def forged(sample: Sample, name: str, random: Random) -> Sample:
    """Half of the time the manifest is made to say the same."""
    manifest = f"run/{MANIFEST}"
    if manifest in sample and name != manifest and random.random() < 0.5:
        entries = [json.loads(line) for line in sample[manifest].splitlines()]
        for entry in entries:
            if f"run/{entry['file']}" == name:
                entry["sha256"] = hashlib.sha256(sample[name]).hexdigest()
        return {**sample, manifest: lines(entries)}
    return sample


def pictures(_: Path) -> list[Sample]:
    """An image of each usual format."""
    grey, colour = images(1, 12, 12)[0], images(1, 12, 12, 3)[0]
    made = {
        "a.png": encoded(grey, "PNG"), "b.png": encoded(colour, "PNG"), "c.jpg": encoded(colour, "JPEG"),
        "d.gif": encoded(grey, "GIF"), "e.bmp": encoded(colour, "BMP"), "f.tif": encoded(colour, "TIFF"),
        "g.tif": encoded(grey.astype(np.uint16) * 200, "TIFF"), "h.webp": encoded(colour, "WEBP"),
        "i.png": encoded(grey.astype(np.uint16) * 200, "PNG"), "j.ppm": encoded(colour, "PPM"),
        "k.jp2": encoded(colour, "JPEG2000"), "l.tif": encoded(colour, "TIFF", compression="tiff_lzw"),
    }  # fmt: skip
    return [{name: content} for name, content in made.items()]


def read_picture(folder: Path) -> object:
    (path,) = folder.iterdir()
    return decode(path.read_bytes(), path.suffix)


def read_set(folder: Path) -> object:
    """As `tenfold check --out`, and what a study begins with."""
    inside = [folder / name for name in ("numbers.csv", "set.npz", "set") if (folder / name).exists()]
    dataset = load(inside[0] if inside else folder)
    findings = audit(dataset)
    json_bytes(findings.to_json())
    return cleaned(dataset, findings).fingerprint()


KINDS = {
    "metadata": Kind(tables, read_set, lambda name: not name.endswith(".png")),
    "labels": Kind(labels, read_set, lambda name: not name.endswith(".png")),
    "npz": Kind(arrays, read_set),
    "models": Kind(models, read_model),
    "configuration": Kind(configurations, read_configuration),
    "runs": Kind(runs, read_run),
    "images": Kind(pictures, read_picture),
}


def contents(folder: Path) -> Sample:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def inputs(kind: Kind, samples: list[Sample], key: Key, numbers: range) -> Iterator[tuple[int, Sample]]:
    """Damaged samples by their numbers; each depends on its number alone."""
    for number in numbers:
        random = Random((key / number).seed)
        sample = random.choice(samples)
        name = random.choice([name for name in sample if kind.damaged(name)])
        mutation = MUTATIONS.get(Path(name).suffix, of_bytes)
        yield number, forged({**sample, name: mutation(sample[name], random)}, name, random)
