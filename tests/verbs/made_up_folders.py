"""Class folders on the disk whose images a short training can tell apart, and what verbs have written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from made_up_sets import easy_set


def write_folders(
    root: Path, counts: Sequence[int], shape: tuple[int, int, int] = (1, 8, 8), *, key: str = "easy", **names: str
) -> Path:
    """root/<class>/<number>.png; classes are called a, b, c, ... unless named otherwise (`a="<b>"`)."""
    data = easy_set(counts, shape, noise=40, key=key)
    for index, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        letter = "abcdefgh"[label]
        path = root / names.get(letter, letter) / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = image[0] if shape[0] == 1 else image.transpose(1, 2, 0)
        Image.fromarray(pixels).save(path)
    return root


def records(out: Path) -> list[dict[str, Any]]:
    """The lines of a set's metadata.jsonl."""
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]


def files(directory: Path) -> dict[str, bytes]:
    """Every file by its relative path, but for locks and what tensorboard reads."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != ".lock" and "tensorboard" not in path.parts
    }
