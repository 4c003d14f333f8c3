"""What checkpoints can be measured on: the bundled phantom set, a manifest on this computer, an uploaded ZIP."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cxrlab.data.images import Limits
from cxrlab.data.manifest import ManifestError, label_counts
from cxrlab.data.phantom import BUNDLED_COUNT, BUNDLED_SEED, RECIPE_VERSION, bundled_phantom_set
from cxrlab.labels import PHANTOM4
from cxrlab.progress import Cancel, Progress, check, never, silent
from cxrlab.workflows.evaluate import Evaluation, evaluate_archive, evaluate_manifest
from cxrlab.workflows.labelled_set import archive_label_counts

Part = Literal["all", "test"]
PHANTOM_IMAGES = BUNDLED_COUNT
PHANTOM_SET_NAME = f"phantom-{BUNDLED_COUNT}-seed{BUNDLED_SEED}-v{RECIPE_VERSION}"
WAIT_SECONDS = 0.2  # between two looks whether it is our turn

_turn = threading.Lock()  # two evaluations at once would only share the same cores and hold twice the memory


@dataclass(frozen=True)
class LabelledSource:
    """A labelled set that a user chose; nothing has been read yet.

    Args:
        kind: ``phantom``, ``path`` or ``zip``.
        path: of a manifest CSV or folder, for ``path``. data: bytes of the ZIP, for ``zip``.
        name: of the ZIP, for people. limits: for reading the ZIP.
    """

    kind: Literal["phantom", "path", "zip"]
    path: Path | None = None
    data: bytes = field(default=b"", repr=False)
    name: str = ""
    limits: Limits = field(default_factory=Limits)

    def label_counts(self) -> dict[str, int]:
        """Images of each class as listed, without looking at them.

        Raises:
            ManifestError, XrayError: one sentence each.
        """
        if self.kind == "phantom":
            return {label: BUNDLED_COUNT // len(PHANTOM4) for label in PHANTOM4.ids}
        if self.kind == "zip":
            return archive_label_counts(self.data, limits=self.limits)
        return label_counts(self._chosen_path())

    def evaluate(
        self,
        checkpoints: Sequence[str],
        *,
        part: Part = "all",
        task: str = "",
        device: str = "auto",
        store: bool = True,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> Evaluation:
        """Measure checkpoints on the set; one evaluation at a time in a process, others wait for their turn.

        Raises: as :func:`~cxrlab.workflows.evaluate.evaluate_manifest` and ``evaluate_archive``.
        """
        with _our_turn(progress, cancel):
            if self.kind == "zip":
                return evaluate_archive(
                    self.data,
                    checkpoints,
                    name=self.name,
                    limits=self.limits,
                    task=task,
                    device=device,
                    store=store,
                    progress=progress,
                    cancel=cancel,
                )
            path = bundled_phantom_set(progress, cancel) if self.kind == "phantom" else self._chosen_path()
            return evaluate_manifest(
                path, checkpoints, part=part, task=task, device=device, store=store, progress=progress, cancel=cancel
            )

    def _chosen_path(self) -> Path:
        if self.path is None:
            raise ManifestError("There is no manifest chosen; give the path of a CSV or a folder.")
        return self.path.expanduser()


@contextmanager
def _our_turn(progress: Progress, cancel: Cancel) -> Iterator[None]:
    while not _turn.acquire(timeout=WAIT_SECONDS):
        progress(0, 1, "Waiting: another evaluation is running on this computer")
        check(cancel, "The evaluation")
    try:
        yield
    finally:
        _turn.release()
