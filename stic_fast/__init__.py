# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Image classifiers that draw: STIC and its relatives, on native Gram and Langevin ops for PyTorch.

    run = stic_fast.load("runs/fashion")                   # or stic_fast.train("stic", preset="digits")
    images = run.sample(["Sandal", "Bag"], n=8, seed=0)    # uint8 (16, 1, 28, 28)
    run.counterfactual(images[0], "Bag").save("bag.png")

The ops at the top level (`grmala_step`, `gram_loss`, `noise.normal`, …) drop into any loop; `models`, `sampling`,
`training`, `data` and `evaluation` build the whole method on them. All but the ops is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stic_fast.entry import stopping_at_once

with stopping_at_once():
    from stic_fast.ops import (
        gram,
        gram_loss,
        grmala_step,
        grmala_step_,
        metropolis_accept,
        noise,
        scaled_silu,
        vrm_batch,
    )

if TYPE_CHECKING:
    from stic_fast import api, data, evaluation, models, ops, plots, sampling, studies, textures, training
    from stic_fast.api import Counterfactual, Images, Run, load, stylize, texture, train
    from stic_fast.evaluation import evaluate_images, evaluate_texture

__version__ = "0.1.0"

__all__ = [
    "Counterfactual",
    "Images",
    "Run",
    "__version__",
    "api",
    "data",
    "evaluate_images",
    "evaluate_texture",
    "evaluation",
    "gram",
    "gram_loss",
    "grmala_step",
    "grmala_step_",
    "load",
    "metropolis_accept",
    "models",
    "noise",
    "ops",
    "plots",
    "sampling",
    "scaled_silu",
    "studies",
    "stylize",
    "texture",
    "textures",
    "train",
    "training",
    "vrm_batch",
]

_FROM = {
    **dict.fromkeys(("Counterfactual", "Images", "Run", "load", "stylize", "texture", "train"), "stic_fast.api"),
    **dict.fromkeys(("evaluate_images", "evaluate_texture"), "stic_fast.evaluation"),
}
"""Where the names are that are imported when they are first used; the others of `__all__` are subpackages."""


if not TYPE_CHECKING:  # to a type checker there is nothing but what stands above

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name not in _FROM:
            return importlib.import_module(f"{__name__}.{name}")
        value = globals()[name] = getattr(importlib.import_module(_FROM[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
