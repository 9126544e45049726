# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast evaluate`: a trained run's drawn images and its classifier, in numbers: evaluation.json and a table."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from stic_fast.api.evaluation import RunEvaluation
from stic_fast.cli.evaluation_tables import tell
from stic_fast.cli.progress import RichProgress
from stic_fast.evaluation.judges import judge_help
from stic_fast.evaluation.record_form import RECORD
from stic_fast.training import open_run


@dataclass(frozen=True)
class Evaluate(RunEvaluation):
    """Judge a trained run: its drawn images, and the classifier itself."""

    prefix: ClassVar[str] = "--"

    # Folder of a trained run, or pretrained:NAME.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    judge: Annotated[str, tyro.conf.arg(help=judge_help())] = "cnn"
    # Where the run's images lie, as --data of a training names them; None for where they were when it was trained.
    # The images of some pretrained runs do not come with them.
    data: str | None = None

    def execute(self) -> None:
        """Draws what is missing, judges, writes and tells."""
        self.asked()  # refused before the run is read
        run, progress = open_run(self.run, data=self.data), RichProgress()
        tell(self.evaluate(run, progress))
        progress.say(f"numbers: {run.folder.path / RECORD}")
        progress.say(f"next:    stic-fast report {shlex.quote(str(self.run))}")
