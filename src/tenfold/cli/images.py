"""The commands that make images or name their class.

Verbs are imported when they are called, so that `tenfold --help` does not wait for torch.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.program import (
    MOST_WORKERS,
    Answer,
    Data,
    DryRun,
    NewDirectory,
    SameAsOut,
    app,
    argument,
    directory_option,
    from_options,
    one_directory,
)
from tenfold.core.errors import InputError
from tenfold.core.options import (
    PROCESSES,
    ExportOptions,
    FitOptions,
    GrowOptions,
    PredictOptions,
    PreviewOptions,
    RestyleOptions,
    SampleOptions,
)

Shard = Annotated[
    int | None,
    typer.Option(metavar="NUMBER", min=0, help="Make only this one of the --shards, from 0. Default: all."),
]
ShardWorkers = Annotated[
    int | None,
    typer.Option("--workers", metavar="NUMBER", min=1, max=MOST_WORKERS, help="Shards made at the same time. "
                 "Default: one a core."),
]  # fmt: skip

ShardsOn = Annotated[
    str,
    typer.Option(metavar="PLACE", help="Where --shards are made, as of run; elsewhere all machines must share OUT."),
]


@app.command()
@from_options
def preview(
    method: Annotated[
        str,
        argument(
            "METHOD", "A method, or several joined by '+': mixup, 'classical(policy=strong)', classical+mixup, cgan."
        ),
    ],
    data: Data,
    options: PreviewOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="The image to write, which must not exist. Default: preview-METHOD-DATA.png here, with a number "
            "if there is one already.",
        ),
    ] = None,
) -> Answer:
    """Draw a sheet of what a method does to the images.

    Shows real images beside changed ones, each with its class shares or what was drawn for it; for mixing
    also how the shares are spread. A generator is trained first; everything else takes seconds.

    Example: tenfold preview mixup cells/ --out mixup.png
    """
    from tenfold.verbs.preview import preview

    return preview(method, data, out, options)


@app.command()
@from_options
def grow(
    data: Data,
    options: GrowOptions,
    directory: NewDirectory = None,
    out: SameAsOut = None,
    dry_run: DryRun = False,
    shard: Shard = None,
    workers: ShardWorkers = None,
    on: ShardsOn = PROCESSES,
) -> Answer:
    """Write a grown set to a directory.

    OUT/<class>/*.png holds the real images beside the new ones, OUT/metadata.jsonl says for each where
    it came from. Whether growing helps is not asked here: that is what `tenfold prove` is for. With --shards 1000 the
    set is a thousand .tar files, and --shard 17 makes one of them: the same bytes on any machine.

    Example: tenfold grow cells/ grown/ --with cgan --times 10
    """
    target = one_directory(directory, out, "tenfold grow DATA OUT --with METHOD")
    from tenfold.verbs.grow import grow, grow_forecast

    if dry_run:
        return grow_forecast(data, options)
    return grow(data, target, options, shard=shard, workers=workers, on=on)


@app.command()
@from_options
def fit(
    method: Annotated[str, argument("METHOD", "The generator: cgan, dagan, dcgan, 'dagan(steps=3000)'.")],
    data: Data,
    options: FitOptions,
    directory: Annotated[Path | None, argument("OUT", "The generator's directory; the same as --out.")] = None,
    out: SameAsOut = None,
    dry_run: DryRun = False,
) -> Answer:
    """Train a generator and keep it.

    Leaves generator.safetensors and generator.json, and of the training metrics.jsonl and grids/. A training that
    was stopped or killed goes on where it was when the same command is given again, and ends the same to the bit.

    Example: tenfold fit dagan letters/ generator/ --budget 10m
    """
    target = one_directory(directory, out, "tenfold fit METHOD DATA OUT")
    from tenfold.verbs.fit import fit, fit_forecast

    return fit_forecast(method, data, options) if dry_run else fit(method, data, target, options)


@app.command()
@from_options
def sample(
    generator: Annotated[
        Path,
        argument("GENERATOR", "A directory that `tenfold fit`, `grow` or `run` wrote, or generator.safetensors."),
    ],
    options: SampleOptions,
    words: Annotated[
        list[str] | None,
        argument(
            "[NEWDATA] OUT",
            "The real images, in any form DATA may have, and the new directory. dagan makes new images of each of "
            "NEWDATA, of any classes; others check theirs against it, and draw unchecked where it is left out.",
        ),
    ] = None,
    out: SameAsOut = None,
    dry_run: DryRun = False,
    shard: Shard = None,
    workers: ShardWorkers = None,
    on: ShardsOn = PROCESSES,
) -> Answer:
    """Draw new images with a generator that was kept.

    OUT/<class>/*.png holds them, OUT/metadata.jsonl says for each what drew it and from which seed, OUT/sheet.png
    shows some and OUT/interpolation.png what lies between two draws.

    Example: tenfold sample generator/ new_letters/ drawn/ --times 10
    """
    usage = "tenfold sample GENERATOR [NEWDATA] OUT"
    data, directory = _data_and_directory(words or [], out, usage)
    target = one_directory(directory, out, usage)
    from tenfold.verbs.sample import sample, sample_forecast

    if dry_run:
        return sample_forecast(generator, data, options)
    return sample(generator, data, target, options, shard=shard, workers=workers, on=on)


@app.command()
@from_options
def restyle(
    data: Data,
    options: RestyleOptions,
    directory: NewDirectory = None,
    out: SameAsOut = None,
    dry_run: DryRun = False,
) -> Answer:
    """Paint each image's style as another class.

    Leaves OUT/<class>/*.png and OUT/metadata.jsonl, which names the image whose style each one has, grid.png
    (styles by classes), gates.json and restyler.safetensors. Where too few new labels can be read by an independent
    classifier, only the grid and the gates are left, and the exit status is 2.

    Example: tenfold restyle letters/ restyled/
    """
    target = one_directory(directory, out, "tenfold restyle DATA OUT")
    from tenfold.verbs.restyle import restyle, restyle_forecast

    return restyle_forecast(data, options) if dry_run else restyle(data, target, options)


@app.command()
@from_options
def predict(
    classifier: Annotated[
        Path, typer.Argument(metavar="CLASSIFIER", help="A run's directory or classifier.safetensors.")
    ],
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGES...", help="Image files, or folders of them; of vectors .npz or .csv."),
    ],
    options: PredictOptions,
    out: Annotated[Path | None, directory_option("Write DIR/predictions.csv as well.")] = None,
) -> Answer:
    """Name the class of new images.

    Uses a classifier that `tenfold run` trained and prints CSV: the file, its class, how sure that is,
    and the probability of every class. With --min-confidence what is less sure gets no class but a "yes" under "set
    aside". With --next only the files are told whose labels would teach most, by a column "label next".

    Example: tenfold predict runs/cells/classifier.safetensors new/*.png > predictions.csv
    """
    from tenfold.report.text import predictions_csv
    from tenfold.verbs.predict import predict

    predictions = predict(classifier, images, options, out=out)
    return [asdict(prediction) for prediction in predictions], predictions_csv(predictions)


@app.command()
@from_options
def export(
    classifier: Annotated[
        Path, typer.Argument(metavar="CLASSIFIER", help="A run's directory or classifier.safetensors.")
    ],
    options: ExportOptions,
    directory: NewDirectory = None,
    out: SameAsOut = None,
) -> Answer:
    """Write a classifier for programs without tenfold.

    Leaves model.pt2 (torch.export), with --onnx also model.onnx, and a model card, README.md. Both take raw values
    and give calibrated probabilities, and both are compared with the classifier before anything is written.

    Example: tenfold export runs/cells/ exported/ --onnx
    """
    target = one_directory(directory, out, "tenfold export CLASSIFIER OUT")
    from tenfold.verbs.export import export

    return export(classifier, target, options)


def _data_and_directory(words: list[str], out: Path | None, usage: str) -> tuple[str | None, Path | None]:
    """NEWDATA may be left out, and so may OUT where --out names it."""
    if len(words) > 2:
        raise InputError(f"too many words ({' '.join(words)}): {usage}")
    if len(words) == 2:
        return words[0], Path(words[1])
    if not words:
        return None, None
    return (None, Path(words[0])) if out is None or Path(words[0]) == out else (words[0], None)
