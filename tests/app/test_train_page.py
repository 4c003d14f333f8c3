"""The Train page: form, refusals, queue and its buttons, curves, access, demo mode."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cxrlab.app import access
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import write_status
from cxrlab.workflows import access as settings
from cxrlab.workflows.jobs import Job, open_jobs, submit_training
from cxrlab.workflows.training_card import TrainRequest
from cxrlab.workflows.training_cost import TrainingCost
from tests.app.conftest import settled, words
from tests.workflows.labelled_images import rows_of, write_set

Open = Callable[..., AppTest]
PAGE = "pages/5_Train.py"


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Nobody serves the queue; the folders of the queues that were polled."""
    polled: list[Path] = []
    monkeypatch.setattr("cxrlab.jobs.local.ensure_supervisor", lambda queue: polled.append(queue.folder))
    monkeypatch.setenv(settings.TRAIN_VARIABLE, "on")
    monkeypatch.setattr(access, "_tries", settings.Attempts())
    return polled


def button(app: AppTest, label: str) -> Any:
    return next(each for each in app.button if each.label == label)


def labels(app: AppTest) -> list[str]:
    return [each.label for each in app.button]


def field(app: AppTest, label: str) -> Any:
    kinds = (*app.selectbox, *app.number_input, *app.text_input, *app.segmented_control, *app.toggle, *app.multiselect)
    return next(each for each in kinds if each.label == label)


def said(app: AppTest) -> str:
    return words(app).replace("\\", "") + "\n".join(each.value for each in app.success)


def charts(app: AppTest) -> list[str]:
    return [chart.proto.alt for chart in app.get("plotly_chart")]


def a_job(name: str = "one", **given: Any) -> Job:
    return submit_training(TrainRequest(Path("phantom"), "resnet18", name, title=name.title()), device="cpu", **given)


def ended(job: Job, state: Any, reason: str = "") -> Job:
    queue = JobQueue()
    queue.claim(job.id, token="t", host="")
    queue.finish(job.id, state, token="t", reason=reason)
    return queue.get(job.id)


def epochs(job: Job, count: int, *, classes: tuple[str, ...] = ("clear", "lobar")) -> None:
    """The run folder of a job after so many epochs."""
    job.folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {"epoch": k, "train_loss": 1 / (k + 1), "learning_rate": 1e-3, "seconds": 1.0,
         "metrics": {"loss": 1.0, "objective": 1.0, "macro_f1": 0.1 * k, "accuracy": 0.2}}
        for k in range(count)
    ]  # fmt: skip
    (job.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (job.folder / "run.json").write_text(json.dumps({"labels": list(classes)}))
    counts = [[3, 1], [0, 4]]
    (job.folder / "confusion.json").write_text(json.dumps({"labels": 2, "counts": counts, "epoch": count}))
    (job.folder / "log.txt").write_text("the first line\nthe last line\n")


def test_the_empty_page_offers_a_phantom_training(open_app: Open) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert not button(app, "Train").disabled
    assert "clear (60), lobar (60)" in said(app)
    assert "Nothing was handed in yet" in said(app)
    assert "cxrlab train --manifest phantom --model shufflenet_v2_x1_0" in app.code[0].value


def test_train_hands_in_what_the_form_says_and_shows_it(open_app: Open, no_processes: list[Path]) -> None:
    app = open_app(PAGE)
    field(app, "Epochs").set_value(3)
    field(app, "Loss").set_value("focal").run()
    field(app, "Gamma of the focal loss").set_value(1.5)
    field(app, "Sampling of an epoch").set_value("minority:parity")
    field(app, "Priority").set_value(7)
    field(app, "Name of the checkpoint").set_value("mine").run()
    button(app, "Train").click().run()
    assert not app.exception
    (job,) = open_jobs().list()
    request = TrainRequest.from_json(job.config["request"])
    assert (request.name, request.config.epochs, request.config.focal_gamma) == ("mine", 3, 1.5)
    assert request.config.sampling == ("minority:parity",)
    assert (job.priority, job.config["device"]) == (7, "auto")
    assert f"Job #{job.id} is in the queue" in said(app)
    assert app.query_params["job"] == str(job.id)
    assert no_processes, "nobody was asked to serve the queue"


def test_a_refused_request_is_said_and_the_form_keeps_everything(open_app: Open) -> None:
    a_job("taken")
    app = open_app(PAGE)
    field(app, "Epochs").set_value(4)
    field(app, "Name of the checkpoint").set_value("taken").run()
    button(app, "Train").click().run()
    assert "trains a checkpoint named taken already" in said(app)
    assert (field(app, "Epochs").value, field(app, "Name of the checkpoint").value) == (4, "taken")
    assert len(open_jobs().list()) == 1


def test_a_manifest_is_trained_by_its_path(open_app: Open, tmp_path: Path) -> None:
    manifest = write_set(tmp_path / "small set", rows_of())
    app = open_app(PAGE)
    field(app, "Data set").set_value("path").run()
    assert "Name a data set" in said(app)
    field(app, "Path of a CSV or folder on this computer").set_value(str(manifest)).run()
    field(app, "Classes").set_value("covid_vs_rest").run()
    button(app, "Train").click().run()
    request = TrainRequest.from_json(open_jobs().list()[0].config["request"])
    assert (request.source, request.task) == (manifest.resolve(), "covid_vs_rest")


def test_a_set_that_is_not_there_is_one_sentence(open_app: Open) -> None:
    app = open_app(PAGE)
    field(app, "Data set").set_value("path").run()
    field(app, "Path of a CSV or folder on this computer").set_value("/nowhere/at all.csv").run()
    assert "There is no manifest at at all.csv" in said(app)
    assert button(app, "Train").disabled


def test_a_recipe_brings_its_own_settings_and_an_own_network_keeps_its_own(open_app: Open) -> None:
    app = open_app(PAGE)
    field(app, "Epochs").set_value(3).run()
    field(app, "Start from").set_value("recipe").run()
    field(app, "Recipe").set_value("efficientnet-b5-focal").run()
    assert (field(app, "Epochs").value, field(app, "Loss").value) == (100, "focal")
    assert "has one output, for 2 classes, but 4 are chosen" in said(app)
    assert button(app, "Train").disabled
    field(app, "Start from").set_value("own").run()
    assert field(app, "Epochs").value == 3


def test_variants_are_the_seeded_ones(open_app: Open) -> None:
    app = open_app(PAGE)
    field(app, "Show nine variants").set_value(True).run()
    app = settled(app)
    assert not app.exception
    captions = [image.caption for row in app.get("image") for image in row.proto.imgs]
    assert captions == ["As it is", *(f"Variant {number}" for number in range(1, 10))]
    assert "drawn as in the first epoch with seed 0" in said(app)


def test_the_queue_shows_progress_and_cancels(open_app: Open) -> None:
    job = a_job()
    queue = JobQueue()
    queue.claim(job.id, token="t", host="")
    write_status(job.folder, done=5, total=20, epoch=1, epochs=4, eta_s=130, images_per_s=12.5)
    app = open_app(PAGE)
    assert "#1 One" in said(app)
    assert "1 running" in said(app)
    assert "epoch 2 of 4 · 2 min left · 12.5 images/s" in [bar.proto.text for bar in app.get("progress")]
    button(app, "Cancel").click().run()
    assert queue.get(job.id).state == "stopping"


def test_a_failed_job_says_why_and_can_be_resumed_retried_and_deleted(open_app: Open) -> None:
    job = ended(a_job(), "failed", "The disk is full; free some space.")
    app = open_app(PAGE)
    assert "The disk is full; free some space." in said(app)
    button(app, "Retry").click().run()
    assert [each.state for each in open_jobs().list()].count("queued") == 1
    button(app, "Resume").click().run()
    assert JobQueue().get(job.id).state == "queued"
    ended(job, "cancelled")
    app = open_app(PAGE)
    button(app, "Delete for good").click().run()
    assert job.id not in {each.id for each in open_jobs().list()}


def test_pruning_keeps_what_has_a_result(open_app: Open) -> None:
    jobs = [a_job(name) for name in ("one", "two", "three")]
    for job, state in zip(jobs, ("done", "failed", "cancelled"), strict=True):
        ended(job, state)
    app = open_app(PAGE)
    button(app, "Without a result (2)").click().run()
    assert [each.state for each in open_jobs().list()] == ["done"]


def test_curves_of_the_runs_in_the_link_lie_over_one_another(open_app: Open) -> None:
    first, second = a_job("one"), a_job("two")
    epochs(first, 3)
    epochs(second, 2)
    app = open_app(PAGE, job=[str(first.id), str(second.id)])
    alts = charts(app)
    assert any("#1 One: 3 epochs" in alt and "#2 Two: 2 epochs" in alt for alt in alts)
    assert sum(alt.startswith("Confusion matrix, Validation after epoch") for alt in alts) == 2
    assert "the last line" in "".join(code.value for code in app.code)


def test_a_link_to_a_job_that_is_gone_shows_the_newest(open_app: Open) -> None:
    epochs(a_job("one"), 1)
    app = open_app(PAGE, job="99")
    assert not app.exception
    assert field(app, "Runs").value == ["1"]


def test_without_access_the_page_is_for_looking_only(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs(a_job(), 2)
    monkeypatch.setenv(settings.TRAIN_VARIABLE, "off")
    app = open_app(PAGE)
    assert "Training is switched off on this server" in said(app)
    assert button(app, "Train").disabled
    assert not {"Cancel", "Resume", "Retry", "Delete for good", "Measure two steps"} & set(labels(app))
    assert charts(app), "curves may be looked at"
    assert not app.code, "neither logs nor paths"


def test_an_action_asks_again_whether_it_may(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job()
    app = open_app(PAGE)
    monkeypatch.setenv(settings.TRAIN_VARIABLE, "off")
    button(app, "Cancel").click().run()
    assert JobQueue().get(job.id).state == "queued"


def test_a_password_unlocks_the_session_and_wrong_ones_run_out(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.TRAIN_VARIABLE, "password")
    monkeypatch.setenv(settings.HASH_VARIABLE, settings.hash_password("right"))
    app = open_app(PAGE)
    assert button(app, "Train").disabled
    field(app, "Password").set_value("wrong")
    button(app, "Unlock").click().run()
    assert "That is not the password." in said(app)
    field(app, "Password").set_value("right")
    button(app, "Unlock").click().run()
    assert not button(app, "Train").disabled
    other = open_app(PAGE)
    for _ in range(4):
        field(other, "Password").set_value("wrong")
        button(other, "Unlock").click().run()
    assert "Too many tries; wait" in said(other)


def test_settings_that_can_not_be_used_keep_the_door_shut(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.TRAIN_VARIABLE, "perhaps")
    app = open_app(PAGE)
    assert "train in [access] must be one of on, off, password, got 'perhaps'." in said(app)
    assert button(app, "Train").disabled


def test_the_demo_shows_the_page_without_paths_and_buttons(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs(a_job(), 1)
    monkeypatch.setenv("CXRLAB_DEMO", "1")
    app = open_app(PAGE)
    assert not app.exception
    assert "nothing is trained here" in said(app)
    assert field(app, "Data set").options == ["Phantoms"]
    assert button(app, "Train").disabled
    assert "Cancel" not in labels(app)


def test_the_cost_is_measured_on_request_and_known_to_be_old_after_a_change(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = TrainingCost(90.0, 204, 10, 130, 1_300_000, 1_300_000, 400_000_000, 35.0, "cpu")
    monkeypatch.setattr("cxrlab.workflows.training_cost.estimate_training", lambda *_, **__: cost)
    app = open_app(PAGE)
    button(app, "Measure two steps").click().run()
    app = settled(app)
    assert [(each.label, each.value) for each in app.metric][:2] == [("Time", "90.0 s"), ("Memory", "0.4 GB")]
    assert "Estimated from two steps" in said(app)
    field(app, "Epochs").set_value(3).run()
    assert "measure again" in said(app)
