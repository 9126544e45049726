# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A classifier of your own as a generator: trained by a plain loop, wrapped, and asked for digits by GRMALA.

Leaves own_classifier.png: a row of drawn digits for each class, each begun as uniform noise.
"""

import torch
from torch import nn

from stic_fast import Images
from stic_fast.data import load
from stic_fast.models import wrap
from stic_fast.sampling import GRMALA, GramRegulariser, to_bytes, to_unit

torch.manual_seed(0)
train, test = load("digits").train, load("digits").test
network = nn.Sequential(
    *(nn.Conv2d(1, 32, 3, padding=1), nn.ELU(), nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ELU()),
    *(nn.Conv2d(64, 64, 3, padding=1), nn.ELU(), nn.Flatten(), nn.Linear(64 * 4 * 4, 10)),
)
optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
for _ in range(300):
    rows = torch.randint(len(train), (64,))
    x = to_unit(train.images[rows])
    x = x + 0.5 * torch.rand(64, 1, 1, 1) * torch.randn_like(x)  # noise makes the gradients follow the digits' shapes
    loss = nn.functional.cross_entropy(network(x), train.labels[rows])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
print(f"test accuracy {(network(to_unit(test.images)).argmax(1) == test.labels).float().mean():.3f}")

classifier = wrap(network, gram_layers=["1", "3", "5"], num_classes=10)
wanted = torch.arange(10).repeat_interleave(8)
real = torch.stack([to_unit(train.images[train.class_indices(c)[:4]]) for c in wanted.tolist()])
gram = GramRegulariser.from_images(classifier, real)
start = torch.rand(80, 1, 8, 8) * 2 - 1
drawn = GRMALA(steps=100).run(classifier, start, wanted, gram=gram, seed=0).x
print("picture:", Images(to_bytes(drawn), wanted, train.class_names).save("own_classifier.png"))
