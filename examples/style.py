# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A Gram loss in a loop of one's own: an image takes on the texture of another, its pixels moved by Adam.

This is the inner loop of `stic_fast.texture`, which begins at a coarse size and keeps the colours, too. Gatys et al.
(2015) compare the Gram matrices of a trained network's features; random filters do as well (Ustyuzhaninov et al.,
2016). Leaves style.png: the texture, the start and the end.
"""

import torch
from torch import nn

from stic_fast import gram_loss
from stic_fast.models import FilterBank
from stic_fast.plots import save_grid
from stic_fast.sampling import to_bytes

torch.manual_seed(0)
bank = FilterBank(sizes=(3, 7), filters=32, levels=1, border="tile")

y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
waves = torch.stack([(x + y).div(2.5).sin(), (x + y).div(2.5).cos(), (x - y).div(5).sin()])[None]
with torch.no_grad():
    reference = bank(waves)
image = nn.Parameter(torch.rand(1, 3, 48, 48) - 0.5)
start = image.detach().clone()
optimiser = torch.optim.Adam([image], lr=0.05)
for step in range(150):
    loss = gram_loss(bank(image), reference).sum()  # over the layers, of log(1 + ‖G − A‖²/‖A‖²)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if step % 50 == 0 or step == 149:
        print(f"step {step}: Gram loss {loss.item():.4f}")
tiles = to_bytes(torch.cat([waves, start, image.detach()]))
save_grid("style.png", tiles, columns=3, scale=4, column_labels=["texture", "start", "end"])
