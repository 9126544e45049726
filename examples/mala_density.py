# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""MALA on a density of two dimensions, a banana whose moments are known: x ~ N(0, 1), y|x ~ N((x² − 1)/2, 1/4).

Prints the moments of the samples beside the true ones, and leaves mala_density.png.
"""

import torch
from matplotlib.figure import Figure

from stic_fast.sampling import MALA


def log_density(points: torch.Tensor) -> torch.Tensor:
    x, y = points.unbind(1)
    return -x.square() / 2 - 2 * (y - (x.square() - 1) / 2).square()


samples = []
start = torch.zeros(500, 2)
burnt_in = MALA(steps=500, eps1=0.1).run(log_density, start, seed=0).x
result = MALA(steps=2_000, eps1=0.1).run(
    log_density, burnt_in, seed=0, first_step=500, on_step=lambda state: samples.append(state.x)
)
points = torch.cat(samples)
print(f"acceptance {result.acceptance.mean():.2f}")
mean, variance = points.mean(0), points.var(0)
print(f"mean     {mean[0]:+.2f} {mean[1]:+.2f}   true +0.00 +0.00")
print(f"variance {variance[0]:+.2f} {variance[1]:+.2f}   true +1.00 +0.75")

figure = Figure(figsize=(5, 4), layout="constrained")
axes = figure.subplots()
axes.hist2d(*points.T.numpy(), bins=120, range=[(-3, 3), (-2.5, 4.5)], cmap="magma")
axes.set(xlabel="x", ylabel="y", title="500 chains of MALA on a banana")
figure.savefig("mala_density.png")
