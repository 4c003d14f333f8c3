"""A learning-rate range test as one page that needs no server."""

from __future__ import annotations

from html import escape
from pathlib import Path

from cxrlab.plots.training import learning_rate_alt_text, learning_rate_figure
from cxrlab.workflows.find_lr import FoundRate

WARNING = "Research and teaching only, never a diagnosis."


def write_learning_rate(found: FoundRate, path: Path) -> Path:
    """Write the figure with its numbers in words, whole or not at all; 5 MB, as the page holds the drawing library.

    Raises:
        OSError: when the file can not be written.
    """
    test, of = found.test, found.recipe or found.model
    title = f"Learning rate of {of} on {found.dataset}"
    words = learning_rate_alt_text(test.learning_rates, test.smoothed, test.suggested)
    figure = learning_rate_figure(test.learning_rates, test.losses, test.smoothed, test.suggested)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>body{{font:16px system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
        "padding:0 1rem}figcaption{color:#555}</style></head><body>"
        f"<h1>{escape(title)}</h1><p>Suggested {test.suggested:.1e}; the settings have {found.configured:.1e}. "
        f"{len(test.losses)} batches of {found.images} images. {WARNING}</p>"
        f'<figure role="img" aria-label="{escape(words)}">{figure.to_html(full_html=False, include_plotlyjs=True)}'
        f"<figcaption>{escape(words)}</figcaption></figure></body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(page, encoding="utf-8")
        return temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
