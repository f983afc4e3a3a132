"""Options are said once: what a verb takes as keywords, as an object and from an earlier config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tenfold.core import options, study_options
from tenfold.core.configuration import Option, Options, metadata_of
from tenfold.core.errors import InputError
from tenfold.core.options import GrowOptions, RestyleOptions
from tenfold.core.study_options import RunOptions, StudyOptions

NAMED = {**vars(options), **vars(study_options)}
TYPES = [kind for kind in NAMED.values() if isinstance(kind, type) and issubclass(kind, Options)]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_field_says_what_it_is_for(kind: type[Options]) -> None:
    asked = metadata_of(kind, Option)
    assert set(asked) == set(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    for name, (_, option) in asked.items():
        assert option.help.endswith("."), name


def test_keywords_stand_above_the_object() -> None:
    options = StudyOptions(repeats=2, seed=5)
    assert StudyOptions.of(options, {"seed": 6}) == StudyOptions(repeats=2, seed=6)
    assert StudyOptions.of(None, {}) == StudyOptions()
    assert RunOptions.of(None, {"grow": "cgan"}).grow == "cgan"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sede": 1}, "there is no option 'sede'. Did you mean 'seed'?"),
        ({"repeats": 0}, "repeats=0: it must be at least 1"),
        ({"times": 0}, "times=0: it must be at least 0.1"),
        ({"size": "large"}, "size=large: "),
    ],
)
def test_options_are_read_strictly(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StudyOptions.of(None, changes)


def test_a_required_option_is_missed() -> None:
    with pytest.raises(InputError, match="the option 'method' is missing"):
        GrowOptions.of(None, {})


def test_what_python_callers_may_pass_becomes_what_config_json_keeps() -> None:
    options = StudyOptions.of(None, {"arms": ["raw", "cgan(steps=2,width=8)"], "test": Path("digits"), "times": 3})
    assert options.arms == "raw,cgan(steps=2,width=8)"
    assert options.test == "./digits", "a path stays one, where a known set has the same name"
    document = json.loads(json.dumps(options.to_json()))
    assert StudyOptions.of(None, document) == options


def test_old_names_still_count_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="'exchange' is now called 'learning_curve'"):
        assert not StudyOptions.of(None, {"exchange": False}).learning_curve
    with pytest.warns(DeprecationWarning, match="'code_size' is now called 'latent_size'"):
        assert RestyleOptions.of(None, {"code_size": 8}).latent_size == 8
    with pytest.raises(InputError, match="no option 'exchange'"):
        RestyleOptions.of(None, {"exchange": True})
