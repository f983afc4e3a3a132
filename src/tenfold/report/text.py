"""What a person reads on the terminal: plain text, no colour, the same in a log.

All that is needed is plain JSON values, so that an earlier run's files print just as well.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tenfold.core.progress import about, duration, one_line
from tenfold.evaluation.wording import folds_words, p_words, ratio_words, selection_words

OUTCOMES = {
    "helped": "helped",
    "promising": "promising",
    "hurt": "hurt",
    "no_practical_difference": "no practical difference",
    "nothing_preferred": "nothing preferred",
    "not_proven": "not proven",
    "better": "better start",
    "worse": "worse start",
    "failed": "FAILED",
}
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
MOST_LISTED = 10
MOST_LABELS = 3
WIDTH = 118

EARLIER_STUDIES = "digits, wbc and pneumoniamnist"
"""Those that tell how much two arms differ; see runs/forecast.py."""
ONE_TRAINING = "one classifier; the interval is about other images, not about other trainings"


class Predicted(Protocol):
    """What `tenfold predict` found for one file."""

    @property
    def file(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def probabilities(self) -> Mapping[str, float]: ...
    @property
    def set_aside(self) -> bool | None: ...
    @property
    def label_next(self) -> int | None: ...


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """The arms of a verdict.json as a table, best first, then what the choice was worth, then its warnings."""
    arms: Mapping[str, Mapping[str, Any]] = verdict["arms"]
    order = sorted(arms, key=lambda name: -(arms[name]["balanced_accuracy"] or -1))
    rows = [_arm_row(name, arms[name], verdict) for name in order]
    table = aligned(("arm", "balanced accuracy", f"against {verdict['baseline']}", "verdict", "time"), rows)
    start = [f"Start: {verdict['start']['sentence']}"] if verdict.get("start") else []
    facts = [*start, *_worth_lines(verdict, order), *_chance_lines(verdict), *_external_lines(verdict)]
    facts += [*_choice_lines(arms), *_label_lines(verdict)]
    warnings = [f"warning: {one_line(warning)}" for warning in verdict.get("warnings", ())]
    return "\n".join([table, *(_wrapped(one_line(fact)) for fact in facts), *warnings])


def images_in_groups(images: int, groups: int | None, noun: str = "image") -> str:
    """`796 images in 90 independent groups`; the groups only where they are known and fewer."""
    told = _counted(images, noun)
    return told if groups is None or groups == images else f"{told} in {_counted(groups, 'independent group')}"


def _wrapped(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _worth_lines(verdict: Mapping[str, Any], order: Sequence[str]) -> list[str]:
    """What the choice was worth in real images; where it was always the baseline, what the best other arm was."""
    sentence = verdict.get("worth_sentence")
    if sentence is None and set(verdict["pick_counts"]) == {verdict["baseline"]}:
        arms = verdict["arms"]
        sentence = next((text for name in order if (text := arms[name].get("worth_sentence"))), None)
    told = [f"In real images: {sentence}"] if sentence else []
    return told + ([f"More images: {more}"] if (more := verdict.get("images_for_sentence")) else [])


def _chance_lines(verdict: Mapping[str, Any]) -> list[str]:
    wins, baseline = verdict.get("wins"), verdict["baseline"]
    if not wins or wins["probability"] is None or set(verdict["pick_counts"]) == {baseline}:
        return []
    won, tied, lost = wins["won"], wins["tied"], wins["lost"]
    lines = [
        f"The chosen arm would beat {baseline} in {100 * wins['probability']:.0f} % of fresh splits "
        f"(won {won}, tied {tied}, lost {lost} of {won + tied + lost} folds; ties count half)"
    ]
    if (gain := verdict.get("probability_of_gain")) is not None:
        above, margin = 100 * verdict["probability_above_margin"], verdict["margin_points"]
        points = "point" if margin == 1 else "points"
        sure = f"By these data a gain is {100 * gain:.0f} % probable, one above {margin:g} {points} {above:.0f} %"
        if loss := verdict.get("log_loss"):
            interval = f"gain {_bounds(loss['interval'], '+.3f', 1)}, {p_words(loss['p_value'])}"
            lower = "lower" if loss["gain"] > 0 else "higher"
            sure += f"; its log loss is {abs(loss['gain']):.3f} {lower} ({interval})"
        lines.append(sure)
    return lines


def _external_lines(verdict: Mapping[str, Any]) -> list[str]:
    external = verdict.get("external")
    if not external:
        return []
    return [
        f"External test (plain accuracy, mean of {external['trainings']} trainings): "
        f"chosen arm {_bound(external['pick_accuracy'], '.1f', 100)} %, "
        f"{verdict['baseline']} {_bound(external['baseline_accuracy'], '.1f', 100)} %, "
        f"difference {_bound(external['difference_points'], '+.1f', 1)} points "
        f"({_bounds(external['interval_points'], '+.1f', 1)}), "
        f"{p_words(external['p_value'])}, {images_in_groups(external['images'], external.get('groups'))}"
    ]


def _choice_lines(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    selected = [f"{name} was {selection_words(arm['settled'])}" for name, arm in arms.items() if arm.get("settled")]
    return selected + [f"{name}: {ratio_words(arm['ratios'])}" for name, arm in arms.items() if arm.get("ratios")]


def _label_lines(verdict: Mapping[str, Any]) -> list[str]:
    """Labels that look wrong, the clearest by name."""
    suspicious = (verdict.get("predictions") or {}).get("suspicious_labels", ())
    if not suspicious:
        return []
    named = "; ".join(f"{one['source']} ({one['label']} or {one['predicted']}?)" for one in suspicious[:MOST_LABELS])
    more = f"; {len(suspicious) - MOST_LABELS} more in verdict.json" if len(suspicious) > MOST_LABELS else ""
    return [f"{_counted(len(suspicious), 'label')} to look at, which may be wrong: {named}{more}"]


def _arm_row(name: str, arm: Mapping[str, Any], verdict: Mapping[str, Any]) -> tuple[str, ...]:
    accuracy, difference = arm["balanced_accuracy"], arm["against_baseline_points"]
    against, outcome = "", OUTCOMES.get(arm["verdict"] or "", "")
    if name == verdict["baseline"]:
        outcome = "baseline"
    if folds := arm.get("finished_folds"):
        outcome += f", {folds_words([fold - 1 for fold in folds], verdict['folds'])}"
    if difference is not None:
        against = f"{difference:+.1f} points ({_bounds(arm['interval_points'], '+.1f', 1)})"
    measured = "" if accuracy is None else f"{100 * accuracy:.1f} % ({_bounds(arm['interval'], '.1f', 100)})"
    return name, measured, against, outcome, duration(arm["seconds"] or 0)


def _bounds(interval: Sequence[float | None] | None, form: str, scale: float) -> str:
    low, high = interval or (None, None)
    return f"{_bound(low, form, scale)} to {_bound(high, form, scale)}"


def _bound(value: float | None, form: str, scale: float) -> str:
    return "?" if value is None else format(scale * value, form)


def check_text(audit: Mapping[str, Any]) -> str:
    """What `tenfold check` found: a row a class, then what is set aside, converted and done."""
    audit = {"counts": {}, "warnings": (), "is_vectors": False, "image_shape": (), **audit}
    noun = "rows" if audit["is_vectors"] else "images"
    table = aligned(("class", noun), [(name, f"{n:,}") for name, n in audit["counts"].items()], numbers=[1])
    set_aside = [f"{left['source']}: {left['reason']}" for left in audit.get("set_aside", ())]
    in_two, actions = audit.get("exact_across", ()), list(audit.get("actions", ()))
    lists = [
        (f"set aside ({len(set_aside):,})", set_aside, MOST_LISTED),
        (f"in two classes ({sum(map(len, in_two)):,})", [" = ".join(same) for same in in_two], MOST_LISTED),
        ("what will be done", actions, len(actions)),
    ]
    return filled("check.txt", audit=audit, noun=noun, roles=audit.get("roles", {}), table=table, lists=lists)


def forecast_text(forecast: Mapping[str, Any]) -> str:
    """The JSON of a forecast in plain words, its command last."""
    arms: Mapping[str, Mapping[str, Any]] = forecast["arms"]
    rows = [
        (
            name,
            f"{arm['trials']:,}",
            f"{arm['classifiers']:,}",
            f"{arm['tries'] or ''}",
            f"{arm['generators'] or ''}",
            about(arm["seconds"]),
        )
        for name, arm in arms.items()
    ]
    heading = ("arm", "trials", "classifiers", "short tries", "generators", "computing time")
    return filled(
        "forecast.txt",
        forecast=forecast,
        table=aligned(heading, rows, numbers=[1, 2, 3, 4]),
        searched=any(arm["tries"] for arm in arms.values()),
        fits=_wrapped(_fits_words(forecast)),
        looks=[f"{repeats} repeats ({about(seconds)})" for repeats, seconds in forecast["seconds_to_looks"].items()],
        verdicts=[OUTCOMES[name] for name in forecast["possible_verdicts"]],
        earlier=EARLIER_STUDIES,
    )


def _fits_words(forecast: Mapping[str, Any]) -> str:
    """What a budget allows of it; empty where there is none."""
    fits = forecast.get("fits")
    if not fits:
        return ""
    given, planned, folds = duration(fits["seconds"]), forecast["repeats"], forecast["folds"]
    if fits["repeats"] == planned:
        return f"All of that fits into {given}."
    if fits["repeats"]:
        return f"Into {given} fit {fits['repeats']} of {planned} repeats."
    numbers = sorted(set(fits["folds"].values()), reverse=True)
    arms = {number: [name for name, count in fits["folds"].items() if count == number] for number in numbers}
    parts = [f"{number or 'none'} of {folds} of {', '.join(arms[number])}" for number in numbers]
    return f"Into {given} fit, of the folds of the first repeat, {'; '.join(parts)}: no more than a first look."


def predictions_csv(predictions: Sequence[Predicted]) -> str:
    """CSV: file, class, confidence, what was asked for beside them, then the probability of each class.

    No cell can act as a formula.
    """
    names = list(predictions[0].probabilities) if predictions else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    # Python's minimal quoting leaves a carriage return bare, and readers end the row there.
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(row: Sequence[str]) -> None:
        (quoting if any("\r" in cell for cell in row) else writer).writerow(row)

    asked = [
        (title, attribute)
        for title, attribute in (("label next", "label_next"), ("set aside", "set_aside"))
        if predictions and getattr(predictions[0], attribute) is not None
    ]
    titles = [title for title, _ in asked]
    write(["file", "class", "confidence", *titles, *(f"probability of {name}" for name in names)])
    for prediction in predictions:
        values = [getattr(prediction, attribute) for _, attribute in asked]
        told = [("no", "yes")[value] if isinstance(value, bool) else str(value) for value in values]
        shares = [f"{prediction.probabilities[name]:.5f}" for name in names]
        write([_inert(prediction.file), _inert(prediction.label), f"{prediction.confidence:.5f}", *told, *shares])
    return text.getvalue()


def _inert(cell: str) -> str:
    """A spreadsheet runs what starts like a formula; an apostrophe makes it text."""
    return f"'{cell}" if cell.startswith(STARTS_A_FORMULA) else cell


def aligned(heading: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Rows under a heading in columns wide enough for what is in them; those in `numbers` to the right."""
    # rich knows how many places a letter takes: 花 takes two.
    from rich.cells import cell_len

    lines = [[one_line(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]

    def padded(cell: str, column: int) -> str:
        space = " " * (widths[column] - cell_len(cell))
        return space + cell if column in numbers else cell + space

    texts = ["  ".join(padded(cell, i) for i, cell in enumerate(line)).rstrip() for line in lines]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([texts[0], rule, *texts[1:]])


def filled(template: str, **values: Any) -> str:
    """A text of this folder with these values in it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenfold", "report"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # plain text, in which nothing is escaped
    own = (about, duration, one_line, _points, _two_digits, _series, _counted)
    environment.filters |= {function.__name__.lstrip("_"): function for function in own}
    environment.filters |= {"grouped": "{:,}".format, "json": json.dumps}
    return environment.get_template(template).render(**values).rstrip()


def _points(points: float) -> str:
    return f"{points:.0f}" if points >= 9.95 else f"{points:.1f}"


def _two_digits(number: int) -> int:
    """An estimate is no finer than that."""
    return int(float(f"{number:.1e}"))


def _series(items: Sequence[object], word: str) -> str:
    """`a, b or c`."""
    texts = [f"{item:g}" if isinstance(item, float) else str(item) for item in items]
    return f" {word} ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def _counted(number: int, noun: str) -> str:
    """`1 arm`, `2,000 images`, `3 classes`."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"
