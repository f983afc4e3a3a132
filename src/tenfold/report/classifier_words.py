"""What the classifiers of a run are, in words: the best supported one, and the one beside it while that is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tenfold.report.text import ONE_TRAINING, images_in_groups

Summary = Mapping[str, Any]
"""As classifier.json and candidate.json tell it."""


def classifier_rows(summary: Summary, name: str = "classifier") -> dict[str, str]:
    """The rows of its table on the page.

    Args:
        name: of its files.
    """
    which = f"the training part of fold {summary['fold']}:" if "fold" in summary else "all"
    words = {
        "Files": f"{name}.safetensors and {name}.json, for `tenfold predict`",
        "Trained with": f"{summary['arm']}, on {which} {summary['trained_on_images']:,} images",
    }
    if summary["interval"]:
        words["Balanced accuracy to expect"] = f"{_expected(summary)}, mean of the classifiers in cross-validation"
    if judged := summary["temperature_from_images"]:
        temperature = f"calibrated, at a temperature of {summary['temperature']:.2f}"
        words["Probabilities"] = f"{temperature}, by its arm's out-of-fold predictions of {judged:,} images"
    if external := summary["external_test"]:
        of = images_in_groups(external["images"], external["groups"])
        accuracy = _percent(external["accuracy"], external["interval"])
        words["On the sealed external test"] = f"{accuracy} of {of} recognised: plain accuracy of this {ONE_TRAINING}"
    return words


def candidate_sentence(candidate: Summary, classifier: Summary) -> str:
    """What is open between the two, and what each was found to reach; of one with `left_out`, why it is not there."""
    name, baseline = candidate["arm"], classifier["arm"]
    if reason := candidate.get("left_out"):
        return f"Whether {name} is better than {baseline} is open; its classifier was not kept: {reason}."
    told = [f"{_expected(one)} for {one['arm']}" for one in (candidate, classifier) if one["interval"]]
    sentence = (
        f"Whether {name} is better than {baseline} is open, so its classifier is kept too (candidate.safetensors): "
        f"balanced accuracy {', '.join(told)}"
    )
    if candidate["external_test"]:
        tested = [one["external_test"] for one in (candidate, classifier)]
        shares = " and ".join(_percent(one["accuracy"], one["interval"]) for one in tested)
        sentence += f"; of the {tested[0]['images']:,} sealed images these two recognise {shares}"
    return f"{sentence}."


def _expected(summary: Summary) -> str:
    return _percent(summary["cross_validated_balanced_accuracy"], summary["interval"])


def _percent(share: float, bounds: Sequence[float]) -> str:
    return f"{100 * share:.1f} % ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})"
