from __future__ import annotations

import pytest
import torch

from made_up_sets import easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.methods import make_method
from tenfold.runs.arms import parse_arms
from tenfold.training.recipe import cross_entropy


def smoothed(share: float, labels: torch.Tensor) -> torch.Tensor:
    recipe = make_method("label_smoothing", {"share": share}).fit(easy_set([1, 1]), None, Key("one"))
    images = torch.zeros(len(labels), 1, 2, 2)
    kept, soft = recipe.transforms[0](images, labels, Key("draws").torch_generator())
    assert torch.equal(kept, images)
    return soft


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_the_loss_is_torchs_own_with_label_smoothing(share: float) -> None:
    numbers = torch.tensor([0, 3, 2, 2, 1])
    logits = torch.randn(5, 4, generator=Key("logits").torch_generator())
    soft = smoothed(share, torch.eye(4)[numbers])
    expected = torch.nn.functional.cross_entropy(logits, numbers, label_smoothing=share)
    assert torch.allclose(cross_entropy(logits, soft), expected)
    assert torch.allclose(soft.sum(1), torch.ones(5))


def test_a_share_of_nothing_leaves_the_labels_to_the_last_bit() -> None:
    labels = torch.rand(5, 4, generator=Key("labels").torch_generator()).softmax(1)
    assert torch.equal(smoothed(0, labels), labels)


@pytest.mark.parametrize("mixing", ["mixup", "cutmix", "manifold"])
def test_smoothing_of_mixed_labels_is_refused_with_the_reason(mixing: str) -> None:
    for arm in (f"raw+label_smoothing+{mixing}", f"{mixing}+label_smoothing"):
        with pytest.raises(InputError, match=r"smooths the labels and mixes them: mixed labels are soft already"):
            parse_arms(arm)
    assert [arm.name for arm in parse_arms("classical,raw+label_smoothing")][1] == "raw+label_smoothing"
