# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How much memory a training or a drawing takes, estimated before it begins and without taking any.

The network is built on PyTorch's meta device, where tensors have shapes and no memory, and passes of the run's own
batches are counted there: what autograd keeps of a forward pass is what its backward pass needs.

    training = 20·weights + pool + max(batch, chains)        bytes
    batch    = kept(images of an iteration) + 6·largest feature
    chains   = kept(chains that run at once) + 6·largest feature + what their Gram terms hold

It lies within a factor of two of the most that a training holds at a time. The peak that the operating system reports
may be half as much again, in holes of the C library's heap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from stic_fast.data import Splits
from stic_fast.memory import KeptMemory, check_fits, written
from stic_fast.models import Classifier
from stic_fast.models.frozen import frozen
from stic_fast.ops.gram_loss import prefers_dual
from stic_fast.sampling import Recipe
from stic_fast.training.config import RunConfig
from stic_fast.training.methods import method_of

FLOAT = 4
PER_WEIGHT = 5
"""Numbers for each weight in training: itself, its gradient, Adam's two moments, and its copy on the way to disk."""
TRANSIENT = 6
"""Largest features beside what is kept: a layer's input, output and their gradients, with copies in the layout that the
CPU library computes in; as measured."""


def network_without_memory(config: RunConfig, splits: Splits) -> Classifier:
    """The run's network on the meta device."""
    with torch.device("meta"):
        return method_of(config).build(config, splits).to("meta")


def training_bytes(config: RunConfig, splits: Splits) -> dict[str, float]:
    """Estimates of what the parts of a training take at its largest, beyond the images, by the setting that sets each.

    Either a batch or the chains are at work, so the larger of the two is counted.

    Raises:
        InputError: settings that make no network, or Gram layers that this one does not have.

    >>> from stic_fast.data import load
    >>> from stic_fast.training import NetworkConfig, SoftmaxConfig
    >>> small = SoftmaxConfig(network=NetworkConfig(depth=10, width=1))
    >>> sorted(training_bytes(small, load("digits")))
    ['batch_size', 'network.width']
    """
    model, at_once = network_without_memory(config, splits), config.at_once()
    weights = sum(parameter.numel() for parameter in model.parameters())
    parts = {f"network.{config.network.size}": float(PER_WEIGHT * FLOAT * weights)}
    shape = splits.train.image_shape
    read = shape if at_once.patch is None else (shape[0], *at_once.patch)
    work = {"batch_size": _pass_bytes(model, at_once.images, read, frozen_weights=False)}
    if at_once.chains:
        recipe = method_of(config).recipe_of(config, model, fakes=True).of_images(shape)
        parts["pool.chains"] = _pool_bytes(at_once.chains, recipe)
        chains = chain_bytes(model, recipe, at_once.running, shape)
        work[at_once.running_setting] = max(work.get(at_once.running_setting, 0.0), chains)
    setting = max(work, key=lambda name: work[name])
    return {**parts, setting: work[setting]}


def chain_bytes(model: Classifier, recipe: Recipe, chains: int, shape: tuple[int, ...]) -> float:
    """Estimate of what so many chains take that run at once, beside the weights, by the largest stage.

    Args:
        model: on the meta device.
        shape: of an image.
    """
    needed, (rows, *seen) = [], recipe.space.shown(shape)
    for stage in recipe.stages:
        layers = stage.compared(model)
        reads = (*layers, *stage.objective.layers)
        most = stage.objective.rows_at_once(rows * chains, seen)
        own = _pass_bytes(model, most, seen, frozen_weights=True, layers=reads)
        needed.append(own + (_gram_bytes(model, chains, recipe.references, shape, layers) if layers else 0.0))
    return max(needed, default=0.0)


def check_training_fits(config: RunConfig, splits: Splits, device: torch.device) -> None:
    """Refuses a training that this machine has no memory for."""
    parts = training_bytes(config, splits)
    largest = sorted(parts, key=lambda name: -parts[name])
    lower = " or ".join(name for name in largest if parts[name] * 4 >= parts[largest[0]])
    share = f"of which {written(parts[largest[0]])} follow from {largest[0]}"
    check_fits("this training", sum(parts.values()), f"lower {lower}, {share}", device=device)


def check_drawing_fits(
    config: RunConfig, splits: Splits, recipe: Recipe, count: int, batch_size: int, device: torch.device
) -> None:
    """Refuses to draw more images, or more at a time, than this machine has memory for."""
    shape, running = splits.train.image_shape, min(count, batch_size)
    kept = count * (2 * math.prod(shape) + 16 * recipe.references)
    check_fits(f"a set of {count} drawn images", kept, "ask for fewer")
    needed = chain_bytes(network_without_memory(config, splits), recipe, running, shape)
    check_fits(f"drawing {running} images at a time", needed, "lower batch_size", device=device)


def _pass_bytes(
    model: Classifier, images: int, shape: Sequence[int], *, frozen_weights: bool, layers: tuple[str, ...] = ()
) -> float:
    """What a forward and a backward pass hold at most, beside the weights.

    A second image tells what each takes, and what a pass holds once, such as weights in another form.
    """
    one, two = (_held(model, count, shape, frozen_weights=frozen_weights, layers=layers) for count in (1, 2))
    return one + (images - 1) * (two - one)


def _held(
    model: Classifier, images: int, shape: Sequence[int], *, frozen_weights: bool, layers: tuple[str, ...]
) -> float:
    """The same of a pass that is tried."""
    x = torch.empty(images, *shape, device="meta", requires_grad=frozen_weights)
    kept = KeptMemory(model.parameters())
    with (
        frozen(model) if frozen_weights else nullcontext(),
        torch.enable_grad(),
        _output_sizes(model) as sizes,
        torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor),
    ):
        logits, features = model.logits_and_features(x, layers)
    for tensor in (x, logits, *features):
        kept(tensor)
    return kept.bytes + TRANSIENT * max(sizes)


def _gram_bytes(
    model: Classifier, chains: int, references: int, shape: tuple[int, ...], layers: tuple[str, ...]
) -> float:
    """What the references of the chains' Gram terms hold: features of all as they are made, or Gram matrices beside."""
    x = torch.empty(1, *shape, device="meta")
    with torch.no_grad(), _output_sizes(model) as sizes:
        features = model.logits_and_features(x, layers)[1]
    read = FLOAT * (sum(feature.numel() for feature in features) + 3 * x.numel()) + TRANSIENT * max(sizes)
    matrices = 0
    for feature in features:
        channels, size = feature.shape[1], feature.shape[2:].numel()
        if not prefers_dual(channels, size, references * size, gram_known=True, device_type="cpu"):
            matrices += channels**2
    return chains * (references * read + FLOAT * matrices)


def _pool_bytes(chains: int, recipe: Recipe) -> float:
    """The chains as kept; beside them, while they are begun or moved, as floats; and the rows of their references."""
    one = recipe.space.start(torch.zeros(1, dtype=torch.int64), seed=0)
    of_states = one.numel() * (recipe.space.pack(one).element_size() + 2 * FLOAT)
    return chains * (of_states + 6 * FLOAT * (1 + 2 * recipe.references))


@contextmanager
def _output_sizes(model: nn.Module) -> Iterator[list[float]]:
    """The bytes of every output of a module within a model."""
    sizes: list[float] = []

    def note(_: nn.Module, __: Any, output: Any) -> None:
        for tensor in output if isinstance(output, tuple | list) else [output]:
            if isinstance(tensor, Tensor):
                sizes.append(float(tensor.nbytes))

    with ExitStack() as hooks:
        for module in model.modules():
            hooks.enter_context(module.register_forward_hook(note))
        yield sizes
