"""SIGKILL at any moment: every upload that was accepted ends as a result, or as a failure that is told."""

import os

import pytest
from page_kills import kill_at_random


@pytest.mark.faults
@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_no_accepted_upload_is_lost(tmp_path, otsu_run, field_png):
    outcome = kill_at_random(tmp_path / "page", otsu_run, field_png, kills=20, seed=0, more=("--no-ocr",))
    assert sum(outcome.kills.values()) == 20 and min(outcome.kills.values()) > 5, outcome.kills
    assert len(outcome.accepted) > 20
    lost = [each for each in outcome.accepted if outcome.states.get(each) not in ("done", "failed")]
    assert lost == [], {each: outcome.states.get(each) for each in lost}
    assert all("stopped" in reason for reason in outcome.reasons), outcome.reasons
    folders = {path.name for path in (tmp_path / "page" / "micrographs").iterdir()}
    assert folders == set(outcome.states)
