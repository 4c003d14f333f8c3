import plotly.graph_objects as go
import pytest

from cxrlab.labels import KNOWN_LABELS
from cxrlab.plots.theme import (
    GREY,
    LEGEND_ROW_PX,
    MODEL_COLOURS,
    TEXT_COLOURS,
    framed,
    model_style,
    on_ground,
    template,
)

WHITE, APP_DARK = "#FFFFFF", "#0E1117"  # Streamlit's grounds


def contrast(one: str, other: str) -> float:
    """WCAG 2.1's contrast ratio of two ``#RRGGBB`` colours, 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", [WHITE, APP_DARK])
def test_lines_stand_out_on_both_grounds(ground):
    colours = [*MODEL_COLOURS, *(label.colour for label in KNOWN_LABELS.values())]
    assert min(contrast(colour, ground) for colour in colours) >= 3


def test_text_is_readable_on_its_ground():
    assert contrast(TEXT_COLOURS["light"], WHITE) >= 7
    assert contrast(TEXT_COLOURS["dark"], APP_DARK) >= 7
    assert min(contrast(GREY, WHITE), contrast(GREY, APP_DARK)) >= 4


def test_first_36_models_all_look_different():
    assert len({model_style(position) for position in range(36)}) == 36


def test_neighbours_differ_in_colour_and_dash():
    for position in range(5):
        one, other = model_style(position), model_style(position + 1)
        assert one.colour != other.colour
        assert one.dash != other.dash


def test_ground_is_transparent():
    layout = template().layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"


def test_on_ground_colours_a_copy():
    figure = framed(go.Figure(), plot_height=100)
    dark = on_ground(figure, "dark")
    assert dark.layout.template.layout.font.color == TEXT_COLOURS["dark"]
    assert figure.layout.template.layout.font.color == GREY


def test_unknown_ground_gives_a_sentence():
    with pytest.raises(ValueError, match="Ground must be one of neutral, light, dark, got 'sepia'"):
        template("sepia")  # type: ignore[arg-type]


def test_legend_lies_below_the_plot_and_has_its_own_height():
    without = framed(go.Figure(), plot_height=300)
    with_legend = framed(go.Figure(), plot_height=300, legend_rows=4)
    assert with_legend.layout.height - without.layout.height == 4 * LEGEND_ROW_PX
    assert with_legend.layout.legend.y < 0
    assert with_legend.layout.legend.orientation == "v"
    assert not without.layout.showlegend
