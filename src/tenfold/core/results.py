"""What verbs hand back: one sentence, the same in full as text, and as plain JSON values that can be read back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from tenfold.core.configuration import OLD_NAMES, from_json, to_json


class OldNames:
    """Results answer to the names that their attributes had, with a warning."""

    def __getattr__(self, name: str) -> Any:
        today = OLD_NAMES.get(name, "")
        if today not in {*dir(type(self)), *vars(self)}:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        warnings.warn(f"'{name}' is now called '{today}'", DeprecationWarning, stacklevel=2)
        return getattr(self, today)


@dataclass(frozen=True, eq=False)
class Result(OldNames):
    """What a verb has done."""

    json_names: ClassVar[Mapping[str, str]] = {}
    """Of fields that JSON calls otherwise."""
    derived: ClassVar[tuple[str, ...]] = ()
    """Properties that JSON tells too."""
    holds_more: ClassVar[bool] = False
    """Whether it also holds what it was made from, which JSON does not."""

    @property
    def sentence(self) -> str:
        """What was found or made, in one sentence."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """What the terminal shows."""
        return self.sentence

    def to_json(self) -> dict[str, Any]:
        """Plain values: the fields, and what is derived from them."""
        told = {self.json_names.get(field.name, field.name): getattr(self, field.name) for field in fields(self)}
        document: dict[str, Any] = to_json(told | {name: getattr(self, name) for name in self.derived})
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Result:
        """The result that `to_json` gave this document; of one that holds more than JSON does, the document alone.

        Raises:
            InputError: a value is missing or of a wrong kind.
        """
        if cls.holds_more:
            return Document.from_json(document)
        names = {json_name: name for name, json_name in cls.json_names.items()}
        return from_json(cls, {names.get(name, name): value for name, value in document.items()})


@dataclass(frozen=True, eq=False)
class Document(Result):
    """A result whose JSON is all there is to it: page, text and programs read the same values."""

    directory: Path
    document: dict[str, Any]

    @property
    def sentence(self) -> str:
        return str(self.document["sentence"])

    def to_json(self) -> dict[str, Any]:
        return self.document | {"directory": str(self.directory)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            Path(document["directory"]), {name: value for name, value in document.items() if name != "directory"}
        )


@dataclass(frozen=True, eq=False)
class DryRun(Result):
    """What a command would do, how long that takes, and the same as plain values."""

    events: str
    facts: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        return self.events

    def to_json(self) -> dict[str, Any]:
        return {"sentence": self.events, **self.facts}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(str(document["sentence"]), {name: value for name, value in document.items() if name != "sentence"})
