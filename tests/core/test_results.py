"""What verbs hand back, as JSON and back again, and under older names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from tenfold.core.errors import InputError
from tenfold.core.results import Document, DryRun, OldNames, Result


@dataclass(frozen=True, eq=False)
class Made(Result):
    json_names: ClassVar = {"images": "real_images"}
    derived = ("doubled",)

    directory: Path
    images: int
    class_names: tuple[str, ...] = ()

    @property
    def doubled(self) -> int:
        return 2 * self.images

    @property
    def sentence(self) -> str:
        return f"{self.images} in {self.directory}"


def test_a_result_is_json_and_back() -> None:
    made = Made(Path("x"), 3, ("a", "b"))
    document = json.loads(json.dumps(made.to_json()))
    assert document == {"directory": "x", "real_images": 3, "class_names": ["a", "b"], "doubled": 6}
    again = Made.from_json(document)
    assert vars(again) == vars(made)
    assert again.text == "3 in x"
    with pytest.raises(InputError, match="directory"):
        Made.from_json({"real_images": 3})


@pytest.mark.parametrize(
    "result", [Document(Path("x"), {"sentence": "done", "n": 1}), DryRun("it would", {"seconds": 2.0})]
)
def test_documents_are_read_back(result: Result) -> None:
    again = type(result).from_json(json.loads(json.dumps(result.to_json())))
    assert vars(again) == vars(result)
    assert again.sentence == result.sentence


class Findings(OldNames):
    def __init__(self) -> None:
        self.chosen_arm = "cgan"


def test_results_answer_to_old_names() -> None:
    with pytest.warns(DeprecationWarning, match="'pick' is now called 'chosen_arm'"):
        assert Findings().pick == "cgan"
    with pytest.raises(AttributeError, match="no attribute 'looks'"):
        _ = Findings().looks
    with pytest.raises(AttributeError, match="no attribute 'peak'"):
        _ = Findings().peak
