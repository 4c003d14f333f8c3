"""Whose a run folder is: what the run in it is for, so that no other one goes on from its state."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.data.splits import Split
from cxrlab.labels import LabelSet
from cxrlab.workflows.training_card import TrainRequest


class TrainingError(ValueError):
    """The training can not begin; the text is the sentence for the user."""


def claim(run_folder: Path, request: TrainRequest, labels: LabelSet, split: Split, *, overwrite: bool) -> None:
    """Write what the run is for, with its split; refuse a folder that holds a run of something else."""
    from cxrlab.training.state import load_state

    facts, last = _facts(request, labels, split), run_folder / "last.pt"
    if last.exists():
        saved, stored = load_state(last), _whole(json.loads((run_folder / "run.json").read_text()))
        stored |= TrainConfig.from_json(saved["config"]).to_json()
        wanted = _whole(facts) | request.config.to_json()
        different = [name for name in stored | wanted if stored.get(name) != wanted.get(name)]
        if different and not (overwrite and saved["run"]["finished"]):
            raise TrainingError(
                f"{run_folder} holds a run with another {', '.join(different)}; choose another name for the "
                "checkpoint or delete that folder."
            )
        if different:
            last.unlink()  # first of all, so that what is left of a deletion that was interrupted is no run
            shutil.rmtree(run_folder)
    if not last.exists():  # nothing is trained yet
        run_folder.mkdir(parents=True, exist_ok=True)
        split.save(run_folder / "split.json")
        (run_folder / "run.json").write_text(json.dumps(facts, indent=1) + "\n")


def _facts(request: TrainRequest, labels: LabelSet, split: Split) -> dict[str, Any]:
    """What a run is for, but for the configuration, which its state holds."""
    facts = {
        "model": request.model,
        "pretrained": request.pretrained,
        "initial": request.initial,
        "labels": list(labels.ids),
        "preprocessing": request.preprocessing.to_json(),
        "augmentation": request.augmentation.to_json(),
        "split_digest": split.digest,
    }
    facts |= {
        name: value
        for name, value in {
            "options": dict(request.options),
            "task": request.task,
            "activation": request.activation if request.activation != "softmax" else "",
            "weights_file": str(request.weights_file or ""),
        }.items()
        if value
    }
    return facts


def _whole(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of a run as JSON values, with the fields that did not exist yet when it began."""
    whole = {
        "preprocessing": Preprocessing.from_json(facts["preprocessing"]).to_json(),
        "augmentation": Augmentation.from_json(facts["augmentation"]).to_json(),
    }
    return json.loads(json.dumps(facts | whole))
