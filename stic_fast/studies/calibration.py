# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How far a classifier's confidence can be believed, along its training and after (GMMC, section 4.2, figure 4).

Before and after in two ways: pass by pass, as a classifier learns to draw; and with its logits as they are and over a
fitted temperature, which tells a classifier that ranks its answers badly from one that only has the wrong scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from stic_fast.counts import MOST, Range
from stic_fast.errors import InputError
from stic_fast.evaluation.record_form import to_plain
from stic_fast.evaluation.records import classifier_record
from stic_fast.plots.calibration import calibration_figure
from stic_fast.studies.options import RunOptions
from stic_fast.studies.other_runs import open_beside, paths_in
from stic_fast.studies.pass_ends import pass_ends
from stic_fast.studies.study import StudyResult
from stic_fast.training import Progress, TrainedRun, open_run


@dataclass(frozen=True)
class Calibration(RunOptions):
    """Follow a classifier's calibration over its passes, as it is and after temperature scaling."""

    # Further runs on the same images, with commas between.
    others: str | None = None
    # Passes to look at at most, spread evenly over the training.
    passes: Annotated[int, Range(2, MOST)] = 11

    def compute(self, progress: Progress) -> StudyResult:
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
                    found[name].append({"pass": end, **self._read(run, end)})
                    advance()
        return StudyResult(calibration_figure(found), {"runs": found})

    def _read(self, run: TrainedRun, end: int) -> dict[str, Any]:
        model, test = run.after_pass(end).model, run.splits.test
        if len(test) < 2:
            raise InputError(f"{test.name} has {len(test)} test images; no temperature can be fitted to fewer than two")
        record = classifier_record(model, test.images, test.labels, model.num_classes, self.batch_size, seed=self.seed)
        if record.note:
            raise InputError(f"{run.folder.path}, pass {end}: {record.note}; take a run that did not")
        plain = to_plain(record)
        scores = {row.key: row.value for row in record.rows}
        return {"n": record.n, **scores, **{key: plain[key] for key in ("reliability", "reliability_after")}}
