# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A model that PyTorch never saw: scikit-learn's perceptron, trained by scikit-learn, as a module of a few lines.

It is wrapped, asked for digits, told digits from noise by log p(x), and attacked, in three precisions. Prints, for
each, the test accuracy, that under attack, the AUROC, and the share of drawn images that scikit-learn calls as asked.
"""

import torch
from sklearn.neural_network import MLPClassifier
from torch import nn

from stic_fast import noise
from stic_fast.data import load
from stic_fast.evaluation import accuracy, auroc, ood_scores, pgd
from stic_fast.models import wrap
from stic_fast.sampling import GRMALA, to_bytes, to_unit

train, test = load("digits").train, load("digits").test
trained = MLPClassifier((64, 64), "tanh", alpha=1.0, random_state=0, max_iter=500)
trained.fit(to_unit(train.images).flatten(1).numpy(), train.labels.numpy())

layers = [nn.Flatten()]
for weights, biases in zip(trained.coefs_, trained.intercepts_, strict=True):
    linear = nn.Linear(*weights.shape)
    linear.weight.data, linear.bias.data = torch.tensor(weights.T), torch.tensor(biases)
    layers += [linear, nn.Tanh()]
network = nn.Sequential(*layers[:-1])  # the last outputs are logits

start, wanted = noise.uniform((80, 1, 8, 8), seed=1) * 2 - 1, torch.arange(80) % 10
unlike = to_bytes(noise.uniform(test.images.shape, seed=2) * 2 - 1)
for dtype in (torch.float64, torch.float32, torch.float16):
    model = wrap(network.to(dtype), gram_layers=[], num_classes=10)
    attacked = pgd(model, test.images, test.labels, 10, epsilon=0.05, seed=0).accuracy
    score = auroc(*(ood_scores(model, images, 10)["log_density"] for images in (test.images, unlike)))
    drawn = GRMALA(steps=60).run(model, start.to(dtype), wanted, seed=0).x
    called = torch.tensor(trained.predict(drawn.flatten(1).float().numpy()))
    shares = accuracy(model, test.images, test.labels, 10), attacked, score, (called == wanted).double().mean()
    print(f"{dtype}: " + ", ".join(f"{share:.3f}" for share in shares))
