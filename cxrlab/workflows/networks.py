"""The networks that can be trained, with what is known of each."""

from __future__ import annotations

from cxrlab.models.specs import SPECS, ModelSpec

__all__ = ["ModelSpec", "list_networks"]


def list_networks() -> tuple[ModelSpec, ...]:
    """Every network of this package, by name; known without torch, so that a page can ask."""
    return tuple(SPECS[name] for name in sorted(SPECS))
