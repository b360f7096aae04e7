"""Fuzz everything that reads what others wrote, for as long as one likes: an error of ours, or a result.

    python tests/fuzz/fuzz_readers.py --minutes 60 --out FOLDER [--seed 1] [READER...]

Each reader gets the same share of the time, in a process of its own: what ends the process is a crash, too. Of each
crash its smallest input and its traceback lie below FOLDER/<reader>; the table of all is printed and kept as
figures.json. Without names all readers are fuzzed; ``--list`` names them.
"""

import argparse
import csv
import gzip
import importlib
import importlib.util
import io
import json
import logging
import multiprocessing
import shutil
import sys
import tempfile
import time
import uuid
import warnings
from pathlib import Path

import numpy as np
import orjson
from PIL import Image

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "helpers"), str(TESTS / "annotations"), str(TESTS / "images")]

from fuzzing import SECONDS_EACH, Reader, fuzz  # noqa: E402
from tiff_seeds import tiff_seeds  # noqa: E402

from nanoseg_bench.environment import isolate_libraries  # noqa: E402
from nanoseg_bench.errors import NanosegError  # noqa: E402

SECONDS_TO_START = 400
READERS = {}


def reader(make):
    READERS[make.__name__.replace("_", "-")] = make
    return make


def to_file(path, read, **more):
    """A reader of one file."""

    def read_bytes(data):
        path.write_bytes(data)
        return read(path)

    return {"read": read_bytes, **more}


# What the readers below share: a set, a run on it, predictions and analyses, made once by the real commands.


def make_material(folder):
    from nanoseg_bench.cli import main

    def command(*words):
        if main([str(word) for word in words]):
            raise SystemExit(f"{words} failed")

    (folder / "cwd").mkdir(parents=True)
    how = ("--dataset", "nanosynth", "--easy", "--images", 12, "--size", 64, "--augment-copies", 0, "--workers", 1)
    command("prepare", *how, "--out", folder / "set")
    command("prepare", *how, "--shards", "20kB", "--out", folder / "sharded")
    runs = ("--runs", folder / "runs", "--leaderboards", folder / "boards")
    command("run", folder / "set", "--models", "otsu", "--preset", "smoke", *runs)
    (run,) = folder.glob("runs/*/otsu*") if any(folder.glob("runs/*/otsu*")) else folder.glob("runs/otsu*")
    run.rename(folder / "run")
    Image.fromarray(field()).save(folder / "field.png")
    command("predict", folder / "field.png", "--model", folder / "run", "--out", folder / "predicted")
    command("analyze", folder / "field.png", "--model", folder / "run", "--no-ocr", "--out", folder / "analysed")


def field():
    import cv2

    pixels = np.random.default_rng(0).integers(70, 100, (120, 160), dtype=np.uint8)
    for x, y, radius in ((40, 40, 15), (100, 40, 12), (60, 90, 18), (120, 85, 14)):
        cv2.circle(pixels, (x, y), radius, 200, -1)
    return pixels


def only(paths):
    (path,) = paths
    return path


# Annotations.


def annotation_folder(work):
    import test_readers_fuzz as formats

    Image.new("L", (formats.WIDTH, formats.HEIGHT), 90).save(work / "a.png")
    return formats


def document_reader(name):
    def make(work, material):
        formats = annotation_folder(work)

        def read(data):
            (work / "a.json").write_bytes(data)
            count = formats.read_all(work / "a.json", name)
            formats.check_document(work, name, data)
            return count

        return Reader([json.dumps(formats.VALID[name]).encode()], read)

    make.__name__ = name
    return reader(make)


for each in ("labelme", "via", "coco"):
    document_reader(each)


@reader
def labelme_checked(work, material):
    """What `prepare` says of a folder before it reads it."""
    formats = annotation_folder(work)
    from nanoseg_bench.annotations.labelme.validation import check_labelme_folder

    return Reader(
        [json.dumps(formats.VALID["labelme"]).encode()],
        **to_file(work / "a.json", lambda path: check_labelme_folder(path.parent, ("cube",)) is not None),
    )


@reader
def yolo_label(work, material):
    formats = annotation_folder(work)
    return Reader(
        [formats.YOLO_LABEL.encode()],
        lambda data: formats.check_yolo(work, data, formats.YOLO_DATA.encode()) is None,
    )


@reader
def yolo_data(work, material):
    formats = annotation_folder(work)
    split = b"train: train/images\nval: valid/images\ntest: test/images\nnc: 2\nnames: ['cube', 'rod']\n"
    return Reader(
        [formats.YOLO_DATA.encode(), split],
        lambda data: formats.check_yolo(work, formats.YOLO_LABEL.encode(), data) is None,
    )


@reader
def mask(work, material):
    formats = annotation_folder(work)
    values = formats.mask_values()
    seeds = [
        formats.png_of(values),
        formats.png_of((values > 0).astype(np.uint8) * 255),
        formats.png_of(np.stack([values.astype(np.uint8)] * 3, axis=2)),
        formats.tiff_of(values),
        formats.tiff_of(values.astype(np.int32), compression="tiff_adobe_deflate"),
        formats.tiff_of(values.astype(np.float32)),
    ]

    def read(data):
        formats.check_mask(work, ".tif" if data[:2] in (b"II", b"MM") else ".png", data)
        return True

    return Reader(seeds, read)


@reader
def mask_labels(work, material):
    formats = annotation_folder(work)
    Image.fromarray(formats.mask_values()).save(work / "a_mask.png")
    return Reader(
        [b"name,value,label\na,1,cube\na,700,rod\n"],
        **to_file(work / "labels.csv", lambda path: formats.read_all(work, "masks")),
    )


# Images.


def image_seeds(suffix):
    grey = np.arange(192, dtype=np.uint8).reshape(12, 16)
    stream = io.BytesIO()
    for pixels in (grey, np.stack((grey, grey[::-1], grey), axis=2)):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, suffix)
        yield stream.getvalue()


def read_whole_image(path):
    """Size, scale, and pixels with how they were taken; as the rooms above ask."""
    from nanoseg_bench.images import image_size, read_scale, read_with_notes

    size = pixels = None
    for read in (image_size, read_scale, read_with_notes):
        try:
            found = read(path)
        except NanosegError as error:
            assert str(error)
            continue
        size = found if read is image_size else size
        pixels = found[0] if read is read_with_notes else pixels
    if pixels is None:
        return False
    assert pixels.dtype == np.uint8
    assert pixels.size > 0
    assert size == (pixels.shape[1], pixels.shape[0])
    return True


@reader
def tiff(work, material):
    return Reader(list(tiff_seeds()), **to_file(work / "a.tif", read_whole_image))


def raster(suffix):
    def make(work, material):
        seeds = list(image_seeds(suffix.upper()))
        return Reader(seeds, **to_file(work / f"a.{suffix}", read_whole_image))

    make.__name__ = suffix
    return reader(make)


for each in ("png", "jpeg", "bmp", "webp"):
    raster(each)


@reader
def dm(work, material):
    spec = importlib.util.spec_from_file_location("image_fixtures", TESTS / "images" / "conftest.py")
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    pixels, seeds = np.arange(192, dtype=np.uint16).reshape(12, 16), {}
    for version in (3, 4):
        writer = fixtures.DmWriter(version)
        seeds[version] = writer.file([writer.image(pixels, 1.0, "nm")])

    def read(data):
        path = work / f"a.dm{4 if data[3:4] == bytes([4]) else 3}"
        path.write_bytes(data)
        return read_whole_image(path)

    return Reader(list(seeds.values()), read)


@reader
def emd(work, material):
    """Those that HDF5 would read for ever are refused like any other damage."""
    import h5py

    from nanoseg_bench.images import trial

    trial.SECONDS = SECONDS_EACH
    with h5py.File(work / "seed.emd", "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/a")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=np.arange(192, dtype=np.uint16).reshape(16, 12))
        for axis, size in enumerate((16, 12), start=1):
            dim = group.create_dataset(f"dim{axis}", data=np.arange(size) * 1.0)
            dim.attrs["name"], dim.attrs["units"] = "xyz"[axis - 1], "[n_m]"
    return Reader([(work / "seed.emd").read_bytes()], **to_file(work / "a.emd", read_whole_image))


# Predictions and what they are scored by.


def open_material_set(material):
    from nanoseg_bench.evaluation.eval_sets import load_eval_set
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    prepared = PreparedSet(material / "set")
    return prepared, load_eval_set(prepared, "test")


@reader
def predictions(work, material):
    from nanoseg_bench.evaluation.predictions import read_predictions
    from nanoseg_bench.evaluation.scoring import evaluate

    _, eval_set = open_material_set(material)

    def read(path):
        return evaluate(eval_set, read_predictions(path), 0.5, resamples=0).scores

    return Reader(
        [(material / "run" / "predictions" / "test.json.gz").read_bytes()],
        **to_file(work / "test.json.gz", read, pack=lambda data: gzip.compress(data, 1), unpack=gzip.decompress),
    )


@reader
def predictions_gzip(work, material):
    """The compressed bytes themselves."""
    from nanoseg_bench.evaluation.predictions import read_predictions

    return Reader(
        [(material / "run" / "predictions" / "test.json.gz").read_bytes()],
        **to_file(work / "test.json.gz", lambda path: read_predictions(path) is not None),
    )


def handed_in(material, path):
    from nanoseg_bench.evaluation.external.reading import read_external
    from nanoseg_bench.evaluation.scoring import evaluate

    prepared, eval_set = open_material_set(material)

    def read():
        found = read_external(path, "tool", prepared, eval_set)
        return evaluate(eval_set, found.predictions, 0.5, resamples=0).scores

    return read


def own_truth(material):
    return json.loads((material / "set" / "truth" / "test.json").read_text(encoding="utf-8"))


@reader
def handed_in_coco(work, material):
    document, read = own_truth(material), handed_in(material, work / "tool.json")
    results = [
        {"image_id": each["image_id"], "category_id": 1, "segmentation": each["segmentation"], "score": 0.5}
        for each in document["annotations"]
    ]
    for each in document["annotations"]:
        each["score"] = 0.25
    return Reader(
        [json.dumps(document).encode(), json.dumps(results).encode()],
        **to_file(work / "tool.json", lambda _: read()),
    )


@reader
def handed_in_yolo(work, material):
    document = own_truth(material)
    folder = work / "labels"
    folder.mkdir()
    names = [Path(each["file_name"]).stem for each in document["images"]]
    for name in names:
        (folder / f"{name}.txt").write_text("0 0.1 0.1 0.4 0.1 0.25 0.6 0.5\n")
    read = handed_in(material, folder)
    label = b"0 0.1 0.1 0.4 0.1 0.25 0.6 0.5\n0 0.5 0.5 0.6 0.5 0.6 0.6 0.5 0.6 0.25\n"
    return Reader([label], **to_file(folder / f"{names[0]}.txt", lambda _: read()))


@reader
def record(work, material):
    from nanoseg_bench.leaderboard.build import leaderboard_texts

    shutil.copytree(material / "boards", work / "boards")
    path = only((work / "boards").rglob("*otsu*-test.json"))
    name = path.parent.name
    return Reader(
        [path.read_bytes()], **to_file(path, lambda _: bool(leaderboard_texts(work / "boards", name)), seal=True)
    )


@reader
def run_documents(work, material):
    from nanoseg_bench.models.trained import open_trained
    from nanoseg_bench.runs.documents import read_run

    shutil.copytree(material / "run", work / "run")

    def read(path):
        known = read_run(path)
        return open_trained(work / "run", "cpu") is not None and known is not None

    path = work / "run" / "run.json"
    return Reader([path.read_bytes()], **to_file(path, read, seal=True))


@reader
def fit_document(work, material):
    from nanoseg_bench.models.trained import open_trained
    from nanoseg_bench.runs.documents import Fit, read_document

    shutil.copytree(material / "run", work / "run")

    def read(path):
        known = read_document(path, Fit)
        return open_trained(work / "run", "cpu") is not None and known is not None

    path = work / "run" / "fit.json"
    return Reader([path.read_bytes()], **to_file(path, read, seal=True))


# Cards, recipes, campaigns.


@reader
def card(work, material):
    import yaml

    from nanoseg_bench.catalog.card import read_card
    from nanoseg_bench.resources import resource_dir

    text = (resource_dir("datasets") / "emps" / "card.yaml").read_bytes()
    as_json = json.dumps(yaml.safe_load(text), default=str).encode()
    return Reader([text, as_json], **to_file(work / "card.yaml", lambda path: read_card(path) is not None))


@reader
def recipe(work, material):
    import yaml

    from nanoseg_bench.models.recipe import load_recipe
    from nanoseg_bench.models.registry import build
    from nanoseg_bench.resources import resource_dir

    text = (resource_dir("baselines") / "unet.yaml").read_bytes()

    def read(path):
        found = load_recipe("unet", "smoke", path.parent)
        return build(found, ("a", "b"), 10) is not None

    return Reader([text, json.dumps(yaml.safe_load(text)).encode()], **to_file(work / "unet.yaml", read))


@reader
def recipe_words(work, material):
    """`--recipe NAME=VALUE`."""
    from nanoseg_bench.models.overrides import override, parse_overrides
    from nanoseg_bench.models.recipe import load_recipe
    from nanoseg_bench.models.registry import options_of

    known = load_recipe("nsyolo", "smoke")

    def read(data):
        words = [word for word in data.decode("utf-8", "replace").split("\n") if word]
        return override(known, parse_overrides(words), options_of("nsyolo")) is not None

    return Reader([b"batch=4\nlearning_rate=1e-3\noptions.topk=2\naugmentation.flip=0.5"], read)


@reader
def campaign(work, material):
    import yaml

    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.runs.campaign import plan_step, read_campaign

    text = (
        b"preset: smoke\nsets:\n  tiny: {dataset: nanosynth}\nsteps:\n"
        b"  - {name: a, set: tiny, models: [otsu, unet], seeds: [0, 1], about: why, recipe: [batch=4], robustness: 2}\n"
        b"  - {set: tiny, models: [unet], weights_from: a, weights_seed: 1}\n"
    )
    prepared = PreparedSet(material / "set")

    def read(path):
        found = read_campaign(path)
        sets = dict.fromkeys(found.sets, prepared)
        return [list(plan_step(found, step, sets, work)) for step in found.steps]

    return Reader([text, json.dumps(yaml.safe_load(text)).encode()], **to_file(work / "campaign.yaml", read))


# Weights.


def shipped():
    from nanoseg_bench.weights.shipped import shipped_weights

    return shipped_weights("yolo11n")


@reader
def weights_json(work, material):
    from nanoseg_bench.models.trained import open_trained
    from nanoseg_bench.weights.release import read_release

    weights = shipped()
    (work / weights.name).symlink_to(weights)
    path = work / f"{weights.stem}.json"

    def read(path):
        read_release(path.with_suffix(".safetensors"))
        return open_trained(path.with_suffix(".safetensors"), "cpu") is not None

    return Reader([weights.with_suffix(".json").read_bytes()], **to_file(path, read))


@reader
def safetensors(work, material):
    import torch

    from nanoseg_bench.nsyolo.weights import SUFFIX, WeightsError, load_into, read_weights, save_weights

    network = torch.nn.Linear(3, 2)
    path = work / f"a{SUFFIX}"
    save_weights(path, network.state_dict(), {"model": "x"})
    about = json.loads(path.with_suffix(".json").read_text())
    del about["tensors_sha256"]  # as the first versions wrote it: the hash would refuse everything
    path.with_suffix(".json").write_text(json.dumps(about))

    def read(path):
        tensors, _ = read_weights(path)
        load_into(network, tensors, path)
        return True

    return Reader([path.read_bytes()], **to_file(path, read, ours=(WeightsError,)))


@reader
def known_images(work, material):
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.weights.known_images import SUFFIX, read_known_images, write_known_images

    path = work / f"a{SUFFIX}"
    write_known_images(path, PreparedSet(material / "set"), workers=1)
    return Reader([path.read_bytes()], **to_file(path, lambda path: read_known_images(path) is not None))


@reader
def checkpoint(work, material):
    import torch

    from nanoseg_bench.models.checkpoint import load_state

    path = work / "last.ckpt"
    torch.save({"step": 3, "model": torch.nn.Linear(3, 2).state_dict()}, path)
    return Reader([path.read_bytes()], **to_file(path, lambda path: load_state(path) is not None))


# Prepared sets.


@reader
def prepared_json(work, material):
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    shutil.copytree(material / "set", work / "set")

    def read(path):
        prepared = PreparedSet(path.parent)
        facts = (prepared.name, prepared.dataset, prepared.classes, prepared.canvas, prepared.max_instances)
        return None not in facts and [image.split for image in prepared.all_images]

    path = work / "set" / "prepared.json"
    return Reader([path.read_bytes()], **to_file(path, read, seal=True))


def without_hashes(root):
    """As an earlier version wrote it: the hashes would refuse everything."""
    from nanoseg_bench.preparation.prepared_set import FILES
    from nanoseg_bench.seals import SEAL

    path = root / "prepared.json"
    summary = {key: value for key, value in json.loads(path.read_text()).items() if key not in (SEAL, FILES)}
    path.write_text(json.dumps(summary))


@reader
def manifest(work, material):
    from nanoseg_bench.models.base import CanvasImage
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    shutil.copytree(material / "set", work / "set")
    without_hashes(work / "set")

    def read(path):
        prepared = PreparedSet(path.parent)
        return [CanvasImage.read(image) for split in ("val", "test") for image in prepared.images(split)]

    path = work / "set" / "manifest.csv"
    return Reader([path.read_bytes()], **to_file(path, read))


@reader
def canvas_labels(work, material):
    """The labels that a training reads."""
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    shutil.copytree(material / "set", work / "set")
    without_hashes(work / "set")
    path = PreparedSet(work / "set").coco_file("canvas", "val")

    def read(_):
        from nanoseg_bench.annotations.raster import to_mask

        prepared = PreparedSet(work / "set")
        found = prepared.canvas_instances("val")
        return [to_mask(each, prepared.canvas, prepared.canvas) for some in found.values() for each in some]

    return Reader([path.read_bytes()], **to_file(path, read))


@reader
def split_audit(work, material):
    from nanoseg_bench.preparation.audit import read_audit

    path = material / "set" / "split_audit.json"
    return Reader(
        [path.read_bytes()], **to_file(work / path.name, lambda path: read_audit(path) is not None, seal=True)
    )


def sharded(material, work):
    from nanoseg_bench.models.base import CanvasImage
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    shutil.copytree(material / "sharded", work / "set")
    without_hashes(work / "set")

    def read(_):
        prepared = PreparedSet(work / "set")
        prepared.canvas_instances("val")
        return [CanvasImage.read(image) for split in ("val", "test") for image in prepared.images(split)]

    return read


@reader
def shards_json(work, material):
    read = sharded(material, work)
    path = work / "set" / "shards" / "shards.json"
    return Reader([path.read_bytes()], **to_file(path, read, seal=True))


@reader
def shards_samples(work, material):
    from nanoseg_bench.files import sha256_file

    read = sharded(material, work)
    path, about = work / "set" / "shards" / "samples.csv", work / "set" / "shards" / "shards.json"

    def with_its_hash(path):
        document = json.loads(about.read_text())
        about.write_text(json.dumps({**document, "samples_sha256": sha256_file(path)}))
        return read(path)

    return Reader([path.read_bytes()], **to_file(path, with_its_hash))


class Named:
    def __init__(self, name, path):
        self.name, self.image_path = name, path


@reader
def scales(work, material):
    from nanoseg_bench.preparation.scales import read_scale_table

    images = [Named("folder/a", work / "a.tif"), Named("b", work / "b.tif")]

    def read(path):
        table = read_scale_table(path)
        assert all(isinstance(sentence, str) for sentence in table.check(images))
        assert all((scale := table.lookup(each)) is None or 0 < scale < 1e9 for each in images)
        return True

    seeds = [b"name,nm_per_px,note\nfolder/a,0.5,\nb.tif,1.25,x\n", b"name;nm_per_px\nfolder/a;0.5\nb;2\n"]
    return Reader(seeds, **to_file(work / "scales.csv", read))


@reader
def groups_and_reviewed(work, material):
    from nanoseg_bench.preparation.audit import read_reviewed
    from nanoseg_bench.preparation.grouping import parse_group_rule, regroup

    images = [Named("folder/a", work / "a.tif"), Named("b", work / "b.tif")]

    def read(path):
        refused = 0
        for once in (
            lambda: regroup(images, parse_group_rule(f"csv:{path}:source_group")),
            lambda: read_reviewed(path),
        ):
            try:
                once()
            except NanosegError as error:
                assert str(error)
                refused += 1
        return refused < 2

    seeds = [b"name,source_group\nfolder/a,one\nb,two\n", b"first,second,note\na,b,other specimen\n"]
    return Reader(seeds, **to_file(work / "table.csv", read))


@reader
def words_of_scale(work, material):
    """What a person types for a scale, a length, a line, a rule of groups, a size."""
    from nanoseg_bench.measure.length import parse_min_diameter
    from nanoseg_bench.measure.scale.given import parse_length, parse_line, parse_scale
    from nanoseg_bench.preparation.grouping import parse_group_rule

    seeds = [b"0.5nm", b"1,25 um", b"10,20,110,20", b"regex:(.+)_\\d+", b"folder", b"500 nm", b"12px", b"5 \xc2\xb5m"]

    def read(data):
        text, read = data.decode("utf-8", "replace"), 0
        for parse in (parse_scale, parse_length, parse_line, parse_min_diameter, parse_group_rule):
            try:
                parse(text)
                read += 1
            except NanosegError as error:
                assert str(error)
        return read

    return Reader(seeds, read)


# What predict and analyze left.


@reader
def predicted_folder(work, material):
    from nanoseg_bench.inference.folder import read_folder

    return Reader(
        [(material / "predicted" / "predictions.json").read_bytes()],
        **to_file(work / "predictions.json", lambda path: read_folder(path.parent) is not None, seal=True),
    )


@reader
def analysis_state(work, material):
    """Its callers take these errors for a file that is damaged."""
    from nanoseg_bench.report.analysis.micrograph import judged
    from nanoseg_bench.report.analysis.state import read_key, read_state

    (path,) = (path for path in (material / "analysed").rglob("*.json") if path.parent.name in (".state", "state"))

    def read(path):
        read_key(path)
        return judged(read_state(path)) is not None

    return Reader(
        [path.read_bytes()],
        **to_file(work / "a.json", read, seal=True, ours=(OSError, ValueError, KeyError, TypeError, NanosegError)),
    )


@reader
def contents(work, material):
    """What says which files an uploaded set has."""
    from nanoseg_bench import stored_copies
    from nanoseg_bench.storage import StoredFolder

    base = f"memory://fuzz-{uuid.uuid4().hex}"
    folder = StoredFolder(base)
    stored_copies.upload_folder(material / "predicted", folder, "predictions.json")
    name = stored_copies.CONTENTS

    def read(data):
        folder.write(name, data)
        return stored_copies.read_contents(folder) is not None

    return Reader([folder.read(name)], read, seal=True)


# The web page.


class Page:
    """A server in this process, with one micrograph that a real worker analysed; then the worker stops."""

    def __init__(self, work, material):
        from nanoseg_bench.webapp.app import create_app
        from nanoseg_bench.webapp.server import open_server
        from nanoseg_bench.webapp.settings import Limits, ModelChoice, Settings

        model = ModelChoice(path=material / "run", read_text=False)
        server = open_server(Settings(data_dir=work / "page", model=model, limits=Limits(free_bytes=0)))
        self.faults = []
        logging.getLogger("nanoseg_bench").addHandler(self)
        self.client = create_app(server).test_client()
        self.token = self.client.get("/api/v1/about").json["csrf_token"]
        server.supervisor.start()
        self.id = self.upload("field.png", (material / "field.png").read_bytes()).json["micrographs"][0]["id"]
        end = time.monotonic() + 100
        while self.ask("GET", f"/micrographs/{self.id}").json["status"] != "done":
            assert time.monotonic() < end, "the worker did not analyse"
            time.sleep(0.2)
        server.supervisor.stop()

    level = logging.ERROR

    def handle(self, entry):  # as a logging.Handler, for which only this is asked
        if entry.exc_info:
            self.faults.append(entry.exc_info[1])

    def ask(self, method, path, **more):
        headers = {"X-CSRF-Token": self.token}
        answer = self.client.open(f"/api/v1{path}", method=method, headers=headers, **more)
        if answer.status_code >= 500 and answer.status_code != 507:
            raise self.faults.pop() if self.faults else AssertionError(f"{answer.status_code}: {answer.text}")
        return answer

    def upload(self, name, data):
        form = {"files": [(io.BytesIO(data), name)]}
        return self.ask("POST", "/micrographs", data=form, content_type="multipart/form-data")


@reader
def web_uploads(work, material):
    page = Page(work, material)
    kinds = {b"\x89P": "png", b"\xff\xd8": "jpg", b"BM": "bmp", b"II": "tif", b"MM": "tif", b"RI": "webp"}
    seeds = [seed for kind in ("PNG", "JPEG", "BMP", "WEBP") for seed in image_seeds(kind)] + list(tiff_seeds())

    def read(data):
        answer = page.upload(f"a.{kinds.get(data[:2], 'tif')}", data)
        assert answer.status_code == 202, answer.text
        assert all(each["error"] for each in answer.json["refused"])
        for each in answer.json["micrographs"]:
            for _ in range(2):  # the first takes it from the queue
                page.ask("DELETE", f"/micrographs/{each['id']}")
        return answer.json["micrographs"]

    return Reader(seeds, read)


@reader
def web_forms(work, material):
    """The body of an upload itself: headers, names, boundaries."""
    page = Page(work, material)
    png = next(iter(image_seeds("PNG")))
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    body = head + png + b"\r\n" + head.replace(b"a.png", b"folder/b.png") + png + b"\r\n--x--\r\n"

    def read(data):
        answer = page.ask("POST", "/micrographs", data=data, content_type="multipart/form-data; boundary=x")
        for each in (answer.json or {}).get("micrographs", ()):
            for _ in range(2):
                page.ask("DELETE", f"/micrographs/{each['id']}")
        return answer.status_code == 202

    return Reader([body], read)


@reader
def web_review(work, material):
    page = Page(work, material)
    outline = [[[[10, 10], [30, 10], [30, 30], [10, 30]]]]
    hole = [[[[60, 60], [90, 60], [90, 90], [60, 90]], [[70, 70], [80, 70], [80, 80], [70, 80]]]]
    line = [[20, 0], [20, 50]]
    review = f"/micrographs/{page.id}"
    edits = {
        "removed": [1], "counted": [2], "changed": {"3": outline}, "labels": {"2": "rod"},
        "drawn": [{"outline": hole, "label": "cube", "from": [1]}, {"outline": outline}],
    }  # fmt: skip
    filters = {"confidence": 0.5, "min_diameter": {"value": 3, "unit": "px"}, "border": "weight", "classes": ["a"]}
    questions = [
        {"of": "edits", "body": {"revision": 0, "edits": edits}},
        {"of": "scale", "body": {"revision": 0, "nm_per_px": 0.5}},
        {"of": "scale", "body": {"revision": 0, "line": [1, 1, 50, 1], "length": "100 nm"}},
        {"of": "scale", "body": {"revision": 0, "pixels": True}},
        {"of": "merge", "body": {"width": 160, "height": 120, "outlines": [outline, hole]}},
        {"of": "split", "body": {"width": 160, "height": 120, "outline": outline, "line": line}},
        {"of": "statistics", "body": {"micrographs": [page.id], "filters": filters, "intervals": False}},
        {"of": "export", "body": {"micrographs": [page.id], "filters": {}, "format": "csv", "sample": "a"}},
        {"of": "export", "body": {"micrographs": [page.id], "filters": {}, "format": "labelme", "operator": "b"}},
    ]
    places = {
        "edits": ("PUT", f"{review}/edits"), "scale": ("PUT", f"{review}/scale"), "merge": ("POST", "/geometry/merge"),
        "split": ("POST", "/geometry/split"), "statistics": ("POST", "/sample/statistics"),
        "export": ("POST", "/sample/export"),
    }  # fmt: skip

    def read(data):
        try:
            question = json.loads(data)
            where, body = places[question["of"]], question["body"]
            if isinstance(body, dict) and isinstance(body.get("revision"), int):
                body["revision"] = page.ask("GET", review).json["revision"]
            sent = json.dumps(body).encode("utf-8", "surrogatepass")
        except (ValueError, KeyError, TypeError, RecursionError):
            where, sent = places["edits"], data
        answer = page.ask(where[0], where[1], data=sent, content_type="application/json")
        assert page.ask("GET", review).status_code == 200
        return answer.status_code == 200

    return Reader([orjson.dumps(each) for each in questions], read)


# The driver.


def import_all():
    """What readers import; once, for the processes of all of them."""
    for name in (
        "evaluation.external.reading", "evaluation.scoring", "images.em", "inference.folder", "leaderboard.build",
        "models.trained", "models.yolo", "preparation.audit", "report.analysis.state", "runs.campaign",
        "runs.documents", "weights.known_images",
    ):  # fmt: skip
        importlib.import_module(f"nanoseg_bench.{name}")


def carry_out(name, seconds, seed, out, material):
    """In a process of its own."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    in_memory = Path("/dev/shm")  # thousands of files a minute
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as folder:
        found = fuzz(READERS[name](Path(folder), material), seconds, seed, out / name)
    (out / name / "findings.json").write_text(json.dumps(found.as_json()), encoding="utf-8")


def start(name, seconds, seed, out, material):
    """What came of a reader; where its process died, that is the crash."""
    findings = out / name / "findings.json"
    findings.unlink(missing_ok=True)
    process = multiprocessing.get_context("fork").Process(target=carry_out, args=(name, seconds, seed, out, material))
    process.start()
    process.join(seconds + SECONDS_TO_START)
    if process.is_alive():
        process.kill()
        process.join()
    if findings.is_file():
        return json.loads(findings.read_text(encoding="utf-8"))
    death = f"the process ended with {process.exitcode}; the input may be {out / name / 'current'}"
    return {"inputs": 0, "read": 0, "seconds": 0, "crashes": {"process": death}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("readers", nargs="*", metavar="READER")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--list", action="store_true", help="name the readers")
    given = parser.parse_args()
    if given.list:
        print("\n".join(READERS))
        return 0
    names = given.readers or list(READERS)
    isolate_libraries()
    given.out.mkdir(parents=True, exist_ok=True)
    out = given.out.resolve()
    if not (out / "material" / "analysed").is_dir():
        shutil.rmtree(out / "material", ignore_errors=True)
        # Elsewhere: OpenCV's threads, once there, are a deadlock in whatever is forked from here.
        maker = multiprocessing.get_context("spawn").Process(target=make_material, args=(out / "material",))
        maker.start()
        maker.join()
        if maker.exitcode:
            raise SystemExit("the material cannot be made; see above")
    import_all()
    figures = {}
    rows = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    rows.writerow(("reader", "minutes", "inputs", "read", "crashes"))
    for name in names:
        figure = figures[name] = start(name, given.minutes * 60 / len(names), given.seed, out, out / "material")
        rows.writerow(
            (name, round(figure["seconds"] / 60, 2), figure["inputs"], figure["read"], " ".join(figure["crashes"]))
        )
        sys.stdout.flush()
        (out / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return int(any(figure["crashes"] for figure in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
