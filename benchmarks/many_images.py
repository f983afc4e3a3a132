"""A million generated images as shards, and a folder of 200,000 files of which a small part is studied.

Each is one command of tenfold's on made-up images. Told are the most memory that all its processes held together
(shared pages once, the proportional set size of Linux), their seconds of computing, and what came out.

    python benchmarks/many_images.py [--only shards|folder|sets] [--images 1000000] [--files 200000]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from memory import LOOK_EVERY, START, family, made_up_files, taken_bytes
from PIL import Image
from shared import machine, table

from tenfold.core.files import read_json, write_json, write_text
from tenfold.core.keys import Key

RESULTS = Path(__file__).parent / "results" / "many-images"
SIDE, SHARDS, REAL = 32, 1000, 2000
GENERATOR = "cgan(steps=60,width=16,least_diversity=0)"
SMALL, MANY = 20_000, 120_000
"""Images of two sets, between which the memory that each image takes is told."""
PARTS = {
    "shards": "Generated images as shards",
    "folder": "A folder of many files, of which a small part is studied",
    "sets": "Memory for each image that is read over",
}


def watched(*command: object) -> dict[str, float]:
    """Run a command of tenfold's: seconds on the clock and of computing, and the most bytes that it held."""
    started, peak, seconds = time.monotonic(), 0, dict[int, float]()
    with subprocess.Popen([sys.executable, "-c", START, *map(str, command)], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            members = family(process.pid)
            peak = max(peak, sum(map(taken_bytes, members)))
            for member in members:
                seconds[member] = max(seconds.get(member, 0.0), computed(member))
            time.sleep(LOOK_EVERY)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return {
        "wall_seconds": round(time.monotonic() - started, 1),
        "computing_seconds": round(sum(seconds.values()), 1),
        "peak_bytes": peak,
    }


def computed(process: int) -> float:
    """Seconds that a process has computed."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def shards(work: Path, images: int) -> Iterator[list[object]]:
    """A quick generator's images, not held against real ones, as `tenfold sample --shards` writes them."""
    data, generator, out = work / "set.npz", work / "generator", work / "shards"
    random, labels = Key("many").numpy_generator(), np.arange(REAL) % 10
    coarse = random.integers(0, 160, (REAL, 8, 8, 3), dtype=np.uint8)
    coarse[np.arange(REAL), labels * 8 // 10] += 90
    blurred = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in coarse]
    np.savez(data, images=np.stack(blurred), labels=labels)
    watched("fit", GENERATOR, data, generator)
    made = watched("sample", generator, out, "--times", images // REAL, "--shards", SHARDS)
    there = [read_json(path)["new_images"] for path in out.glob("shard-*.json")]
    megabytes = sum(path.stat().st_size for path in out.glob("*.tar")) / 1e6
    what = f"`sample --shards {SHARDS}`: {sum(there):,} images of {SIDE} x {SIDE} x 3 in {len(there):,} shards"
    yield [f"{what}, {megabytes:,.0f} MB", *told(made), "under 1 GB"]
    (work / "one").mkdir()
    again = watched(
        "sample", generator, work / "one" / "set", "--times", images // REAL, "--shards", SHARDS, "--shard", 17
    )
    name = f"shard-00017-of-{SHARDS:05d}.tar"
    same = (work / "one" / "set" / name).read_bytes() == (out / name).read_bytes()
    yield ["`--shard 17` alone: " + ("the same bytes" if same else "OTHER BYTES"), *told(again), ""]


def folder(work: Path, files: int) -> Iterator[list[object]]:
    """Class folders of tiny JPEG files."""
    data = work / "files"
    made_up_files(data, files, SIDE)
    study = ("--arms", "raw", "--repeats", 1, "--no-learning-curve", "--out", work / "run")
    for words in (("check", data, "--per-class", 100), ("prove", data, "--per-class", 20, *study)):
        yield [
            f"`{words[0]} --per-class {words[3]}` of {files:,} files in 10 class folders",
            *told(watched(*words)), "under 2 GB",
        ]  # fmt: skip


def sets(work: Path, files: int) -> Iterator[list[object]]:
    """What each image costs that is listed and not used, by the kind of set."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tenfold.data.tar_shards import tar_parts

    data = work / "files"
    if not data.exists():
        made_up_files(data, MANY, SIDE)
    names = sorted(data.rglob("*.jpg"), key=lambda path: int(path.stem))
    for kind in ("class folders", "webdataset", "parquet"):
        peaks = []
        for count in (SMALL, MANY):
            place = work / f"{kind}-{count}".replace(" ", "-")
            place.mkdir()
            for start in range(0, count, 10_000):
                part = names[start : min(start + 10_000, count)]
                labels = [path.parent.name for path in part]
                if kind == "webdataset":
                    members = [
                        (path.stem, {"jpg": path.read_bytes(), "cls": label[-1:].encode()})
                        for path, label in zip(part, labels, strict=True)
                    ]
                    (place / f"{start:07d}.tar").write_bytes(b"".join(tar_parts(members)))
                elif kind == "parquet":
                    columns = {"image": [path.read_bytes() for path in part], "label": labels}
                    pq.write_table(pa.table(columns), place / f"{start:07d}.parquet", row_group_size=1000)
                else:
                    for path in part:
                        (place / path.parent.name).mkdir(exist_ok=True)
                        os.link(path, place / path.parent.name / path.name)
            peaks.append(listed(place))
        each, pace = (peaks[1] - peaks[0]) / (MANY - SMALL)
        yield [
            f"{kind}: reading what is in {MANY:,}", f"{peaks[1][0] / 1e6:,.0f} MB", f"{peaks[1][1]:.1f} s", "",
            f"{each:,.0f} bytes an image, {1e6 * pace:,.0f} s for a million",
        ]  # fmt: skip


def listed(data: Path) -> npt.NDArray[np.float64]:
    """The most bytes that a process held which listed a set, and its seconds of computing."""
    code = (
        f"import time; from tenfold.data.readers import manifest_of; manifest = manifest_of({str(data)!r}); "
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0], time.process_time())"
    )
    words = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return np.array([1024.0 * int(words[0]), float(words[1])])


def told(figures: dict[str, float]) -> list[str]:
    return [
        f"{figures['peak_bytes'] / 1e6:,.0f} MB",
        f"{figures['computing_seconds']:,.0f} s",
        f"{figures['wall_seconds']:,.0f} s",
    ]


def page(kept: dict[str, Any]) -> str:
    lines = [
        "# Very many images",
        "",
        f"Made by `python benchmarks/many_images.py`; {machine()}. Memory is the most that all processes of",
        "a command held together, shared pages once. The machine was shared with other work: seconds of computing",
        "count, those on the clock do not.",
    ]
    for part, title in PARTS.items():
        if part in kept:
            head = ["command", "memory", "computing", "on the clock", "wanted" if part != "sets" else "more"]
            lines += ["", f"## {title}", "", *table(head, kept[part])]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=200_000)
    options = parser.parse_args()
    path = RESULTS.with_suffix(".json")
    for part, function in (("shards", shards), ("folder", folder), ("sets", sets)):
        if options.only in (None, part):
            with tempfile.TemporaryDirectory() as directory:
                rows = list(function(Path(directory), options.images if part == "shards" else options.files))
            kept = read_json(path) if path.exists() else {}
            write_json(path, {**kept, part: rows})
            write_text(RESULTS.with_suffix(".md"), page(read_json(path)))
            print("\n".join(table(["command", "memory", "computing", "on the clock", ""], rows)), flush=True)


if __name__ == "__main__":
    main()
