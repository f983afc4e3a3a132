"""Every verb works on the device that its options name, and on no other after it."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.core.errors import InputError
from tenfold.core.options import FitOptions
from tenfold.training.device import VARIABLE, current_device
from tenfold.verbs import on_chosen_device


@on_chosen_device
def verb(data: object, options: FitOptions | None = None, **changes: Any) -> str:
    return current_device().name


def test_a_device_is_named_in_the_options_or_as_a_keyword(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert verb("digits", FitOptions(device="cuda:1")) == "cuda:1"
    assert verb("digits", options=FitOptions(device="cuda:1"), device="cuda:2") == "cuda:2"
    monkeypatch.setenv(VARIABLE, "cuda:3")
    assert verb("digits") == "cuda:3", "without a choice the environment decides"
    assert verb("digits", device="cpu") == "cpu"
    monkeypatch.setenv(VARIABLE, "cpu")
    assert current_device().name == "cpu"


def test_torchrun_is_refused_by_a_verb_that_trains_more_than_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "one", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="torchrun is for `fit`"):
        verb("digits", device="cpu")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert verb("digits", device="cpu") == "cpu"


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no device is called 'gpu'"):
        verb("digits", device="gpu")
