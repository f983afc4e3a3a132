from __future__ import annotations

import numpy as np
import pytest
from made_up_results import done

from made_up_sets import easy_set
from tenfold.claims.engine import holds, make_claim
from tenfold.claims.tables import Results
from tenfold.claims.training import packed
from tenfold.claims.transfer import ARMS, FULL, PRE_TRAINED, Claim, _images
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.runs.arms import parse_arms

TESTED = 200


def finished(shares: dict[str, float], counts: tuple[int, ...] = (5, 100), seeds: int = 3) -> Results:
    """Made-up trainings that recognise about these shares of the test images."""
    made = []
    for count in counts:
        for seed in range(seeds):
            luck = Key(f"{count}/{seed}").numpy_generator().random(TESTED)
            made += [
                done(
                    {"arm": arm, "count": count, "seed": seed},
                    {"correct": packed(luck < share), "test_images": TESTED},
                    10.0,
                )
                for arm, share in shares.items()
            ]
    return Results(made)


def test_the_gain_is_that_over_the_best_from_scratch() -> None:
    shares = dict.fromkeys(ARMS, 0.3) | {"+ mixup": 0.4, "probe": 0.6, "transfer": 0.7}
    result = Claim().summary(finished(shares))
    assert result.words["trained"] == "transfer"
    assert result.words["scratch"] == "+ mixup"
    assert result.effect.estimate == pytest.approx(0.3, abs=0.04)
    assert holds(result.effect, Claim().text.they_say.effect) == "yes"
    assert result.values["pre-trained"] > result.values["from scratch"]
    assert result.samples == {"training_images": 1000, "test_images": TESTED, "seeds": 3}
    accuracy, gains = result.tables
    assert (tuple(accuracy.rows), accuracy.columns) == (tuple(ARMS), ("5 images a class", "100 images a class"))
    assert gains.columns == tuple(PRE_TRAINED)
    assert all(len(row) == len(table.columns) for table in result.tables for row in table.rows.values())


def test_a_backbone_that_is_no_better_is_not_said_to_be() -> None:
    result = Claim().summary(finished({"classical": 0.5, "probe": 0.5}))
    assert holds(result.effect, Claim().text.they_say.effect) == "no"
    assert result.words["trained"] == "probe"


def test_every_arm_can_be_had() -> None:
    assert len(parse_arms(list(ARMS.values()))) == len(ARMS)
    names = [job.label for job in make_claim("transfer").jobs(range(3), quick=False)]
    assert len(set(names)) == len(names) == 3 * len(FULL.counts) * len(FULL.arms)


def test_seeds_draw_training_images_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = ["train"] * 5 + ["test"] * 30

    def made_up(name: str, *, per_class: int, seed: int) -> ImageDataset:
        data = easy_set([35, 35], roles=roles * 2)
        drawn = np.random.default_rng(seed).permutation(5)[:per_class]
        return data.take([*drawn, *range(5, 35), *(35 + drawn), *range(40, 70)])

    monkeypatch.setattr("tenfold.claims.transfer.load", made_up)
    _images.cache_clear()
    (first, test), (other, same) = _images(2, 0, 50), _images(2, 1, 50)
    assert first.fingerprint() != other.fingerprint()
    assert test.fingerprint() == same.fingerprint()
    assert (len(first), len(test)) == (4, 50)
    _images.cache_clear()
