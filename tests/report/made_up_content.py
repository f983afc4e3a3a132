"""A report's content, made up: enough of everything that the page shows."""

from __future__ import annotations

import numpy as np

from tenfold.core.keys import Key
from tenfold.core.types import ArmResult, Interval, Verdict
from tenfold.report.content import ReportContent, Sheet


def interval(estimate, half):
    return Interval(estimate, estimate - half, estimate + half, half / 2)


def arm(name, accuracy, difference=None, outcome=None, **changes):
    values = {
        "balanced_accuracy": interval(accuracy, 0.02),
        "against_baseline": difference and interval(difference, 0.01),
        "outcome": outcome,
        "recall": (interval(accuracy, 0.05), None),
        "external_accuracy": None,
        "seconds": 75.0,
    }
    return ArmResult(name, **(values | changes))


def verdict(**changes):
    failed = {
        "balanced_accuracy": None,
        "recall": (None, None),
        "failed_trials": 2,
        "failure": "it collapsed",
    }
    values = {
        "outcome": "helped",
        "pick": "classical+cgan",
        "baseline": "classical",
        "difference": interval(0.031, 0.019),
        "smallest_detectable": 0.042,
        "margin": 0.01,
        "repeats": 4,
        "folds": 5,
        "images": 1234,
        "groups": 900,
        "arms": (
            arm("raw", 0.80, -0.05, "hurt"),
            arm("classical", 0.85),
            arm("classical+cgan", 0.88, 0.031, "helped"),
            arm("placebo", 0.851, 0.001, "not_proven"),
            arm("dagan", 0, **failed),
        ),
        "pick_counts": {"classical+cgan": 20},
        "warnings": ("something to know",),
    }
    return Verdict(**(values | changes))


def sheet(rows=2, columns=3, channels=1, side=8, **changes):
    shape = (rows, columns, channels, side, side)
    images = Key("sheet").numpy_generator().integers(0, 256, shape).astype(np.uint8)
    return Sheet("Some pictures", "What they are.", images, **changes)


def content(**changes):
    values = {
        "data_name": "cells",
        "verdict": verdict(),
        "class_names": ["lymphocyte", "blast"],
        "audit": {
            "images": 1234,
            "counts": {"lymphocyte": 1230, "blast": 4},
            "image_shape": [3, 40, 60],
            "set_aside": [{"source": "blast/9.png", "reason": "truncated"}],
            "conversions": {"turned upright by EXIF": 3},
            "actions": ["duplicates stay in one fold"],
            "warnings": ["few blasts"],
        },
        "sheets": [sheet(row_labels=["top", "bottom"], column_labels=["a", "b", "c"])],
        "command": "tenfold run cells --seed 7",
        "config": {"seed": 7, "arms": ["raw", "classical"]},
        "final_classifier": {"parameters": 92314},
        "duration_seconds": 134.0,
        "warnings": ["and something else"],
        "arm_notes": {"placebo": "a control"},
    }
    return ReportContent(**(values | changes))
