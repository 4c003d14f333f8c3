"""Public-demo mode has smaller limits."""

import pytest

from cxrlab.app import demo


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("true", True), ("", False), ("0", False)])
def test_demo_mode_is_told_by_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("CXRLAB_DEMO", value)
    assert demo.is_demo() is expected


def test_demo_mode_reads_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXRLAB_DEMO", raising=False)
    usual, usual_images = demo.limits(), demo.most_images()
    monkeypatch.setenv("CXRLAB_DEMO", "1")
    assert all(value < vars(usual)[name] for name, value in vars(demo.limits()).items())
    assert demo.most_images() < usual_images


def test_demo_mode_offers_no_method_that_runs_the_network_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXRLAB_DEMO", raising=False)
    usual = {method.name for method in demo.cam_methods()}
    monkeypatch.setenv("CXRLAB_DEMO", "1")
    assert usual - {method.name for method in demo.cam_methods()} == {"score_cam"}
