"""The networks that can be trained, with what is known of each."""

from __future__ import annotations

from cxrlab.models.registry import ModelSpec

__all__ = ["ModelSpec", "list_networks"]


def list_networks() -> tuple[ModelSpec, ...]:
    """Every registered network, by name."""
    from cxrlab.models.registry import list_models, model_spec

    return tuple(model_spec(name) for name in list_models())
