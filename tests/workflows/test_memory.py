"""What a session keeps is bounded."""

import numpy as np
import pytest
from PIL import Image

from cxrlab.data.images import read_xray
from cxrlab.workflows.memory import PICTURE_PX, Bounded, picture_of
from tests.pictures import grey8, saved


def test_the_least_recently_used_leaves() -> None:
    kept: Bounded[str, int] = Bounded(2)
    kept.keep("a", 1)
    kept.keep("b", 2)
    assert kept.get("a") == 1
    kept.keep("c", 3)
    assert kept.get("b") is None
    assert (kept.get("a"), kept.get("c"), len(kept)) == (1, 3, 2)


def test_a_memory_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 entry, got 0"):
        Bounded(0)


def test_a_small_picture_is_kept_as_it_is() -> None:
    picture = picture_of(read_xray(saved(Image.fromarray(grey8()), "PNG"), name="grey.png"))
    assert np.array_equal(picture.pixels, grey8())
    assert (picture.width, picture.height, picture.format) == (45, 33, "PNG")


def test_a_large_picture_is_shrunk_in_proportion() -> None:
    picture = picture_of(read_xray(saved(Image.fromarray(grey8(900, 1800)), "PNG"), name="large.png"))
    assert picture.pixels.shape == (PICTURE_PX // 2, PICTURE_PX)
    assert (picture.width, picture.height) == (1800, 900)
