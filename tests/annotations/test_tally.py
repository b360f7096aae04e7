from collections import Counter

from nanoseg_bench.annotations.tally import Tallies, Tally


def test_nothing_to_tell():
    tallies = Tallies()
    tallies.add("a", Tally(), {})
    assert (tallies.warnings(), tallies.warn_of_kinds(), tallies.as_json()) == ([], [], {})
    assert Tally().notes() == ()


def test_each_kind_is_counted_over_the_images_and_its_first_ones_are_shown():
    tallies = Tallies()
    for number in range(3):
        twins = tuple(f"cube near ({k}, 1)" for k in range(2))
        tallies.add(f"im{number}", Tally(twins=twins, crowds=4, regions=5), Counter(line=1))
    tallies.add("im3", Tally(faulty=("shape 2: open",), empty=("rod near (1, 1)",), background=2, regions=10), {})
    tallies.add("im4", Tally(twins_dropped=("cube near (9, 9)",)), {})
    faulty, empty, twins, dropped, crowds, background = tallies.warnings()
    assert faulty.startswith("1 faulty shape left out of 1 image, so that its place counts as background:")
    assert faulty.splitlines()[1:] == ["    im3: shape 2: open"]
    assert empty.startswith("1 shape without area left out of 1 image") and "im3: rod near (1, 1)" in empty
    assert twins.startswith("6 particles of 3 images outlined twice") and "--drop-duplicates" in twins
    assert [line.strip() for line in twins.splitlines()[1:]] == [
        "im0: cube near (0, 1)",
        "im0: cube near (1, 1)",
        "im1: cube near (0, 1)",
        "and 3 more, all in the report",
    ]
    assert dropped.startswith("1 second outline of the same particle left out of 1 image")
    assert crowds.startswith("12 of 25 regions, in 3 images, have iscrowd 1") and "--iscrowd particle" in crowds
    assert background.startswith("2 shapes labelled as background left out of 1 image")
    (kinds,) = tallies.warn_of_kinds()
    assert kinds.startswith("left out shapes without area: 3 line;")
    assert tallies.as_json() == {
        "background": 2,
        "crowds": 12,
        "empty": 1,
        "faulty": 1,
        "twins": 6,
        "twins_dropped": 1,
    }


def test_the_notes_of_an_image_hold_all_of_it():
    tally = Tally(("shape 2: open", "shape 3: open"), ("rod near (1, 1)",), ("a", "b"), ("c",), 2, 9, 1)
    assert tally.notes() == (
        "left out shape 2: open",
        "left out shape 3: open",
        "left out, since without area: rod near (1, 1)",
        "outlined twice, and counted twice: a; b",
        "outlined twice, and counted once: c",
        "2 regions with iscrowd 1: ignore regions, not particles",
        "left out 1 shape labelled as background",
    )
