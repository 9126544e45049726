# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How far a classifier's confidence can be believed, along its training and after (GMMC, section 4.2, figure 4).

Before and after in two ways: pass by pass, as a classifier learns to draw; and with its logits as they are and over a
fitted temperature, which tells a classifier that ranks its answers badly from one that only has the wrong scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from stic_fast.errors import InputError
from stic_fast.evaluation.records import classifier_record
from stic_fast.plots.calibration import calibration_figure
from stic_fast.studies.finding import Finding
from stic_fast.studies.other_runs import open_beside, paths_in
from stic_fast.studies.pass_ends import pass_ends
from stic_fast.training import Progress, open_run


@dataclass(frozen=True)
class Calibration:
    """Follow a classifier's calibration over its passes, as it is and after temperature scaling."""

    # Folder of a trained run.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # Further runs on the same images, with commas between.
    others: str | None = None
    # Passes to look at at most, spread evenly over the training.
    passes: int = 11
    # Of the folds that temperatures are fitted on.
    seed: int = 0
    # Images at a time; no number depends on it beyond its last digits.
    batch_size: int = 250

    def carry_out(self, progress: Progress) -> Finding:
        """Reads the test images with the weights of every pass.

        Raises:
            InputError: a run or an option that cannot be used, or a run that ended diverged.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for name, run in open_beside(open_run(self.run), paths_in(self.others)).items():
            ends = pass_ends(run.folder, self.passes, first=1)
            with progress.task(f"reading with {name}", len(ends)) as advance:
                found[name] = []
                for end in ends:
                    found[name].append({"pass": end, **self._read(run.folder.path, end)})
                    advance()
        record = {"runs": found}
        return Finding(calibration_figure(found), record)

    def _read(self, folder: Path, end: int) -> dict[str, Any]:
        run = open_run(folder, pass_number=end)
        test = run.splits.test
        if len(test) < 2:
            raise InputError(f"{test.name} has {len(test)} test images; no temperature can be fitted to fewer than two")
        record = classifier_record(
            run.model, test.images, test.labels, run.model.num_classes, self.batch_size, seed=self.seed
        )
        if "note" in record:
            raise InputError(f"{folder}, pass {end}: {record['note']}; take a run that did not")
        scores = {row["key"]: row["value"] for row in record["rows"]}
        return {"n": record["n"], **scores, **{key: record[key] for key in ("reliability", "reliability_after")}}
