"""What a run writes into its folder, as readers find it."""

from __future__ import annotations

from pathlib import Path

from cxrlab.jobs.run_files import last_words, log_line


def test_last_words_are_those_of_the_process_and_no_progress(tmp_path: Path) -> None:
    assert last_words(tmp_path) == ""
    log = tmp_path / "log.txt"
    log.write_text(log_line(" 30% epoch 2/3") + "Fatal Python error: Bus error\n\n")
    assert last_words(tmp_path) == "Fatal Python error: Bus error"
    with log.open("a") as file:
        file.write(log_line("Job 1, attempt 2, on the CPU of here: Tiny"))
    assert last_words(tmp_path) == "", "what an earlier attempt said is not why this one died"
