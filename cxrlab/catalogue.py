"""The checkpoints there are: folders found by name, their cards read, their files looked at but not opened."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrlab.cards import CheckpointError, ModelCard, checked_name
from cxrlab.config import home, repository

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint whose card could be read; its weights have not been touched."""

    name: str
    folder: Path
    card: ModelCard


@dataclass(frozen=True)
class BrokenCheckpoint:
    """A folder that should be a checkpoint but is not; ``error`` is one sentence for people."""

    name: str
    folder: Path
    error: str


def checkpoint_roots() -> tuple[Path, ...]:
    """Folders that are searched, in this order: ``CXRLAB_CHECKPOINTS`` or the repository's, then the user's own."""
    shipped = os.environ.get("CXRLAB_CHECKPOINTS")
    return (Path(shipped).expanduser() if shipped else repository() / "checkpoints", home() / "checkpoints")


def list_checkpoints(roots: Sequence[Path] | None = None) -> list[CheckpointInfo]:
    """Every readable checkpoint, models before ensembles, then by name; the first root wins where a name occurs twice.

    Cards are read and files looked for; weights are not opened. Broken folders are in :func:`list_broken`.
    """
    return sorted(_survey(roots)[0], key=lambda info: (info.card.kind != "model", info.name))


def list_broken(roots: Sequence[Path] | None = None) -> list[BrokenCheckpoint]:
    """Folders under the roots that can not be used, each with the sentence why, by name."""
    return sorted(_survey(roots)[1], key=lambda broken: broken.name)


def _survey(roots: Sequence[Path] | None) -> tuple[list[CheckpointInfo], list[BrokenCheckpoint]]:
    found: dict[str, CheckpointInfo] = {}
    broken: list[BrokenCheckpoint] = []
    for root in checkpoint_roots() if roots is None else roots:
        for folder in _folders(root):
            try:
                info = read_checkpoint(folder)
                members_of(info, roots)
                found.setdefault(info.name, info)
            except CheckpointError as error:
                broken.append(BrokenCheckpoint(folder.name, folder, str(error)))
    return list(found.values()), broken


def _folders(root: Path) -> list[Path]:
    """Visible folders under a root, by name; none where the root does not exist."""
    visible = (path for path in root.iterdir() if not path.name.startswith(".")) if root.is_dir() else ()
    return sorted(path for path in visible if path.is_dir())


def find_checkpoint(name: str | Path, roots: Sequence[Path] | None = None) -> CheckpointInfo:
    """A checkpoint by name (a text), or by its folder (a Path): no text from a link ever becomes a path.

    Raises:
        CheckpointError: for an unknown name, naming those there are, or when it is broken, saying why.
    """
    if isinstance(name, Path):
        return read_checkpoint(name)
    searched = checkpoint_roots() if roots is None else roots
    for root in searched:
        if (root / checked_name(name)).is_dir():
            return read_checkpoint(root / name)
    known = sorted({folder.name for root in searched for folder in _folders(root) if (folder / CARD_FILE).is_file()})
    raise CheckpointError(f"There is no checkpoint named {name!r}; there are: {', '.join(known) or 'none yet'}.")


def read_checkpoint(folder: Path) -> CheckpointInfo:
    """The card of a checkpoint folder, with cheap checks of its files.

    Raises:
        CheckpointError: when a file is missing, the card is not readable or names another folder, or the weights
            file does not have the size that the card states.
    """
    name = folder.name
    if not folder.is_dir():
        raise CheckpointError(f"There is no checkpoint folder {name!r}; choose a folder with {CARD_FILE}.")
    try:
        card = ModelCard.from_text((folder / CARD_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"Checkpoint {name} has no {CARD_FILE}; copy the whole folder again.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"Checkpoint {name}: {CARD_FILE} can not be read ({error}).") from error
    except CheckpointError as error:
        raise CheckpointError(f"Checkpoint {name}: {error}") from error
    if card.name != name:
        raise CheckpointError(f"Checkpoint {name}: its card is for {card.name!r}; the folder must have that name.")
    if card.kind == "model" or card.is_learned:
        _check_weights_file(folder / WEIGHTS_FILE, card)
    return CheckpointInfo(name, folder, card)


def _check_weights_file(path: Path, card: ModelCard) -> None:
    if not path.is_file():
        raise CheckpointError(f"Checkpoint {card.name} has no {WEIGHTS_FILE}; copy the whole folder again.")
    field = "combiner_sha256" if card.is_learned else "weights_sha256"
    if not getattr(card, field):
        raise CheckpointError(f"Checkpoint {card.name}: its card has no {field}; save it with cxrlab.")
    size = path.stat().st_size
    if not card.is_learned and card.size_bytes and size != card.size_bytes:
        raise CheckpointError(
            f"Checkpoint {card.name}: {WEIGHTS_FILE} must have {card.size_bytes} bytes, got {size}; copy it again."
        )


def members_of(info: CheckpointInfo, roots: Sequence[Path] | None = None) -> list[CheckpointInfo]:
    """The members of an ensemble in the card's order, looked for beside it first; empty for a single model.

    Raises:
        CheckpointError: when a member is missing or broken, is an ensemble itself, has other labels or task, or its
            weights are not those that the ensemble was made from.
    """
    where = (info.folder.parent, *(checkpoint_roots() if roots is None else roots))
    members = [member_of(info.card, name, where) for name in info.card.members]
    if members and info.card.weights_sha256 != ensemble_sha256(info.card, members):
        raise CheckpointError(
            f"Ensemble {info.name}: the weights of its members are not those it was made from; save the ensemble again."
        )
    return members


def member_of(card: ModelCard, name: str, roots: Sequence[Path]) -> CheckpointInfo:
    """One member of an ensemble, looked for in ``roots``. Raises CheckpointError when it can not be one."""
    try:
        member = find_checkpoint(name, roots)
    except CheckpointError as error:
        raise CheckpointError(f"Ensemble {card.name}: its member {name} can not be used: {error}") from error
    if member.card.kind == "ensemble":
        raise CheckpointError(
            f"Ensemble {card.name}: members must be single models, but {name} is an ensemble; name its members instead."
        )
    if member.card.labels != card.labels or member.card.task != card.task:
        raise CheckpointError(
            f"Ensemble {card.name}: labels and task must be {', '.join(card.labels)} ({card.task}), but its member "
            f"{name} has {', '.join(member.card.labels)} ({member.card.task})."
        )
    return member


def ensemble_sha256(card: ModelCard, members: Sequence[CheckpointInfo]) -> str:
    """Identity of an ensemble: changes with any member's weights, with the voting, its weights and its combiner."""
    facts: list[object] = [card.voting, card.weights]
    facts.append([(member.name, member.card.weights_sha256) for member in members])
    facts += [card.combiner_sha256] if card.is_learned else []
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
