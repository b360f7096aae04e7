"""Whatever stands in an annotation file: a NanosegError or Micrographs, in bounded time and memory."""

import base64
import copy
import io
import json
import re
import struct
import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from odd_documents import Limits, damaged, mutated, odd_numbers, odd_values
from PIL import Image

from nanoseg_bench.annotations.coco.reading import read_coco
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.labelme.shapes import encode_mask
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.masks.reading import read_instance_map
from nanoseg_bench.annotations.raster import area, mask_to_rle, rle_to_mask, to_rle
from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.errors import NanosegError

pytestmark = [
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
]

WIDTH, HEIGHT = 60, 40
MOST_MEGABYTES = 1500
FAST = Limits(120)
LONG = Limits(3000)

TRIANGLE = [[5, 5], [25, 5], [15, 25]]


def labelme_document():
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[3:9, 4:20] = True
    corners, encoded = encode_mask(mask)
    shapes = [
        ("polygon", TRIANGLE, None, None),
        ("rectangle", [[3, 4], [17, 9]], 1, None),
        ("circle", [[30, 20], [35, 20]], 1, None),
        ("oriented_rectangle", [[3, 3], [9, 3], [9, 9], [3, 9]], None, None),
        ("mask", corners, None, encoded),
        ("point", [[3, 3]], None, None),
    ]
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [
            {
                "label": "cube",
                "points": points,
                "group_id": group,
                "shape_type": kind,
                "flags": {"crowd": False},
                "mask": encoded,
            }
            for kind, points, group, encoded in shapes
        ],
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        "nanoseg": {"nm_per_px": 0.5, "source_group": "s1", "attributes": {"modality": "SEM"}},
    }


def via_document():
    shapes = [
        {"name": "polygon", "all_points_x": [5, 25, 15], "all_points_y": [5, 5, 25]},
        {"name": "rect", "x": 3, "y": 4, "width": 14, "height": 5},
        {"name": "circle", "cx": 30, "cy": 20, "r": 5},
        {"name": "ellipse", "cx": 30, "cy": 20, "rx": 9, "ry": 5, "theta": 0.5},
        {"name": "point", "cx": 3, "cy": 4},
    ]
    regions = [{"shape_attributes": shape, "region_attributes": {"type": "cube"}} for shape in shapes]
    return {
        "_via_settings": {"core": {"default_filepath": ""}},
        "_via_img_metadata": {"a.png1": {"filename": "a.png", "size": 1, "regions": regions, "file_attributes": {}}},
        "_via_attributes": {"region": {"type": {"type": "text"}}, "file": {}},
    }


def mask_values():
    values = np.zeros((HEIGHT, WIDTH), dtype=np.uint16)
    values[3:9, 4:20] = 1
    values[20:30, 4:20] = 700
    return values


def coco_document():
    segmentations = [
        [[5, 5, 25, 5, 15, 25], [30, 5, 50, 5, 40, 25]],
        {"size": [HEIGHT, WIDTH], "counts": [0, 40, 560, 10, WIDTH * HEIGHT - 610]},
        {"size": [HEIGHT, WIDTH], "counts": mask_to_rle(mask_values() > 0).counts.decode()},
    ]
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "cube", "supercategory": "none"}, {"id": 2, "name": "rod"}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "segmentation": segmentation, "iscrowd": 0, "score": 0.5}
            for number, segmentation in enumerate(segmentations, start=1)
        ],
    }


VALID = {"labelme": labelme_document(), "via": via_document(), "coco": coco_document()}
YOLO_LABEL = "0 0.1 0.1 0.4 0.1 0.25 0.6\n1 0.5 0.5 0.6 0.5 0.6 0.6 0.5 0.6\n"
YOLO_DATA = "path: .\ntrain: images\nval: images\nnames:\n  0: cube\n  1: rod\n"


def document_bytes(format_):
    valid = json.dumps(VALID[format_]).encode()
    return st.one_of(
        mutated(VALID[format_]),
        damaged(valid),
        odd_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        st.binary(max_size=200),
    )


def png_of(values):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format="PNG")
    return stream.getvalue()


def tiff_of(values, **options):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format="TIFF", **options)
    return stream.getvalue()


def huge_png(side=100_000, bits=8):
    """A PNG that claims more pixels than it has bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def huge_tiff(side=100_000, bits=32):
    tags = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 1, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (278, 4, 1, side),
        (279, 4, 1, 100),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


def mask_bytes():
    values = mask_values()
    valid = [
        png_of(values),
        png_of((values > 0).astype(np.uint8) * 255),
        tiff_of(values),
        tiff_of(values.astype(np.int32), compression="tiff_adobe_deflate"),
        tiff_of(values.astype(np.float32)),
    ]
    return st.one_of(st.sampled_from(valid).flatmap(damaged), st.binary(max_size=200))


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    """All examples of this module together must not raise the process's peak by much."""
    if sys.platform == "win32":
        yield
        return
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (
        1024 if sys.platform != "darwin" else 2**20
    )
    assert grown < MOST_MEGABYTES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one image, a.png."""
    folder = tmp_path_factory.mktemp("fuzz")
    Image.new("L", (WIDTH, HEIGHT), 90).save(folder / "a.png")
    return folder


def read_all(path, format_, **options):
    """Open, read and rasterise; returns how many Micrographs came out."""
    try:
        source = open_source(path, format_, **options)
    except NanosegError as error:
        assert str(error)
        return 0
    count = 0
    for entry in source.entries:
        try:
            micrograph = entry.read()
        except NanosegError as error:
            assert str(error)
            continue
        check(micrograph)
        count += 1
    return count


def check(micrograph):
    assert isinstance(micrograph, Micrograph)
    assert all(isinstance(note, str) for note in micrograph.notes)
    for instance in micrograph.instances:
        assert instance.label is None or instance.label.encode("utf-8").strip()
        rle = to_rle(instance, micrograph.height, micrograph.width)
        mask = rle_to_mask(rle)
        assert mask.shape == (micrograph.height, micrograph.width) and mask.sum() == area(rle)


def check_document(folder, format_, data):
    path = folder / "a.json"
    path.write_bytes(data)
    read_all(path, format_)
    read_all(path, "auto")
    if format_ == "coco":
        try:
            coco = read_coco(path)
        except NanosegError:
            return
        for name, (width, height) in coco.images.items():
            if width * height < 10**6:
                check(Micrograph(name, path, width, height, tuple(coco.instances[name])))


def check_mask(folder, suffix, data):
    path = folder / f"a_mask{suffix}"
    path.write_bytes(data)
    try:
        read_all(folder, "masks")
        read_all(folder, "masks", masks=MaskOptions("binary"))
        try:
            instances = read_instance_map(path, "x")
        except NanosegError as error:
            assert str(error)
        else:
            assert all(area(instance.region) > 0 for instance in instances[:50])
    finally:
        path.unlink()


def check_yolo(folder, label, data_yaml):
    root = folder / "yolo"
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True, exist_ok=True)
    (root / "images" / "a.png").write_bytes((folder / "a.png").read_bytes())
    (root / "labels" / "a.txt").write_bytes(label)
    (root / "data.yaml").write_bytes(data_yaml)
    read_all(root, "yolo")
    read_all(root, "yolo", classes=["cube", "rod"])


FORMATS = ["labelme", "via", "coco"]


@pytest.mark.parametrize("format_", FORMATS)
def test_valid_documents_are_read(folder, format_):
    (folder / "a.json").write_text(json.dumps(VALID[format_]))
    source = open_source(folder / "a.json", format_)
    assert [len(entry.read().instances) for entry in source.entries] == [{"labelme": 4, "via": 4, "coco": 3}[format_]]


@pytest.mark.parametrize("format_", FORMATS)
def test_documents(folder, format_):
    @FAST
    @given(document_bytes(format_))
    def run(data):
        check_document(folder, format_, data)

    run()


@pytest.mark.faults
@pytest.mark.parametrize("format_", FORMATS)
def test_documents_for_long(folder, format_):
    @LONG
    @given(document_bytes(format_))
    def run(data):
        check_document(folder, format_, data)

    run()


label_lines = st.lists(
    st.lists(st.one_of(odd_numbers.map(str), st.sampled_from(["0", "1", "0.5", "nan", "x", "1e999"])), max_size=12).map(
        " ".join
    ),
    max_size=4,
).map(lambda lines: "\n".join(lines).encode())
labels = st.one_of(label_lines, damaged(YOLO_LABEL.encode()), st.binary(max_size=100))
data_yamls = st.one_of(
    st.just(YOLO_DATA.encode()), damaged(YOLO_DATA.encode()), mutated({"names": ["cube", "rod"], "nc": 2, "train": "x"})
)


def test_yolo(folder):
    @FAST
    @given(labels, data_yamls)
    @example(b"0 " + b"9" * 5000 + b" 0 0 0 0 1", YOLO_DATA.encode())
    def run(label, data_yaml):
        check_yolo(folder, label, data_yaml)

    run()


@pytest.mark.faults
def test_yolo_for_long(folder):
    @LONG
    @given(labels, data_yamls)
    def run(label, data_yaml):
        check_yolo(folder, label, data_yaml)

    run()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_masks(folder, suffix):
    @FAST
    @given(mask_bytes())
    @example(huge_png())
    @example(huge_png(13_000))
    @example(huge_png(50_000, 1))
    @example(huge_tiff())
    @example(huge_tiff(13_000))
    @example(huge_tiff(2**31 - 1, 8))
    def run(data):
        check_mask(folder, suffix, data)

    run()


@pytest.mark.faults
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_masks_for_long(folder, suffix):
    @LONG
    @given(mask_bytes())
    def run(data):
        check_mask(folder, suffix, data)

    run()


def far_labelme(points, kind, size=(WIDTH, HEIGHT)):
    shape = {"label": "a", "points": points, "shape_type": kind, "group_id": None, "flags": {}, "mask": None}
    return {"shapes": [shape], "imagePath": "a.png", "imageWidth": size[0], "imageHeight": size[1]}


def far_via(shape):
    region = {"shape_attributes": shape, "region_attributes": {}}
    return {"_via_img_metadata": {"a": {"filename": "a.png", "regions": [region]}}}


def far_coco(segmentation, width=WIDTH, height=HEIGHT):
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}],
    }


FAR = {
    f"{format_}-{what}-{size:g}": (format_, document)
    for size in (1e5, 1e9, 1e12, 1e155, 1e308)
    for format_, what, document in (
        ("labelme", "polygon", far_labelme([[-size, -size], [size, 0], [0, size]], "polygon")),
        ("labelme", "circle", far_labelme([[0, 0], [size, 0]], "circle")),
        ("labelme", "rectangle", far_labelme([[-size, -size], [size, size]], "rectangle")),
        ("labelme", "mask", far_labelme([[size, size], [size, size]], "mask")),
        ("via", "circle", far_via({"name": "circle", "cx": 0, "cy": 0, "r": size})),
        ("via", "ellipse", far_via({"name": "ellipse", "cx": -size, "cy": 0, "rx": size, "ry": 1, "theta": size})),
        ("via", "rect", far_via({"name": "rect", "x": -size, "y": -size, "width": 2 * size, "height": 2 * size})),
        ("coco", "polygon", far_coco([[-size, -size, size, 0, 0, size]])),
        ("coco", "image", far_coco([[1, 1, 9, 1, 5, 9]], int(size), int(size))),
        ("coco", "rle", far_coco({"size": [int(size)] * 2, "counts": [int(size) ** 2]}, int(size), int(size))),
    )
}


@pytest.mark.parametrize("case", FAR)
def test_far_coordinates_and_huge_sizes(folder, case):
    format_, document = FAR[case]
    check_document(folder, format_, json.dumps(document).encode())


@pytest.mark.parametrize("side", [100_000, 13_000])
@pytest.mark.parametrize("format_", FORMATS)
def test_an_image_that_claims_to_be_huge(folder, tmp_path, format_, side):
    (tmp_path / "a.png").write_bytes(huge_png(side))
    document = copy.deepcopy(VALID[format_])
    if format_ == "coco":
        document["images"][0].update(width=side, height=side)
        document["annotations"] = []
    elif format_ == "labelme":
        document.update(imageWidth=side, imageHeight=side, shapes=[])
    else:
        document["_via_img_metadata"]["a.png1"]["regions"] = []
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    read_all(path, format_)


embedded = st.builds(
    lambda data, encode: base64.b64encode(data).decode() if encode else data.decode("latin-1"),
    st.one_of(
        damaged(png_of(mask_values())),
        damaged(tiff_of(mask_values())),
        st.binary(max_size=60),
        st.sampled_from([huge_png(), huge_png(13_000), huge_tiff(), huge_tiff(13_000)]),
    ),
    st.sampled_from([True, True, True, False]),
)
HUGE = base64.b64encode(huge_png()).decode()


def test_embedded_images_of_any_bytes(tmp_path):
    @FAST
    @given(embedded)
    @example(HUGE)
    def run(text):
        document = {**VALID["labelme"], "imageData": text}
        path = tmp_path / "in" / "b.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document))
        read_all(path.parent, "labelme", extract_to=tmp_path / "out")

    run()


def test_embedded_masks_of_any_bytes(folder):
    @FAST
    @given(embedded, st.lists(st.lists(odd_numbers, min_size=2, max_size=2), min_size=2, max_size=2) | st.none())
    @example(HUGE, None)
    def run(text, points):
        document = copy.deepcopy(VALID["labelme"])
        (shape,) = (shape for shape in document["shapes"] if shape["shape_type"] == "mask")
        shape["mask"] = text
        shape["points"] = points or shape["points"]
        check_document(folder, "labelme", json.dumps(document).encode())

    run()


@pytest.mark.faults
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed (pip install atheris)")
def test_labelme_door_under_coverage_guided_fuzzing(tmp_path):
    script = Path(__file__).parents[1] / "fuzz" / "fuzz_labelme.py"
    command = [sys.executable, str(script), "-max_total_time=30", "-rss_limit_mb=2048", "-print_final_stats=1"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    executed = int(re.search(r"number_of_executed_units: (\d+)", result.stderr).group(1))
    assert executed > 500
