"""How the trainings on unseen classes are read: published figures beside the measured ones, and differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tenfold.claims.base import Figure, Finished, Picture, Table, picture_bytes
from tenfold.evaluation.external_test import mean_interval

OMNIGLOT: Mapping[int, tuple[float, float]] = {5: (0.690, 0.821), 10: (0.794, 0.862), 15: (0.820, 0.874)}
"""Test accuracy by samples a class: without and with DAGAN (Antoniou et al. 2017)."""
EMNIST: Mapping[int, tuple[float, float]] = {
    15: (0.739, 0.761),
    25: (0.784, 0.803),
    50: (0.815, 0.828),
    100: (0.838, 0.847),
}
VGG_FACE: Mapping[int, tuple[float, float]] = {5: (0.045, 0.126), 15: (0.393, 0.429), 25: (0.580, 0.585)}
REPLICATION: Mapping[int, tuple[float, float]] = {
    1: (0.164, 0.192),
    2: (0.290, 0.394),
    3: (0.465, 0.520),
    4: (0.578, 0.653),
    5: (0.671, 0.695),
}
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
WITH = {"classical": "classical + dagan", "strong classical": "strong classical + dagan"}
"""Arms without the generator's images, and the same with them."""

Shares = npt.NDArray[np.float64]
Accuracies = dict[int, dict[str, Shares]]
"""By samples a class and by arm, in the order of the seeds."""


def accuracies(finished: Iterable[Finished], comparison: str) -> Accuracies:
    """Of all arms of a comparison."""
    found: dict[int, dict[str, dict[int, float]]] = {}
    for one in finished:
        told = one.settings
        if told["part"] == "arm" and told["comparison"] == comparison:
            by_seed = found.setdefault(told["samples"], {}).setdefault(told["arm"], {})
            by_seed[told["seed"]] = one.result["accuracy"]
    return {
        samples: {arm: np.array([by_seed[seed] for seed in sorted(by_seed)]) for arm, by_seed in arms.items()}
        for samples, arms in sorted(found.items())
    }


def figure(values: Shares) -> Figure:
    """The mean with Student's interval over draws of the samples."""
    interval = mean_interval(values.tolist())
    return Figure(interval.estimate, interval.low, interval.high, tuple(map(float, values)))


def comparison_tables(comparison: str, found: Accuracies) -> list[Table]:
    """Accuracies and differences, with what was published."""
    published = PUBLISHED[comparison]
    arms = list(next(iter(found.values())))
    said = ("they say, without", "they say, with DAGAN") if published else ()
    named = {samples: f"{samples} {'image' if samples == 1 else 'images'} a class" for samples in found}

    def said_figures(samples: int) -> list[Figure | None]:
        return [Figure(share) for share in published[samples]] if samples in published else [None for _ in said]

    accuracy = Table(
        f"{TITLES[comparison]}: test accuracy on unseen classes",
        "%",
        (*said, *arms),
        {named[n]: [*said_figures(n), *(figure(of[arm]) for arm in arms)] for n, of in found.items()},
        NOTES[comparison],
    )
    contrasts = [(plain, grown) for plain, grown in WITH.items() if plain in arms and grown in arms]
    if not contrasts:
        return [accuracy]

    def row(samples: int) -> list[Figure | None]:
        of, pair = found[samples], published.get(samples)
        gain = Figure(pair[1] - pair[0]) if pair else None
        own = [figure(of[grown] - of[plain]) for plain, grown in contrasts]
        return [*([gain] if published else []), *own, figure(_best(of, contrasts, 1) - _best(of, contrasts, 0))]

    differences = Table(
        f"{TITLES[comparison]}: what the new images add",
        "points",
        (
            *(("they say",) if published else ()),
            *(f"{grown} − {plain}" for plain, grown in contrasts),
            "the better with dagan − the better without",
        ),
        {named[n]: row(n) for n in found},
        f"Paired: both arms of a difference share samples, batches and first weights. The better arm is the one with "
        f"the higher mean over all draws. {len(found) * (len(contrasts) + 1)} intervals, not corrected for their "
        "number.",
    )
    return [accuracy, differences]


def _best(of: Mapping[str, Shares], contrasts: Sequence[tuple[str, str]], side: int) -> Shares:
    return max((of[pair[side]] for pair in contrasts), key=lambda values: float(values.mean()))


def judge_tables(finished: Iterable[Finished]) -> list[Table]:
    """Whether new images of unseen classes are recognised, and how varied they are."""
    by_set: dict[str, list[Finished]] = {}
    for one in finished:
        if one.settings["part"] == "judge":
            by_set.setdefault(one.settings["data"]["set"], []).append(one)
    if not by_set:
        return []

    def values(name: str, what: str) -> Shares:
        return np.array([one.result[what] for one in sorted(by_set[name], key=lambda one: int(one.settings["seed"]))])

    recognised = Table(
        "New images of unseen classes, put to an independent classifier",
        "%",
        ("real images held out", "new images of these", "variety"),
        {TITLES[name]: [figure(values(name, what)) for what in ("real", "generated", "variety")] for name in by_set},
        "The judge learned from real images of the unseen classes, and from none of those that new images were made "
        "of. Variety: how far new images of one image differ, relative to real images of its class.",
    )
    lost = Table(
        "New images of unseen classes: recognised more often than real ones by",
        "points",
        ("new − real",),
        {TITLES[name]: [figure(values(name, "generated") - values(name, "real"))] for name in by_set},
    )
    return [recognised, lost]


def pictures(finished: Iterable[Finished]) -> list[Picture]:
    """Two sheets of each set."""
    shown = []
    for one in finished:
        if one.settings["part"] != "pictures":
            continue
        title = TITLES[one.settings["data"]["set"]].partition(",")[0]
        shown += [
            Picture(
                f"{title}: new images of unseen classes",
                "A row is a class that the generator never saw: a real image first, then new ones of it.",
                picture_bytes(one.result["new"]),
            ),
            Picture(
                f"{title}: from one noise to another",
                "The real image first, then what the generator makes of it while the noise moves along an arc.",
                picture_bytes(one.result["between"]),
            ),
        ]
    return shown
