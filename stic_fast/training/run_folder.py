# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A run on disk: config.json, metrics.jsonl, checkpoints and pictures, every file whole or absent.

RUN/  config.json  metrics.jsonl  SHA256SUMS  curves.png  samples/pass_003.png
      checkpoints/pass_003/{model.safetensors, state.pt, SHA256SUMS}    pass_004_iteration_000250/ within a pass
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from torch import Tensor

from stic_fast.digests import listed_file
from stic_fast.errors import InputError
from stic_fast.evaluation.record_form import Evaluation, read_record
from stic_fast.formats import Format
from stic_fast.stored import damaged, read_json
from stic_fast.training.checkpoint import STATE, Checkpoint, write_checkpoint
from stic_fast.training.metrics import METRICS, Line, lines_of, read_lines
from stic_fast.training.one_writer import is_fresh, one_writer

CONFIG = "config.json"
CONFIG_FORMAT = Format()
HINT_CONFIG = "restore it as the run wrote it, or delete its line in SHA256SUMS to keep a change that was meant"
_CHECKPOINT = re.compile(r"pass_(\d+)(?:_iteration_(\d+))?")


class RunFolder:
    """Reads and writes one run's folder.

    Raises:
        InputError: in every method, where the folder is no run's or another process writes into it, or a file is
            missing, damaged, or cannot be written; the message names it, and says what is lost, if anything.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = self.source = Path(path)  # written, and read

    @property
    def address(self) -> str:
        """What commands call the run."""
        return str(self.path)

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], method: str, config: Mapping[str, Any], *, images: str | None = None
    ) -> RunFolder:
        """Begins a run.

        Args:
            images: a fingerprint of the images that it trains and is tested on.
        """
        run = cls(path)
        run._refuse_occupied()
        with writing(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
        with run.one_writer():
            run._refuse_occupied()  # by whoever began here a moment ago
            run.write_json(CONFIG, config_content(method, config, images))
        return run

    def one_writer(self, target: Path | None = None) -> AbstractContextManager[None]:
        """Around everything that writes into the folder: no other process does meanwhile.

        Args:
            target: what is written; outside the folder it needs no lock, for a run that is read alone may be protected.
        """
        return one_writer(self.path) if self.holds(target) else nullcontext()

    def holds(self, target: Path | None) -> bool:
        """Whether a file is inside; the folder itself, None, is."""
        return target is None or target.resolve().is_relative_to(self.path.resolve())

    def read_config(self) -> tuple[str, dict[str, Any]]:
        """The method's name and its settings in plain form."""
        plain = self._read_config()
        method, settings = plain.get("method"), plain.get("settings")
        if not isinstance(method, str) or not isinstance(settings, dict):
            raise damaged(self.source / CONFIG, "it lacks the method or its settings", HINT_CONFIG)
        return method, settings

    def images(self) -> str | None:
        """The fingerprint of the images that the run trains on; None for runs of before there was one."""
        return self._read_config().get("images")

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Writes one JSON file, whole or not at all."""
        return self._replace(self.path / name, as_text(content))

    def evaluation(self) -> Evaluation | None:
        """What `stic-fast evaluate` found; None before it has."""
        return read_record(self.path)

    def append_metrics(self, records: list[dict[str, Any]]) -> None:
        """Adds records to metrics.jsonl, one line each."""
        if records:
            self._write_metrics([*read_lines(self.path / METRICS), *lines_of(records)])

    def read_metrics(self) -> list[dict[str, Any]]:
        """All records; of runs of older versions a last line that a kill cut short is left out."""
        return [line.record for line in read_lines(self.path / METRICS)]

    def logged(self, kind: str, *names: str) -> list[dict[str, Any]]:
        """The records of a kind, each with these numbers in it."""
        return [line.holding(*names) for line in read_lines(self.path / METRICS) if line.record["kind"] == kind]

    def truncate_metrics(self, pass_number: int, iteration: int) -> None:
        """Drops the records that a run resumed from this moment will write again, and no others."""
        lines = read_lines(self.path / METRICS)
        kept = [line for line in lines if line.record["pass"] <= pass_number and line.record["iteration"] <= iteration]
        if len(kept) < len(lines):
            self._write_metrics(kept)

    def save_checkpoint(
        self, pass_number: int, iteration: int | None, weights: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> Checkpoint:
        """Writes a checkpoint folder, whole or not at all, then drops what it makes superfluous.

        The newest two checkpoints stay whole. Of the older ones, those at the end of a pass keep their weights and
        drop the bulky state; those within a pass go.
        """
        name = f"pass_{pass_number:03d}" + ("" if iteration is None else f"_iteration_{iteration:06d}")
        folder = self.path / "checkpoints"
        target, partial = folder / name, folder / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with writing(target, self._resuming()):
                write_checkpoint(partial, weights, state)
                shutil.rmtree(target, ignore_errors=True)
                partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        saved = Checkpoint(target, pass_number, iteration)
        self._prune(saved)
        return saved

    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, oldest first."""
        folder = self.path / "checkpoints"
        found = []
        for path in folder.iterdir() if folder.is_dir() else []:
            match = _CHECKPOINT.fullmatch(path.name)
            if match:
                found.append(Checkpoint(path, int(match[1]), int(match[2]) if match[2] else None))
        return sorted(found, key=lambda checkpoint: checkpoint.order)

    def newest_checkpoint(self) -> Checkpoint:
        """The checkpoint to go on from."""
        found = self.checkpoints()
        if not found:
            raise InputError(f"{self.path} has no checkpoint yet; train it first")
        return found[-1]

    def end_of_pass(self, pass_number: int) -> Checkpoint:
        """The checkpoint at the end of a pass; pass 0 is before training."""
        ends = [checkpoint for checkpoint in self.checkpoints() if checkpoint.iteration is None]
        for checkpoint in ends:
            if checkpoint.pass_number == pass_number:
                return checkpoint
        known = ", ".join(str(checkpoint.pass_number) for checkpoint in ends) or "none"
        raise InputError(f"{self.path} has no checkpoint of pass {pass_number}; passes at hand: {known}")

    def drop(self, checkpoint: Checkpoint) -> None:
        """Removes a checkpoint."""
        with writing(checkpoint.path):
            shutil.rmtree(checkpoint.path)

    def picture(self, *parts: str) -> Path:
        """The path of a picture of this run, its folder made."""
        path = self.path.joinpath(*parts)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _prune(self, newest: Checkpoint) -> None:
        older = [checkpoint for checkpoint in self.checkpoints() if checkpoint.order < newest.order]
        for checkpoint in older[:-1]:
            if checkpoint.iteration is not None:
                shutil.rmtree(checkpoint.path, ignore_errors=True)
            else:
                with writing(checkpoint.path):
                    (checkpoint.path / STATE).unlink(missing_ok=True)

    def _refuse_occupied(self) -> None:
        if not self.path.exists() or (self.path.is_dir() and is_fresh(self.path)):
            return
        if (self.path / CONFIG).exists():
            hint = f"continue it with --resume {shlex.quote(str(self.path))}, or give a new folder"
            raise InputError(f"{self.path} holds a run already; {hint}")
        raise InputError(f"{self.path} holds other files; give a new folder")

    def _read_config(self) -> dict[str, Any]:
        if not self.source.is_dir():
            raise InputError(f"{self.path} does not exist; give the folder of a run, as `stic-fast train` printed it")
        try:
            plain = read_json(self.source / CONFIG, HINT_CONFIG)
        except FileNotFoundError as error:
            raise InputError(f"{self.path} is not a run: config.json is missing; give the folder of a run") from error
        return CONFIG_FORMAT.current(plain, self.source / CONFIG, HINT_CONFIG)

    def _write_metrics(self, lines: list[Line]) -> None:
        self._replace(self.path / METRICS, "".join(f"{line.text}\n" for line in lines), self._resuming())

    def _replace(self, target: Path, text: str, then: str = "") -> Path:
        with writing(target, then), listed_file(target) as file:
            file.write(text.encode())
        return target

    def _resuming(self) -> str:
        return f", then continue with --resume {shlex.quote(str(self.path))}: the last checkpoint is whole"


def config_content(method: str, settings: Mapping[str, Any], images: str | None) -> dict[str, Any]:
    """What stands in a config.json; `images` is the fingerprint of those that are trained and tested on."""
    return {**CONFIG_FORMAT.stamp(), "method": method, "settings": settings, "images": images}


def as_text(content: Mapping[str, Any]) -> str:
    """The JSON that is written."""
    return json.dumps(content, indent=2) + "\n"


@contextmanager
def writing(target: Path, then: str = "") -> Iterator[None]:
    """Around the writing of a file: what the disk or the system refuses becomes a sentence, ending in `then`.

    Raises:
        InputError: what is within raised OSError.
    """
    try:
        yield
    except OSError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{target} cannot be written ({reason}); free the disk or mend permissions{then}") from error
