"""The options of every verb, each said once: name, kind, default, bounds and what it is for.

The command line reads its flags and its help from these types, Python callers pass `StudyOptions(repeats=2)` or the
same names as keywords, and a run's config.json holds one of them. What changes no result (where to write, how many
workers) is not an option but a parameter of the verb. Raise or lower a bound, add a field: nothing else repeats it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from tenfold.core.configuration import Option, Options
from tenfold.core.progress import parse_duration

MOST_PIXELS = 1024
"""Side of an image: beyond it not one batch fits into a computer's memory."""
MOST_SEED = 2**63 - 1
MOST_STEPS = 10_000_000
MOST_IMAGES = 1_000_000_000
MOST_SECONDS = 365 * 86_400.0

Device = Annotated[
    str,
    Option(
        "Where networks train and draw: auto (a GPU if there is one; or TENFOLD_DEVICE), cpu, cuda, cuda:1, mps.",
        "NAME",
    ),
]
PROCESSES = "processes"
On = Annotated[
    str,
    Option(
        "Where trainings are done: processes, which are those of this computer; ray or ray://ADDRESS (extra "
        "ray); slurm or slurm:partition=NAME,time=2h (extra slurm).",
        "PLACE",
    ),
]
ClassFolders = Literal["auto", "top", "path", "last"]
"""The folders that name the class: the one at the top, all of them, or the one that holds the image."""
Times = Annotated[float, Option("New images for each real one.", "NUMBER", min=0.01, max=1000)]
Classes = Annotated[
    tuple[str, ...],
    Option("Make new images of this class alone; may be given several times.", "NAME", flag="--class"),
]
Truncation = Annotated[
    float | None,
    Option(
        "The largest value of a generator's noise, in standard deviations: smaller is surer and less varied. "
        "Default: no bound, or the generator's own.",
        "NUMBER",
        min=0.01,
        max=100,
    ),
]
KeepCopies = Annotated[
    bool, Option("Write a generator's near copies of real images too, marked. Default: they are left out.")
]
Shards = Annotated[
    int | None,
    Option(
        "Write so many .tar files, which the library webdataset reads, in place of class folders: for sets of very "
        "many images. Default: class folders.",
        "NUMBER",
        min=1,
        max=99_999,
    ),
]
Reframe = Annotated[
    Literal["auto", "no"],
    Option("Mend differences of polarity, size of what is shown, contrast and colour first, or not."),
]
FileColumn = Annotated[
    str | None,
    Option("The column of a table that names the files, or the rows. Default: file_name, image, id, ...", "NAME"),
]
Steps = Annotated[int, Option("Of each arm's training.", "NUMBER", min=1, max=MOST_STEPS)]


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Which images of the data a verb reads, and the seed of its draws."""

    seed: Annotated[
        int, Option("Names every random draw: the same seed gives the same result.", "NUMBER", min=0, max=MOST_SEED)
    ] = 0
    size: Annotated[
        int | None,
        Option("Side of the images in training. Default: chosen from the data.", "PIXELS", min=4, max=MOST_PIXELS),
    ] = None
    per_class: Annotated[
        int | None,
        Option(
            "Use this many images of each class, the rest as reserve. Default: all.", "NUMBER", min=1, max=MOST_IMAGES
        ),
    ] = None
    images: Annotated[
        int | None, Option("Use this many images in all. Default: all.", "NUMBER", min=1, max=MOST_IMAGES)
    ] = None
    class_folders: Annotated[
        ClassFolders,
        Option(
            "The folders that name the class where several lie around each image: the one at the top, all of them "
            "(path), or the last. Default: the one at the top, where that is clear."
        ),
    ] = "auto"

    file_column: FileColumn = None
    label_column: Annotated[
        str | None,
        Option(
            "The column of a table that names the class, or several of 0 and 1: NAME,NAME. Default: label, class, "
            "diagnosis, target, ...",
            "NAME",
        ),
    ] = None
    group_column: Annotated[
        str | None,
        Option(
            "The column of a table whose equal cells stay in one fold; none: no column. Default: one that names a "
            "patient, subject, donor, lesion, ..., in any spelling.",
            "NAME",
        ),
    ] = None

    @property
    def reading(self) -> dict[str, Any]:
        """The keywords of `tenfold.load`."""
        return {field.name: getattr(self, field.name) for field in fields(DataOptions)}

    @property
    def columns(self) -> dict[str, str]:
        """What the columns of a table are called, as far as it was said."""
        named = {"file": self.file_column, "label": self.label_column, "group": self.group_column}
        return {what: name for what, name in named.items() if name is not None}


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(DataOptions):
    """The same of verbs that train or draw with networks."""

    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class FitOptions(TrainingOptions):
    """How `fit` trains a generator."""

    budget: Annotated[
        float | None,
        Option(
            "Take as many steps as fit into 45s, 15m, 1h30m. Default: no limit.",
            "TIME",
            min=0.001,
            max=MOST_SECONDS,
            reads=parse_duration,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class GrowOptions(TrainingOptions):
    """What `grow` makes."""

    method: Annotated[str, Option("The method that makes the images, such as cgan.", "METHOD", flag="--with")]
    times: Times = 10.0
    only_new: Annotated[bool, Option("Leave the real images out.")] = False
    classes: Classes = ()
    truncation: Truncation = None
    keep_copies: KeepCopies = False
    shards: Shards = None


@dataclass(frozen=True, kw_only=True)
class SampleOptions(TrainingOptions):
    """What `sample` draws."""

    times: Times = 10.0
    classes: Classes = ()
    truncation: Truncation = None
    keep_copies: KeepCopies = False
    size: Annotated[
        int | None,
        Option("Side of the new images. Default: what the generator learned.", "PIXELS", min=4, max=MOST_PIXELS),
    ] = None
    shards: Shards = None


@dataclass(frozen=True, kw_only=True)
class RestyleOptions(TrainingOptions):
    """How `restyle` trains, and what it makes."""

    times: Times = 1.0
    classes: Classes = ()
    preset: Annotated[str, Option("fast, or article: the loss of the article behind this, which fails.", "NAME")] = (
        "fast"
    )
    steps: Annotated[
        int | None,
        Option("Of the training. Default: by the number of images, up to 2,000.", "NUMBER", min=1, max=MOST_STEPS),
    ] = None
    latent_size: Annotated[
        int | None, Option("Values that hold a style. Default: 16.", "NUMBER", min=1, max=4096)
    ] = None
    keep_copies: KeepCopies = False


@dataclass(frozen=True, kw_only=True)
class PreviewOptions(TrainingOptions):
    """What `preview` shows."""

    rows: Annotated[int, Option("Rows of images.", "NUMBER", min=1, max=50)] = 6


@dataclass(frozen=True, kw_only=True)
class MergeOptions(TrainingOptions):
    """How the sources are used by `merge`."""

    reframe: Reframe = "auto"
    steps: Steps = 400
    on: On = PROCESSES


@dataclass(frozen=True, kw_only=True)
class AdaptOptions(MergeOptions):
    """How `adapt` carries a classifier over, and how it is judged."""

    test: Annotated[
        str | None,
        Option(
            "A labelled set like the target, sealed until the end; of a set with a test part that part. "
            "Default: none, and nothing is said of how often labels are right.",
            "DIR",
        ),
    ] = None
    confidence: Annotated[
        float, Option("The least confidence of an image that is written to labelled/.", "SHARE", min=0, max=1)
    ] = 0.9


@dataclass(frozen=True, kw_only=True)
class PredictOptions(Options):
    """How `predict` computes, and which of the files it tells."""

    device: Device = "auto"
    seed: Annotated[
        int, Option("Accepted as everywhere; predicting draws nothing.", "NUMBER", min=0, max=MOST_SEED)
    ] = 0
    file_column: FileColumn = None
    min_confidence: Annotated[
        float | None,
        Option("Give what is less sure than this no label: it is set aside. Default: all.", "SHARE", min=0, max=1),
    ] = None
    next: Annotated[
        int | None,
        Option(
            "Tell only this many, whose labels would teach the classifier most, the first one first: the least sure, "
            "no two alike. Default: all files, in their order.",
            "NUMBER",
            min=1,
            max=MOST_IMAGES,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """In which forms `export` writes a classifier."""

    onnx: Annotated[bool, Option("Write model.onnx too; needs the extra: pip install 'tenfold[onnx]'.")] = False
    seed: Annotated[
        int, Option("Accepted as everywhere; exporting draws nothing.", "NUMBER", min=0, max=MOST_SEED)
    ] = 0


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions(Options):
    """At which scale a claim is repeated."""

    quick: Annotated[bool, Option("Fewer and shorter trainings, whose figures are not the claim's.")] = False
    seeds: Annotated[
        int | None, Option("How many seeds. Default: what the claim takes.", "NUMBER", min=2, max=1000)
    ] = None
    seed: Annotated[
        int, Option("The first of the seeds: the same give the same result.", "NUMBER", min=0, max=MOST_SEED)
    ] = 0
    device: Device = "auto"
    on: On = PROCESSES


def path_as_text(path: str | Path | None) -> str | None:
    """A set as an option keeps it: a path stays one, also where a known set has the same name."""
    return os.path.join(".", path) if isinstance(path, os.PathLike) else path
