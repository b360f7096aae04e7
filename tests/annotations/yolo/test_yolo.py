import unicodedata
from pathlib import Path

import numpy as np
import pytest
from annotation_files import write_yolo
from PIL import Image

from nanoseg_bench.annotations.errors import NotAnAnnotationError
from nanoseg_bench.annotations.faults import FaultyShapesError
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Polygon
from nanoseg_bench.annotations.loss import ImageLoss
from nanoseg_bench.annotations.raster import mask_to_rle, polygons_to_rle, rle_to_mask, to_mask
from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.annotations.tracing import to_outlines
from nanoseg_bench.annotations.yolo.reading import open_yolo, read_yolo
from nanoseg_bench.errors import AnnotationError, ImageError

CLASSES = ("cube", "rod")


def shoelace(outline):
    x, y = outline.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def read_lines(path, height, width):
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(int(line[0]), np.array(line[1:], dtype=float).reshape(-1, 2) * (width, height)) for line in lines]


def test_polygons_inside_stay_as_they_are(disc):
    part = disc(20, 20, 6)
    (outline,) = to_outlines(Instance("a", (part,)), 40, 40)
    assert outline is part


def test_lines_are_normalised_clipped_and_deterministic(tmp_path, disc, square):
    instances = [
        Instance("rod", (disc(20, 10, 5),)),
        Instance("cube", (Polygon(square(-10, -10, 6, 4)),)),
        Instance("cube", (Polygon(square(30, 15, 40.0000001, 20.0000001)),)),
        Instance(IGNORE_LABEL, (disc(5, 5, 2),)),
        Instance("rod", (disc(5, 5, 2),), crowd=True),
    ]
    loss = write_yolo(tmp_path / "a.txt", instances, CLASSES, 20, 40)
    assert loss == ImageLoss(
        3, points_clipped=6, ignored_lost=2, compared=2, worst_iou=loss.worst_iou, mean_iou=loss.mean_iou
    )
    assert loss.worst_iou > 0.99
    (first, rod), (second, corner), (third, end) = read_lines(tmp_path / "a.txt", 20, 40)
    assert (first, second, third) == (1, 0, 0)
    assert rod == pytest.approx(instances[0].region[0].exterior, abs=1e-4)
    assert shoelace(corner) == pytest.approx(24, abs=1e-3)
    values = [float(v) for line in (tmp_path / "a.txt").read_text().splitlines() for v in line.split()[1:]]
    assert min(values) >= 0 and max(values) <= 1
    assert all(len(v.split(".")[1]) == 6 for v in (tmp_path / "a.txt").read_text().split() if "." in v)
    assert shoelace(end) == pytest.approx(50, abs=1e-3)
    write_yolo(tmp_path / "b.txt", instances, CLASSES, 20, 40)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()


def test_parts_are_joined_and_holes_counted(tmp_path, disc, square):
    parts = (disc(10, 10, 5), disc(30, 10, 5), Polygon(square(8, 22, 30, 38), (square(12, 26, 16, 30),)))
    loss = write_yolo(tmp_path / "a.txt", [Instance("cube", parts)], CLASSES, 40, 40)
    assert (loss.instances, loss.parts_joined, loss.holes_lost, loss.vanished) == (1, 2, 1, 0)
    ((_, joined),) = read_lines(tmp_path / "a.txt", 40, 40)
    # The bridges have no width: the area is the sum of the parts', the hole filled.
    assert shoelace(joined) == pytest.approx(2 * shoelace(parts[0].exterior) + 22 * 16, rel=1e-4)
    wanted = to_mask(Instance("cube", tuple(Polygon(part.exterior) for part in parts)), 40, 40)
    assert (rle_to_mask(polygons_to_rle([Polygon(joined)], 40, 40)) ^ wanted).sum() <= 2


def test_what_vanishes_is_counted_not_written(tmp_path, square):
    instances = [
        Instance("cube", (Polygon(square(-20, -20, -5, -5)),)),
        Instance("cube", (Polygon(np.array([(3, 3), (3.000001, 3), (3, 3.000001)])),)),
        Instance("cube", mask_to_rle(np.zeros((40, 40)))),
        Instance("cube", ()),
    ]
    loss = write_yolo(tmp_path / "a.txt", instances, CLASSES, 40, 40)
    assert (loss.instances, loss.vanished + loss.outside, loss.points_clipped) == (0, 4, 4)
    assert (tmp_path / "a.txt").read_bytes() == b""


def test_one_pixel_survives(tmp_path):
    mask = np.zeros((640, 640))
    mask[7, 9] = 1
    assert write_yolo(tmp_path / "a.txt", [Instance("rod", mask_to_rle(mask))], CLASSES, 640, 640).instances == 1
    ((_, outline),) = read_lines(tmp_path / "a.txt", 640, 640)
    assert outline.mean(axis=0) == pytest.approx([9.5, 7.5], abs=1e-3)


def test_unknown_label_is_refused(tmp_path, disc):
    for label in ("sphere", None):
        with pytest.raises(AnnotationError, match=f"{label!r} is not one of the classes: cube, rod"):
            write_yolo(tmp_path / "a.txt", [Instance(label, (disc(9, 9, 3),))], CLASSES, 40, 40)
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_those_of_python_formatting(tmp_path):
    rng = np.random.default_rng(0)
    outlines = [rng.random((count, 2)) * (997, 613) for count in (3, 8, 50)]
    # The smallest share that is not 0, numbers that end in zeros, both edges, and halves of a millionth.
    outlines.append(np.array([(997e-6, 613e-6), (0, 613), (997, 0), (997 / 4, 613 / 8), (997 * 0.0000005, 613 * 0.1)]))
    instances = [Instance("rod", (Polygon(outline),)) for outline in outlines]
    write_yolo(tmp_path / "a.txt", instances, CLASSES, 613, 997)
    expected = [
        "1 " + " ".join(f"{value:.6f}" for value in np.round(outline / (997, 613), 6).reshape(-1))
        for outline in outlines
    ]
    assert (tmp_path / "a.txt").read_text().splitlines() == expected
    assert "0.000001" in expected[-1] and "1.000000" in expected[-1]


def test_masks_are_written_along_their_pixels(tmp_path):
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 100), dtype=bool)
    mask[20:50, 30:80] = rng.random((30, 50)) > 0.02
    mask[30:40, 50] = True
    write_yolo(tmp_path / "a.txt", [Instance("rod", mask_to_rle(mask))], CLASSES, 64, 100)
    ((_, outline),) = read_lines(tmp_path / "a.txt", 64, 100)
    from scipy.ndimage import binary_fill_holes

    seen = rle_to_mask(polygons_to_rle([Polygon(outline)], 64, 100))
    assert (seen == binary_fill_holes(mask, structure=np.ones((3, 3)) * [[0, 1, 0], [1, 1, 1], [0, 1, 0]])).all()


def test_ultralytics_reads_the_same_outlines(tmp_path, disc, square):
    utils = pytest.importorskip("ultralytics.data.utils")
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    instances = [Instance("rod", (disc(20, 10, 5),)), Instance("cube", (Polygon(square(-10, -10, 6, 4)),))]
    write_yolo(tmp_path / "a.txt", instances, CLASSES, 20, 40)
    arguments = (str(tmp_path / "a.png"), str(tmp_path / "a.txt"), "", False, 2, 0, 0, False)
    _, boxes, _, segments, _, missing, found, empty, corrupt, message = utils.verify_image_label(arguments)
    assert (missing, found, empty, corrupt, message) == (0, 1, 0, 0, "")
    assert boxes[:, 0].tolist() == [1, 0]
    for segment, (_, outline) in zip(segments, read_lines(tmp_path / "a.txt", 20, 40), strict=True):
        assert segment * (40, 20) == pytest.approx(outline, abs=1e-4)


def write_set(root, layout, label="0 0.1 0.2 0.5 0.2 0.5 0.9\n"):
    """Images of 40x20 px with labels: {image: text of its label, or None for none}."""
    for image, text in layout.items():
        path = root / image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 20)).save(path)
        if text is not None:
            target = root / text if text.lower().endswith(".txt") else path.with_suffix(".txt")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(label)


LAYOUTS = {
    "images above the split": (
        {"images/train/a.png": "labels/train/a.txt", "images/val/b.png": "labels/val/b.txt"},
        "train: images/train\nval: images/val\n",
        ["train/a", "val/b"],
    ),
    "images below the split, Roboflow's paths": (
        {"train/images/a.png": "train/labels/a.txt", "valid/images/b.png": "valid/labels/b.txt"},
        "train: ../train/images\nval: ../valid/images\n",
        ["train/a", "valid/b"],
    ),
    "a path of another machine": (
        {"images/a.png": "labels/a.txt", "images/b.png": "labels/b.txt"},
        "path: /home/someone/data\ntrain: images\n",
        ["a", "b"],
    ),
    "a list of folders": (
        {"x/images/a.png": "x/labels/a.txt", "y/images/b.png": "y/labels/b.txt"},
        "train: [x/images, 'y\\images']\n",
        ["x/a", "y/b"],
    ),
    "labels beside the images": ({"a.png": "a.txt", "sub/b.png": "sub/b.txt"}, "", ["a", "sub/b"]),
    "labels in capitals": (
        {"images/a.png": "labels/a.TXT", "images/b.png": "labels/b.txt", "images/c.png": "images/c.TXT"},
        "",
        [*"abc"],
    ),
    "no keys but the names": ({"images/a.png": "labels/a.txt", "images/b.png": "labels/b.txt"}, "", ["a", "b"]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    files, document, names = LAYOUTS[layout]
    write_set(tmp_path, files)
    (tmp_path / "data.yaml").write_text(document + "names: {0: cube, 1: rod}\n")
    source = open_yolo(tmp_path)
    assert (source.format, source.classes, source.unannotated) == ("yolo", CLASSES, ())
    assert [entry.name for entry in source.entries] == names
    for entry in source.entries:
        micrograph = entry.read()
        (instance,) = micrograph.instances
        assert (micrograph.name, micrograph.width, micrograph.height, instance.label) == (entry.name, 40, 20, "cube")
        assert instance.region[0].exterior.tolist() == pytest.approx(np.array([(4, 4), (20, 4), (20, 18)]))


def test_list_of_images_and_background(tmp_path):
    write_set(tmp_path, {"images/a.png": "labels/a.txt", "images/b.png": None, "images/not-listed.png": None})
    (tmp_path / "data.yaml").write_text("train: train.txt\nnames: [cube]\n")
    (tmp_path / "train.txt").write_text(
        "./images/a.png\nimages/b.png\n\nimages/gone.png\nimages/" + "x" * 5000 + ".png\n"
    )
    a, b, gone, too_long = open_yolo(tmp_path).entries
    with pytest.raises(AnnotationError, match="no such image"):
        too_long.read()
    assert len(a.read().instances) == 1
    background = b.read()
    assert background.instances == () and "background" in background.notes[0]
    with pytest.raises(AnnotationError, match=r"gone\.png: no such image"):
        gone.read()


def test_class_names_come_from_the_caller_the_yaml_or_a_text(tmp_path):
    write_set(tmp_path, {"a.png": "a.txt"})
    with pytest.raises(AnnotationError, match="names no classes"):
        open_yolo(tmp_path)
    (tmp_path / "classes.txt").write_text("\ufeffspheres\nrods\n", encoding="utf-8")
    assert open_yolo(tmp_path).classes == ("spheres", "rods")
    (tmp_path / "data.yaml").write_text("names:\n  1: b\n  0: a\n")
    assert open_yolo(tmp_path).classes == ("a", "b")
    assert open_yolo(tmp_path, ["x", "y"]).classes == ("x", "y")
    assert open_yolo(tmp_path, ["x", "y"]).entries[0].read().instances[0].label == "x"
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("spheres\n\nrods\n\n\n")
    with pytest.raises(AnnotationError, match=r"classes\.txt: line 2 is empty"):
        open_yolo(tmp_path)
    (tmp_path / "classes.txt").write_text("spheres\nrods\n\n \n")
    assert open_yolo(tmp_path).classes == ("spheres", "rods")
    malformed = {
        "{0: a, 2: b}": "not 0, 1, 2",
        "[a, a]": "'a'",
        "[a, [b]]": "no name",
        "[on, off]": "into quotes",
        "7": "is 7",
    }
    for names, message in malformed.items():
        (tmp_path / "data.yaml").write_text(f"names: {names}\n")
        with pytest.raises(AnnotationError, match=message):
            open_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text("names: [a\n")
    with pytest.raises(AnnotationError, match=r"data\.yaml: not a YAML file"):
        open_yolo(tmp_path)


@pytest.mark.parametrize("file", ["data.yaml", "classes.txt"])
def test_classes_that_are_given_in_another_order_than_they_have_are_told(tmp_path, file, caplog):
    """``--classes cube,rod`` looks like a choice of classes, but of YOLO labels it says which number is which."""
    write_set(tmp_path, {"a.png": "a.txt"})
    (tmp_path / file).write_text("names: [cube, rod]\n" if file == "data.yaml" else "cube\nrod\n")
    for classes in (["cube", "rod"], ["cubes", "rods"], ["cube", "rod", "sphere"], None):
        open_yolo(tmp_path, classes)
    assert not caplog.text
    assert open_yolo(tmp_path, ["rod", "cube"]).entries[0].read().instances[0].label == "rod"
    assert "class 0 is 'cube' there and 'rod' in the classes that are given, which go by number" in caplog.text
    (tmp_path / "data.yaml").write_text("names: [a, [b]]\n")
    assert open_yolo(tmp_path, ["a", "b"]).classes == ("a", "b")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", "line 2: five numbers are a box"),
        ("2 0.1 0.1 0.2 0.1 0.2 0.2", r"class 2, but there are 2 \(cube, rod\)"),
        ("-1 0.1 0.1 0.2 0.1 0.2 0.2", "class -1"),
        ("cube 0.1 0.1 0.2 0.1 0.2 0.2", "begins with 'cube'"),
        ("0.5 0.1 0.1 0.2 0.1 0.2 0.2", "begins with '0.5'"),
        ("nan 0.1 0.1 0.2 0.1 0.2 0.2", "begins with 'nan'"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.3", "7 coordinates; .* a last number that is a confidence makes it a prediction"),
        ("0 0.1 0.1", "2 coordinates; .* so an even number$"),
        ("0", "0 coordinates"),
        ("0 0.1 0.1 0.2 0.1 0.2 x", "numbers only"),
        ("0 0.1 0.1 0.2 0.1 0.2 nan", "between 0 and 1"),
        ("0 10 10 20 10 20 20", "between 0 and 1"),
    ],
)
def test_faulty_lines_are_named(tmp_path, line, message):
    write_set(tmp_path, {"a.png": "a.txt"}, label=f"1 0.1 0.1 0.2 0.1 0.2 0.2\n{line}\n")
    (entry,) = open_yolo(tmp_path, CLASSES).entries
    with pytest.raises(AnnotationError, match=message) as caught:
        entry.read()
    assert str(caught.value).startswith(str(tmp_path / "a.txt"))


def test_slightly_outside_stays_and_is_cut_in_the_raster(tmp_path):
    write_set(tmp_path, {"a.png": "a.txt"}, label="0.0 -0.05 0.1 1.0000001 0.1 1.1 0.9 -0.05 0.9\n")
    (instance,) = open_yolo(tmp_path, CLASSES).entries[0].read().instances
    assert instance.region[0].exterior[:, 0].tolist() == pytest.approx([-2, 40.000004, 44, -2])
    assert to_mask(instance, 20, 40)[2:18].all()


def test_what_does_not_fit_is_told_not_dropped(tmp_path):
    write_set(tmp_path, {"a.png": "a.txt", "a.jpg": None, "b.png": "b.txt"})
    for name in ("c.txt", "d.TXT"):
        (tmp_path / name).write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    (tmp_path / "notes.txt").write_text("taken on Monday\n")
    (tmp_path / "b.png").write_bytes(b"no image")
    entries = open_yolo(tmp_path, CLASSES).entries
    assert [entry.name for entry in entries] == ["a", "a", "b", "c", "d", "notes"]
    for entry, kind, message in zip(
        entries,
        [AnnotationError, AnnotationError, ImageError, AnnotationError, AnnotationError, NotAnAnnotationError],
        [
            "several are called 'a'",
            "several are called 'a'",
            r"b\.png",
            r"c\.txt: a label whose image is missing",
            r"d\.TXT: a label whose image is missing",
            "no label",
        ],
        strict=True,
    ):
        with pytest.raises(kind, match=message):
            entry.read()


def test_folders_that_are_no_data_set(tmp_path):
    with pytest.raises(AnnotationError, match="no such folder"):
        open_yolo(tmp_path / "none", CLASSES)
    with pytest.raises(AnnotationError, match="no images"):
        open_yolo(tmp_path, CLASSES)
    write_set(tmp_path, {"images/a.png": None})
    with pytest.raises(AnnotationError, match=r"1 image without any label file, .*labels.a\.txt"):
        open_yolo(tmp_path, CLASSES)
    (tmp_path / "data.yaml").write_text("train: gone\nnames: [a]\n")
    with pytest.raises(AnnotationError, match="train is 'gone', which is not there"):
        open_yolo(tmp_path)


def test_a_number_behind_an_outline_is_a_confidence_where_one_is_expected(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1 0.1 0.1 0.9 0.1 0.9 0.9 0.75\n0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    scored, plain = read_yolo(path, CLASSES, 20, 40, scored=True)
    assert (scored.label, scored.score) == ("rod", 0.75)
    assert (plain.label, plain.score) == ("cube", None)
    assert np.array_equal(scored.region[0].exterior, plain.region[0].exterior)
    assert [each.label for each in read_yolo(path, None, 20, 40, scored=True)] == [None, None]
    with pytest.raises(AnnotationError, match="line 1"):
        read_yolo(path, CLASSES, 20, 40)
    path.write_text("1 0.1 0.1 0.9 0.1 0.9 0.9 sure\n")
    with pytest.raises(AnnotationError, match="ends with 'sure'"):
        read_yolo(path, CLASSES, 20, 40, scored=True)


def test_the_split_of_a_data_yaml_is_kept(tmp_path):
    files, document, names = LAYOUTS["images below the split, Roboflow's paths"]
    write_set(tmp_path, files)
    (tmp_path / "data.yaml").write_text(document + "names: [cube, rod]\n")
    assert open_yolo(tmp_path).split == dict(zip(names, ("train", "val"), strict=True))
    # One folder for all parts, as this package writes it, is no split.
    (tmp_path / "data.yaml").write_text("train: train/images\nval: train/images\nnames: [cube, rod]\n")
    assert open_yolo(tmp_path).split is None


def test_an_image_in_two_parts_is_told(tmp_path, caplog):
    """Ultralytics would be tested on what it was trained on."""
    write_set(tmp_path, {f"images/{name}.png": f"labels/{name}.txt" for name in "abc"})
    (tmp_path / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [cube]\n")
    (tmp_path / "train.txt").write_text("images/a.png\nimages/b.png\n")
    (tmp_path / "val.txt").write_text("images/b.png\nimages/c.png\n")
    assert open_yolo(tmp_path).split == {"a": "train", "b": "train", "c": "val"}
    assert "data.yaml: 1 image is listed in more than one part, of which only the first counts (b.png)" in caplog.text
    caplog.clear()
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [cube]\n")
    assert open_yolo(tmp_path).split is None and not caplog.text


def test_every_faulty_line_is_told_and_the_others_remain(tmp_path):
    good = "0 0.1 0.2 0.5 0.2 0.5 0.9\n"
    write_set(
        tmp_path, {"images/a.png": "labels/a.txt"}, f"{good}7 0.1 0.2 0.5 0.2 0.5 0.9\n0 0.1 nan 0.5 0.2 0.5 9\n{good}"
    )
    (entry,) = open_yolo(tmp_path, ["cube", "rod"]).entries
    with pytest.raises(FaultyShapesError) as raised:
        entry.read()
    assert [fault.split(":")[0] for fault in raised.value.faults] == ["line 2", "line 3"]
    assert "a coordinate is nan" in raised.value.faults[1]
    assert len(raised.value.rest.instances) == 2


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that even root cannot read")
def test_a_label_that_cannot_be_read_is_a_fault_of_its_image(tmp_path):
    write_set(tmp_path, {"images/a.png": "labels/a.txt", "images/b.png": "labels/b.txt"})
    (tmp_path / "labels" / "b.txt").unlink()
    for name in ("b", "lost"):
        (tmp_path / "labels" / f"{name}.txt").symlink_to("/proc/self/mem")
    good, unread, lost = open_yolo(tmp_path, CLASSES).entries
    assert len(good.read().instances) == 1
    with pytest.raises(AnnotationError, match=r"b\.txt: cannot be read"):
        unread.read()
    with pytest.raises(AnnotationError, match=r"lost\.txt: a label whose image is missing"):
        lost.read()


def test_ignore_regions_and_background_are_no_classes(tmp_path):
    lines = "".join(f"{index} 0.1 0.2 0.5 0.2 0.5 0.9\n" for index in range(3))
    write_set(tmp_path, {"images/a.png": "labels/a.txt"}, lines)
    source = open_yolo(tmp_path, ["__ignore__", "_background_", "cube"])
    assert source.classes == ("cube",)
    micrograph = source.entries[0].read()
    assert [(each.label, each.ignored) for each in micrograph.instances] == [("ignore", True), ("cube", False)]
    assert micrograph.tally.background == 1


def test_labels_and_images_of_the_other_unicode_form(tmp_path):
    taken_apart = unicodedata.normalize("NFD", "Größe")
    write_set(tmp_path, {f"images/{taken_apart}.png": "labels/Größe.txt", f"{taken_apart}/é.png": None})
    (tmp_path / "data.yaml").write_text("train: [images, train.txt]\nnames: [cube]\n", encoding="utf-8")
    (tmp_path / "train.txt").write_text("Größe/é.png\n", encoding="utf-8")
    named, listed = open_yolo(tmp_path).entries
    assert len(named.read().instances) == 1
    assert listed.read().image_path.is_file()


def test_links_that_lead_nowhere_do_not_make_background(tmp_path):
    write_set(tmp_path, {f"images/{name}.png": f"labels/{name}.txt" for name in ("good", "label", "image")})
    for path in ("labels/label.txt", "images/image.png"):
        (tmp_path / path).unlink()
        (tmp_path / path).symlink_to(".git/annex/gone")
    (tmp_path / "labels" / "extra.txt").symlink_to("extra.txt")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cube]\n")
    entries = {entry.name: entry for entry in open_yolo(tmp_path).entries}
    assert set(entries) == {"good", "label", "image", "extra"}
    assert len(entries["good"].read().instances) == 1
    for name, message in (
        ("label", r"label\.txt: a link to \.git/annex/gone, which is not there"),
        ("image", r"image\.png: a link to \.git/annex/gone, which is not there"),
        ("extra", r"extra\.txt: a link that leads round to itself"),
    ):
        with pytest.raises(AnnotationError, match=message):
            entries[name].read()


def test_a_label_of_an_image_of_another_format_says_so(tmp_path):
    write_set(tmp_path, {"images/a.png": "labels/a.txt", "images/b.png": "labels/b.txt"})
    (tmp_path / "images" / "b.png").rename(tmp_path / "images" / "b.gif")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cube]\n")
    with pytest.raises(AnnotationError, match=r"b\.txt: its image .*b\.gif is of a format that is not read"):
        open_yolo(tmp_path).entries[1].read()


def test_the_yaml_that_is_given_is_the_one_that_is_read(tmp_path):
    write_set(tmp_path, {"a.png": "a.txt"})
    for name, classes in (("data.yaml", "[a, b]"), ("lab.yaml", "[x, y]"), ("other.yml", "[z]")):
        (tmp_path / name).write_text(f"names: {classes}\n")
    assert open_source(tmp_path).classes == open_source(tmp_path / "data.yaml").classes == ("a", "b")
    assert open_source(tmp_path / "lab.yaml").classes == ("x", "y")
    (tmp_path / "data.yaml").unlink()
    assert open_source(tmp_path / "lab.yaml").classes == ("x", "y")
    with pytest.raises(AnnotationError, match="names no classes"):
        open_source(tmp_path, "yolo")
