# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Forward passes of a classifier whose weights stay as they are: converted and laid out once, not in every pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from stic_fast.errors import InputError
from stic_fast.models.classifier import Classifier
from stic_fast.models.packed_convolution import PackedConvolution, packable

Precision = Literal["fp32", "bf16", "auto"]
Layout = Literal["plain", "channels_last", "packed"]
_Made = TypeVar("_Made")

WEIGHTED = (F.conv1d, F.conv2d, F.conv3d, F.linear)
"""The functions (input, weight, bias, …) whose weights are prepared."""
SMALLEST_PACKED = 2**16
"""Elements of a weight below which oneDNN brings it into its own form in less time than packing costs a call."""


class FixedPasses:
    """`Classifier.logits_and_features` at the speed that weights which do not change allow.

    The model is not touched. While one of these passes runs, `conv2d` and its like are handed prepared copies of the
    model's weights in place of the weights, wherever in the model they are called. The copies live as long as this
    object and are made anew for a weight that is assigned to in place.

    Args:
        model: the classifier, its parameters frozen.
        precision: "fp32" computes in the weights' own precision. "bf16" is autocast, with the same bits if the layout
            is plain; autocast alone converts frozen weights again in every pass. "auto" is "bf16" where the hardware
            multiplies bfloat16 (x86 with AMX or AVX512-BF16, CUDA devices from compute capability 8.0) and else "fp32".
            None is "auto" for a model on a CUDA device and else "fp32".
        layout: "plain" leaves it to the model. "channels_last" gives the weights of 2-D convolutions, and thereby the
            features, this memory format. "packed" does too, and on x86 CPUs keeps large weights in oneDNN's blocked
            form, once for the forward and once for the backward pass; for grouped convolutions and other precisions
            than fp32 and bf16 it is "channels_last". None is "channels_last" for a model on a CUDA device that
            torch.compile has not compiled, and else "plain". All layouts agree within rounding. Passes of packed
            weights are differentiable once.

    Raises:
        InputError: a layout other than plain for a model compiled by torch.compile, which lays its weights out itself.

    >>> from stic_fast.models import WideResNet
    >>> model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1).requires_grad_(False)
    >>> x = torch.zeros(2, 1, 8, 8)
    >>> logits, (feature,) = FixedPasses(model, layout="channels_last")(x, ["conv10"])
    >>> torch.allclose(logits, model(x), atol=1e-5), feature.is_contiguous(memory_format=torch.channels_last)
    (True, True)
    """

    compiled: bool
    """Whether the model or a module in it is compiled by torch.compile."""

    def __init__(self, model: Classifier, *, precision: Precision | None = None, layout: Layout | None = None) -> None:
        self.model, self.compiled = model, any(map(_is_compiled, model.modules()))
        if self.compiled and layout not in (None, "plain"):
            raise InputError(
                f"layout={layout!r} needs the model as it was before torch.compile, which chooses layouts itself; "
                "pass the uncompiled model, or layout='plain'"
            )
        on_gpu = _is_on_gpu(model)
        self.precision: Precision = precision or ("auto" if on_gpu else "fp32")
        self.layout: Layout = layout or ("channels_last" if on_gpu and not self.compiled else "plain")
        prepares = not self.compiled and (self.precision != "fp32" or self.layout != "plain")
        self._weights: AbstractContextManager[Any] = PreparedWeights(model, self.layout) if prepares else nullcontext()

    def __call__(self, x: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """The logits and the named features of x, see `Classifier.logits_and_features`."""
        return self.through(self.model.logits_and_features, x, layers)

    def through(self, function: Callable[..., _Made], x: Tensor, *rest: Any, **options: Any) -> _Made:
        """What a method of the model makes of x, in this precision and layout."""
        half = uses_bf16(self.precision, x.device)
        autocast = torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext()
        with autocast, self._weights:
            return function(x, *rest, **options)


class PreparedWeights(TorchFunctionMode):
    """Hands prepared copies of a model's weights to the functions that use them, within its context.

    >>> net = nn.Conv2d(2, 4, 3, padding=1).requires_grad_(False)
    >>> with PreparedWeights(net, "channels_last"):
    ...     net(torch.zeros(1, 2, 8, 8)).is_contiguous(memory_format=torch.channels_last)
    True
    """

    def __init__(self, model: nn.Module, layout: Layout) -> None:
        super().__init__()
        self._layout = layout
        self._own = {id(parameter): parameter for parameter in model.parameters()}
        self._made: dict[tuple[Any, ...], tuple[object, Any]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in WEIGHTED or len(args) < 2 or kwargs:
            return func(*args, **kwargs or {})
        x, weight, bias, *options = (*args, None)[: max(3, len(args))]
        if id(weight) not in self._own or weight.requires_grad:
            return func(*args)
        large = self._layout == "packed" and func is F.conv2d and weight.numel() >= SMALLEST_PACKED
        if large and packable(x, weight, _dtype_here(weight), *options):
            return self._packed_convolution(x, weight, bias, *options)(x)
        return func(x, self._prepared(weight), self._prepared(bias), *options)

    def _prepared(self, parameter: Tensor | None) -> Tensor | None:
        """The copy of a parameter in the type and layout asked for."""
        if parameter is None or id(parameter) not in self._own:
            return parameter
        dtype = _dtype_here(parameter)
        return self._once((id(parameter), dtype), parameter._version, lambda: self._copy(parameter, dtype))

    def _copy(self, parameter: Tensor, dtype: torch.dtype) -> Tensor:
        value = parameter.detach().to(dtype)
        nhwc = self._layout != "plain" and value.dim() == 4
        return value.to(memory_format=torch.channels_last) if nhwc else value

    def _packed_convolution(self, x: Tensor, weight: Tensor, bias: Tensor | None, *options: Any) -> PackedConvolution:
        def pack() -> PackedConvolution:
            shift = None if bias is None else bias.detach().to(dtype, copy=True)
            return PackedConvolution(weight.detach().to(dtype), shift, x.shape, *options)

        dtype, versions = _dtype_here(weight), (weight._version, None if bias is None else bias._version)
        return self._once((id(weight), id(bias), dtype, *options), versions, pack)

    def _once(self, key: tuple[Any, ...], versions: object, make: Callable[[], _Made]) -> _Made:
        """What was made for the key, made anew if its tensors have other versions since."""
        if key not in self._made or self._made[key][0] != versions:
            self._made[key] = versions, make()
        made: _Made = self._made[key][1]
        return made


def uses_bf16(precision: Precision, device: str | torch.device) -> bool:
    """Whether passes of a precision are computed in bfloat16 on a device.

    >>> uses_bf16("bf16", "cpu"), uses_bf16("fp32", "cpu")
    (True, False)
    """
    return precision == "bf16" or (precision == "auto" and multiplies_bf16(torch.device(device)))


def multiplies_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 numbers in hardware, as PyTorch reports it.

    >>> multiplies_bf16(torch.device("meta"))
    False
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    # Where PyTorch does not tell yet, the answer is no.
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def _is_on_gpu(model: nn.Module) -> bool:
    return any(parameter.is_cuda for parameter in model.parameters())


def _is_compiled(module: nn.Module) -> bool:
    """By torch.compile(module), whose result holds the module as `_orig_mod`, or by module.compile()."""
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None


def _dtype_here(parameter: Tensor) -> torch.dtype:
    """What autocast converts the parameter to where the call stands; its own type outside of it."""
    kind = parameter.device.type
    if parameter.dtype == torch.float32 and torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return parameter.dtype
