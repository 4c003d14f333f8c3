"""Weights to start from: local files of every kind, a server, and none."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import WeightsEnum

from cxrlab.models.registry import create_model
from tests.servers import FileServer, served

NAME = "shufflenet_v2_x0_5"
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def imagenet() -> State:
    """A network of 1000 classes, as ImageNet weights have."""
    return create_model(NAME, num_classes=1000).state_dict()


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Any, str], Path]:
    def saved(content: Any, name: str) -> Path:
        path = tmp_path / name
        save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
        return path

    return saved


def same_but_for(network: nn.Module, state: State, head: str) -> bool:
    own = network.state_dict()
    return all(torch.equal(own[key], value) for key, value in state.items() if not key.startswith(f"{head}."))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_a_file_fills_all_but_a_head_of_another_size(imagenet: State, save: Callable, suffix: str) -> None:
    network = create_model(NAME, num_classes=3, weights_file=save(imagenet, f"weights{suffix}"))
    assert same_but_for(network, imagenet, "fc")
    assert network.fc.out_features == 3


def test_a_head_of_the_same_size_is_taken_too(save: Callable) -> None:
    state = create_model(NAME, num_classes=3).state_dict()
    network = create_model(NAME, num_classes=3, weights_file=str(save(state, "weights.pt")))
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_another_kind_of_head_keeps_its_own_start(imagenet: State, save: Callable) -> None:
    network = create_model(NAME, num_classes=2, head="mlp_64_64_64_32_32", weights_file=save(imagenet, "weights.pt"))
    assert same_but_for(network, imagenet, "fc")


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_files_of_training_scripts_are_understood(imagenet: State, save: Callable, wrapper: str, prefix: str) -> None:
    content = {"epoch": 3, wrapper: {f"{prefix}{key}": value for key, value in imagenet.items()}}
    assert same_but_for(create_model(NAME, num_classes=3, weights_file=save(content, "last.pth")), imagenet, "fc")


def test_files_without_batch_counters_are_taken(imagenet: State, save: Callable) -> None:
    old = {key: value for key, value in imagenet.items() if not key.endswith("num_batches_tracked")}
    assert same_but_for(create_model(NAME, num_classes=3, weights_file=save(old, "old.pth")), old, "fc")


def test_torchvision_s_old_densenet_names_are_understood(save: Callable) -> None:
    state = create_model("densenet121", num_classes=4).state_dict()
    old = {
        key.replace("norm1", "norm.1").replace("conv2", "conv.2") if "denselayer" in key else key: value
        for key, value in state.items()
    }
    assert old.keys() != state.keys()
    assert same_but_for(create_model("densenet121", num_classes=4, weights_file=save(old, "old.pth")), state, "none")


def test_an_auxiliary_head_in_the_file_is_left_out(save: Callable) -> None:
    with torch.device("meta"):
        whole = create_model("inception_v3", num_classes=2, aux=True).state_dict()
    state = {key: torch.zeros(value.shape) for key, value in whole.items()}
    network = create_model("inception_v3", num_classes=2, weights_file=save(state, "inception.pth"))
    assert not any(value.any() for value in network.parameters())


class Trap:
    """A pickle that would run code when loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("loaded",))


def test_pickled_objects_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trap = tmp_path / "trap.pth"
    trap.write_bytes(pickle.dumps(Trap()))
    whole = tmp_path / "whole.pt"
    torch.save(nn.Linear(2, 2), whole)
    for path in (trap, whole):
        with pytest.raises(ValueError, match=f"{path.name} must be a complete file of weights alone"):
            create_model(NAME, num_classes=3, weights_file=path)
    assert "loaded" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
def test_damaged_files_are_refused(imagenet: State, save: Callable, name: str) -> None:
    path = save(imagenet, name)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=f"{name} must be a complete file of weights alone"):
        create_model(NAME, num_classes=3, weights_file=path)


def test_other_mistakes_are_sentences(imagenet: State, save: Callable, tmp_path: Path) -> None:
    other = {key: value for key, value in imagenet.items() if key != "conv1.0.weight"} | {"wings": torch.zeros(1)}
    wide = imagenet | {"conv1.0.weight": torch.zeros(24, 1, 3, 3)}
    for path, message in (
        (tmp_path / "no.pth", "no.pth does not exist; check the path"),
        (tmp_path / "weights.h5", r"must end in .safetensors, .pt or .pth, got weights.h5"),
        (
            save(other, "other.pth"),
            "must be those of shufflenet_v2_x0_5, but wings is not part of it; conv1.0.weight is",
        ),
        (save(wide, "wide.pth"), r"conv1.0.weight must have shape \(24, 3, 3, 3\), got \(24, 1, 3, 3\)"),
        (save([1, 2], "list.pth"), "list.pth must hold weights by name, got list"),
        (save({}, "empty.pth"), "empty.pth must hold weights by name, got dict"),
        (save({"epoch": 3}, "epoch.pth"), "epoch.pth must hold weights by name, but 'epoch' is none"),
    ):
        with pytest.raises(ValueError, match=message):
            create_model(NAME, num_classes=3, weights_file=path)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Every address of ImageNet weights leads to ``weights.pth`` of a server here; downloads go to an empty folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    with served({}) as server:
        address = f"{server.url}/weights.pth"
        monkeypatch.setattr(WeightsEnum, "url", property(lambda _self: address))
        load = torch.hub.load_state_dict_from_url
        monkeypatch.setattr(
            "timm.models._builder.load_state_dict_from_url", lambda _url, **options: load(address, **options)
        )
        yield server


def as_bytes(state: State) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def test_pretrained_weights_come_from_the_server(hub: FileServer, imagenet: State) -> None:
    hub.files["weights.pth"] = as_bytes(imagenet)
    network = create_model(NAME, num_classes=3, pretrained=True)
    assert same_but_for(network, imagenet, "fc")
    assert [path for path, *_ in hub.asked] == ["weights.pth"]


def test_pretrained_weights_of_timm_come_from_the_server(hub: FileServer) -> None:
    state = {**create_model("xception", num_classes=3).state_dict()}
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, 2048), torch.zeros(1000)
    hub.files["weights.pth"] = as_bytes(state)
    network = create_model("xception", num_classes=3, pretrained=True)
    assert same_but_for(network, state, "fc")
    assert network.fc.out_features == 3


@pytest.mark.parametrize("name", [NAME, "xception", "ai_covid"])
def test_without_the_server_both_ways_are_named(hub: FileServer, name: str) -> None:
    options = {"input_size": 32} if name == "ai_covid" else {}
    with pytest.raises(ConnectionError, match=f"weights of {name} could not be downloaded .*network.*weights_file"):
        create_model(name, num_classes=3, pretrained=True, **options)


def test_weights_on_a_server_that_fails_are_a_sentence(hub: FileServer) -> None:
    hub.status = 503
    hub.files["weights.pth"] = b"x"
    with pytest.raises(ConnectionError, match="503"):
        create_model(NAME, num_classes=3, pretrained=True)
