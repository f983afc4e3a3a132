"""What the trainings of the claim `dagan` show: published figures beside the measured ones, and what DAGAN adds."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.claims.engine import ReportImage, Text
from tenfold.claims.tables import Figure, Results, Rows, Shares, Table, difference_names, figure, figures
from tenfold.claims.training import image_bytes

GROWN = (("classical + dagan", "classical"), ("strong classical + dagan", "strong classical"))
"""Arms with the generator's images, and the same without them."""

Accuracies = dict[int, dict[str, Shares]]
"""By samples a class and by arm, in the order of the seeds."""


def accuracies(results: Results, comparison: str) -> Accuracies:
    """Of all arms of a comparison."""
    compared = results.of(part="arm", comparison=comparison)
    arms = list(dict.fromkeys(one.job.config["arm"] for one in compared))
    return {
        samples: {arm: np.array(compared.of(samples=samples, arm=arm).each("accuracy")) for arm in arms}
        for samples in compared.settings("samples")
    }


def comparison_tables(text: Text, comparison: str, cells: Accuracies) -> list[Table]:
    """Accuracies and differences, with what was published."""
    told = text.facts[comparison]
    title, published = told["title"], {samples: shares for samples, *shares in told["published"]}
    arms = list(next(iter(cells.values())))
    said = ("they say, without", "they say, with DAGAN") if published else ()
    rows: Rows = {}
    gains: Rows = {}
    pairs = [pair for pair in GROWN if set(pair) <= set(arms)]
    for samples, of in cells.items():
        name = f"{samples} {'image' if samples == 1 else 'images'} a class"
        shares = published.get(samples)
        figures_said = [Figure(share) for share in shares] if shares else [None for _ in said]
        rows[name] = [*figures_said, *figures(of.values())]
        if pairs:
            gain = Figure(shares[1] - shares[0]) if shares else None
            best = [max((of[pair[side]] for pair in pairs), key=lambda each: float(each.mean())) for side in (0, 1)]
            own = figures(of[grown] - of[plain] for grown, plain in pairs)
            gains[name] = [*([gain] if published else []), *own, figure(best[0] - best[1])]
    tables = [text.tables["accuracy"].table((*said, *arms), rows, title=title, note=told["note"])]
    if pairs:
        they_say = ["they say"] if published else []
        columns = [*they_say, *difference_names(pairs), "the better with dagan − the better without"]
        count = len(cells) * (len(pairs) + 1)
        tables.append(text.tables["differences"].table(columns, gains, title=title, count=count))
    return tables


def judge_tables(text: Text, results: Results) -> list[Table]:
    """Whether new images of unseen classes are recognised, and how varied they are."""
    judged: dict[str, list[Any]] = {}
    for one in results.of(part="judge"):
        judged.setdefault(text.facts[one.job.config["data"]["set"]]["title"], []).append(one)
    if not judged:
        return []
    of = {title: Results(done) for title, done in judged.items()}
    recognised = {
        title: figures(done.each(name) for name in ("real", "generated", "variety")) for title, done in of.items()
    }
    lost = {title: figures([np.subtract(done.each("generated"), done.each("real"))]) for title, done in of.items()}
    return [
        text.tables["judge"].table(("real images held out", "new images of these", "variety"), recognised),
        text.tables["lost"].table(("new − real",), lost),
    ]


def sheets(text: Text, results: Results) -> list[ReportImage]:
    """Two sheets of each set."""
    found = []
    for one in results.of(part="pictures"):
        title = text.facts[one.job.config["data"]["set"]]["title"].partition(",")[0]
        found += [text.images[name].image(image_bytes(one.result[name]), title=title) for name in ("new", "between")]
    return found
