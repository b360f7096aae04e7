import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_records import split_record

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.errors import AuditError, DatasetError, PreparationError, UsageError
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.images import read_image
from nanoseg_bench.preparation.audit import FoundPair, ReviewedPair
from nanoseg_bench.preparation.auditing import audit_set, make_audit
from nanoseg_bench.preparation.begun_truth import begun_truth
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.folds import fold_by_group
from nanoseg_bench.preparation.pipeline import prepare
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.preparation.preview import write_preview
from nanoseg_bench.preparation.shortcomings import advised_folds, split_shortcomings

PARTS = ("train", "val", "test")


def groups_of(records):
    return {each.name: each.source_group for each in records}


@pytest.mark.parametrize("seed", range(10))
def test_every_class_is_in_every_part_of_every_fold(seed):
    labels = ["cube"] * 13 + ["octahedron"] * 9 + ["sphere"] * 7
    records = [split_record(f"i{n:02d}", f"i{n:02d}", (label,), 3 + 5 * n) for n, label in enumerate(labels)]
    parts = fold_by_group(records, 5, (8, 1, 1), seed, groups_of(records))
    for fold in range(5):
        for part in PARTS:
            members = [each for each in records if parts[each.name][fold] == part]
            assert {label for each in members for label in each.labels} == {"cube", "octahedron", "sphere"}
        assert Counter(of_folds[fold] for of_folds in parts.values())["val"] == 3
        assert 5 <= Counter(of_folds[fold] for of_folds in parts.values())["test"] <= 7


records_of_groups = st.lists(
    st.tuples(st.integers(0, 9), st.sets(st.sampled_from(["cube", "rod"])), st.integers(1, 90)),
    min_size=8,
    max_size=40,
).map(
    lambda rows: [
        split_record(f"i{n:02d}", f"g{group}", labels, count) for n, (group, labels, count) in enumerate(rows)
    ]
)


@settings(max_examples=60)
@given(records_of_groups, st.integers(3, 5), st.integers(0, 3), st.randoms())
def test_each_micrograph_is_tested_once_and_no_group_straddles(records, folds, seed, random):
    groups = groups_of(records)
    if len(set(groups.values())) < folds:
        with pytest.raises(PreparationError, match=f"--folds {folds}: there"):
            fold_by_group(records, folds, (8, 1, 1), seed, groups)
        return
    parts = fold_by_group(records, folds, (8, 1, 1), seed, groups)
    assert set(parts) == set(groups)
    assert all(of_folds.count("test") == 1 and len(of_folds) == folds for of_folds in parts.values())
    for fold in range(folds):
        assert {of_folds[fold] for of_folds in parts.values()} == set(PARTS)
    assert all(parts[a] == parts[b] for a in parts for b in parts if groups[a] == groups[b])
    random.shuffle(records)
    assert fold_by_group(records, folds, (8, 1, 1), seed, groups) == parts


def test_what_no_folds_can_be_made_of():
    with pytest.raises(UsageError, match="--folds 2: give 3 or more"):
        PrepareConfig(folds=2)
    with pytest.raises(UsageError, match=r"--split 9:0:1 with --folds 5: .* give val a share"):
        PrepareConfig(folds=5, ratios=(9, 0, 1))
    with pytest.raises(UsageError, match="--folds 5: the split is given"):
        PrepareConfig(folds=5, assignment={"a": "train"})


@pytest.fixture
def folded(collection, tmp_path):
    """Eight specimens of two views in four folds, with two copies each."""
    entries = [LoadedMicrograph(each) for each in collection(8, 2, labels=("a", "b"))]
    config = PrepareConfig(canvas=64, augment_copies=2, folds=4)
    return prepare(entries, name="s", dataset="s", classes=None, out=tmp_path / "s", config=config, workers=1)


def test_a_fold_answers_like_a_set(folded):
    assert list(folded.folds) == [1, 2, 3, 4]
    everything = {image.name: image for image in folded.all_images}
    assert len(everything) == 16 * 3
    assert {image.split for image in everything.values()} == {"train"}
    tested = Counter()
    for fold in map(folded.of_fold, folded.folds):
        originals = {part: [i for i in fold.images(part) if i.parent is None] for part in PARTS}
        assert sum(map(len, originals.values())) == 16
        tested.update(image.name for image in originals["test"])
        groups = {part: {image.source_group for image in originals[part]} for part in PARTS}
        assert not groups["train"] & groups["test"]
        assert not groups["val"] & (groups["train"] | groups["test"])
        # Copies: both of each training image, none of another.
        copies = Counter(image.parent for image in fold.images("train") if image.parent)
        assert copies == {image.name: 2 for image in originals["train"]}
        assert [i for part in ("val", "test") for i in fold.images(part) if i.parent] == []
        for part in PARTS:
            counts = fold.summary["counts"][part]
            assert counts["images"] == len(originals[part])
            assert counts["groups"] == len(groups[part])
            assert counts["copies"] == len(fold.images(part)) - len(originals[part])
            truth = fold.truth(part)
            assert set(truth) == {image.name for image in originals[part]}
            assert counts["instances"] == sum(map(len, truth.values()))
            assert set(fold.canvas_instances(part)) == {image.name for image in fold.images(part)}
            assert all(read_image(image.image_path).shape == (64, 64) for image in fold.images(part))
            assert all((fold.root / "labels" / "train" / f"{image.name}.txt").is_file() for image in fold.images(part))
        assert set(load_eval_set(fold, "test").images) == {image.name for image in originals["test"]}
        fold.require_audit()
    assert tested == {image.name: 1 for image in everything.values() if image.parent is None}
    hashes = {folded.content_hash, *(folded.of_fold(fold).content_hash for fold in folded.folds)}
    assert len(hashes) == 5
    with pytest.raises(DatasetError, match="has no fold 5; it has folds 1 to 4"):
        folded.of_fold(5)
    for part in ("val", "test"):
        with pytest.raises(DatasetError, match=rf"each of its 4 folds has a {part} of its own; .*, fold=1\)$"):
            folded.images(part)
    assert folded.judged_images("val") == []
    for part in (folded, folded.of_fold(1)):
        with pytest.raises(DatasetError, match="has no split 'tset'; it has train"):
            part.truth("tset")


def test_micrographs_and_copies_are_the_same_bytes_as_without_folds(folded, collection, tmp_path):
    entries = [LoadedMicrograph(each) for each in collection(8, 2, labels=("a", "b"))]
    config = PrepareConfig(canvas=64, augment_copies=2)
    plain = prepare(entries, name="s", dataset="s", classes=None, out=tmp_path / "p", config=config, workers=1)
    assert list(plain.folds) == []
    assert not (plain.root / "folds.csv").exists()
    with pytest.raises(DatasetError, match="has no fold 1; it was prepared without folds"):
        plain.of_fold(1)
    both = {image.name: image.image_path.read_bytes() for image in folded.all_images}
    for image in plain.all_images:
        assert image.image_path.read_bytes() == both[image.name]
    assert plain.content_hash != folded.content_hash
    assert "folds" not in json.dumps(plain.summary)


def test_which_fold_tests_what_is_part_of_the_hash(collection, tmp_path):
    entries = [LoadedMicrograph(each) for each in collection(8, 1)]

    def hashes(name, **config):
        made = PrepareConfig(canvas=64, augment_copies=0, **config)
        prepared = prepare(entries, name="s", dataset="s", classes=None, out=tmp_path / name, config=made, workers=1)
        return {prepared.content_hash, *(prepared.of_fold(fold).content_hash for fold in prepared.folds)}

    first = hashes("a", folds=4)
    assert hashes("b", folds=4) == first
    assert not hashes("c", folds=4, seed=1) & first
    assert not hashes("d", folds=3) & first


def test_the_audit_looks_at_every_fold(folded):
    folds = [folded.of_fold(fold) for fold in folded.folds]
    names = [image.name for image in folds[0].images("train") if image.parent is None]
    tested = folds[0].images("test")[0].name
    evidence = {"scale": 1.0, "rotation_degrees": 0.0, "mirrored": False, "inliers": 40}
    evidence |= {"shared_first": 0.5, "shared_second": 0.5}
    pair = FoundPair((names[0], tested), "overlapping-fields", evidence)
    audit = make_audit(folded, [pair], ())
    assert not audit["passed"]
    check = next(each for each in audit["checks"] if each["name"] == "overlapping-fields")
    assert check["findings"] == len(check["details"]) == 1
    # Told once, with all folds that it spoils: those where the two play different parts.
    part = {fold.fold: {image.name: image.split for image in fold.all_images} for fold in folds}
    apart = [number for number, of in part.items() if of[names[0]] != of[tested]]
    assert 1 in apart
    assert check["details"][0]["folds"] == apart
    assert [not of_fold["passed"] for of_fold in audit["folds"]] == [number in apart for number in part]
    assert "overlapping-fields failed with 1 finding" in audit["conclusion"]
    write_json(folded.root / "split_audit.json", audit)
    with pytest.raises(AuditError, match="overlapping-fields"):
        folds[0].require_audit()
    with pytest.raises(AuditError, match="overlapping-fields"):
        folded.require_audit()
    reviewed = make_audit(folded, [pair], [ReviewedPair(*pair.names, "looked")])
    assert reviewed["passed"]
    assert all(of_fold["passed"] for of_fold in reviewed["folds"])


def test_a_copy_of_a_tested_image_in_training_fails_the_audit(folded, monkeypatch):
    # As if the view forgot to leave the copies of tested images out.
    complete = {image.name: image for image in folded.all_images}
    real = PreparedSet.all_images.func

    def leaky(self):
        images = real(self)
        known = {image.name for image in images}
        return images if self.fold is None else (*images, *(each for n, each in complete.items() if n not in known))

    monkeypatch.setattr(PreparedSet, "all_images", property(leaky))
    audit = make_audit(folded, [], ())
    assert [each["name"] for each in audit["checks"] if not each["passed"]] == ["augmented-copies"]
    assert all(not of_fold["passed"] for of_fold in audit["folds"])


def test_audit_and_page_of_a_set_with_folds(folded):
    before = read_json(folded.root / "split_audit.json")
    document = audit_set(folded, [], 1)
    assert document["passed"]
    assert [each["content_hash"] for each in document["folds"]] == [
        folded.of_fold(f).content_hash for f in (1, 2, 3, 4)
    ]
    assert [each["name"] for each in document["checks"]][:-1] == [each["name"] for each in before["checks"]]
    page = (folded.root / "split_audit.html").read_text(encoding="utf-8")
    for fold in folded.folds:
        assert folded.of_fold(fold).content_hash[:12] in page
        assert split_shortcomings(folded.of_fold(fold)) != []
    told = {(each.part, each.kind) for each in split_shortcomings(folded)}
    # All tests are pooled, so the few particles of one are no shortcoming of the set.
    assert not [part for part, _ in told if part.startswith("test")]
    assert ("val of every fold", "few-groups") in told


def test_truth_that_a_model_began_is_told_of_all_folds(collection, tmp_path):
    images = collection(6, 1)
    images[2] = replace(images[2], begun_by=BegunBy("otsu"))
    entries = [LoadedMicrograph(each) for each in images]
    config = PrepareConfig(canvas=64, augment_copies=1, folds=3)
    prepared = prepare(entries, name="s", dataset="s", classes=None, out=tmp_path / "s", config=config, workers=1)
    assert [each.words for each in begun_truth(prepared)] == ["1 of 6 test images"]
    told = [each.words for fold in prepared.folds for each in begun_truth(prepared.of_fold(fold))]
    assert [words for words in told if "test" in words] == ["1 of 2 test images"]


def test_the_preview_says_where_the_folds_are(folded):
    write_preview(folded, folded.root / "preview.html")
    page = (folded.root / "preview.html").read_text(encoding="utf-8")
    assert "4; all micrographs are shown under train, <code>folds.csv</code>" in page
    assert "What this split cannot carry" in page


def square(x, y, label):
    corners = np.array([(x, y), (x + 9, y), (x + 9, y + 9), (x, y + 9)], dtype=float)
    return Instance(label, (Polygon(corners),))


def test_a_class_of_one_group_is_missing_where_it_is_tested(micrograph, tmp_path):
    # Different discs, one of them with a square of another class beside it.
    images = [micrograph(f"i{n}", seed=n, discs=3) for n in range(6)]
    rod = images[2]
    entries = [LoadedMicrograph(each) for each in images if each is not rod]
    entries.append(LoadedMicrograph(type(rod)(rod.name, rod.image_path, 96, 72, (*rod.instances, square(5, 5, "rod")))))
    config = PrepareConfig(canvas=64, augment_copies=0, folds=3)
    prepared = prepare(entries, name="s", dataset="s", classes=None, out=tmp_path / "s", config=config, workers=1)
    fold = next(f for f in prepared.folds if "i2" in {image.name for image in prepared.of_fold(f).images("test")})
    told = [(each.part, each.text) for each in split_shortcomings(prepared) if each.kind == "class-missing"]
    assert (f"train of fold {fold}", "shows no rod (only 1 source group does), so it cannot be learnt") in told


@pytest.mark.parametrize(("groups", "advised"), [(3, 3), (4, 4), (12, 5)])
def test_small_sets_are_advised_to_be_folded(collection, tmp_path, groups, advised):
    entries = [LoadedMicrograph(each) for each in collection(groups, 1)]
    config = PrepareConfig(canvas=64, augment_copies=0)
    prepared = prepare(entries, name="s", dataset="s", classes=None, out=tmp_path / "s", config=config, workers=1)
    assert advised_folds(prepared) == advised


def test_a_given_split_and_folds_get_no_advice(folded, collection, tmp_path):
    assert advised_folds(folded) is None
    images = collection(6, 1)
    assignment = dict(zip([each.name for each in images], ("train",) * 4 + ("val", "test"), strict=True))
    config = PrepareConfig(canvas=64, augment_copies=0, assignment=assignment)
    entries = [LoadedMicrograph(each) for each in images]
    prepared = prepare(entries, name="s", dataset="s", classes=None, out=tmp_path / "g", config=config, workers=1)
    assert advised_folds(prepared) is None
