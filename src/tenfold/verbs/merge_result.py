"""What merging found: how often each way is right on each source, and what pooling and alignment gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.types import ImageDataset
from tenfold.evaluation.external_test import paired_difference
from tenfold.verbs.adapt_result import judged

POOLED, ALIGNED = "pooled", "pooled + DANN"

Labels = npt.NDArray[np.int64]


def alone_name(source: str) -> str:
    """The way that learns from a single source."""
    return f"{source} alone"


def way_json(
    name: str, sources: Sequence[ImageDataset], folds: Sequence[Labels], predicted: Mapping[int, Labels]
) -> dict[str, Any]:
    """How often a way is right on each source; every image was judged in its own fold."""
    cells = [
        judged(source, predicted[number], folds[number]) | {"images": len(source)} if number in predicted else None
        for number, source in enumerate(sources)
    ]
    return {
        "name": name,
        "cells": cells,
        "mean": round(float(np.mean([cell["accuracy"] for cell in cells if cell])), 5),
    }


def gains_json(
    sources: Sequence[ImageDataset], folds: Sequence[Labels], predicted: Mapping[str, Mapping[int, Labels]]
) -> dict[str, Any]:
    """What pooling gains on each source over that source alone, and DANN over pooling on all of them."""
    numbers = range(len(sources))
    pooled, aligned = ([predicted[way][number] for number in numbers] for way in (POOLED, ALIGNED))
    alone = [predicted[alone_name(source.name)][number] for number, source in enumerate(sources)]
    return {
        "pooled": [
            _gain(sources[number : number + 1], [folds[number]], [pooled[number]], [alone[number]])
            for number in numbers
        ],
        "aligned": _gain(sources, folds, aligned, pooled),
    }


def _gain(
    sources: Sequence[ImageDataset], folds: Sequence[Labels], ours: Sequence[Labels], theirs: Sequence[Labels]
) -> dict[str, Any]:
    """By how much plain accuracy differs, every source counting the same; a fold's training judges all sources."""
    labels = [source.labels for source in sources]
    right, other = (np.concatenate([*map(np.equal, one, labels)]).astype(np.float64) for one in (ours, theirs))
    weights = np.concatenate([np.full(len(one), 1 / (len(one) * len(sources))) for one in labels])
    # Groups of different sources are different ones, whatever their numbers.
    apart = [np.unique(one.groups, return_inverse=True)[1] * len(sources) + k for k, one in enumerate(sources)]
    groups, inside = np.concatenate(apart), np.concatenate(folds)
    gain, p_value = paired_difference((right - other)[:, None], groups, weights, inside[:, None])
    return {"points": [round(100 * value, 3) for value in (gain.estimate, gain.low, gain.high)], "p_value": p_value}


def merging_sentence(document: Mapping[str, Any]) -> str:
    def told(gain: Mapping[str, Any], where: str) -> str:
        points, low, high = gain["points"]
        return f"{points:+.1f} points {where} ({low:+.1f} to {high:+.1f})"

    gains, names = document["gains"], [source["name"] for source in document["sources"]]
    each = ", ".join(told(gain, f"on {name}") for gain, name in zip(gains["pooled"], names, strict=True))
    return (
        f"Pooling, against each source alone: {each}; DANN between the sources, against pooling: "
        f"{told(gains['aligned'], 'on average')}."
    )
