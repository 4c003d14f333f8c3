"""Checkpoints: folders of ``model.safetensors`` and ``card.json``, saved whole or not at all, checked on loading."""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cxrlab import __version__
from cxrlab.cards import DTYPES, CheckpointError, ModelCard
from cxrlab.catalogue import (
    CARD_FILE,
    WEIGHTS_FILE,
    BrokenCheckpoint,
    CheckpointInfo,
    checkpoint_roots,
    ensemble_sha256,
    find_checkpoint,
    list_broken,
    list_checkpoints,
    member_of,
    members_of,
    read_checkpoint,
)
from cxrlab.config import Activation, Preprocessing, one_of
from cxrlab.labels import LabelSet
from cxrlab.models.registry import model_spec

if TYPE_CHECKING:
    from torch import nn

    from cxrlab.ensembles.combined import Combiner

__all__ = [
    "BrokenCheckpoint",
    "CheckpointError",
    "CheckpointInfo",
    "LoadedCheckpoint",
    "ModelCard",
    "checkpoint_roots",
    "find_checkpoint",
    "list_broken",
    "list_checkpoints",
    "load_checkpoint",
    "load_combiner",
    "members_of",
    "read_checkpoint",
    "save_checkpoint",
    "save_ensemble",
]

_hashes: dict[tuple[str, int, int], str] = {}  # (path, size, mtime_ns) -> sha256; dict operations are atomic


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A single network ready to use: evaluation mode, float32, CPU, no gradients; or an ensemble's loaded members.

    Args:
        card: its card. folder: where it was read.
        network: None for an ensemble. members: in the card's order, empty for a single model.
        combiner: of an ensemble whose voting is learned.
    """

    card: ModelCard
    folder: Path
    network: nn.Module | None = None
    members: tuple[LoadedCheckpoint, ...] = ()
    combiner: Combiner | None = None

    @property
    def model(self) -> nn.Module:
        """The network. Raises CheckpointError for an ensemble, which has none of its own."""
        if self.network is None:
            raise CheckpointError(f"{self.card.name} is an ensemble and has no network of its own; use its members.")
        return self.network

    @property
    def labels(self) -> LabelSet:
        return self.card.label_set

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become its input. Raises CheckpointError for an ensemble."""
        if self.card.preprocessing is None:
            raise CheckpointError(f"{self.card.name} is an ensemble; its members have their own preprocessing.")
        return self.card.preprocessing

    @property
    def activation(self) -> Activation:
        return self.card.activation

    @property
    def temperature(self) -> float:
        return self.card.temperature

    @property
    def cam_layer(self) -> str:
        """Dotted name of the layer whose feature map is shown; empty for an ensemble."""
        return self.card.cam_layer or (model_spec(self.card.model.name).cam_layer if self.card.model else "")

    def turn(self) -> AbstractContextManager[None]:
        """Held while the network computes; nobody else has this one, so there is nothing to wait for."""
        return nullcontext()


def save_checkpoint(
    folder: Path, model: nn.Module, card: ModelCard, *, dtype: str = "float16", overwrite: bool = False
) -> ModelCard:
    """Write weights and card; the folder appears whole or not at all. The model is not changed.

    Args:
        folder: named like the card; its parent is made when needed.
        model: its state must fit the card's network.
        card: hash, size, parameters, dtype, versions and creation time are filled in.
        dtype: ``float16`` (half the size, 3 significant digits) or ``float32``; integer buffers stay as they are.
        overwrite: replace a folder that exists.

    Returns:
        The card as written.

    Raises:
        CheckpointError: when the folder exists, names differ, the state does not fit the card's network, or a weight
            is not finite in ``dtype``.
    """
    from cxrlab.weights import write_weights

    if card.model is None:
        raise CheckpointError(f"{card.name} is an ensemble; save its card with save_ensemble.")
    one_of("dtype", dtype, DTYPES)
    config = card.model

    def write(part: Path) -> ModelCard:
        path = part / WEIGHTS_FILE
        write_weights(path, model, config, dtype=dtype, name=card.name)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        return replace(
            card, dtype=dtype, weights_sha256=_sha256(path), size_bytes=path.stat().st_size, parameters=parameters
        )

    return _write_folder(folder, card, write, overwrite)


def save_ensemble(
    folder: Path, card: ModelCard, *, combiner: Combiner | None = None, overwrite: bool = False
) -> ModelCard:
    """Write an ensemble's card, and of learned voting the ``combiner``, after checking that its members exist and fit.

    Returns the card as written.

    Raises:
        CheckpointError: as :func:`members_of`; when the folder exists or has another name; an unfit combiner.
    """
    if card.kind != "ensemble":
        raise CheckpointError(f"An ensemble's card is needed, got the card of the {card.kind} {card.name}.")
    if (combiner is not None) != card.is_learned:
        raise CheckpointError(
            f"Ensemble {card.name}: a combiner must be given for learned voting and only then, got "
            f"{card.voting} voting {'without one' if combiner is None else 'with one'}."
        )
    if combiner is not None:
        _check_combiner(combiner, card)
    members = [member_of(card, name, (folder.parent, *checkpoint_roots())) for name in card.members]

    def write(part: Path) -> ModelCard:
        sizes = [member.card.size_bytes for member in members]
        parameters = [member.card.parameters for member in members]
        named = card
        if combiner is not None:
            path = part / WEIGHTS_FILE
            combiner.save(path)
            named = replace(card, combiner_sha256=_sha256(path))
            sizes.append(path.stat().st_size)
            parameters.append(combiner.parameters)
        identity = ensemble_sha256(named, members)
        return replace(named, weights_sha256=identity, parameters=sum(parameters), size_bytes=sum(sizes))

    return _write_folder(folder, card, write, overwrite)


def _write_folder(folder: Path, card: ModelCard, write: Callable[[Path], ModelCard], overwrite: bool) -> ModelCard:
    """Fill a hidden folder beside ``folder``, then rename it."""
    if folder.name != card.name:
        raise CheckpointError(f"The folder must be named like the card, {card.name!r}, got {folder.name!r}.")
    if folder.exists() and not overwrite:
        raise CheckpointError(f"A checkpoint named {card.name} exists already; choose another name or overwrite it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{card.name}-", dir=folder.parent))
    try:
        part.chmod(0o755)  # mkdtemp makes it private, the weights are for everybody who may see the root
        finished = write(part)
        finished = replace(
            finished, versions=card.versions or _versions(), created=card.created or f"{datetime.now(UTC):%FT%TZ}"
        )
        (part / CARD_FILE).write_text(finished.to_text(), encoding="utf-8")
        _swap(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return finished


def _swap(part: Path, folder: Path) -> None:
    """Rename ``part`` to ``folder``; an old folder is moved aside first and comes back when the renaming fails."""
    if not folder.exists():
        part.rename(folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(aside / folder.name)
    try:
        part.rename(folder)
    except OSError:
        (aside / folder.name).rename(folder)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def load_checkpoint(name: str | Path, roots: Sequence[Path] | None = None) -> LoadedCheckpoint:
    """A checkpoint ready to use, on the CPU; of an ensemble, all members.

    The hash of the weights is checked once for each state of a file (path, size, time of change) in a process.

    Raises:
        CheckpointError: for everything that can be wrong, one clear sentence: unknown name, broken card, missing,
            cut or changed weights, an unknown architecture, weights that do not fit, unusable members.
    """
    from cxrlab.weights import load_network

    info = find_checkpoint(name, roots)
    if info.card.model is None:
        members = tuple(load_checkpoint(member.folder, roots) for member in members_of(info, roots))
        return LoadedCheckpoint(info.card, info.folder, members=members, combiner=load_combiner(info))
    path = _checked_weights(info, info.card.weights_sha256)
    return LoadedCheckpoint(info.card, info.folder, network=load_network(path, info.card.model, name=info.name))


def load_combiner(info: CheckpointInfo) -> Combiner | None:
    """The combiner of an ensemble whose voting is learned, hash and shapes checked; None for all other checkpoints.

    Raises:
        CheckpointError: when the file was changed, is no combiner, or is one for other members or classes.
    """
    if not info.card.is_learned:
        return None
    from cxrlab.ensembles.combined import Combiner, CombinerError

    path = _checked_weights(info, info.card.combiner_sha256)
    try:
        combiner = Combiner.load(path)
    except CombinerError as error:
        raise CheckpointError(f"Ensemble {info.name}: {error}") from error
    _check_combiner(combiner, info.card)
    return combiner


def _check_combiner(combiner: Combiner, card: ModelCard) -> None:
    given = (combiner.kind, combiner.num_learners, combiner.num_classes)
    wanted = (card.voting, len(card.members), len(card.labels))
    if given != wanted:
        raise CheckpointError(
            f"Ensemble {card.name}: its combiner must be {wanted[0]} for {wanted[1]} members and {wanted[2]} classes, "
            f"got {given[0]} for {given[1]} and {given[2]}."
        )


def _checked_weights(info: CheckpointInfo, sha256: str) -> Path:
    """The weights file of a checkpoint. Raises CheckpointError unless it has this hash."""
    path = info.folder / WEIGHTS_FILE
    if _known_sha256(path) != sha256:
        raise CheckpointError(
            f"Checkpoint {info.name}: the sha256 of {WEIGHTS_FILE} is not the one on its card; copy the folder again."
        )
    return path


def _known_sha256(path: Path) -> str:
    """The hash of a file, computed again only when its size or time of change differ from the last look."""
    facts = path.stat()
    key = (str(path.resolve()), facts.st_size, facts.st_mtime_ns)
    if key not in _hashes:
        _hashes[key] = _sha256(path)
    return _hashes[key]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    import torch

    return {"cxrlab": __version__, "python": platform.python_version(), "torch": torch.__version__}
