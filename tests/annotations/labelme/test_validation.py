import json
import shutil
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nanoseg_bench.annotations.labelme.validation import check_labelme_folder, first_crossing
from nanoseg_bench.errors import AnnotationError


def polygon(points, label="rod", **fields):
    return {"label": label, "points": [list(point) for point in points], "shape_type": "polygon", **fields}


def box(left, top, right, bottom, label="rod", **fields):
    return polygon([(left, top), (right, top), (right, bottom), (left, bottom)], label, **fields)


def found(folder, classes=("rod", "cube")):
    return [(each.severity, each.path.name, each.message) for each in check_labelme_folder(folder, classes).findings]


def only(folder, classes=("rod", "cube")):
    (finding,) = found(folder, classes)
    return finding


def test_good_files_have_no_findings_and_nothing_is_written(labelme_file):
    path = labelme_file(
        [
            box(5, 5, 20, 20),
            box(22, 5, 40, 20, "cube"),
            box(-10, 25, 9, 38),
            box(0, 0, 60, 4, "ignore"),
            {"label": "rod", "points": [[45, 30], [50, 30]], "shape_type": "circle"},
            box(12, 25, 18, 30, "cube", group_id=1),
            box(20, 25, 26, 30, "cube", group_id=1),
        ]
    )
    labelme_file([], name="background")
    before = {each: each.read_bytes() for each in path.parent.iterdir()}
    check = check_labelme_folder(path.parent, ("rod", "cube"))
    assert check.findings == []
    assert check.files == 2
    assert check.labels == {"rod": 3, "cube": 2}
    assert {each: each.read_bytes() for each in path.parent.iterdir()} == before


def test_unknown_labels_are_counted_and_the_likely_one_is_named(labelme_file):
    path = labelme_file([box(5, 5, 20, 20, "Rods"), box(25, 5, 40, 20, "Rods"), box(5, 25, 20, 38, "xyz")])
    messages = [message for _, _, message in found(path.parent)]
    assert messages == [
        "label 'Rods' (2 particles) is not in the class list (rod, cube); did you mean 'rod'? rename it, or add it to "
        "the classes",
        "label 'xyz' (1 particle) is not in the class list (rod, cube); rename it, or add it to the classes",
    ]
    assert found(path.parent, None) == []


def test_outlines_that_cannot_be_compared_are_a_finding_and_the_other_files_are_checked(labelme_file):
    labelme_file([box(5, 5, 20, 20, "rod")] * 500, name="a")
    path = labelme_file([box(5, 5, 5, 20, "rod"), box(25, 5, 40, 20, "rod")], name="b")
    (severity, name, message), *others = found(path.parent, ("rod",))
    assert (severity, name) == ("error", "a.json") and "export the annotation again" in message
    assert [each[1] for each in others] == ["b.json"]


def test_similar_labels_are_one_finding_about_the_folder(labelme_file):
    labelme_file([box(5, 5, 20, 20, "rod"), box(25, 5, 40, 20, "cube")], name="a")
    path = labelme_file([box(5, 5, 20, 20, "Rod "), box(25, 5, 40, 20, "cube")], name="b")
    check = check_labelme_folder(path.parent, None)
    (finding,) = check.findings
    assert (finding.severity, finding.path) == ("warning", path.parent)
    assert finding.message.startswith(
        "labels 'Rod' (1 particle, first in b), 'rod' (1 particle, first in a): each is a"
    )
    # With a class list, the file is told that has to be mended.
    assert [each[1] for each in found(path.parent, ("rod", "cube"))] == ["b.json"]


def test_all_faults_of_a_file_are_findings(labelme_file):
    path = labelme_file([box(5, 5, 20, 20), polygon([(1, 1), (2, 2)]), polygon([], "")])
    findings = found(path.parent)
    assert [(severity, name, message.split(":")[0]) for severity, name, message in findings] == [
        ("error", "a.json", "shape 2 ('rod')"),
        ("error", "a.json", "shape 3 has no label; name its class in LabelMe"),
    ]


def test_faulty_files_do_not_hide_each_other_and_errors_come_first(labelme_file):
    labelme_file([box(5, 5, 20, 20), box(5, 5, 20, 20)], name="a-twins")
    labelme_file([box(5, 5, 20, 20)], name="b-missing", image=False)
    labelme_file([box(5, 5, 20, 20)], name="c-size", imageWidth=61)
    path = labelme_file([polygon([(1, 1), (2, 2)])], name="d-points")
    (path.parent / "e-cut.json").write_text('{"shapes": [')
    (path.parent / "f-other.json").write_text('{"images": []}')
    Image.new("L", (60, 40)).save(path.parent / "g-bare.png")
    findings = found(path.parent)
    assert [(severity, name) for severity, name, _ in findings] == [
        ("error", "b-missing.json"),
        ("error", "c-size.json"),
        ("error", "d-points.json"),
        ("error", "e-cut.json"),
        ("warning", "a-twins.json"),
        ("warning", "g-bare.png"),
    ]
    for (_, _, message), part in zip(
        findings,
        ("b-missing.png", "61x40 px", "at least 3 different points", "not JSON", "outlined twice", "has no annotation"),
        strict=True,
    ):
        assert part in message
        assert not message.startswith(("/", ":"))
    assert check_labelme_folder(path.parent, None).files == 5


def test_a_particle_outside_or_without_a_pixel_is_an_error(labelme_file):
    path = labelme_file([box(70, 5, 90, 20), box(-30, 5, 0, 20, "cube"), box(5.1, 5.1, 5.2, 5.2)])
    findings = found(path.parent)
    assert [severity for severity, _, _ in findings] == ["error", "error", "error"]
    assert findings[0][2] == "rod near (80, 12) lies wholly outside the image (60x40 px); move or delete it"
    assert "cube near (-15, 12) lies wholly outside" in findings[1][2]
    assert "rod near (5, 5) covers no pixel" in findings[2][2]


@pytest.mark.parametrize(("side", "tiny"), [(2, True), (3, False)])
def test_tiny_particles(labelme_file, side, tiny):
    # Diameter of the disc of equal area: 2.26 px and 3.39 px.
    path = labelme_file([box(10, 10, 10 + side, 10 + side), box(30, 10, 32, 12, "ignore")])
    assert [(severity, "covers 4 px" in message) for severity, _, message in found(path.parent)] == [
        ("warning", True)
    ] * tiny


def test_twins_of_any_label_are_found_by_their_iou(labelme_file):
    path = labelme_file([box(5, 5, 45, 35), box(5, 5, 45, 34, "cube")])
    severity, _, message = only(path.parent)
    assert severity == "warning"
    assert message == "rod near (25, 20) is outlined twice (as 'rod' and 'cube', IoU 0.97); delete one"
    labelme_file([box(5, 5, 45, 35), box(5, 5, 45, 33, "cube")])
    assert found(path.parent) == []


def test_a_crossing_outline_is_located(labelme_file):
    path = labelme_file([polygon([(10, 10), (30, 30), (30, 10), (10, 30)])])
    severity, _, message = only(path.parent)
    assert severity == "warning"
    assert message == "the outline of rod near (20, 20) crosses itself at (20, 20); move its points apart"


def test_shapes_without_area_are_counted(labelme_file):
    shapes = [
        {"label": "rod", "points": [[1, 1], [5, 5]], "shape_type": kind} for kind in ("line", "linestrip", "line")
    ]
    path = labelme_file([box(5, 5, 20, 20), *shapes])
    severity, _, message = only(path.parent)
    assert severity == "warning"
    assert "2 line, 1 linestrip" in message


def test_one_image_annotated_twice(labelme_file):
    path = labelme_file([box(5, 5, 20, 20)], name="a")
    shutil.copy(path, path.with_name("b.json"))
    severity, name, message = only(path.parent)
    assert (severity, name) == ("error", "b.json")
    assert "annotates a.png, and so does a.json" in message


def test_an_image_inside_the_file_only_is_a_warning(labelme_file):
    import base64

    path = labelme_file([box(5, 5, 20, 20)], name="a")
    image = path.with_suffix(".png")
    document = json.loads(path.read_text())
    document["imageData"] = base64.b64encode(image.read_bytes()).decode()
    path.write_text(json.dumps(document))
    image.unlink()
    severity, _, message = only(path.parent)
    assert severity == "warning"
    assert "found inside the file" in message
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]


def test_an_image_inside_the_file_is_told_once(labelme_file):
    import base64

    path = labelme_file([box(5, 5, 20, 20)], name="a")
    document = json.loads(path.read_text())
    document["imageData"] = base64.b64encode(path.with_suffix(".png").read_bytes()).decode()
    document["imagePath"] = "IMG_1.jpg"
    path.write_text(json.dumps(document))
    path.with_suffix(".png").unlink()
    _, _, message = only(path.parent)
    assert "found inside the file" in message


def test_a_folder_without_annotations_lists_its_images(tmp_path):
    for name in ("b/two.tif", "one.PNG", ".hidden/three.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / name)
    assert [name for _, name, _ in found(tmp_path)] == ["two.tif", "one.PNG"]
    with pytest.raises(AnnotationError, match="no such folder"):
        check_labelme_folder(tmp_path / "nowhere", None)


def crossings(outline):
    """Slow and literal: solve for the point that two edges share, in fractions."""
    edges = [(outline[i - 1], outline[i]) for i in range(len(outline))]
    points = set()
    for ((ax, ay), (bx, by)), ((cx, cy), (dx, dy)) in combinations(edges, 2):
        across = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
        if across == 0:
            continue
        share = Fraction((cx - ax) * (dy - cy) - (cy - ay) * (dx - cx), across)
        other = Fraction((cx - ax) * (by - ay) - (cy - ay) * (bx - ax), across)
        if 0 < share < 1 and 0 < other < 1:
            points.add((float(ax + share * (bx - ax)), float(ay + share * (by - ay))))
    return points


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=12))
def test_crossings_agree_with_the_literal_formula(outline):
    expected = crossings(outline)
    point = first_crossing(np.array(outline, dtype=float))
    if not expected:
        assert point is None
    else:
        assert any(point == pytest.approx(each) for each in expected)


def test_long_outlines():
    angles = 2 * np.pi * np.arange(5000) / 5000
    circle = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    assert first_crossing(circle) is None
    swapped = circle.copy()
    swapped[[4000, 4001]] = swapped[[4001, 4000]]
    assert first_crossing(swapped) == pytest.approx(tuple(circle[4000]), abs=0.01)
    # Far too many edges over each other: not searched, and no memory taken for it.
    rows = np.arange(20_000.0)
    assert first_crossing(np.stack((rows % 2 * 100, rows), axis=1)) is None


def test_real_files(shared_data):
    folder = shared_data / "labelme"
    check = check_labelme_folder(folder, None)
    assert check.files > 5
    assert all(Path(each.path).is_relative_to(folder) for each in check.findings)
