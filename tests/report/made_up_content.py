"""A report's content, made up: enough of everything that the page shows."""

from __future__ import annotations

import math

import numpy as np

from tenfold.core.keys import Key
from tenfold.evaluation import (
    ArmResult,
    Calibration,
    CurvePoint,
    ExternalComparison,
    ImagesFor,
    Interval,
    LogLoss,
    Look,
    Verdict,
    Wins,
    Worth,
)
from tenfold.report.image_sheet import Cell, Sheet
from tenfold.report.page import ReportContent


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
        "chosen_arm": "classical+cgan",
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
        "p_value": 0.0042,
        "probability_of_gain": 0.998,
        "probability_above_margin": 0.91,
        "wins": Wins(9, 5, 6),
        "warnings": ("something to know",),
    }
    return Verdict(**(values | changes))


DIAGNOSTICS = {
    "kid": 0.0123,
    "kid_imagenet": 0.0456,
    "precision": 0.712,
    "recall": 0.405,
    "density": 0.93,
    "coverage": 0.613,
    "diversity": 0.82,
    "near_copies": 0.031,
    "heldout_near_copies": 0.011,
    "distance_ratio": 0.97,
    "real_alone": 0.852,
    "generated_alone": 0.744,
}


def told_in_full(**changes):
    """A verdict with everything that only some studies have: two classes, 280 images added to 280 real ones."""
    shares = {"specificity": (interval(0.913, 0.02), interval(0.807, 0.04)), "calibration": Calibration(0.034, 0.021)}
    more = {"extra_images": 280.0} | shares
    gan = {
        "ratios": {"0": 12, "2": 8},
        "worth": Worth(140.0, 93.0, 187.0),
        "diagnostics": DIAGNOSTICS,
        "recall": (interval(0.88, 0.02), interval(0.87, 0.04)),
    }
    values = {
        "arms": (
            arm("raw", 0.80, -0.05, "hurt", worth=Worth(-121.0, -140.0, -103.0), **shares),
            arm("classical", 0.85, recall=(interval(0.85, 0.05), interval(0.84, 0.08)), **shares),
            arm("classical+mixup", 0.86, 0.01, "not_proven", worth=Worth(47.3, -5.0, math.inf), **shares),
            arm("classical+cgan", 0.88, 0.031, "helped", **more, **gan),
            arm("placebo", 0.851, 0.001, "not_proven", **more),
            arm("oracle", 0.91, 0.06, "helped", worth=Worth(280.0, 180.0, math.inf), **more),
        ),
        "curve": (
            CurvePoint("classical@50%", 140.0, interval(0.79, 0.03)),
            CurvePoint("classical@70%", 196.0, interval(0.82, 0.025)),
            CurvePoint("classical", 280.0, interval(0.85, 0.02)),
            CurvePoint("oracle", 560.0, interval(0.91, 0.02)),
        ),
        "worth": Worth(140.0, 93.0, 187.0),
        "images_for": (ImagesFor(0.9, 2.02, 1.5, 4.3), ImagesFor(0.95, math.inf, 12.0, math.inf)),
        "external": ExternalComparison(
            796, 796, 20, interval(726 / 796, 0.02), interval(717 / 796, 0.02), interval(9 / 796, 0.015), 31, 22, 0.27
        ),
        "log_loss": LogLoss(interval(0.021, 0.012), 0.0007),
        "interim_looks": (Look(2, 0.04, False), Look(4, 0.0042, False)),
    }
    return verdict(**(values | changes))


def sheet(rows=2, columns=3, channels=1, side=8, **changes):
    shape = (rows, columns, channels, side, side)
    images = Key("sheet").numpy_generator().integers(0, 256, shape).astype(np.uint8)
    rows_of_cells = [[Cell(image) for image in row] for row in images]
    return Sheet("Some images", "What they are.", **{"headings": (), "rows": rows_of_cells} | changes)


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
        "sheets": [sheet(row_labels=["top", "bottom"], headings=["a", "b", "c"])],
        "command": "tenfold run cells --seed 7",
        "config": {"seed": 7, "arms": ["raw", "classical"]},
        "classifiers": {"The final classifier": {"Parameters": "92,314"}},
        "duration_seconds": 134.0,
        "warnings": ["and something else"],
        "arm_notes": {"placebo": "a control"},
    }
    return ReportContent(**(values | changes))
