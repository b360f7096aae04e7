from collections import Counter

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.pipeline import prepare
from nanoseg_bench.preparation.set_statistics import SplitStatistics, split_statistics
from nanoseg_bench.preparation.shortcomings import find_shortcomings, shortcoming_lines, split_shortcomings
from nanoseg_bench.seals import SEAL


def part(split, classes=None, groups=8, diameters=(20.0,)):
    """A part with so many particles of each class, each class in every group unless said otherwise."""
    particles = Counter(classes or {})
    return SplitStatistics(
        split=split,
        images=groups,
        copies=0,
        group_sizes=Counter(f"{split}-{number}" for number in range(groups)),
        class_particles=particles,
        class_images=Counter(dict.fromkeys(particles, groups)),
        class_groups=Counter(dict.fromkeys(particles, groups)),
        particles_per_image=np.array([particles.total()]),
        ignore_regions=0,
        diameters_px=np.array(diameters),
        diameters_canvas=np.array(diameters),
        diameters_nm=np.array([]),
        scaled_images=0,
    )


def kinds(*parts):
    return [(each.part, each.kind) for each in find_shortcomings(parts)]


def test_a_large_split_carries_all():
    assert kinds(part("train", {"a": 100}), part("val", {"a": 100}, 5), part("test", {"a": 100}, 5)) == []


def test_each_kind_is_told_of_its_part():
    train = part("train", {"a": 200, "b": 50}, diameters=(48.0, 50.0, 52.0))
    val = part("val", {"a": 99}, groups=4, diameters=(25.1,))
    test = part("test", groups=1)
    aside = part("ood", groups=1)
    found = find_shortcomings([train, val, test, aside])
    assert shortcoming_lines(found) == [
        "val: shows no b; 4 source groups (below 5, the operating point hangs on them); 99 particles (below 100)",
        "test: shows no particle, so no model can find anything in it",
    ]


@pytest.mark.parametrize(("median", "told"), [(24.9, True), (25.0, False), (100.0, False), (100.1, True)])
def test_other_sizes_than_those_that_are_learnt(median, told):
    train = part("train", {"a": 200}, diameters=(40.0, 50.0, 400.0))
    test = part("test", {"a": 200}, diameters=(1.0, median, 1000.0))
    assert (("test", "other-sizes") in kinds(train, test)) == told


def test_a_class_that_only_test_shows_cannot_be_learnt():
    test = part("test", {"a": 200, "rod": 10})
    test.class_groups["rod"] = 1
    texts = [each.text for each in find_shortcomings([part("train", {"a": 200}), test])]
    assert texts == ["shows no rod (only 1 source group does), so it cannot be learnt"]


def circle(x, y, radius):
    angles = np.arange(60) * 2 * np.pi / 60
    return Instance("a", (Polygon(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)),))


def test_the_audit_keeps_them_and_a_set_without_them_is_looked_at(tmp_path, micrograph):
    # Train 400 px wide on a canvas of 100 px, discs of 40 px; test 100 px wide, discs of 10 px: alike to a network.
    seeds = {name: seed for seed, name in enumerate([*(f"train{i}" for i in range(8)), "val", "test"])}

    def disc_image(name, width, radius):
        each = micrograph(name, seed=seeds[name], width=width, height=width, discs=0)
        rows = [circle(width * x / 5, width * y / 5, radius) for x in range(1, 5) for y in range(1, 5)]
        return Micrograph(name, each.image_path, width, width, tuple(rows))

    images = [disc_image(f"train{i}", 400, 20) for i in range(8)]
    images += [disc_image("val", 400, 50), disc_image("test", 100, 5)]
    assignment = {each.name: each.name.rstrip("01234567") for each in images}
    config = PrepareConfig(canvas=100, assignment=assignment, augment_copies=0)
    entries = [LoadedMicrograph(each) for each in images]
    prepared = prepare(entries, name="s", dataset="s", classes=None, out=tmp_path / "s", config=config, workers=1)
    found = split_shortcomings(prepared)
    assert [(each.part, each.kind) for each in found] == [
        ("val", "few-groups"),
        ("val", "few-particles"),
        ("val", "other-sizes"),
        ("test", "few-groups"),
        ("test", "few-particles"),
    ]
    assert "median diameter 25.0 px on the canvas, not 10.0 px" in found[2].text
    # As of an audit that an older version wrote.
    audit = read_json(prepared.root / "split_audit.json")
    assert len(audit.pop("shortcomings")) == 5
    write_json(prepared.root / "split_audit.json", {key: value for key, value in audit.items() if key != SEAL})
    assert split_shortcomings(prepared) == found == find_shortcomings(split_statistics(prepared))
