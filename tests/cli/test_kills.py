"""SIGKILL at any moment of score: nothing is lost, nothing half-written, and the end is the same.

``tests/preparation/test_pipeline.py`` does so with prepare, ``tests/webapp/test_kills.py`` with serve.
"""

import os
import random
import shutil

import pytest
from kills import command_of, kill_after, run_to_the_end

from nanoseg_bench.cli import main

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL"),
]

KILLS = 20


def kill_at_random(command, seconds, check, start_again, seed):
    """Kill a command ``KILLS`` times, each time at a random moment of what is left of it.

    Args:
        command: To be killed.
        seconds: That it takes from nothing.
        check: Called after each kill.
        start_again: Called when it came to its end before it was killed.
        seed: Of the moments.

    Returns:
        How often it came to its end on the way.
    """
    moments = random.Random(seed)
    killed = ends = 0
    while killed < KILLS:
        if kill_after(command, moments.uniform(0, seconds)):
            killed += 1
            check()
        else:
            ends += 1
            start_again()
    return ends


def tell(capsys, verb, ends):
    with capsys.disabled():
        print(f"\n{verb}: {KILLS} kills at random moments, {KILLS} survived ({ends} times it came to its end before)")


def test_score(tiny_set, tmp_path, capsys):
    places = [tiny_set, "--runs", tmp_path / "runs", "--leaderboards"]
    words = ["run", "--preset", "smoke", "--models", "otsu", "--device", "cpu", *places, tmp_path / "boards"]
    assert main(list(map(str, words))) == 0
    command = command_of("score", *places)

    def files(root):
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("[!.]*") if path.is_file()}

    code, told, seconds = run_to_the_end([*command, str(tmp_path / "calm")])
    assert code == 0, told
    whole, root = files(tmp_path / "calm"), tmp_path / "killed"
    point = (tmp_path / "runs" / "otsu-smoke-seed0" / "operating_point.json").read_bytes()

    def check():
        assert files(root).items() <= whole.items()
        assert (tmp_path / "runs" / "otsu-smoke-seed0" / "operating_point.json").read_bytes() == point

    def start_again():
        assert files(root) == whole
        shutil.rmtree(root)

    ends = kill_at_random([*command, str(root)], seconds, check, start_again, seed=1)
    code, told, _ = run_to_the_end([*command, str(root)])
    assert code == 0, told
    assert files(root) == whole
    tell(capsys, "score", ends)
