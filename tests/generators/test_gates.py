from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from made_up_sets import easy_set
from made_up_styles import drawn, styled_set
from tenfold.core.keys import Key
from tenfold.generators import gates as restyling_gates
from tenfold.generators.gates import held_out, measured, painted, probe_accuracy, swaps_of
from tenfold.networks.autoencoder import Fader
from tenfold.networks.blocks import build


class Ideal:
    """Knows how the made-up set is drawn: the code is column and brightness, with or without the label."""

    to_code = torch.nn.Linear(1, 1)
    """Where a Fader's weights live."""

    def __init__(self, tells_label: bool = False, obeys: bool = True) -> None:
        self.tells_label, self.obeys = tells_label, obeys

    def encode(self, images: Tensor) -> Tensor:
        bright = images[:, 0].amax((1, 2))
        lit = images[:, 0] > -0.5
        code = [lit.any(1).float().argmax(1).float(), bright * 127.5 + 127.5]
        row = lit.any(2).float().argmax(1) // 2
        return torch.stack([*code, row.float() if self.tells_label else 0 * bright], 1)

    def decode(self, codes: Tensor, labels: Tensor) -> Tensor:
        result = labels if self.obeys else codes[:, 2].long()
        images = drawn(result.numpy(), codes[:, 0].long().numpy(), codes[:, 1].round().long().numpy())
        return torch.tensor(images).float() / 127.5 - 1


class Judge:
    """Reads the row of the bar."""

    def probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        row = (images[:, 0].astype(int).sum(2).argmax(1)) // 2
        return np.eye(4, dtype=np.float32)[row]


def gates_of(fader: Ideal, probe_steps: int = 200) -> Any:
    real = styled_set(200)
    learned, apart = held_out(real, 0.2, Key("gates"))
    return measured(cast(Any, fader), cast(Any, Judge()), learned, apart, probe_steps, Key("gates"))


def test_an_ideal_autoencoder_passes_every_gate() -> None:
    gates = gates_of(Ideal())
    assert gates.swap_accuracy == 1
    assert gates.judge_accuracy == 1
    assert gates.probe_accuracy < 0.5
    assert gates.chance == 0.25
    assert gates.reconstruction_error < 1e-4 < gates.trivial_error
    assert gates.style_correlation > 0.99
    assert gates.held_out
    assert gates.swaps == 3 * gates.pictures == 120
    assert len(gates.sentences) == 4
    assert "100.0 % of the real ones" in gates.sentences[0]
    assert gates.to_json()["swap_accuracy"] == 1


def test_a_code_that_holds_the_label_is_found_by_the_probe() -> None:
    assert gates_of(Ideal(tells_label=True)).probe_accuracy > 0.9


def test_a_decoder_that_ignores_the_label_fails_the_swap_alone() -> None:
    gates = gates_of(Ideal(tells_label=True, obeys=False), 10)
    assert gates.swap_accuracy == 0
    assert gates.reconstruction_error < 1e-4


def test_few_images_are_measured_on_themselves_and_that_is_said() -> None:
    real = styled_set(8)
    learned, apart = held_out(real, 0.2, Key("few"))
    assert apart is None
    gates = measured(cast(Any, Ideal()), cast(Any, Judge()), learned, apart, 5, Key("few"))
    assert not gates.held_out
    assert "too few to hold any out" in gates.sentences[0]


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(1, 4), st.floats(0.05, 0.5))
def test_whole_groups_are_held_out_and_every_class_is_learned(counts: list[int], of: int, share: float) -> None:
    total = sum(counts)
    real = easy_set(counts, groups=(np.arange(total) // of).tolist())
    learned, apart = held_out(real, share, Key("groups"))
    assert set(learned.labels) == set(range(len(counts)))
    if apart is not None:
        assert len(learned) + len(apart) == total
        assert not set(learned.groups) & set(apart.groups)
        assert len(apart) >= 8
        # A group of two classes may be taken for one of them.
        assert len(apart) <= share * total + of * len(counts)
    else:
        assert learned is real


def test_of_many_images_a_thousand_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restyling_gates, "MOST_HELD_OUT", 20)
    _, apart = held_out(easy_set([50, 50]), 0.4, Key("many"))
    assert apart is not None
    assert np.array_equal(apart.counts(), [10, 10])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_every_image_is_painted_as_every_other_class(labels: Sequence[int]) -> None:
    own = np.array(labels, dtype=np.int64)
    rows, result = swaps_of(own, 5)
    pairs = set(zip(rows.tolist(), result.tolist(), strict=True))
    assert pairs == {(row, label) for row in range(len(own)) for label in range(5) if label != own[row]}
    assert len(rows) == len(pairs)


def test_of_many_images_each_is_painted_as_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restyling_gates, "MOST_SWAPS", 400)
    own = (np.arange(200) % 10).astype(np.int64)
    rows, result = swaps_of(own, 10)
    assert len(rows) == 400
    assert (result != own[rows]).all()
    assert np.bincount(rows).max() == 2
    assert np.bincount(result, minlength=10).min() > 20


def test_a_painted_image_does_not_depend_on_its_batch() -> None:
    fader = build(lambda: Fader((1, 8, 8), 3, 4, 4, True), Key("f").torch_generator()).eval()
    codes = torch.randn(300, 4, generator=Key("codes").torch_generator())
    labels = (np.arange(300) % 3).astype(np.int64)
    together = painted(fader, codes, labels)
    for index in (0, 255, 256, 299):
        assert np.array_equal(painted(fader, codes[[index]], labels[[index]])[0], together[index])


def test_the_probe_reads_what_there_is_to_read() -> None:
    random = Key("probe").numpy_generator()
    labels = random.integers(0, 3, 600)
    codes = random.normal(size=(600, 4)).astype(np.float32)
    blind = torch.from_numpy(codes)
    # The label is neither in the mean nor in the spread of a value: only two together tell it.
    angle = random.uniform(0, 2 * np.pi, 600)
    result = blind.clone()
    result[:, 0], result[:, 1] = torch.from_numpy(np.cos(angle)), torch.from_numpy(np.cos(angle + 2 * labels))
    for given_codes, low, high in ((blind, 0.2, 0.5), (result, 0.6, 1.0)):
        reached = probe_accuracy(
            (given_codes[:400], labels[:400]), (given_codes[400:], labels[400:]), 300, Key("fresh")
        )
        assert low <= reached <= high
