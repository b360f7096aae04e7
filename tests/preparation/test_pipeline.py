import json
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from dataclasses import dataclass, fields, replace

import numpy as np
import psutil
import pytest
import yaml
from damage import damage
from earlier_files import rewrite
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.annotations.labelme.writing import write_labelme
from nanoseg_bench.annotations.raster import rle_to_mask, to_rle
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.errors import (
    AnnotationError,
    AuditError,
    DatasetError,
    FolderError,
    ImageError,
    PreparationError,
)
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.images import read_image
from nanoseg_bench.preparation import pipeline
from nanoseg_bench.preparation.audit import ReviewedPair
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.pipeline import prepare
from nanoseg_bench.preparation.prepared_set import MANIFEST_COLUMNS, PreparedSet
from nanoseg_bench.preparation.set_names import FOLDERS

CHOICES = {field.name for field in fields(PrepareConfig)}


def make(micrographs, out, ood=(), hrtem=(), **options):
    options = {"name": "mine", "dataset": "mine", "classes": ("a", "b"), "canvas": 64, "workers": 1, **options}
    config = PrepareConfig(**{key: options.pop(key) for key in CHOICES & set(options)})
    entries, aside, lattices = ([LoadedMicrograph(each) for each in part] for part in (micrographs, ood, hrtem))
    return prepare(entries, aside, hrtem=lattices, out=out, config=config, **options)


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def ood(micrograph):
    return [
        micrograph(
            f"ood/{shape}-{i}", seed=5000 + i, labels=(shape,), group=f"ood-{shape}", attributes={"ood_shape": shape}
        )
        for i, shape in enumerate(("triangle", "pentagon"))
    ]


@pytest.fixture
def hrtem(micrograph):
    return [
        micrograph(f"hrtem/{label}", seed=6000 + i, labels=(label,), group="hrtem", attributes={"modality": "HRTEM"})
        for i, label in enumerate(("a", "b"))
    ]


def test_layout_counts_and_round_trip(collection, ood, hrtem, tmp_path):
    micrographs = collection(groups=12, per_group=2, labels=("a", "b"), nm_per_px=0.25, attributes={"modality": "TEM"})
    prepared = make(micrographs, tmp_path / "set", ood, hrtem)
    assert (prepared.name, prepared.classes, prepared.canvas) == ("mine", ("a", "b"), 64)
    prepared.require_audit()
    counts = prepared.summary["counts"]
    originals = sum(counts[part]["images"] for part in ("train", "val", "test"))
    assert originals == 24
    assert originals + counts["train"]["copies"] == round(5.861 * 24)
    assert counts["ood"] == {"groups": 2, "images": 2, "copies": 0, "instances": 6}
    assert counts["hrtem"] == {"groups": 1, "images": 2, "copies": 0, "instances": 6}
    assert prepared.summary["ood_classes"] == ["pentagon", "triangle"]
    by_name = {each.name: each for each in [*micrographs, *ood, *hrtem]}
    for split in ("train", "val", "test", "ood", "hrtem"):
        images, truth, on_canvas = prepared.images(split), prepared.truth(split), prepared.canvas_instances(split)
        assert {image.name for image in images} == set(on_canvas)
        assert {image.name for image in images if image.parent is None} == set(truth)
        for image in images:
            original = by_name[image.micrograph]
            pixels = read_image(image.image_path)
            assert pixels.shape == (64, 64)
            assert image.source_group == original.source_group
            assert image.nm_per_px == original.nm_per_px
            assert image.attributes == original.attributes
            if image.parent is None:
                assert (pixels == image.letterbox.apply(read_image(original.image_path))).all()
                expected = [to_rle(each, original.height, original.width) for each in original.instances]
                assert [each.region for each in truth[image.name]] == expected
                assert [each.label for each in truth[image.name]] == [each.label for each in original.instances]
            if split in ("train", "val", "test"):
                lines = (prepared.root / "labels" / split / f"{image.name}.txt").read_text().splitlines()
                assert len(lines) == len(on_canvas[image.name])
                assert all(0 <= float(value) <= 1 for line in lines for value in line.split()[1:])
    assert prepared.max_instances == 3
    assert Counter(image.split for image in prepared.all_images if image.parent) == {"train": counts["train"]["copies"]}


def test_lattice_part_is_judged_on_only(collection, ood, hrtem, tmp_path):
    micrographs = collection(groups=6, per_group=1, labels=("a", "b"))
    without = make(micrographs, tmp_path / "without", ood, augment_copies=1)
    prepared = make(micrographs, tmp_path / "with", ood, hrtem, augment_copies=1)
    assert (prepared.root / "split.csv").read_bytes() == (without.root / "split.csv").read_bytes()
    assert yaml.safe_load((prepared.root / "data.yaml").read_text()).keys() == {"train", "val", "test", "names"}
    assert not (prepared.root / "labels" / "hrtem").exists()
    # How often the set shows a class does not count what is beside it.
    assert prepared.summary["class_images"] == without.summary["class_images"]
    assert prepared.content_hash != without.content_hash
    for split in ("train", "val", "test", "ood"):
        assert [image.name for image in prepared.images(split)] == [image.name for image in without.images(split)]


def test_unknown_class_in_the_lattice_part_is_refused(collection, micrograph, tmp_path):
    stray = micrograph("hrtem/stray", seed=1, labels=("triangle",))
    with pytest.raises(AnnotationError, match="'triangle', which is not in the class list"):
        make(collection(groups=6), tmp_path / "set", hrtem=[stray])


def test_field_shared_with_the_lattice_part_fails_the_audit(collection, ood, hrtem, tmp_path):
    micrographs = collection(groups=6, per_group=1, labels=("a", "b"))
    Image.open(micrographs[0].image_path).save(hrtem[0].image_path)
    prepared = make(micrographs, tmp_path / "set", ood, hrtem, augment_copies=0)
    with pytest.raises(AuditError, match="identical-pixels"):
        prepared.require_audit()


def test_canvas_truth_fits_the_canvas_image(collection, tmp_path):
    prepared = make(collection(groups=6, per_group=1, discs=1), tmp_path / "set", canvas=128, augment_copies=4)
    for image in prepared.images("train"):
        bright = read_image(image.image_path) > 145
        truth = np.zeros((128, 128), dtype=bool)
        for each in prepared.canvas_instances("train")[image.name]:
            truth |= rle_to_mask(each.region)
        if truth.sum() > 300:
            assert (bright & truth).sum() / (bright | truth).sum() > 0.85


def test_same_input_same_bytes_for_any_number_of_workers(collection, ood, tmp_path):
    micrographs = collection(groups=9, per_group=2, labels=("a", "b"))
    one = make(micrographs, tmp_path / "one", ood, augment_copies=1, workers=1)
    two = make(micrographs[::-1], tmp_path / "two", ood[::-1], augment_copies=1, workers=2)
    assert one.content_hash == two.content_hash
    assert files(one.root) == files(two.root)
    other = make(micrographs, tmp_path / "other", ood, augment_copies=1, seed=1)
    assert other.content_hash != one.content_hash
    assert (other.root / "manifest.csv").read_bytes() != (one.root / "manifest.csv").read_bytes()


def test_nothing_of_the_machine_is_in_the_set(collection, tmp_path):
    prepared = make(collection(groups=4), tmp_path / "set", augment_copies=1)
    for name, content in files(prepared.root).items():
        if not name.endswith(".png"):
            assert str(tmp_path).encode() not in content


def test_hash_is_of_decoded_pixels(collection, tmp_path):
    micrographs = collection(groups=4)
    first = make(micrographs, tmp_path / "one", augment_copies=0)
    for each in micrographs:
        pixels = read_image(each.image_path)
        Image.fromarray(pixels).save(each.image_path, compress_level=0)
    assert make(micrographs, tmp_path / "two", augment_copies=0).content_hash == first.content_hash
    Image.fromarray(pixels ^ 1).save(micrographs[-1].image_path)
    assert make(micrographs, tmp_path / "three", augment_copies=0).content_hash != first.content_hash


def test_second_call_is_up_to_date_and_other_inputs_are_refused(collection, tmp_path, caplog):
    caplog.set_level("INFO")
    micrographs, out = collection(groups=4), tmp_path / "set"
    first = make(micrographs, out, augment_copies=1)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert make(micrographs, out, augment_copies=1).content_hash == first.content_hash
    assert "up to date" in caplog.text
    with pytest.raises(PreparationError, match="--overwrite always"):
        make(micrographs, out, augment_copies=1, seed=1)
    assert make(micrographs, out, seed=1, overwrite="never").content_hash == first.content_hash
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == stamps
    assert make(micrographs, out, augment_copies=1, seed=1, overwrite="always").summary["seed"] == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "micrographs"] == ["set"]
    damage(out / "canvas" / "train.json", "bit_flipped")
    with pytest.raises(DatasetError, match=r"train\.json: is not as prepare wrote it: .*--overwrite always"):
        make(micrographs, out, augment_copies=1, seed=1)
    (out / "canvas" / "train.json").unlink()
    with pytest.raises(DatasetError, match=r"train\.json: is missing"):
        make(micrographs, out, augment_copies=1, seed=1)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"canvas": 96}, "canvas 64 -> 96"),
        ({"seed": 1}, "seed 0 -> 1"),
        ({"ratios": (6, 2, 2)}, "split 8:1:1 -> 6:2:2"),
        ({"name": "yours"}, "name mine -> yours"),
        ({"classes": ("b", "a")}, 'classes ["a", "b"] -> ["b", "a"]'),
        ({"augment_copies": 2}, "micrographs with other number of augmented copies"),
    ],
)
def test_a_refused_folder_names_what_changed(collection, tmp_path, change, phrase):
    micrographs, out = collection(groups=4), tmp_path / "set"
    make(micrographs, out, augment_copies=1)
    with pytest.raises(PreparationError) as refused:
        make(micrographs, out, **{"augment_copies": 1, **change})
    assert phrase in str(refused.value)


def test_a_refused_folder_names_the_micrographs_that_changed(micrograph, tmp_path):
    def some(**changes):
        usual = [{"seed": i, "group": f"g{i}"} for i in range(6)]
        usual[3] |= changes
        return [micrograph(f"m{i}", **values) for i, values in enumerate(usual)]

    def refusal(micrographs):
        with pytest.raises(PreparationError) as refused:
            make(micrographs, out, augment_copies=0, assignment=split)
        return str(refused.value)

    split = {f"m{i}": ("train", "val", "test")[i % 3] for i in range(6)}
    out = tmp_path / "set"
    make(some(), out, augment_copies=0, assignment=split)
    assert "1 micrograph with other source group (m3)" in refusal(some(group="elsewhere"))
    assert "1 micrograph with other attributes (m3)" in refusal(some(attributes={"mode": "TEM"}))
    assert "other pixels (m3)" in refusal(some(seed=77))
    outlined = some()
    outlined[3] = replace(outlined[3], instances=outlined[3].instances[1:])
    told = refusal(outlined)
    assert "other outlines of particles in 6 micrographs" in told
    assert "other pixels" not in told
    assert "another version" not in told
    document = read_json(out / "prepared.json")
    rewrite(out / "prepared.json", preparation=2, content_hash="0" * 64)
    told = refusal(some())
    assert "prepared by another version of nanoseg-bench" in told
    assert "outlines" not in told
    write_json(out / "prepared.json", document)
    split["m3"] = "test"
    assert "1 micrograph with other split (m3)" in refusal(some())
    del split["m3"]
    told = refusal([each for each in some() if each.name != "m3"])
    assert "1 micrograph no longer there (m3)" in told


def test_colour_stays_colour_and_grey_stays_grey(micrograph, tmp_path):
    micrographs = [micrograph(f"m{i}", seed=i, rgb=i % 2 == 0) for i in range(4)]
    prepared = make(micrographs, tmp_path / "set", augment_copies=1)
    for image in prepared.all_images:
        with Image.open(image.image_path) as opened:
            assert opened.mode == ("RGB" if int(image.micrograph[1]) % 2 == 0 else "L")


def test_regions_outside_or_too_small_are_counted(micrograph, tmp_path, disc):
    micrographs = [micrograph(f"m{i}", seed=i, width=640, height=480) for i in range(3)]
    extra = (disc(-50, -50, 5), Instance("a", (Polygon(np.array([(300.0, 200), (302, 200), (302, 202), (300, 202)])),)))
    micrographs[0] = replace(micrographs[0], instances=micrographs[0].instances + extra)
    prepared = make(micrographs, tmp_path / "set", canvas=32, augment_copies=0)
    assert prepared.summary["losses"]["outside_image"] == 1
    assert prepared.summary["losses"]["too_small_for_canvas"] >= 1
    truths = [each for split in ("train", "val", "test") for each in prepared.truth(split).values()]
    assert sorted(len(each) for each in truths) == [3, 3, 4]
    assert prepared.max_instances == 4


def test_ignore_regions_without_a_pixel_are_no_particles(micrograph, tmp_path):
    def region(x, y):
        return Instance("ignore", (Polygon(np.array([(x, y), (x + 2.0, y), (x + 2.0, y + 2.0), (x, y + 2.0)])),))

    micrographs = [micrograph(f"m{i}", seed=i, width=640, height=480, discs=1) for i in range(3)]
    micrographs = [replace(each, instances=(*each.instances, region(-50, 0), region(300, 200))) for each in micrographs]
    prepared = make(micrographs, tmp_path / "set", canvas=64, augment_copies=0)
    on_canvas = [each for split in ("train", "val", "test") for each in prepared.canvas_instances(split).values()]
    assert [len(each) for each in on_canvas] == [1, 1, 1], "nothing is left of the regions"
    losses = prepared.summary["losses"]
    assert (losses["outside_image"], losses["too_small_for_canvas"]) == (0, 0)


def test_ignore_regions_are_kept_apart(micrograph, tmp_path, disc):
    micrographs = [micrograph(f"m{i}", seed=i) for i in range(3)]
    bar = Instance("ignore", (Polygon(np.array([(0.0, 60), (96, 60), (96, 72), (0, 72)])),))
    micrographs = [replace(each, instances=(*each.instances, bar)) for each in micrographs]
    prepared = make(micrographs, tmp_path / "set", augment_copies=2)
    for split in ("train", "val", "test"):
        for instances in prepared.truth(split).values():
            assert [each.ignored for each in instances] == [False, False, False, True]
    assert prepared.max_instances == 3
    assert sum(counts["instances"] for counts in prepared.summary["counts"].values()) == 9


def test_identical_images_share_a_split(micrograph, tmp_path, caplog):
    micrographs = [micrograph(f"m{i}", seed=i // 2) for i in range(20)]
    prepared = make(micrographs, tmp_path / "set", augment_copies=0)
    split = {image.micrograph: image.split for image in prepared.all_images}
    assert all(split[f"m{i}"] == split[f"m{i + 1}"] for i in range(0, 20, 2))
    assert "kept in one source group: m0, m1 (identical-pixels)" in caplog.text
    assert "kept in one source group: m0, m1 (identical-pixels)" in prepared.summary["warnings"]


def test_versions_that_roboflow_made_of_one_image_share_a_split(micrograph, tmp_path, caplog):
    # Of other seeds, since an image may have been altered until no comparison knows it again.
    versions = [micrograph(f"train/i{image}_png.rf.{image}{version}af", 10 * image + version)
                for image in range(8) for version in range(3)]  # fmt: skip
    prepared = make(versions, tmp_path / "set", augment_copies=0)
    parts = {}
    for each in prepared.all_images:
        parts.setdefault(each.micrograph.partition(".rf.")[0], set()).add(each.split)
    assert len(parts) == 8
    assert all(len(splits) == 1 for splits in parts.values())
    assert "24 images are versions of 8 images" in caplog.text


def test_a_specimen_whose_name_is_spelt_in_two_ways_shares_a_split(micrograph, tmp_path):
    spellings = ("Probe März {}", unicodedata.normalize("NFD", "Probe März {}"), "Probe März {} ")
    micrographs = [
        micrograph(f"{group}-{view}", 10 * group + view, group=spelling.format(group))
        for group in range(8)
        for view, spelling in enumerate(spellings)
    ]
    prepared = make(micrographs, tmp_path / "set", augment_copies=0)
    assert len({image.source_group for image in prepared.all_images}) == 8
    prepared.require_audit()


def test_specimens_of_similar_names_are_told_and_not_merged(micrograph, tmp_path, caplog):
    """Tables write S1, s1 and "S 1  b": only who took them knows whether they are one."""
    groups = ("S1", "s1", "probe  a", "Probe A", "c", "d")
    micrographs = [micrograph(f"m{number}", number, group=group) for number, group in enumerate(groups)]
    micrographs += [micrograph("X", 17), micrograph("x2", 18)]
    prepared = make(micrographs, tmp_path / "set", augment_copies=0)
    assert {image.source_group for image in prepared.all_images} == {*groups, "X", "x2"}
    (said,) = (text for text in prepared.summary["warnings"] if "give them one name" in text)
    assert said.startswith("source groups 'Probe A' and 'probe  a'; 'S1' and 's1': each counts as a source of its own")
    assert said in caplog.text


def test_a_given_split_names_images_in_any_unicode_form(micrograph, tmp_path):
    names = [unicodedata.normalize("NFD", f"Größe {number}") for number in range(4)]
    parts = dict(zip(names, ("train", "test", "val", "train"), strict=True))
    given = {unicodedata.normalize("NFC", name): part for name, part in parts.items()}
    micrographs = [micrograph(name, number) for number, name in enumerate(names)]
    prepared = make(micrographs, tmp_path / "set", assignment=given, augment_copies=0)
    assert {image.micrograph: image.split for image in prepared.all_images} == parts


def test_what_is_changed_while_the_set_is_prepared_does_not_come_into_it_unnoticed(collection, tmp_path):
    @dataclass(frozen=True)
    class Annotated:
        """An annotation that somebody saves anew after it was read once."""

        micrograph: Micrograph
        read_before: list

        @property
        def name(self):
            return self.micrograph.name

        @property
        def path(self):
            return self.micrograph.image_path

        def read(self):
            self.read_before.append(self.name)
            fewer = replace(self.micrograph, instances=self.micrograph.instances[:-1])
            return fewer if len(self.read_before) > 1 else self.micrograph

    *others, last = collection(groups=6, per_group=1)
    entries = [*map(LoadedMicrograph, others), Annotated(last, [])]
    with pytest.raises(PreparationError, match=rf"{last.image_path.name}: the annotation or its image was changed"):
        prepare(entries, name="mine", dataset="mine", classes=None, out=tmp_path / "set", workers=1)
    assert not (tmp_path / "set").exists()


def test_a_reviewed_pair_may_be_named_as_the_audit_shows_it(micrograph, tmp_path, monkeypatch):
    micrographs = [micrograph(f"s{i}/m{i}", seed=i % 5) for i in range(6)]
    brighter = read_image(micrographs[5].image_path) + 3
    Image.fromarray(brighter).save(micrographs[5].image_path)

    def share_a_group(prepared):
        groups = {image.micrograph: image.source_group for image in prepared.all_images}
        return groups["s0/m0"] == groups["s5/m5"]

    assert share_a_group(make(micrographs, tmp_path / "joined", augment_copies=0))
    for number, names in enumerate([("m0", "m5"), ("s5/m5", "m0")]):
        reviewed = [ReviewedPair(*names, "other specimen")]
        apart = make(micrographs, tmp_path / str(number), augment_copies=0, reviewed=reviewed)
        assert not share_a_group(apart)
    monkeypatch.setattr(pipeline, "write_set", lambda *_: pytest.fail("a misspelt name is told before all is written"))
    with pytest.raises(PreparationError, match="'m9' is in no row"):
        make(micrographs, tmp_path / "typo", reviewed=[ReviewedPair("m0", "m9", "other specimen")])


def test_no_class_is_called_as_the_row_of_all_classes_is(collection, tmp_path):
    for classes in (("a", "all"), None):
        with pytest.raises(PreparationError, match="class 'all': tables call the row of all particles so; give"):
            make(collection(labels=("a", "all")), tmp_path / "set", classes=classes)
    assert not (tmp_path / "set").exists()


def test_fixed_split_is_followed_and_twins_across_it_fail_the_audit(micrograph, tmp_path):
    micrographs = [micrograph(f"m{i}", seed=i) for i in range(5)]
    assignment = {"m0": "test", "m1": "val", "m2": "train", "m3": "train", "m4": "test"}
    prepared = make(micrographs, tmp_path / "set", assignment=assignment, augment_copies=1)
    assert {image.micrograph: image.split for image in prepared.all_images} == assignment
    twins = [*micrographs[:4], micrograph("m4", seed=2)]
    torn = make(twins, tmp_path / "other", assignment=assignment)
    assert {image.micrograph: image.split for image in torn.all_images} == assignment
    with pytest.raises(AuditError, match="identical-pixels"):
        torn.require_audit()
    # A new image that equals a named one goes where that is.
    late = [*micrographs[:4], micrograph("m4", seed=4), micrograph("m5", seed=0), micrograph("m6", seed=1)]
    joined = make(late, tmp_path / "late", assignment=assignment, extend=True)
    joined.require_audit()
    split = {image.micrograph: image.split for image in joined.all_images}
    assert split == {**assignment, "m5": "test", "m6": "val"}


def test_a_subset_of_a_given_split(micrograph, tmp_path):
    micrographs = [micrograph(f"m{i}", seed=i) for i in range(20)]
    assignment = {f"m{i}": ("train", "train", "val", "test")[i % 4] for i in range(20)}
    prepared = make(micrographs, tmp_path / "set", assignment=assignment, images=8, augment_copies=0)
    split = {image.micrograph: image.split for image in prepared.all_images}
    assert len(split) == 8
    assert set(split.values()) == {"train", "val", "test"}
    assert split.items() <= assignment.items()


@pytest.mark.parametrize("skip_faulty", [False, True])
def test_a_subset_is_refused_for_faults_and_not_for_the_images_that_they_take(micrograph, tmp_path, skip_faulty):
    micrographs = [micrograph(f"m{i}", seed=i) for i in range(3)]
    with pytest.raises(PreparationError, match=r"3 files cannot be used:(?s:.*)'a', which is not in the class list"):
        make(micrographs, tmp_path / "set", images=2, classes=("misspelt",), skip_faulty=skip_faulty)
    with pytest.raises(PreparationError, match="--images 4: the data set has only 3 images"):
        make(micrographs, tmp_path / "set", images=4)


def test_an_ood_image_that_is_in_train_fails_the_audit(micrograph, tmp_path):
    micrographs = [micrograph(f"m{i}", seed=i) for i in range(3)]
    prepared = make(micrographs, tmp_path / "set", [micrograph("twin", seed=0, labels=("triangle",))], augment_copies=0)
    assert not json.loads((prepared.root / "split_audit.json").read_text())["passed"]


def test_names_become_unique_file_names(micrograph, tmp_path):
    names = ["x/one", "y/one", "y/two: 5 nm", "y/Größe", "one-aug01", "z/ONE"]
    micrographs = [micrograph(name.replace(":", "_"), seed=i) for i, name in enumerate(names)]
    micrographs = [replace(each, name=name) for each, name in zip(micrographs, names, strict=True)]
    prepared = make(micrographs, tmp_path / "set", augment_copies=2)
    stems = [image.name for image in prepared.all_images]
    assert len({stem.casefold() for stem in stems}) == len(stems)
    originals = {image.name for image in prepared.all_images if not image.parent}
    assert originals == {"x__one", "y__one", "two_5_nm", "Größe", "one-aug01", "z__ONE"}
    assert all(image.image_path.is_file() for image in prepared.all_images)
    assert [image.micrograph for image in prepared.all_images if image.name == "Größe"] == ["y/Größe"]


def test_data_yaml_is_for_ultralytics(collection, tmp_path):
    prepared = make(collection(groups=3), tmp_path / "set", augment_copies=0)
    assert yaml.safe_load((prepared.root / "data.yaml").read_text()) == {
        "train": "images/train",
        "val": "images/val",
        "test": "images/test",
        "names": {0: "a", 1: "b"},
    }


def test_augmented_copies_tell_how_they_were_made(collection, tmp_path):
    prepared = make(collection(groups=4), tmp_path / "set", augment_copies=2)
    header, *lines = (prepared.root / "manifest.csv").read_text().splitlines()
    assert header == ",".join(MANIFEST_COLUMNS)
    copies = [line for line in lines if "-aug" in line.split(",")[0]]
    assert copies
    assert all('""transform"":""Affine""' in line for line in copies)


def test_a_truncated_image_stops_everything_and_leaves_nothing(collection, tmp_path):
    micrographs = collection(groups=4)
    victim = micrographs[3].image_path
    victim.write_bytes(victim.read_bytes()[:500])
    with pytest.raises(ImageError, match=victim.name):
        make(micrographs, tmp_path / "out" / "set")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set-prepare_report.json"]
    (skipped,) = json.loads((tmp_path / "out" / "set-prepare_report.json").read_text())["skipped"]
    assert skipped["file"].endswith(victim.name)


def test_a_truncated_image_stops_two_workers(collection, tmp_path):
    micrographs = collection(groups=10)
    victim = micrographs[3].image_path
    victim.write_bytes(victim.read_bytes()[:500])
    with pytest.raises(ImageError, match=victim.name):
        make(micrographs, tmp_path / "set", workers=2)


def test_what_somebody_keeps_in_a_set_is_not_deleted_with_it(collection, tmp_path):
    """Runs that were put there by ``run --runs set/runs`` went when the set was prepared anew."""
    micrographs, out = collection(groups=4), tmp_path / "set"
    make(micrographs, out)
    weights = out / "runs" / "unet" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"hours of training")
    with pytest.raises(FolderError, match=r"set: holds runs/, which .* would delete with the set; move it elsewhere"):
        make(micrographs, out, overwrite="always")
    assert weights.is_file() and len(PreparedSet(out).all_images) > 0
    (out / "runs").rename(tmp_path / "runs")
    (out / ".ipynb_checkpoints").mkdir()
    for shards in (None, 50_000):
        make(micrographs, out, overwrite="always", shards=shards)
        assert not {each.name for each in out.iterdir() if each.is_dir()} - FOLDERS


@pytest.mark.parametrize("overwrite", ["missing", "always"])
def test_a_failure_keeps_the_old_set(collection, tmp_path, overwrite):
    micrographs, out = collection(groups=4), tmp_path / "set"
    make(micrographs, out, augment_copies=0)
    before = files(out)
    micrographs[0].image_path.write_bytes(b"no image")
    with pytest.raises(ImageError):
        make(micrographs, out, augment_copies=0, overwrite=overwrite)
    assert files(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["micrographs", "set", "set-prepare_report.json"]


def test_mistakes_are_named(collection, micrograph, tmp_path):
    micrographs = collection(groups=4)
    with pytest.raises(PreparationError, match=r"view-0\.png: instance 1 is labelled 'a'.*\(b\)"):
        make(micrographs, tmp_path / "set", classes=("b",))
    with pytest.raises(PreparationError, match=r"named 'specimen-00/view-0', and so is .*view-0\.png; rename"):
        make([*micrographs, micrographs[0]], tmp_path / "set")
    with pytest.raises(PreparationError, match=r"annotates view-0\.png, and so does .*view-0\.png; keep one"):
        make([*micrographs, replace(micrographs[0], name="other")], tmp_path / "set")
    with pytest.raises(PreparationError, match=r"96x72 px, but annotated as 97x72"):
        make([replace(micrographs[0], width=97), *micrographs[1:]], tmp_path / "set")
    with pytest.raises(PreparationError, match="2 source groups"):
        make(micrographs[:4], tmp_path / "set")
    with pytest.raises(PreparationError, match="no micrographs"):
        make([], tmp_path / "set")
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=r"file/set: cannot be written"):
        make(micrographs, tmp_path / "file" / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "micrographs"]


def test_five_hundred_particles_are_counted(micrograph, tmp_path):
    micrographs = [micrograph("dense", seed=0, width=400, height=400, discs=400)]
    micrographs += [micrograph(f"m{i}", seed=i) for i in range(1, 3)]
    prepared = make(micrographs, tmp_path / "set", canvas=400, augment_copies=1)
    assert prepared.max_instances == 400


@pytest.mark.faults
def test_twenty_kills_leave_the_old_set_or_the_new_one_and_the_same_bytes_in_the_end(collection, tmp_path):
    folder = tmp_path / "annotated"
    for each in collection(groups=10):
        target = folder / f"{each.name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_suffix(".png").write_bytes(each.image_path.read_bytes())
        write_labelme(target, each, f"{target.stem}.png")

    def command(out, seed):
        arguments = ["prepare", "--labelme", folder, "--name", "mine", "--out", out, "--size", "256"]
        arguments += ["--augment-copies", "6", "--seed", seed, "--overwrite", "always", "--workers", "2", "--preview"]
        return [sys.executable, "-m", "nanoseg_bench", *map(str, arguments)]

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command(tmp_path / "killed" / "set", 0), check=True, **quiet)
    old = files(tmp_path / "killed" / "set")
    started = time.monotonic()
    subprocess.run(command(tmp_path / "calm" / "set", 1), check=True, **quiet)
    duration = time.monotonic() - started
    new = files(tmp_path / "calm" / "set")
    assert old["manifest.csv"] != new["manifest.csv"]
    # One in each twentieth of the time, so that every phase is hit.
    for number, share in enumerate(np.random.default_rng(0).uniform(0, 1, 20)):
        process = subprocess.Popen(command(tmp_path / "killed" / "set", 1), **quiet)
        children = psutil.Process(process.pid)
        time.sleep((number + share) / 20 * duration)
        workers = children.children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=120)
        assert not alive, "workers outlive the process that was killed"
        state = PreparedSet(tmp_path / "killed" / "set")
        assert all(image.image_path.is_file() for image in state.all_images)
        assert files(state.root) in (old, new)
    subprocess.run(command(tmp_path / "killed" / "set", 1), check=True, **quiet)
    assert files(tmp_path / "killed" / "set") == new
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["set"]
