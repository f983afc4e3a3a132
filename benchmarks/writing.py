"""How fast images are written, as a share of what the encoder alone could do on as many cores.

The limit is Pillow's PNG encoder in a loop on images that lie ready, one process a core, and nothing else. Beside it,
in turns within the same processes, the same images are written as shards (encoded, with their labels and records,
hashed, flushed to the disk); and as class folders, by one process that encodes on several threads.

    python benchmarks/writing.py [--sides 32,64,256] [--rounds 5] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from shared import Comparison, keep_comparisons, machine, table

from tenfold.core.files import write_text
from tenfold.core.keys import Key
from tenfold.core.parallel import available_cores
from tenfold.core.types import ImageDataset
from tenfold.data.export import LEVEL, export
from tenfold.generators import Indices
from tenfold.methods import Grown
from tenfold.verbs.grown_set import Source
from tenfold.verbs.shard_maker import Maker

RESULTS = Path(__file__).parent / "results" / "writing.md"
PIXELS = 1 << 23
"""Of a round in each process, of at most `MOST` images."""
MOST = 2048


def count_of(side: int) -> int:
    return min(MOST, PIXELS // side**2)


def images_of(side: int) -> npt.NDArray[np.uint8]:
    """Blurred noise in colour, N x 3 x side x side."""
    random = Key(f"writing/{side}").numpy_generator()
    coarse = random.integers(0, 256, (count_of(side), 8, 8, 3), dtype=np.uint8)
    blurred = [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BILINEAR)) for one in coarse]
    return np.ascontiguousarray(np.stack(blurred).transpose(0, 3, 1, 2))


def encode(pixels: npt.NDArray[np.uint8]) -> None:
    """N x H x W x 3, by Pillow alone."""
    for one in pixels:
        Image.fromarray(one).save(io.BytesIO(), "PNG", compress_level=LEVEL)


def maker_of(images: npt.NDArray[np.uint8]) -> Maker:
    """Writes images that are there already as shards: what it takes beside making them."""
    real = ImageDataset.of_arrays("writing", images[:2], np.arange(2), ("a", "b"))

    def draw(numbers: Indices, key: Key) -> Grown:
        seeds = tuple(range(len(numbers)))
        return Grown(images[numbers], numbers % 2, ((),) * len(numbers), seeds, numbers=numbers)

    return Maker(real, Source("sample", "cgan", 0), len(images), draw, shards=1, generator_hash="0" * 16)


def in_turns(side: int, rounds: int, place: str) -> tuple[float, float]:
    """Seconds that this process computed for the limit, and for shards of the same images."""
    images = images_of(side)
    pixels, maker = np.ascontiguousarray(images.transpose(0, 2, 3, 1)), maker_of(images)
    spent = [0.0, 0.0]
    steps: list[Callable[[], object]] = [lambda: encode(pixels), lambda: maker.write(Path(place), 0)]
    for number in range(rounds + 1):
        for which, step in enumerate(steps):
            started = time.process_time()
            step()
            spent[which] += (time.process_time() - started) * (number > 0)  # the first round only warms up
    return spent[0], spent[1]


def of_shards(side: int, rounds: int, cores: int) -> tuple[float, float]:
    """Images a second of computing in each process: of the limit, and of shards."""
    with (
        tempfile.TemporaryDirectory() as place,
        ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool,
    ):
        folders = [Path(place, str(number)) for number in range(cores)]
        tasks = [pool.submit(in_turns, side, rounds, str(folder)) for folder in folders]
        limit, ours = np.sum([task.result() for task in tasks], axis=0)
    count = cores * rounds * count_of(side)
    return count / limit, count / ours


def of_folders(side: int, rounds: int, cores: int) -> tuple[float, float]:
    """Images a second on the clock: of the limit in a process a core, and of class folders on all cores."""
    images = images_of(side)
    data = ImageDataset.of_arrays("writing", images, np.arange(len(images)) % 2, ("a", "b"))
    pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    records = [{"origin": "generated", "method": "cgan", "seed": number} for number in range(len(data))]
    limits, ours = [], []
    with tempfile.TemporaryDirectory() as place, multiprocessing.get_context("fork").Pool(cores) as pool:
        for _ in range(rounds + 1):
            started = time.perf_counter()
            pool.map(encode, [pixels[start::cores] for start in range(cores)], 1)
            middle = time.perf_counter()
            export(Path(place, "out"), data, records)
            limits.append(middle - started)
            ours.append(time.perf_counter() - middle)
            shutil.rmtree(Path(place, "out"))
    return len(images) / statistics.median(limits[1:]), len(images) / statistics.median(ours[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", default="32,64,256")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--comparisons", type=Path, help="a .json for run.py")
    options = parser.parse_args()
    cores, rows, comparisons = available_cores(), [], list[Comparison]()
    for side in map(int, options.sides.split(",")):
        for name, measured in (("shards, a process a core", of_shards), ("class folders, one process", of_folders)):
            limit, ours = measured(side, options.rounds, cores)
            comparisons.append(Comparison(f"{side}x{side}x3, {name}", "Pillow's PNG encoder alone", ours / limit))
            rows.append([f"{side} x {side} x 3", name, f"{limit:,.0f}", f"{ours:,.0f}", f"{ours / limit:.2f}"])
            print(*rows[-1], sep="  ", flush=True)
    words = [
        f"# Writing images\n\nMade by `python benchmarks/writing.py`; {machine()}. PNG of blurred noise, images a",
        "second: of shards in each process by its seconds of computing, of class folders on all cores by the clock,",
        f"median of {options.rounds} rounds, which take turns with the encoder's own. A file of a few KB takes the",
        "disk longer than the encoder, as each is made to last: very many small images are written as shards.\n\n",
    ]
    head = ["images", "written as", "Pillow's encoder alone", "tenfold", "ratio (goal 0.8)"]
    keep_comparisons(options.comparisons, comparisons)
    write_text(options.out, "\n".join(words) + "\n".join(table(head, rows)) + "\n")


if __name__ == "__main__":
    main()
