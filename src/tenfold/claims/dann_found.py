"""What the trainings of the claim `dann` show: its effect, all arms side by side, and what the choice was worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from tenfold.adaptation.selection import ARMS, SOURCE
from tenfold.claims.base import (
    Figure,
    Finished,
    Found,
    Picture,
    Table,
    TheySay,
    mean_figure,
    picture_bytes,
    recognised,
    unpacked,
)
from tenfold.claims.dann_tasks import SVHN_TO_MNIST, TASKS
from tenfold.evaluation.crossed import crossed_interval
from tenfold.evaluation.external_test import mean_interval

CHOSEN = "chosen without target labels"
BEST = "best in hindsight"
PUBLISHED = {"MNIST to USPS": 0.979, "USPS to MNIST": 0.980, SVHN_TO_MNIST: 0.989}

Correct = npt.NDArray[np.float64]


def found_of(finished: Sequence[Finished], they_say: TheySay) -> Found:
    """The article's comparison decides; the rest is told beside it."""
    plain = {arm: recognised(finished, part="plain", arm=arm) for arm in they_say.values}
    gains = plain["DANN"] - plain["source only"]
    every = {task: _of_task(finished, task) for task in TASKS}
    tables = [
        Table(
            "SVHN to MNIST as they are: test accuracy",
            "%",
            ("they say", "we measured"),
            {arm: (Figure(said), mean_figure(plain[arm])) for arm, said in they_say.values.items()},
            "No augmentation and no reframing in either; 7,136 SVHN images of which 90 % are trained on. Of the "
            f"other 10 % {_known(finished, 'DANN')} are recognised with DANN and {_known(finished, 'source only')} "
            "without.",
        ),
        Table(
            "All arms, reframed: test accuracy",
            "%",
            tuple(TASKS),
            {
                **{arm: [mean_figure(_correct(every[task], arm)) for task in TASKS] for arm in ARMS},
                CHOSEN: [mean_figure(_chosen(every[task])) for task in TASKS],
                BEST: [_best(every[task]) for task in TASKS],
                "best published": [Figure(PUBLISHED[task]) for task in TASKS],
            },
            "What was published for SVHN to MNIST had ten times the source images.",
        ),
        Table(
            "Gained over source only in the same frame",
            "points",
            tuple(TASKS),
            {
                name: [mean_figure(of(every[task]) - _correct(every[task], SOURCE)) for task in TASKS]
                for name, of in {
                    **{arm: _reader(arm) for arm in ARMS if arm != SOURCE},
                    CHOSEN: _chosen,
                }.items()
            },
            "Paired: the arms of a seed share first weights and pictures. The intervals are not corrected for their "
            "number.",
        ),
    ]
    first = next(one for one in finished if one.settings["part"] == "arms")
    pictures = [
        Picture(
            f"{task}: features of both",
            "Two principal components of the last hidden layer, for pictures held out of the source and of the "
            f"target, seed {every[task][0].settings['seed']}: source only and the chosen arm.",
            picture_bytes(every[task][0].result["picture"]),
        )
        for task in TASKS
    ]
    return Found(
        effect=mean_interval(gains.mean(axis=0)),
        meaning="over trainings, on these test images",
        values={arm: float(correct.mean()) for arm, correct in plain.items()},
        sentence=f"{100 * plain['DANN'].mean():.1f} % with DANN, {100 * plain['source only'].mean():.1f} % without, "
        "from 7,136 SVHN images",
        samples={
            "svhn_images": 7136,
            "test_images": first.result["test_images"],
            "seeds": gains.shape[1],
        },
        tables=tables,
        other_intervals={"counting the test images' luck too": crossed_interval(gains)},
        notes=_notes(every),
        pictures=pictures,
    )


def _known(finished: Sequence[Finished], arm: str) -> str:
    """What is recognised of held-out source pictures by the article's trainings, mean over seeds."""
    each = [one.result["source_accuracy"] for one in finished if one.settings.get("arm") == arm]
    return f"{100 * np.mean(each):.0f} %"


def _of_task(finished: Sequence[Finished], task: str) -> list[Finished]:
    chosen = [one for one in finished if one.settings["part"] == "arms" and one.settings["task"] == task]
    return sorted(chosen, key=lambda one: int(one.settings["seed"]))


def _correct(finished: Sequence[Finished], arm: str) -> Correct:
    """Test images x seeds."""
    columns = [unpacked(one.result["arms"][arm]["correct"], one.result["test_images"]) for one in finished]
    return np.stack(columns, axis=1).astype(np.float64)


def _reader(arm: str) -> Callable[[Sequence[Finished]], Correct]:
    return lambda finished: _correct(finished, arm)


def _chosen(finished: Sequence[Finished]) -> Correct:
    columns = [_correct([one], one.result["chosen"])[:, 0] for one in finished]
    return np.stack(columns, axis=1)


def _best(finished: Sequence[Finished]) -> Figure:
    each = [max(float(_correct([one], arm).mean()) for arm in ARMS) for one in finished]
    return Figure(float(np.mean(each)), each=tuple(each))


def _notes(every: dict[str, list[Finished]]) -> list[str]:
    told = [
        "The interval that decides is Student's over trainings: it speaks of other seeds on these test images, not "
        "of other digits.",
        "Ways of framing, augmenting and weighing the arms were tried beforehand in single trainings of other draws, "
        "and judged there by these same test images.",
    ]
    for task, finished in every.items():
        names = Counter(one.result["chosen"] for one in finished)
        correlations = [_rank_correlation(one) for one in finished]
        told.append(
            f"{task}: chosen was "
            f"{', '.join(f'{name} ({count} of {len(finished)})' for name, count in names.items())}; "
            "rank correlation of the choosing figure with test accuracy over the arms, seed by seed: "
            f"{', '.join(f'{value:.2f}' for value in correlations)}."
        )
    return told


def _rank_correlation(one: Finished) -> float:
    arms = one.result["arms"]
    truth = [float(_correct([one], arm).mean()) for arm in ARMS]
    return float(spearmanr([arms[arm]["information"] for arm in ARMS], truth).statistic)
