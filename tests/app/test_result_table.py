"""The table of results, as rows and as a file."""

import csv
from io import StringIO

import numpy as np

from cxrlab.app import result_table
from cxrlab.labels import CXR4
from cxrlab.workflows.memory import Picture
from tests.app.test_verdicts import RESULT

PICTURE = Picture("f" * 64, "=cmd.png", np.zeros((4, 4), np.uint8), 4, 4, 8, "PNG", "PA", ())


def test_the_csv_has_every_number_and_no_formula() -> None:
    rows = result_table.result_rows([(PICTURE, RESULT, "right", "normal")], (*CXR4.ids, "lobar"))
    read = list(csv.DictReader(StringIO(result_table.as_csv(rows))))
    assert read[0]["image"] == "'=cmd.png"
    assert float(read[0]["normal"]) == 0.4
    assert read[0]["lobar"] == ""
    assert read[0]["checkpoint_sha256"] == "a" * 64
    assert read[0]["device"] == "cpu"


def test_no_rows_are_an_empty_file() -> None:
    assert result_table.as_csv([]) == ""
