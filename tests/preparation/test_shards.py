"""A set in shards says what the same set in single files says; its tars are what WebDataset expects."""

import csv
import hashlib
import json
import shutil
import tarfile
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.errors import DatasetError, PreparationError, UsageError
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.files import read_json
from nanoseg_bench.models.data import TrainingImages
from nanoseg_bench.preparation.auditing import audit_set
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.pipeline import prepare
from nanoseg_bench.preparation.prepared_set import SPLITS, PreparedSet
from nanoseg_bench.preparation.shard_writing import in_bytes, parse_size
from nanoseg_bench.seals import SEAL

SIZE = 40_000


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Where each set is kept that has been written once, by its options."""
    return {}, tmp_path_factory.mktemp("written")


@pytest.fixture
def write(collection, micrograph, tmp_path, written):
    """``write(folder, shards=..., ...)``: always the same set, of awkward names.

    A folder that is not there yet is a copy of what the same options gave before, unless it is to be ``fresh``.
    """
    kept, keep_in = written
    discs = collection(groups=6, per_group=2, labels=("a", "b"), nm_per_px=0.25)
    square = Polygon(np.array([[10, 10], [30, 10], [30, 30], [10, 30]], dtype=float))
    discs[0] = replace(discs[0], instances=(*discs[0].instances, Instance("ignore", (square,))))
    discs.append(micrograph("Größe 1.5 nm.v2", seed=900, labels=("a", "b"), group="x", rgb=True))
    discs.append(micrograph("empty", seed=901, discs=0, group="y"))
    ood = [micrograph("ood/star.1", seed=902, labels=("star",), group="z")]
    main, aside = ([LoadedMicrograph(each) for each in part] for part in (discs, ood))

    def prepared(folder, overwrite="missing", fresh=False, **choices):
        out, options = tmp_path / folder, tuple(sorted(choices.items()))
        if options in kept and not (fresh or out.exists()):
            shutil.copytree(kept[options], out)
            return PreparedSet(out)
        config = PrepareConfig(canvas=64, augment_copies=2, **choices)
        names = {"name": "s", "dataset": "s", "classes": ("a", "b"), "overwrite": overwrite, "workers": 1}
        done = prepare(main, aside, out=out, config=config, **names)
        if options not in kept:
            kept[options] = shutil.copytree(out, keep_in / str(len(kept)))
        return done

    return prepared


@pytest.fixture
def both(write):
    return write("single"), write("sharded", shards=SIZE)


def same_instances(one, two):
    assert list(one) == list(two)
    for name in one:
        assert [(each.label, each.region, each.crowd) for each in one[name]] == [
            (each.label, each.region, each.crowd) for each in two[name]
        ]


def test_both_say_the_same(both):
    single, sharded = both
    assert sharded.content_hash == single.content_hash
    for name in ("manifest.csv", "split.csv", "split_audit.json", "prepare_report.json"):
        assert (sharded.root / name).read_bytes() == (single.root / name).read_bytes(), name
    single_only = {"images", "labels", "canvas", "truth", "data.yaml"}
    lies = {path.name for path in single.root.iterdir()}
    assert single_only < lies
    assert {path.name for path in sharded.root.iterdir()} == lies - single_only | {"shards"}
    others = {"format", "shard_bytes", "files"}
    assert {key for key in sharded.summary if sharded.summary[key] != single.summary.get(key)} == others
    for one, two in zip(single.all_images, sharded.all_images, strict=True):
        assert replace(one, image_path=two.image_path, in_shard=two.in_shard) == two
        assert (one.read_pixels() == two.read_pixels()).all()
        assert (one.read_canvas() == two.read_canvas()).all()
    assert any(image.read_pixels().ndim == 3 for image in sharded.all_images)
    for split in filter(single.has, SPLITS):
        same_instances(single.truth(split), sharded.truth(split))
        same_instances(single.canvas_instances(split), sharded.canvas_instances(split))
        assert list(single.truth_regions(split)) == list(sharded.truth_regions(split))
        names = [image.name for image in single.images(split)][:2]
        for kind in ("truth", "canvas"):
            found = [set_.instances_of(kind, split, {*names, "none"}) for set_ in both]
            same_instances(*(dict(sorted(each.items())) for each in found))
    for split in ("val", "test", "ood"):
        one, two = (load_eval_set(set_, split) for set_ in both)
        assert without_truth(one) == without_truth(two)
        ids, theirs = single.truth_ids(split), sharded.truth_ids(split)
        assert (theirs.images, theirs.sizes) == (ids.images, ids.sizes)
        assert theirs.categories.items() <= ids.categories.items() | {(3, "star")}


def without_truth(eval_set):
    return {name: getattr(eval_set, name) for name in eval_set.__slots__ if name != "truth"}


def test_a_shard_is_what_webdataset_reads(both):
    """By its rule: what precedes the first dot of a file's name is the sample's key, the rest says what it is."""
    single, sharded = both
    images = {image.name: image for image in single.all_images}
    order = []
    for path in sorted((sharded.root / "shards").glob("*.tar")):
        split = path.name.partition("-")[0]
        samples = defaultdict(dict)
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                samples[key][extension] = tar.extractfile(member).read()
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")
        assert path.stat().st_size <= SIZE
        for key, files in samples.items():
            name = json.loads(files["json"])["images"][0]["file_name"].removesuffix(".png")
            order.append((int(key), name))
            assert files["png"] == images[name].image_path.read_bytes()
            label = single.root / "labels" / split / f"{name}.txt"
            assert files.get("txt") == (label.read_bytes() if label.is_file() else None)
            assert ("truth.json" in files) == (images[name].parent is None)
            for kind, extension in (("canvas", "json"), ("truth", "truth.json")):
                if extension in files:
                    compare_with_pycocotools(single.root / kind / f"{split}.json", name, files[extension])
    assert sorted(order) == list(enumerate(images))


def compare_with_pycocotools(whole, name, document):
    """The one image's document holds what the split's file holds of that image, under the same id."""
    everything, one = COCO(whole), COCO()
    one.dataset = json.loads(document)
    one.createIndex()
    (image,) = one.dataset["images"]
    assert everything.imgs[image["id"]] == image
    assert image["file_name"] == f"{name}.png"
    theirs = everything.imgToAnns.get(image["id"], [])
    ours = one.imgToAnns.get(image["id"], [])
    assert [{**each, "id": 0} for each in theirs] == [{**each, "id": 0} for each in ours]
    assert [each["id"] for each in ours] == list(range(1, len(ours) + 1))
    for each in ours:
        assert one.cats[each["category_id"]]["name"] == everything.cats[each["category_id"]]["name"]


def test_the_index_says_where_each_file_lies(both):
    folder = both[1].root / "shards"
    document = read_json(folder / "shards.json")
    for shard in document["shards"]:
        data = (folder / shard["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (shard["bytes"], shard["sha256"])
    with (folder / "samples.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == [image.name for image in both[0].all_images]
    assert sum(shard["images"] for shard in document["shards"]) == len(rows)
    assert len(document["shards"]) > len({shard["split"] for shard in document["shards"]})
    (row,) = (row for row in rows if row["name"].startswith("Größe") and row["name"].endswith(".v2"))
    start, length = int(row["image_start"]), int(row["image_bytes"])
    data = (folder / row["shard"]).read_bytes()[start : start + length]
    assert data == next(i for i in both[0].all_images if i.name == row["name"]).image_path.read_bytes()


def test_the_same_set_has_the_same_bytes(write):
    one, two = (write(folder, fresh=True, shards=SIZE).root / "shards" for folder in ("one", "two"))
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }


def test_a_sample_larger_than_a_shard_has_one_of_its_own(write):
    prepared = write("tiny", shards=1)
    assert [shard.images for shard in prepared.shards.shards] == [1] * len(prepared.all_images)


@pytest.fixture
def damaged(write):
    """A set, and a function that changes a byte of the file that holds an image's ``kind``."""
    prepared = write("sharded", shards=SIZE)

    def change(name, kind, offset=0):
        extent = prepared.shards.extent(kind, name)
        data = bytearray(extent.shard.read_bytes())
        data[extent.start + offset] ^= 1
        extent.shard.write_bytes(data)
        return extent.shard

    return prepared, change


def test_a_damaged_image_is_named_and_no_other_is_hit(damaged):
    prepared, change = damaged
    hit, *others = prepared.images("train")
    shard = change(hit.name, "image", 100)
    with pytest.raises(DatasetError, match=rf"{shard.name}: damaged at the image of {hit.name}: .* copy it again"):
        hit.read_canvas()
    assert all(image.read_canvas().size for image in others)
    audit = audit_set(prepared, (), 1)
    assert not audit["passed"]
    (check,) = (check for check in audit["checks"] if check["name"] == "files")
    assert {(each["image"], each["fault"]) for each in check["details"]} == {
        (hit.name, "missing or unreadable"),
        (shard.name, "changed since prepare wrote it"),
    }


def test_damaged_instances_are_named(damaged):
    prepared, change = damaged
    name = prepared.images("test")[0].name
    shard = change(name, "truth", 30)
    with pytest.raises(DatasetError, match=f"{shard.name}: damaged at the truth of {name}"):
        load_eval_set(prepared, "test")
    train = prepared.images("train")[3].name
    shard = change(train, "canvas")
    images = TrainingImages(prepared, 64)
    assert images[2].pixels.shape == (64, 64)
    with pytest.raises(DatasetError, match=f"{shard.name}: damaged at the canvas of {train}"):
        images[3]


def test_the_audit_finds_a_changed_label(damaged):
    """Nothing of ours reads a label; a byte between two files counts as well."""
    prepared, change = damaged
    assert audit_set(prepared, (), 1)["passed"]
    name = prepared.images("train")[0].name
    shard = change(name, "label")
    (check,) = (check for check in audit_set(prepared, (), 1)["checks"] if check["name"] == "files")
    assert [(each["image"], each["split"]) for each in check["details"]] == [(shard.name, "train")]
    change(name, "label")
    (prepared.root / "shards" / "train-009999.tar").write_bytes(b"")
    (check,) = (check for check in audit_set(prepared, (), 1)["checks"] if check["name"] == "files")
    assert [(each["image"], each["fault"]) for each in check["details"]] == [
        ("train-009999.tar", "not in the manifest")
    ]


def test_a_shard_that_is_cut_off_or_gone_is_refused_before_a_training(damaged):
    prepared, _ = damaged
    last = prepared.shards.shards[-1]
    last.path.write_bytes(last.path.read_bytes()[:-1024])
    with pytest.raises(DatasetError, match=rf"{last.path.name}: damaged: {last.bytes - 1024} bytes, and prepare wrote"):
        TrainingImages(prepared, 64)
    last.path.unlink()
    with pytest.raises(DatasetError, match=rf"{last.path.name}: cannot be read"):
        TrainingImages(prepared, 64)


@pytest.mark.parametrize(
    ("file", "message"),
    [("samples.csv", "samples.csv: damaged, or of another set"), ("shards.json", "shards.json: no index of shards")],
)
def test_a_damaged_index_is_refused(damaged, file, message):
    prepared, _ = damaged
    path = prepared.root / "shards" / file
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DatasetError, match=message):
        assert PreparedSet(prepared.root).all_images
    path.unlink()
    with pytest.raises(DatasetError, match=file):
        assert PreparedSet(prepared.root).all_images


@pytest.mark.parametrize(
    ("old", "new"),
    [('"images": 2', '"images": 3'), ('"bytes"', '"bites"'), ('"split": "train"', '"split": "trein"')],
)
def test_an_index_with_one_other_word_is_refused(damaged, old, new):
    """JSON all the same, and none of these is looked at otherwise before a training has begun."""
    prepared, _ = damaged
    path = prepared.root / "shards" / "shards.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"shards\.json: damaged"):
        assert PreparedSet(prepared.root).all_images


@pytest.mark.parametrize(
    "edit",
    [
        lambda table: table.replace(b".tar", b"", 1),  # a shard that is not there
        lambda table: table.replace(b".tar,", b".tar,x", 1),  # no number
        lambda table: table.replace(b".tar,", b".tar," + b"9" * 40, 1),  # no offset of any file
        lambda table: table.replace(b".tar,", b".tar,0,", 1),  # a cell too many
        lambda table: b"".join(table.splitlines(keepends=True)[:-1]) + b"x,train-000000.tar\n",  # all of them too few
        lambda table: table.replace(b"name", b"\xff", 1),
        lambda table: b"",
    ],
)
def test_an_index_of_an_earlier_version_that_was_edited_is_refused_by_name(damaged, edit):
    """It had no seal, so that who edits the table may write its hash, too."""
    prepared, _ = damaged
    folder = prepared.root / "shards"
    document = {key: value for key, value in read_json(folder / "shards.json").items() if key != SEAL}
    table = (folder / "samples.csv").read_bytes()
    for data in (table, edit(table)):
        (folder / "samples.csv").write_bytes(data)
        document["samples_sha256"] = hashlib.sha256(data).hexdigest()
        (folder / "shards.json").write_text(json.dumps(document), encoding="utf-8")
        if data is table:
            assert PreparedSet(prepared.root).all_images
            continue
        with pytest.raises(DatasetError, match=r"samples\.csv: damaged"):
            assert PreparedSet(prepared.root).all_images
    del document["shards"][0]["bytes"]
    (folder / "shards.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"samples\.csv|shards\.json: damaged"):
        assert PreparedSet(prepared.root).all_images


def test_another_layout_is_asked_for_in_words(write):
    prepared = write("set", shards=SIZE)
    before = (prepared.root / "prepared.json").stat().st_mtime_ns
    assert write("set", shards=SIZE).content_hash == prepared.content_hash
    assert (prepared.root / "prepared.json").stat().st_mtime_ns == before
    with pytest.raises(PreparationError, match="holds the same set in shards of 40K, and single files were asked for"):
        write("set")
    with pytest.raises(
        PreparationError, match="in shards of 40K, and shards of 1M were asked for; ask for shards of 4"
    ):
        write("set", shards=10**6)
    single = write("set", overwrite="always")
    assert single.shards is None
    assert single.content_hash == prepared.content_hash
    assert not (single.root / "shards").exists()


def test_a_fold_answers_like_one_of_single_files(write):
    single, sharded = write("a", folds=3), write("b", folds=3, shards=SIZE)
    for fold in single.folds:
        one, two = single.of_fold(fold), sharded.of_fold(fold)
        assert one.content_hash == two.content_hash
        assert one.audit == two.audit
        for part in ("train", "val", "test"):
            assert [image.name for image in one.images(part)] == [image.name for image in two.images(part)]
            same_instances(
                {image.name: one.canvas_instances(part)[image.name] for image in one.images(part)},
                two.canvas_instances(part),
            )
            assert set(two.truth(part)) == set(one.truth(part))
            assert list(two.truth_regions(part)) == list(one.truth_regions(part))
            assert two.truth_ids(part).images == one.truth_ids(part).images
    # Read as a whole, every micrograph is tested: the row of a cross-validation is scored from this.
    one, two = (load_eval_set(each, "test") for each in (single, sharded))
    assert one.images == two.images
    same_instances(one.truth, two.truth)


@pytest.mark.parametrize(
    ("text", "size"), [("256M", 256_000_000), ("1.5G", 1_500_000_000), ("20kb", 20_000), ("7", 7), ("2 T", 2 * 10**12)]
)
def test_sizes(text, size):
    assert parse_size(text) == size
    assert parse_size(in_bytes(size)) == size


@pytest.mark.parametrize("text", ["", "M", "0", "0.1", "-5M", "5 apples", "1e6", "256MiB"])
def test_no_sizes(text):
    with pytest.raises(UsageError, match="give their size, such as 256M or 1G"):
        parse_size(text)
