"""Checkpoints: what is written comes back, and everything that can be wrong is one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cxrlab import checkpoints
from cxrlab.checkpoints import (
    CheckpointError,
    ModelCard,
    find_checkpoint,
    list_broken,
    list_checkpoints,
    load_checkpoint,
    members_of,
    save_checkpoint,
    save_ensemble,
)
from cxrlab.config import ModelConfig, Preprocessing
from cxrlab.models.registry import create_model

LABELS = ("covid19", "viral", "bacterial", "normal")
BEGIN = '{"format": 1, "name": "x", "kind": "model", "labels": ["a", "b"]'


def card(name: str = "tiny", **changes: Any) -> ModelCard:
    fields: dict[str, Any] = {
        "name": name,
        "title": "Tiny",
        "kind": "model",
        "labels": LABELS,
        "model": ModelConfig("shufflenet_v2_x0_5", 4),
        "preprocessing": Preprocessing(size=64),
    }
    return ModelCard(**{**fields, **changes})


def ensemble_card(**changes: Any) -> ModelCard:
    return card(
        **{
            "name": "both",
            "kind": "ensemble",
            "model": None,
            "preprocessing": None,
            "members": ("tiny_shufflenet", "tiny_mobilenet"),
            "voting": "soft",
            **changes,
        }
    )


def edit_card(folder: Path, **changes: Any) -> None:
    path = folder / "card.json"
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in data.items() if value != "remove"}))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return create_model("shufflenet_v2_x0_5", num_classes=4).eval()


@pytest.fixture
def folder(tmp_path: Path, network: nn.Module) -> Path:
    save_checkpoint(tmp_path / "tiny", network, card(), dtype="float32")
    return tmp_path / "tiny"


def test_card_survives_json() -> None:
    original = card(metrics={"macro_f1": [0.8, 0.7, 0.9]}, thresholds={"normal": 0.4}, limits=("adults only",))
    assert ModelCard.from_text(original.to_text()) == replace(original, metrics={"macro_f1": [0.8, 0.7, 0.9]})
    assert list(original.to_json())[:3] == ["format", "name", "title"]


def test_card_text_is_the_same_every_time() -> None:
    assert card().to_text() == card().to_text() == ModelCard.from_text(card().to_text()).to_text()


def test_undefined_numbers_become_null() -> None:
    assert json.loads(card(metrics={"auc": float("nan")}).to_text())["metrics"] == {"auc": None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Tiny model"}, "name must be lower-case letters"),
        ({"name": "../escape"}, "name must be lower-case letters"),
        ({"title": " "}, "title must not be empty"),
        ({"kind": "dog"}, "kind must be one of model, ensemble"),
        ({"labels": ("normal",)}, "at least 2 classes"),
        ({"labels": [*LABELS]}, "labels must be a list"),
        ({"labels": (1, 2)}, "labels must be a list of texts"),
        (
            {"labels": ("a", "b", "c")},
            "labels and head must agree: 3 labels with softmax need a head of 3",
        ),
        ({"activation": "relu"}, "activation must be one of"),
        ({"activation": "multilabel_sigmoid"}, "goes with task multilabel and normalised False"),
        ({"task": "multilabel"}, "goes with task multiclass and normalised True"),
        ({"normalised": 1}, "normalised must be true or false"),
        ({"activation": "binary_sigmoid"}, "binary_sigmoid needs exactly 2 labels, got 4"),
        ({"activation": "binary_sigmoid", "labels": ("a", "b")}, "need a head of 1, got num_classes 4"),
        ({"model": None}, "must have the fields model and preprocessing"),
        ({"members": ("a", "b")}, "only an ensemble's card may have members"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"size_bytes": -1}, "size_bytes must be at least 0"),
        ({"thresholds": {"dog": 0.5}}, "thresholds must map labels"),
        ({"thresholds": {"normal": 1.5}}, "thresholds must map labels"),
        ({"thresholds": {"normal": "x"}}, "thresholds must be numbers"),
        ({"weights_sha256": "abc"}, "64 hexadecimal digits"),
        ({"dtype": "int8"}, "dtype must be one of"),
        ({"metrics": None}, "metrics must be an object"),
        ({"licence": 3}, "licence must be a text"),
    ],
)
def test_wrong_card_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        card(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": ("one",)}, "at least 2 different members"),
        ({"members": ("one", "one")}, "at least 2 different members"),
        ({"members": ("one", "/etc/passwd")}, "name must be lower-case letters"),
        ({"voting": ""}, "voting must be one of soft, hard"),
        ({"member_weights": (1.0,)}, "must be 2 positive numbers or none"),
        ({"member_weights": (1.0, 0.0)}, "must be 2 positive numbers or none"),
        ({"member_weights": (1.0, "2")}, "must be numbers"),
        ({"model": ModelConfig("resnet18", 4)}, "must not have model or preprocessing"),
        (
            {"voting": "hard", "task": "multilabel", "normalised": False, "activation": "multilabel_sigmoid"},
            "hard voting needs one class an image",
        ),
    ],
)
def test_wrong_ensemble_card_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        ensemble_card(**changes)


def test_member_weights_sum_to_one() -> None:
    assert ensemble_card().weights == (0.5, 0.5)
    assert ensemble_card(member_weights=(3, 1)).weights == (0.75, 0.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be JSON"),
        ("[1]", "must be a JSON object, got list"),
        ("{}", "format must be 1, got None"),
        ('{"format": 2}', "may come from a newer cxrlab"),
        ('{"format": 1, "colour": 3}', "has no field colour"),
        (BEGIN + "}", "missing.*'title'"),
        (BEGIN + ', "title": "X", "model": {"num_classes": 2}}', "missing.*'name'"),
        (BEGIN + ', "title": "X", "preprocessing": {"size": 2}}', "size must be in"),
    ],
)
def test_wrong_card_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        ModelCard.from_text(text)


def test_float32_weights_come_back_bit_equal(folder: Path, network: nn.Module) -> None:
    loaded = load_checkpoint(folder)
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[key], value), key


def test_float16_weights_are_half_as_large_and_load_as_float32(tmp_path: Path, network: nn.Module) -> None:
    small = save_checkpoint(tmp_path / "tiny", network, card())
    large = save_checkpoint(tmp_path / "large", network, card("large"), dtype="float32")
    state = load_file(tmp_path / "tiny" / "model.safetensors")
    assert 0.45 < small.size_bytes / large.size_bytes < 0.6
    assert state["conv1.0.weight"].dtype == torch.float16
    assert state["conv1.1.num_batches_tracked"].dtype == torch.int64
    loaded = load_checkpoint(tmp_path / "tiny").model
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.get_parameter("fc.weight"), network.get_parameter("fc.weight").half().float())


def test_loaded_network_is_frozen_and_in_evaluation_mode(folder: Path) -> None:
    model = load_checkpoint(folder).model
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 4)


def test_saving_fills_in_the_card_and_leaves_the_model_alone(tmp_path: Path) -> None:
    model = create_model("shufflenet_v2_x0_5", num_classes=4).train()
    saved = save_checkpoint(tmp_path / "tiny", model, card())
    assert model.training
    assert next(model.parameters()).dtype == torch.float32
    assert saved.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert saved.size_bytes == (tmp_path / "tiny" / "model.safetensors").stat().st_size
    assert set(saved.versions) == {"cxrlab", "python", "torch"}
    assert saved == find_checkpoint(tmp_path / "tiny").card


def test_loading_does_not_move_the_random_numbers(folder: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_checkpoint(folder)
    assert torch.equal(torch.rand(3), expected)


class _WithHiddenBuffer(nn.Linear):
    """A layer with a value that no weights file holds."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__(features, num_classes)
        self.register_buffer("scale", torch.full((1,), 3.0), persistent=False)


def test_non_persistent_buffers_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrlab.weights.create_model", lambda name, num_classes: _WithHiddenBuffer(2, num_classes))
    save_checkpoint(tmp_path / "tiny", _WithHiddenBuffer(2, 4), card())
    assert load_checkpoint(tmp_path / "tiny").model.get_buffer("scale").item() == 3.0


def test_existing_checkpoint_is_not_overwritten_unless_told(folder: Path, network: nn.Module) -> None:
    with pytest.raises(CheckpointError, match="exists already; choose another name or overwrite it"):
        save_checkpoint(folder, network, card())
    saved = save_checkpoint(folder, network, card(title="Second"), overwrite=True)
    assert find_checkpoint(folder).card == saved
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_failed_saving_leaves_nothing_and_keeps_the_old(
    folder: Path, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "card.json").read_text()
    monkeypatch.setattr(checkpoints, "_versions", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_checkpoint(folder, network, card(title="Second"), overwrite=True)
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    assert (folder / "card.json").read_text() == before


def test_failed_renaming_brings_the_old_checkpoint_back(
    folder: Path, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target == folder and "-old-" not in str(self):
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(folder, network, card(title="Second"), overwrite=True)
    assert find_checkpoint(folder).card.title == "Tiny"
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_folder_must_be_named_like_the_card(tmp_path: Path, network: nn.Module) -> None:
    with pytest.raises(CheckpointError, match="must be named like the card, 'tiny', got 'other'"):
        save_checkpoint(tmp_path / "other", network, card())


def test_weights_that_do_not_fit_their_card_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"fc.weight must have shape \(4, 1024\), got \(3, 1024\)"):
        save_checkpoint(tmp_path / "tiny", create_model("shufflenet_v2_x0_5", num_classes=3), card())
    assert list(tmp_path.iterdir()) == []


def test_weights_too_large_for_float16_are_not_saved(tmp_path: Path) -> None:
    model = create_model("shufflenet_v2_x0_5", num_classes=4)
    model.get_parameter("fc.bias").data[0] = 1e6
    with pytest.raises(CheckpointError, match=r"fc.bias must be finite in float16, but it is not; try float32"):
        save_checkpoint(tmp_path / "tiny", model, card())
    save_checkpoint(tmp_path / "tiny", model, card(), dtype="float32")


def test_unknown_dtype_is_refused(tmp_path: Path, network: nn.Module) -> None:
    with pytest.raises(ValueError, match="dtype must be one of float16, float32, got 'int8'"):
        save_checkpoint(tmp_path / "tiny", network, card(), dtype="int8")


def test_missing_card(folder: Path) -> None:
    (folder / "card.json").unlink()
    with pytest.raises(CheckpointError, match=r"tiny has no card.json"):
        load_checkpoint(folder)


def test_unreadable_card(folder: Path) -> None:
    (folder / "card.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match=r"card.json can not be read"):
        load_checkpoint(folder)


def test_missing_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"tiny has no model.safetensors"):
        load_checkpoint(folder)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint folder 'nothing'"):
        load_checkpoint(tmp_path / "nothing")


def test_renamed_folder(folder: Path) -> None:
    folder.rename(folder.with_name("renamed"))
    with pytest.raises(CheckpointError, match="its card is for 'tiny'; the folder must have that name"):
        load_checkpoint(folder.with_name("renamed"))


def test_cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"must have \d+ bytes, got \d+; copy it again"):
        load_checkpoint(folder)


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 4000, (8).to_bytes(8, "little") + b"{}      "])
def test_weights_that_are_no_safetensors(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    edit_card(folder, size_bytes=0, weights_sha256=checkpoints._sha256(folder / "model.safetensors"))
    with pytest.raises(CheckpointError, match="Checkpoint tiny: "):
        load_checkpoint(folder)


def test_changed_weights(folder: Path) -> None:
    load_checkpoint(folder)  # the hash is known now; a change must be noticed all the same
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"sha256 of model.safetensors is not the one on its card"):
        load_checkpoint(folder)


def test_hash_is_computed_once_for_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_checkpoint(folder)
    monkeypatch.setattr(checkpoints, "_sha256", lambda path: pytest.fail("hashed again"))
    load_checkpoint(folder)


def test_card_without_hash(folder: Path) -> None:
    edit_card(folder, weights_sha256="")
    with pytest.raises(CheckpointError, match="no weights_sha256"):
        load_checkpoint(folder)


def test_unknown_architecture_names_the_nearest(folder: Path) -> None:
    edit_card(folder, model={"name": "resnet19", "num_classes": 4})
    with pytest.raises(CheckpointError, match=r"can not be built: Unknown model 'resnet19'; nearest: resnet18"):
        load_checkpoint(folder)


def test_unknown_option_of_the_architecture(folder: Path) -> None:
    edit_card(folder, model={"name": "shufflenet_v2_x0_5", "num_classes": 4, "options": {"wings": 2}})
    with pytest.raises(CheckpointError, match="does not take these options: wings"):
        load_checkpoint(folder)


@pytest.mark.parametrize("option", ["pretrained", "weights_file"])
def test_a_card_makes_nobody_fetch_or_read_other_weights(folder: Path, option: str) -> None:
    edit_card(folder, model={"name": "shufflenet_v2_x0_5", "num_classes": 4, "options": {option: "x.pth"}})
    with pytest.raises(CheckpointError, match=f"its options must not have {option}"):
        load_checkpoint(folder)


def test_labels_that_do_not_fit_the_head(folder: Path) -> None:
    edit_card(folder, labels=["covid19", "viral", "normal"])
    with pytest.raises(CheckpointError, match="labels and head must agree: 3 labels with softmax need a head of 3"):
        load_checkpoint(folder)


def test_head_that_does_not_fit_labels_and_card(folder: Path) -> None:
    edit_card(folder, labels=["a", "b", "c"], model={"name": "shufflenet_v2_x0_5", "num_classes": 3})
    with pytest.raises(CheckpointError, match=r"fc.weight must have shape \(3, 1024\), got \(4, 1024\)"):
        load_checkpoint(folder)


def test_weights_of_another_architecture_name_a_few_faults(folder: Path) -> None:
    edit_card(folder, model={"name": "resnet18", "num_classes": 4})
    with pytest.raises(CheckpointError, match=r"must fit the network, but conv1.weight is missing; .* and \d+ more"):
        load_checkpoint(folder)


def test_weights_of_the_wrong_number_type(folder: Path) -> None:
    weights = folder / "model.safetensors"
    state = load_file(weights)
    save_file({**state, "fc.bias": state["fc.bias"].int()}, weights)
    edit_card(folder, size_bytes=0, weights_sha256=checkpoints._sha256(weights))
    with pytest.raises(CheckpointError, match=r"fc.bias has the wrong number type"):
        load_checkpoint(folder)


def test_both_roots_are_searched_and_the_first_wins(
    tiny_checkpoints: Path, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = checkpoints.checkpoint_roots()[1]
    save_checkpoint(own / "mine", network, card("mine"))
    save_checkpoint(own / "tiny_mobilenet", network, card("tiny_mobilenet"))
    found = {info.name: info for info in list_checkpoints()}
    assert list(found) == ["mine", "tiny_mobilenet", "tiny_shufflenet", "tiny_ensemble"]
    assert found["tiny_mobilenet"].folder.parent == tiny_checkpoints
    assert find_checkpoint("mine").folder == own / "mine"


def test_a_broken_folder_never_hides_the_others(tiny_checkpoints: Path) -> None:
    (tiny_checkpoints / "broken").mkdir()
    (tiny_checkpoints / "broken" / "card.json").write_text("{")
    (tiny_checkpoints / ".tiny-part").mkdir()
    (tiny_checkpoints / "README.md").write_text("not a folder")
    assert [info.name for info in list_checkpoints()] == ["tiny_mobilenet", "tiny_shufflenet", "tiny_ensemble"]
    assert [(broken.name, "must be JSON" in broken.error) for broken in list_broken()] == [("broken", True)]


def test_unknown_name_lists_the_known_ones(tiny_checkpoints: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint named 'dog'; there are: tiny_ensemble, tiny_mobile"):
        load_checkpoint("dog")


@pytest.mark.parametrize("name", ["", "..", "Tiny", "a b", "\0", "/etc", "../checkpoints/tiny_mobilenet"])
def test_names_can_not_leave_the_root(tiny_checkpoints: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="name must be lower-case"):
        find_checkpoint(name)


def test_ensemble_is_a_checkpoint_that_names_its_members(tiny_checkpoints: Path) -> None:
    loaded = load_checkpoint("tiny_ensemble")
    assert [member.card.name for member in loaded.members] == ["tiny_shufflenet", "tiny_mobilenet"]
    assert loaded.labels.ids == LABELS
    assert loaded.card.parameters == sum(member.card.parameters for member in loaded.members)
    with pytest.raises(CheckpointError, match="has no network of its own"):
        _ = loaded.model
    with pytest.raises(CheckpointError, match="members have their own preprocessing"):
        _ = loaded.preprocessing


def test_loaded_checkpoint_knows_its_usual_cam_layer(folder: Path) -> None:
    assert load_checkpoint(folder).cam_layer == "conv5"
    edit_card(folder, cam_layer="stage4")
    assert load_checkpoint(folder).cam_layer == "stage4"


def test_ensemble_with_missing_member(tiny_checkpoints: Path) -> None:
    shutil.rmtree(tiny_checkpoints / "tiny_mobilenet")
    with pytest.raises(CheckpointError, match="its member tiny_mobilenet can not be used: There is no checkpoint"):
        load_checkpoint("tiny_ensemble")
    assert [info.name for info in list_checkpoints()] == ["tiny_shufflenet"]
    assert [broken.name for broken in list_broken()] == ["tiny_ensemble"]


def test_ensemble_that_names_itself(tiny_checkpoints: Path) -> None:
    edit_card(tiny_checkpoints / "tiny_ensemble", members=["tiny_shufflenet", "tiny_ensemble"])
    with pytest.raises(CheckpointError, match="members must be single models, but tiny_ensemble is an ensemble"):
        load_checkpoint("tiny_ensemble")


def test_ensemble_with_other_labels(tiny_checkpoints: Path) -> None:
    with pytest.raises(CheckpointError, match=r"labels and task must be a, b \(multiclass\), but its member"):
        save_ensemble(tiny_checkpoints / "both", ensemble_card(labels=("a", "b")))
    assert not (tiny_checkpoints / "both").exists()


def test_ensemble_notices_other_weights_of_a_member(tiny_checkpoints: Path, network: nn.Module) -> None:
    save_checkpoint(tiny_checkpoints / "tiny_shufflenet", network, card("tiny_shufflenet"), overwrite=True)
    with pytest.raises(CheckpointError, match="the weights of its members are not those it was made from"):
        members_of(find_checkpoint("tiny_ensemble"))


def test_each_kind_has_its_own_way_to_be_saved(tmp_path: Path, network: nn.Module) -> None:
    with pytest.raises(CheckpointError, match="both is an ensemble; save its card with save_ensemble"):
        save_checkpoint(tmp_path / "both", network, ensemble_card())
    with pytest.raises(CheckpointError, match="An ensemble's card is needed"):
        save_ensemble(tmp_path / "tiny", card())


def test_listing_does_not_import_torch(tiny_checkpoints: Path) -> None:
    code = "import sys; from cxrlab.checkpoints import list_checkpoints as f; print(len(f()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]
