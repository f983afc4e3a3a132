"""What `tenfold prove --dry-run` prints: what would be trained, how long that takes, what it could show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tenfold.core.progress import about, duration, one_line
from tenfold.report.text import OUTCOMES, aligned

Document = Mapping[str, Any]

EARLIER_STUDIES = "digits, wbc and pneumoniamnist"
"""Those that tell how much two arms differ; see runs/forecast.py."""


def forecast_text(forecast: Document) -> str:
    """The JSON of a forecast in plain words, its command last."""
    parts = (_trained(forecast), _how_long(forecast), _can_show(forecast), [f"Start it: {forecast['command']}"])
    return "\n\n".join("\n".join(lines) for lines in parts)


def _trained(told: Document) -> list[str]:
    arms: Mapping[str, Document] = told["arms"]
    what = f"{told['images']:,} images of {told['classes']:,} classes"
    if told["groups"] < told["images"]:
        what += f" in {told['groups']:,} independent groups"
    if told["reserve_images"]:
        what += f"; {told['reserve_images']:,} more in reserve"
    if told["external_test_images"]:
        what += f"; {told['external_test_images']:,} sealed for the external test"
    lines = [one_line(f"{told['data']}: {what}.")]
    if left := told["not_evaluated"]:
        lines.append(one_line(f"Too few images to be evaluated, so only trained on: {', '.join(left)}."))
    counts = f"{_count(len(arms), 'arm')} x {told['folds']} folds x {_count(told['repeats'], 'repeat')}"
    lines.append(f"It would run {told['trials']:,} trials ({counts}):")
    rows = [
        (name, f"{arm['trials']:,}", f"{arm['classifiers']:,}", f"{arm['generators'] or ''}", about(arm["seconds"]))
        for name, arm in arms.items()
    ]
    heading = ("arm", "trials", "classifiers", "generators", "computing time")
    lines += aligned(heading, rows, numbers=[1, 2, 3]).splitlines()
    if any(arm["classifiers"] > arm["trials"] for arm in arms.values()):
        lines.append(
            f"Of new images {_listed(told['ratios'], 'and')} for each real one are tried; inner images choose."
        )
    return lines


def _how_long(told: Document) -> list[str]:
    workers = told["workers"]
    slower = ", which slow each other down" if workers > 1 else ""
    lines = [
        f"Time: {about(told['seconds'])} with {_count(workers, 'worker')}{slower}; estimated from a pilot of "
        f"{duration(told['pilot']['seconds'])} on one fold."
    ]
    if looks := told["seconds_to_looks"]:
        when = _listed([f"{repeats} repeats ({about(seconds)})" for repeats, seconds in looks.items()], "or")
        lines.append(f"It ends after {when} if the case is clear by then.")
    return lines


def _can_show(told: Document) -> list[str]:
    low, _, high = told["detectable_points"]
    pilot, margin, images = told["pilot"], f"{told['margin_points']:g}", told["images"]
    margin += " point" if margin == "1" else " points"
    size = f"{_points(low)} to {_points(high)} points or more (found in 80 % of such studies)"
    if told["only_large_effects"]:
        lines = [f"These images can only show large effects: {size}."]
    else:
        lines = [f"Effect that it can show: {size}."]
    errors = f"the pilot's errors ({100 * pilot['inner_error']:.0f} % of the inner images)"
    if not pilot["inner_images"]:
        errors = "half of the images being missed, as the pilot had no inner ones to try"
    lines.append(f"That rests on {errors} and on studies of {EARLIER_STUDIES}.")
    needed = told["images_for_margin"]
    enough = f"these {images:,} should do" if needed <= images else f"there are {images:,}"
    lines.append(
        f"An effect of {margin}, the least that counts in practice, takes about {_two_digits(needed):,} images like "
        f"these; {enough}."
    )
    verdicts = [OUTCOMES[name] for name in told["possible_verdicts"]]
    lines.append(f"Possible verdicts: {_listed(verdicts, 'or')}.")
    if "no_practical_difference" not in told["possible_verdicts"]:
        lines[-1] += f" To show that {margin} is not exceeded takes more images."
    return lines


def _points(points: float) -> str:
    return f"{points:.0f}" if points >= 9.95 else f"{points:.1f}"


def _two_digits(number: int) -> int:
    """An estimate is no finer than that."""
    return int(float(f"{number:.1e}"))


def _listed(items: Sequence[object], word: str) -> str:
    """`a, b or c`."""
    texts = [f"{item:g}" if isinstance(item, float) else str(item) for item in items]
    return f" {word} ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
