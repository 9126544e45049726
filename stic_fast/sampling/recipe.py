# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How a method draws images: the space that chains live in, and the stages that they go through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.ops.gram_loss import GramScale
from stic_fast.sampling.annealed import AnnealedGRMALA
from stic_fast.sampling.objective import LogPosterior, Objective
from stic_fast.sampling.sampler import Sampler, Stop
from stic_fast.sampling.space import NoiseSpace, PixelSpace, Space
from stic_fast.sampling.steps import Steps


@dataclass(frozen=True)
class Stage:
    """One leg of a chain."""

    sampler: Sampler[Any]
    """GRMALA or MALA; without ε2 it has no Gram term."""
    objective: Objective = field(default_factory=LogPosterior)
    """What it climbs."""
    network: Classifier | Callable[[], Classifier] | None = None
    """The network that it climbs, or what loads it as the leg begins; None for the one that draws."""
    steps: Steps | None = None
    """Sizes of its steps, in place of the sampler's own."""
    gram_layers: tuple[str, ...] | None = None
    """Layers that its Gram term compares; the classifier's own if None."""
    normalize: GramScale = "log"
    """Scale of the Gram loss, see `stic_fast.gram_loss`."""
    stop: Stop | None = None
    """What ends it early, chain by chain."""

    @property
    def sizes(self) -> Steps:
        """The sizes of its steps."""
        return self.sampler.step_sizes() if self.steps is None else self.steps

    def compared(self, model: Classifier) -> tuple[str, ...]:
        """The layers of a model that its Gram term compares, none without one."""
        if not self.sizes.with_gram:
            return ()
        return model.gram_layers if self.gram_layers is None else self.gram_layers

    def network_or(self, model: Classifier) -> Classifier:
        """Its own network, or the one that draws."""
        if self.network is None:
            return model
        return self.network if isinstance(self.network, Classifier) else self.network()


@dataclass(frozen=True, init=False)
class Recipe:
    """Everything but the classifier, the real images and the seed.

    >>> from stic_fast.sampling import GRMALA, LogJoint
    >>> Recipe(GRMALA(steps=20)).steps, Recipe([Stage(GRMALA(steps=20)), Stage(GRMALA(steps=5), LogJoint())]).steps
    (20, 25)
    """

    stages: tuple[Stage, ...]
    """The legs of a chain, one after the other."""
    space: Space
    """Where chains live."""
    references: int
    """Real images that a chain's Gram terms compare with."""

    def __init__(
        self, stages: Sequence[Stage] | Stage | Sampler[Any], space: Space | None = None, references: int = 1
    ) -> None:
        """A sampler by itself is a stage that climbs log p(y|x); without a space, chains live among the pixels."""
        if isinstance(stages, Sampler):
            stages = Stage(stages)
        object.__setattr__(self, "stages", (stages,) if isinstance(stages, Stage) else tuple(stages))
        object.__setattr__(self, "space", PixelSpace() if space is None else space)
        object.__setattr__(self, "references", references)

    @property
    def steps(self) -> int:
        """Transitions of all legs together."""
        return sum(len(stage.sizes) for stage in self.stages)

    def compares(self, model: Classifier) -> bool:
        """Whether some leg has a Gram term, which compares chains of a model with real images."""
        return any(stage.sizes.with_gram and stage.compared(stage.network_or(model)) for stage in self.stages)

    def of_images(self, image_shape: Sequence[int]) -> Recipe:
        """The recipe for images (channels, height, width), where its space leaves its shape to them."""
        return replace(self, space=self.space.of_images(image_shape))

    @property
    def noise_range(self) -> tuple[float, float] | None:
        """The lowest and the highest noise level of its chains, which start from the highest; None if they have none.

        >>> from stic_fast.sampling import AnnealedGRMALA
        >>> Recipe(AnnealedGRMALA(), NoiseSpace()).noise_range
        (0.002, 80.0)
        """
        lowest = [stage.sampler.sigma_min for stage in self.stages if isinstance(stage.sampler, AnnealedGRMALA)]
        return (max(lowest), self.space.sigma) if lowest and isinstance(self.space, NoiseSpace) else None

    def from_noise(self, sigma: float) -> Recipe:
        """The recipe of chains that start from less noise, and go through as many levels from there on.

        Raises:
            InputError: its chains go through no noise levels, or through none as high or as low as this.

        >>> from stic_fast.sampling import AnnealedGRMALA
        >>> recipe = Recipe(AnnealedGRMALA(steps=3), NoiseSpace()).from_noise(1.0)
        >>> recipe.noise_range, recipe.steps
        ((0.002, 1.0), 3)
        """
        if self.noise_range is None:
            raise InputError(
                "noise is for chains that go through noise levels, as Score-STIC's do, and these do not; leave it out"
            )
        lowest, highest = self.noise_range
        if not lowest < sigma <= highest:
            raise InputError(
                f"noise must be above {lowest:g} and at most {highest:g}, the levels of the run's chains, got {sigma}; "
                "give a level between"
            )
        return replace(self.with_samplers(sigma_max=sigma), space=NoiseSpace(sigma=sigma))

    def with_samplers(self, **changes: Any) -> Recipe:
        """The recipe with these settings changed in the samplers of all stages.

        >>> from stic_fast.sampling import GRMALA
        >>> Recipe(GRMALA(steps=20)).with_samplers(steps=3).steps
        3
        """
        return self.with_stages(lambda stage: replace(stage, sampler=replace(stage.sampler, **changes)))

    def through(self, networks: Sequence[Callable[[], Classifier]]) -> Recipe:
        """The recipe of a cascade: its stages once for each network, which is loaded as a chain reaches it.

        >>> Recipe(Stage(AnnealedGRMALA(steps=3))).through([]).steps
        0
        """
        legs = [replace(stage, network=network) for network in networks for stage in self.stages]
        return replace(self, stages=tuple(legs))

    def with_stages(self, changed: Callable[[Stage], Stage]) -> Recipe:
        """The recipe with another stage in the place of each."""
        return replace(self, stages=tuple(map(changed, self.stages)))
