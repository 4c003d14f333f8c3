"""The pool: loaded once, bounded, fair, one user of a model at a time, and no torch until it is used."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from cxrlab.catalogue import CheckpointInfo
from cxrlab.checkpoints import CheckpointError, LoadedCheckpoint, load_checkpoint
from cxrlab.workflows.pool import ModelPool, Turns, _number_from, pool


class Loads:
    """A loader that counts and can be slow or fail."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.names: list[str] = []
        self.seconds = seconds
        self.error: Exception | None = None

    def __call__(self, info: CheckpointInfo) -> LoadedCheckpoint:
        self.names.append(info.name)
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        return load_checkpoint(info.folder)


def make(loads: Callable[[CheckpointInfo], LoadedCheckpoint], *, models: int = 8, forwards: int = 1) -> ModelPool:
    return ModelPool(max_models=models, max_forwards=forwards, load=loads)


def test_a_model_is_loaded_once(tiny_checkpoints: Path) -> None:
    loads = Loads()
    models = make(loads)
    with models.borrow("tiny_shufflenet") as one, models.borrow(tiny_checkpoints / "tiny_shufflenet") as two:
        assert one.model is two.model
    assert loads.names == ["tiny_shufflenet"]


def test_many_threads_load_a_model_once(tiny_checkpoints: Path) -> None:
    loads = Loads(seconds=0.2)
    models = make(loads)

    def borrowed(_number: int) -> int:
        with models.borrow("tiny_shufflenet") as classifier:
            return id(classifier.model)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(borrowed, range(16)))) == 1
    assert loads.names == ["tiny_shufflenet"]


def test_least_recently_used_leaves(tiny_checkpoints: Path) -> None:
    loads = Loads()
    models = make(loads, models=1)
    for name in ("tiny_shufflenet", "tiny_shufflenet", "tiny_mobilenet", "tiny_shufflenet"):
        with models.borrow(name):
            pass
        assert len(models) == 1
    assert loads.names == ["tiny_shufflenet", "tiny_mobilenet", "tiny_shufflenet"]


def test_a_model_in_use_never_leaves(tiny_checkpoints: Path) -> None:
    loads = Loads()
    models = make(loads, models=1)
    with models.borrow("tiny_shufflenet") as first:
        with models.borrow("tiny_mobilenet"), models.borrow("tiny_shufflenet") as again:
            assert again.model is first.model
            assert len(models) == 2
        assert len(models) == 1
    assert loads.names == ["tiny_shufflenet", "tiny_mobilenet"]


def test_a_changed_card_is_another_model(tiny_checkpoints: Path) -> None:
    loads = Loads()
    models = make(loads)
    with models.borrow("tiny_shufflenet") as before:
        assert before.temperature == 1.0
    card = tiny_checkpoints / "tiny_shufflenet" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "temperature": 2.0}))
    with models.borrow("tiny_shufflenet") as after:
        assert after.temperature == 2.0
    assert len(loads.names) == 2


def test_a_failed_load_is_told_to_all_and_tried_again(tiny_checkpoints: Path) -> None:
    loads = Loads(seconds=0.2)
    loads.error = CheckpointError("The weights are gone.")
    models = make(loads)

    def failed(_number: int) -> str:
        try:
            with models.borrow("tiny_shufflenet"):
                return "loaded"
        except CheckpointError as error:
            return str(error)

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(failed, range(4))) == {"The weights are gone."}
    assert len(models) == 0
    loads.error = None
    assert failed(0) == "loaded"


def test_an_ensemble_is_borrowed_by_its_members(tiny_checkpoints: Path) -> None:
    with (
        pytest.raises(CheckpointError, match="tiny_ensemble is an ensemble; borrow its members"),
        pool.borrow("tiny_ensemble"),
    ):
        pass


def test_clear_keeps_what_is_used(tiny_checkpoints: Path) -> None:
    models = make(Loads())
    with models.borrow("tiny_shufflenet"):
        with models.borrow("tiny_mobilenet"):
            pass
        models.clear()
        assert len(models) == 1
    models.clear()
    assert len(models) == 0


def test_turns_come_in_the_order_asked_for() -> None:
    turns = Turns(1)
    order: list[int] = []

    def work(number: int) -> None:
        with turns.take():
            order.append(number)

    with turns.take():
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            while turns.waiting <= number:
                time.sleep(0.001)
        assert turns.waiting == 5
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    assert turns.waiting == 0


def test_long_work_lets_a_short_question_in_between() -> None:
    turns = Turns(1)
    seen: list[str] = []
    started = threading.Event()

    def long() -> None:
        for _ in range(20):
            with turns.take():
                started.set()
                seen.append("long")
                time.sleep(0.01)

    thread = threading.Thread(target=long)
    thread.start()
    started.wait()
    with turns.take():
        seen.append("short")
    thread.join()
    assert seen.index("short") < 5


def test_no_more_than_the_limit_compute_at_once() -> None:
    turns, running, most = Turns(2), [0], [0]
    guard = threading.Lock()

    def work(_number: int) -> None:
        with turns.take():
            with guard:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.01)
            with guard:
                running[0] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(16)))
    assert most == [2]


def test_a_turn_is_given_back_after_an_exception() -> None:
    turns = Turns(1)
    with pytest.raises(ZeroDivisionError), turns.take():
        _ = 1 / 0
    with turns.take():
        pass


def test_one_user_of_a_model_at_a_time(tiny_checkpoints: Path) -> None:
    models = make(Loads(), forwards=4)
    running, most = [0], [0]

    def work(_number: int) -> None:
        with models.borrow("tiny_shufflenet") as classifier, classifier.turn():
            running[0] += 1
            most[0] = max(most[0], running[0])
            time.sleep(0.01)
            running[0] -= 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(8)))
    assert most == [1]


def test_pooled_models_are_folded_and_give_the_same_logits(tiny_checkpoints: Path) -> None:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with pool.borrow("tiny_mobilenet") as classifier, torch.inference_mode():
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in classifier.model.modules())
        assert torch.allclose(classifier.model(images), load_checkpoint("tiny_mobilenet").model(images), atol=1e-3)
        assert classifier.labels.ids == classifier.card.labels
        assert (classifier.activation, classifier.cam_layer) == ("softmax", "features.18")
        assert classifier.preprocessing.size == 64
    pool.clear()


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0)])
def test_a_pool_needs_room(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="needs room for at least 1 model and 1 forward"):
        make(Loads(), models=numbers[0], forwards=numbers[1])


@pytest.mark.parametrize("text", ["0", "-3", "many", "1.5"])
def test_wrong_numbers_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CXRLAB_MAX_MODELS", text)
    with pytest.raises(ValueError, match="CXRLAB_MAX_MODELS must be a whole number of at least 1"):
        _number_from("CXRLAB_MAX_MODELS", 8)


def test_numbers_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRLAB_MAX_MODELS", "3")
    assert _number_from("CXRLAB_MAX_MODELS", 8) == 3
    monkeypatch.setenv("CXRLAB_MAX_MODELS", "")
    assert _number_from("CXRLAB_MAX_MODELS", 8) == 8


def test_importing_does_not_import_torch() -> None:
    code = "import sys, cxrlab.workflows.pool, cxrlab.workflows.compare; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
