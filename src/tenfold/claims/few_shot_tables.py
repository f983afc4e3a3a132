"""What the trainings of the claim `dagan` show: published figures beside the measured ones, and what DAGAN adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tenfold.claims.engine import ReportImage, Text
from tenfold.claims.tables import Figure, Results, Rows, Shares, Table, difference_names, figure, figures
from tenfold.claims.training import image_bytes

OMNIGLOT: Mapping[int, tuple[float, float]] = {5: (0.690, 0.821), 10: (0.794, 0.862), 15: (0.820, 0.874)}
"""Test accuracy by samples a class: without and with DAGAN (Antoniou et al. 2017)."""
EMNIST: Mapping[int, tuple[float, float]] = {
    15: (0.739, 0.761), 25: (0.784, 0.803), 50: (0.815, 0.828), 100: (0.838, 0.847),
}  # fmt: skip
VGG_FACE: Mapping[int, tuple[float, float]] = {5: (0.045, 0.126), 15: (0.393, 0.429), 25: (0.580, 0.585)}
REPLICATION: Mapping[int, tuple[float, float]] = {
    1: (0.164, 0.192), 2: (0.290, 0.394), 3: (0.465, 0.520), 4: (0.578, 0.653), 5: (0.671, 0.695),
}  # fmt: skip
"""An independent replication on 100 classes of Omniglot, 10 draws of the samples."""

PUBLISHED = {"omniglot": OMNIGLOT, "emnist_letters": EMNIST, "faces": {}, "replication": REPLICATION}
TITLES = {
    "omniglot": "Omniglot characters",
    "emnist_letters": "EMNIST letters",
    "faces": "Faces, in place of VGG-Face",
    "replication": "Omniglot, the design of an independent replication",
}
NOTES = {
    "omniglot": "They say: 211 unseen classes, a dense network as the classifier, classical augmentation in both "
    "arms.",
    "emnist_letters": "They say: on classes of EMNIST that are not the same; here on 5 of the 26 letters.",
    "faces": "VGG-Face cannot be had: these are 40 people with 10 pictures each, so that 5, 15 and 25 pictures a "
    "person with some left to test on do not exist. On VGG-Face they say "
    + ", ".join(f"{n}: {100 * a:.1f} to {100 * b:.1f} %" for n, (a, b) in VGG_FACE.items())
    + ".",
    "replication": "They say: 100 classes, 10 draws of the samples, classical augmentation in both arms.",
}
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


def comparison_tables(text: Text, comparison: str, found: Accuracies) -> list[Table]:
    """Accuracies and differences, with what was published."""
    published, title = PUBLISHED[comparison], TITLES[comparison]
    arms = list(next(iter(found.values())))
    said = ("they say, without", "they say, with DAGAN") if published else ()
    rows: Rows = {}
    gains: Rows = {}
    pairs = [pair for pair in GROWN if set(pair) <= set(arms)]
    for samples, of in found.items():
        name = f"{samples} {'image' if samples == 1 else 'images'} a class"
        shares = published.get(samples)
        figures_said = [Figure(share) for share in shares] if shares else [None for _ in said]
        rows[name] = [*figures_said, *figures(of.values())]
        if pairs:
            gain = Figure(shares[1] - shares[0]) if shares else None
            best = [max((of[pair[side]] for pair in pairs), key=lambda each: float(each.mean())) for side in (0, 1)]
            own = figures(of[grown] - of[plain] for grown, plain in pairs)
            gains[name] = [*([gain] if published else []), *own, figure(best[0] - best[1])]
    tables = [text.tables["accuracy"].table((*said, *arms), rows, title=title, note=NOTES[comparison])]
    if pairs:
        they_say = ["they say"] if published else []
        columns = [*they_say, *difference_names(pairs), "the better with dagan − the better without"]
        count = len(found) * (len(pairs) + 1)
        tables.append(text.tables["differences"].table(columns, gains, title=title, count=count))
    return tables


def judge_tables(text: Text, results: Results) -> list[Table]:
    """Whether new images of unseen classes are recognised, and how varied they are."""
    judged: dict[str, list[Any]] = {}
    for one in results.of(part="judge"):
        judged.setdefault(TITLES[one.job.config["data"]["set"]], []).append(one)
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
    return [
        text.images[name].image(
            image_bytes(one.result[name]), title=TITLES[one.job.config["data"]["set"]].partition(",")[0]
        )
        for one in results.of(part="pictures")
        for name in ("new", "between")
    ]
