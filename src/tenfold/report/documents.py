"""Documents for people: a repeated claim, a classifier carried over, several sets merged; each as page and as text.

What both show are the values of claim.json, adapt.json and merge.json, so that an earlier run's files do as well.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tenfold.core.progress import duration, one_line
from tenfold.report.figures import Row, interval_svg
from tenfold.report.page import embedded, environment, percent
from tenfold.report.text import ONE_TRAINING, WIDTH, aligned, filled, images_in_groups

Document = Mapping[str, Any]

WORDS = {"yes": "holds", "smaller": "smaller than claimed", "no": "does not hold", "not_shown": "not shown"}
LOOKS = {"yes": "helped", "smaller": "not_proven", "no": "hurt", "not_shown": "not_proven"}
"""The look that the house style gives an outcome of the same kind."""


def render_claim(document: Document, images: Mapping[str, bytes] | None = None) -> str:
    """The page of a claim, with the PNG of each file that `document["images"]` names."""
    shown = [{**entry, **embedded((images or {})[entry["file"]])} for entry in document.get("pictures", ())]
    look = LOOKS[document["holds"]]
    filters: dict[str, Callable[..., Any]] = {
        "figure": figure,
        "duration": duration,
        "true_minus": lambda text: re.sub(r"-(?=\d)", "−", text),
        "words": {look: WORDS[document["holds"]]}.__getitem__,
    }
    page = environment(filters).get_template("claim.html")
    return page.render(document=document, look=look, plot=_plot(document, look), images=shown)


def claim_text(document: Document) -> str:
    """The verdict on a claim, its tables and its notes."""
    lines = [_wrapped(document["sentence"]), "", _wrapped(f"The rule. {document['rule']}"), ""]
    rows = [(one["speaks_of"], _estimate(one, "points")) for one in document["intervals"]]
    lines += [aligned(("effect, 95 % interval", "points"), rows), ""]
    for table in document["tables"]:
        rows = [(row["name"], *(_estimate(cell, table["unit"]) for cell in row["cells"])) for row in table["rows"]]
        lines += [f"{table['title']} ({table['unit']}, 95 % interval over seeds)"]
        lines += [_wrapped(table["note"])] if table["note"] else []
        lines += [aligned(("", *table["columns"]), rows), ""]
    lines += [_wrapped(f"note: {note}") for note in document["notes"]]
    lines += [f"image: {image['title']} ({image['file']})" for image in document.get("pictures", ())]
    machine = document["hardware"]
    on = f"{machine['cores']} cores of {machine['processor']}, torch {machine['torch']}"
    return "\n".join([*lines, f"{len(document['seeds'])} seeds, {duration(document['seconds'])} on {on}"])


def render_adaptation(document: Document, embedding: bytes) -> str:
    """The page of an adaptation, with a PNG of source and target features."""
    filters: dict[str, Callable[..., Any]] = {"signed": signed, "duration": duration, "measures": measures}
    page = environment(filters).get_template("adaptation.html")
    most = max((row["predicted"] for row in document["classes"]), default=1) or 1
    return page.render(document=document, embedding=embedded(embedding)["address"], most=most)


def adaptation_text(document: Document) -> str:
    """What was chosen and how it was judged."""
    heading = ("arm", "on held-out source", "information on target", "on the sealed test", "time")
    labelled = document["labelled"]
    mends = [
        f"{mend['difference']}; {mend['remedy'] if mend['applied'] else 'not mended (' + mend['remedy'] + ')'}"
        for mend in document["mends"]
    ]
    return _with_table(
        document,
        aligned(heading, [_arm(arm) for arm in document["arms"]]),
        mends,
        _wrapped(measures(document)),
        f"labelled/: {labelled['written']:,} of {labelled['of']:,} target images, of which it is at least "
        f"{100 * labelled['confidence']:g} % sure",
    )


def measures(document: Document) -> str:
    """Which accuracies an adaptation tells, and what their intervals are about."""
    source = "On held-out source: balanced accuracy."
    if (test := document["test"]) is None:
        return source
    of = images_in_groups(test["images"], test.get("groups"))
    return f"{source} On the sealed test: plain accuracy on {of}; each arm is {ONE_TRAINING}."


def render_merging(document: Document) -> str:
    """The page of merged sets."""
    filters: dict[str, Callable[..., Any]] = {"duration": duration, "measures": merging_measures}
    return environment(filters).get_template("merging.html").render(document=document)


def merging_text(document: Document) -> str:
    """The ways of using several sets, the sets across."""
    names = [source["name"] for source in document["sources"]]
    rows = [(way["name"], *map(_accuracy, way["cells"])) for way in document["ways"]]
    table = aligned(("learned from", *(f"judged on {name}" for name in names)), rows)
    mends = [f"{mend['difference']}; {mend['remedy']}" for mend in document["mends"]]
    return _with_table(document, table, mends, _wrapped(one_line(merging_measures(document))))


def merging_measures(document: Document) -> str:
    """Which accuracy a merging tells, of what, and what its intervals are about."""
    sets = ", ".join(
        f"{source['name']} ({images_in_groups(source['images'], source['groups'])})" for source in document["sources"]
    )
    return (
        f"Plain accuracy on {sets}: every image is judged once, by that one of {document['folds']} trainings "
        "that did not see it. The intervals count which images happen to be in these sets and how each training "
        "happened to end, of which so few trainings tell little."
    )


def figure(value: float, unit: str) -> str:
    """A percentage as it is, points with their sign and a true minus: `91.50`, `+1.49`, `−0.20`."""
    return f"{value:.2f}" if unit == "%" else f"{value:+.2f}".replace("-", "−")


def signed(value: float) -> str:
    """Points with their sign and a true minus."""
    return f"{value:+.1f}".replace("-", "−")


def _with_table(document: Document, table: str, mends: Sequence[str], *facts: str) -> str:
    lines = [
        textwrap.fill(one_line(document["sentence"]), WIDTH),
        table,
        *(f"framing: {mend}" for mend in mends),
        *facts,
        *(f"warning: {one_line(warning)}" for warning in document["warnings"]),
        f"{duration(document['seconds'])} on {document['hardware']['cores']} cores",
    ]
    return "\n".join(lines)


def _arm(arm: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{arm['name']}{' (chosen)' if arm['chosen'] else ''}",
        f"{percent(arm['source_score'])} %",
        f"{arm['information']:.3f}{' COLLAPSED' if arm['collapsed'] else ''}",
        _accuracy(arm["test"]),
        duration(arm["seconds"]),
    )


def _accuracy(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    low, high = cell["interval"]
    return f"{percent(cell['accuracy'])} % ({percent(low)} to {percent(high)})"


def _estimate(cell: Mapping[str, Any] | None, unit: str) -> str:
    if cell is None:
        return ""
    # A plain minus, so that the text can be searched and pasted.
    estimate, *bounds = (
        figure(cell[side], unit).replace("−", "-") for side in ("estimate", "low", "high") if cell[side] is not None
    )
    return f"{estimate} ({bounds[0]} to {bounds[1]})" if bounds else estimate


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def _plot(document: Document, look: str) -> str:
    """The intervals of the effect beside the claimed size; the first of them decides."""
    rows = [
        Row(
            one["speaks_of"], one["estimate"], one["low"], one["high"],
            "no_practical_difference" if number else look, decides=number == 0,
        )
        for number, one in enumerate(document["intervals"])
    ]  # fmt: skip
    claimed = document["they_say"]["effect_points"]
    mark = (claimed, f"they say {figure(claimed, 'points')}")
    return interval_svg(rows, "The measured effect in points, with 95 % intervals", mark=mark, digits=2)


def model_card(facts: Document, exported: Document, *, reads_vectors: bool) -> str:
    """The README.md of an exported classifier, with the head that model hubs read.

    Args:
        facts: classifier.json.
        exported: which files there are, and how near the graphs are to the classifier.
    """
    onnx = "model.onnx" in exported["files"]
    noun, classes = "rows" if reads_vectors else "images", len(facts["class_names"])
    data = one_line(str(facts.get("data", "a set that is not named")))
    learned = f"Trained by tenfold on {noun} of {data}."
    if "arm" in facts and "trained_on_images" in facts:
        learned = (
            f"Trained by tenfold on {facts['trained_on_images']:,} labelled {noun} of {data}, with `{facts['arm']}`."
        )
    return (
        filled(
            "model_card.txt",
            facts=facts,
            data=data,
            onnx=onnx,
            vectors=reads_vectors,
            noun=noun,
            names=["`" + one_line(name).replace("`", "'") + "`" for name in facts["class_names"]],
            title=f"A classifier of {classes} classes ({data})",
            tags=["tenfold", f"{'tabular' if reads_vectors else 'image'}-classification", *["onnx"] * onnx],
            learned=learned,
            reached=facts.get("cross_validated_balanced_accuracy"),
            expected=[*_expected(facts), _compared(exported)],
            channels=facts["image_shape"][0],
            side=facts["image_shape"][1],
        )
        + "\n"
    )


def _expected(facts: Document) -> list[str]:
    """What was found of a classifier, as far as anything was."""
    lines = []
    if facts.get("cross_validated_balanced_accuracy"):
        share, (low, high) = facts["cross_validated_balanced_accuracy"], facts["interval"]
        lines.append(
            f"Balanced accuracy to expect: {100 * share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f}), "
            "the mean of the classifiers of its cross-validation, of what is like that which it learned from."
        )
    if external := facts.get("external_test"):
        low, high = external["interval"]
        of = images_in_groups(external["images"], external["groups"])
        accuracy = f"{100 * external['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        lines.append(f"Of {of} that were sealed until the end it recognised {accuracy}.")
    if other := facts.get("not_shown_better_than"):
        lines.append(f"It may be better than that of `{other}`, beside which it was kept: this was not shown.")
    if judged := facts.get("temperature_from_images"):
        lines.append(
            f"Its probabilities are calibrated, by out-of-fold predictions of {judged:,} (a temperature of "
            f"{facts['temperature']:.2f}): of those named with 80 % confidence about 80 % are right."
        )
    return lines or ["Nobody has measured it: try it on labelled images that it has not seen."]


def _compared(exported: Document) -> str:
    graphs = " and ".join(f"`{name}`" for name in exported["files"] if name.startswith("model."))
    return (
        f"{graphs}: on {exported['checked_images']} {exported['checked_on']} no probability differed from the "
        f"classifier's own by more than {exported['largest_difference']:.1g}."
    )
