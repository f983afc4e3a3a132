"""tenfold grows a small labelled image set and proves whether growing it helped.

import tenfold
data = tenfold.load("digits")
study = tenfold.prove(data)
print(study.sentence)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Classifier",
    "adapt",
    "check",
    "doctor",
    "export",
    "fit",
    "grow",
    "load",
    "merge",
    "predict",
    "preview",
    "prove",
    "reproduce",
    "restyle",
    "run",
    "sample",
    "transforms",
]

if TYPE_CHECKING:
    from tenfold import transforms
    from tenfold.data.load import load
    from tenfold.verbs.adapt import adapt
    from tenfold.verbs.check import check
    from tenfold.verbs.doctor import doctor
    from tenfold.verbs.estimator import Classifier
    from tenfold.verbs.export import export
    from tenfold.verbs.fit import fit
    from tenfold.verbs.grow import grow
    from tenfold.verbs.merge import merge
    from tenfold.verbs.predict import predict
    from tenfold.verbs.preview import preview
    from tenfold.verbs.prove import prove
    from tenfold.verbs.reproduce import reproduce
    from tenfold.verbs.restyle import restyle
    from tenfold.verbs.run import run
    from tenfold.verbs.sample import sample


def __getattr__(name: str) -> Any:
    # Loaded on first use: `tenfold --help` must not pay for torch.
    if name == "transforms":
        return importlib.import_module("tenfold.transforms")
    if name not in __all__:
        raise AttributeError(f"module 'tenfold' has no attribute '{name}'")
    elsewhere = {"Classifier": "tenfold.verbs.estimator", "load": "tenfold.data.load"}
    module = importlib.import_module(elsewhere.get(name, f"tenfold.verbs.{name}"))
    return getattr(module, name)
