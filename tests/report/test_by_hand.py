import pandas as pd
import pytest

from nanoseg_bench.report.by_hand import HandWork, hand_work, is_removed, removed_numbers

TABLE = pd.DataFrame(
    {
        "image": ["a", "a", "a", "b", "b", "b", "b"],
        "particle": [1, 2, 3, 1, 2, 3, 4],
        "origin": ["model", "model", "changed", "changed", "drawn", "drawn", None],
        "exclusion": [
            None, "removed by hand; on a mark", None,
            "removed by hand", "removed by hand", "below the confidence", None,
        ],
    }
)  # fmt: skip


def test_what_was_drawn_and_deleted_again_is_nothing():
    assert hand_work(TABLE) == HandWork(removed=2, changed=1, drawn=1)
    assert hand_work(TABLE).total == 4
    assert is_removed(TABLE).tolist() == [False, True, False, True, True, False, False]
    assert hand_work(TABLE.head(0)) == HandWork()


def test_removed_particles_by_micrograph():
    assert removed_numbers(TABLE) == "a: 2; b: 1"
    assert removed_numbers(TABLE.head(3)) == "2"
    assert removed_numbers(TABLE.head(1)) == ""
    many = pd.DataFrame({"image": "a", "particle": range(1, 61), "origin": "model", "exclusion": "removed by hand"})
    assert removed_numbers(many).endswith("39, 40 and 20 more")


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (HandWork(), ""),
        (HandWork(drawn=1), "drew 1 outline"),
        (HandWork(removed=2, drawn=1), "removed 2 outlines and drew 1 outline"),
        (HandWork(removed=1, changed=2, drawn=3), "removed 1 outline, changed 2 outlines and drew 3 outlines"),
    ],
)
def test_in_words(work, sentence):
    assert work.sentence == sentence
