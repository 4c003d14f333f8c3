"""The learners' heatmaps in a study's report: an image a row, a learner a column."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape

from PIL import Image

from cxrlab.labels import LabelSet
from cxrlab.plots.images import heatmap_alt_text, overlay_heatmap
from cxrlab.workflows.study_maps import KeptMap

SIDE = 160  # px of a picture in the report


def maps_html(maps: Sequence[KeptMap]) -> str:
    """A table of overlays; nothing where no map was kept."""
    if not maps:
        return ""
    systems = list(dict.fromkeys(kept.system for kept in maps))
    head = "".join(f'<th scope="col">{escape(system)}</th>' for system in systems)
    rows = "\n".join(_rows(maps, systems))
    return (
        '<details open><summary>Where the learners look</summary>\n<p class="note">Grad-CAM for the true class on the '
        "first test image of every class, in the first fold; below each the learner's decision. "
        "A map shows what moves the score, not what is ill.</p>\n"
        f'<div class="wide"><table><tr><th scope="col">True class</th>{head}</tr>\n{rows}</table></div></details>'
    )


def _rows(maps: Sequence[KeptMap], systems: Sequence[str]) -> Iterator[str]:
    for class_id in dict.fromkeys(kept.class_id for kept in maps):
        found = {kept.system: kept for kept in maps if kept.class_id == class_id}
        cells = "".join(f"<td>{_cell(found[system]) if system in found else ''}</td>" for system in systems)
        yield f'<tr><th scope="row">{escape(_name(class_id))}</th>{cells}</tr>'


def _cell(kept: KeptMap) -> str:
    picture = Image.fromarray(overlay_heatmap(kept.pixels, kept.heatmap)).resize((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    words = heatmap_alt_text(kept.heatmap, model=kept.system, class_name=_name(kept.class_id))
    return (
        f'<img width="{SIDE}" height="{SIDE}" alt="{escape(words)}" src="data:image/jpeg;base64,{data}">'
        f"<br>says {escape(_name(kept.decided))}"
    )


def _name(class_id: str) -> str:
    """The class for people, whatever set it belongs to."""
    return LabelSet.from_ids([class_id, f"not {class_id}"]).names[0]
