# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A counterfactual: what must change in a 3 for the classifier to call it an 8.

Leaves counterfactual.png: before, after, and the difference, white where pixels became brighter and black where darker.
"""

from pathlib import Path

import stic_fast

FOLDER = Path("runs/example")
SETTINGS = {"passes": 2, "iterations": 60, "pool": {"chains": 100, "sampler.steps": 20}, "sampler.steps": 40}
run = stic_fast.load(FOLDER) if FOLDER.exists() else stic_fast.train("stic", out=FOLDER, **SETTINGS)

test = run.splits.test
threes = test.images[test.class_indices(3)]
threes = threes[run.predict(threes) == 3][:4]
found = run.counterfactual(threes, to="8", confidence=0.8)
print(found)
print("picture:", found.save("counterfactual.png"))
