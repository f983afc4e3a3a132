"""The pages of adapt and merge show what their documents hold, inert, and load nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.core.keys import Key
from tenfold.report.documents import adaptation_text, merging_text, render_adaptation, render_merging
from tenfold.report.embedding import Panel, embedding_png

EVIL = "<script>alert(1)</script>"
CELL = {"accuracy": 0.912, "interval": [0.9, 0.92], "balanced_accuracy": 0.9, "images": 100}


def adapted(**changes: Any) -> dict[str, Any]:
    arm = {
        "name": "MCC", "chosen": True, "source_score": 0.95, "information": 0.9, "missing_classes": 0,
        "collapsed": False, "test": CELL, "seconds": 4.0,
    }  # fmt: skip
    document: dict[str, Any] = {
        "sentence": f"Of 7 ways from a to {EVIL}, MCC was chosen.",
        "chosen": "MCC",
        "chosen_by": "information",
        "sources": [{"name": EVIL, "trained_on": 9, "held_out": 1}],
        "target": {"name": "b", "images": 12},
        "framing": [
            {"name": "a", "plain": 1, "light": 0, "filled": 0.5, "contrast": 1, "side": 8, "channels": 1},
        ],
        "mends": [{"difference": "they differ", "remedy": "they are mended", "applied": True}],
        "arms": [arm, {**arm, "name": "self-training", "chosen": False, "collapsed": True, "begins with": "MCC"}],
        "classes": [{"name": EVIL, "source_images": 9, "predicted": 0, "mean_confidence": None, "recall": None}],
        "labelled": {"written": 8, "of": 12, "confidence": 0.9, "directory": "labelled"},
        "test": {
            "name": "t", "groups": 25, **CELL, "against": "source only", "gain_points": [4.0, 1.0, 7.0],
            "p_value": 0.01, "rank_correlation": 0.8, "best_arm": "MCC",
        },
        "domain_probe": {"source only": 0.98, "MCC": None},
        "warnings": ["few images"],
        "options": {"seed": 0, "size": None},
        "command": "tenfold adapt a --to b",
        "seconds": 63.0,
        "hardware": {"cores": 2},
    }  # fmt: skip
    return document | changes


def test_the_page_of_an_adaptation_is_whole_and_inert() -> None:
    page = render_adaptation(adapted(), b"png")
    assert EVIL not in page
    for words in ("they differ", "collapsed", "begins with MCC", "91.2 %", "+4.0 points", "few images", "98.0 %"):
        assert words in page
    assert 'src="http' not in page
    bare = render_adaptation(adapted(test=None, arms=[{**adapted()["arms"][0], "test": None}]), b"png")
    assert "how often they err is not known" in bare
    text = adaptation_text(adapted())
    measured = (
        "On held-out source: balanced accuracy. On the sealed test: plain accuracy on 100 images in 25 independent "
        "groups; each arm is one classifier; the interval is about other images, not about other trainings."
    )
    assert measured in page
    assert measured in text.replace("\n", " ")
    assert "MCC (chosen)" in text
    assert "0.900 COLLAPSED" in text
    assert "8 of 12 target images" in text


def test_the_page_of_a_merging_is_whole_and_inert() -> None:
    document: dict[str, Any] = {
        "sentence": "Pooling helps.",
        "sources": [
            {"name": EVIL, "images": 4, "groups": 2, "counts": [1, 3]},
            {"name": "b", "images": 5, "groups": 5, "counts": [2, 3]},
        ],
        "folds": 3,
        "class_names": ["x", EVIL],
        "ways": [{"name": "pooled", "cells": [CELL, None], "mean": 0.912}],
        "mends": [{"difference": "they differ", "remedy": "mended"}],
        "warnings": ["odd"],
        "command": "tenfold adapt a b",
        "seconds": 3.0,
        "hardware": {"cores": 2},
    }
    page = render_merging(document)
    assert EVIL not in page
    assert "91.2 %" in page
    assert "they differ: mended" in page
    text = merging_text(document)
    assert "91.2 % (90.0 to 92.0)" in text
    assert "b (5 images): every image is judged once, by that one of 3 trainings" in text.replace("\n", " ")
    assert "(4 images in 2 independent groups), b (5 images): every image" in page


def test_the_image_of_features_takes_any_names() -> None:
    points = Key("tests/points").numpy_generator().normal(size=(20, 2))
    panels = [Panel("before $x", points, points[:1]), Panel("花", points, points + 3)]
    png = embedding_png(panels, ["a_$"], "ünï")
    assert png[:4] == b"\x89PNG"
    assert np.frombuffer(png[16:24], ">u4").tolist() == [860, 440]
    assert embedding_png(panels, ["a_$"], "ünï") == png
