"""What other tools write comes back as the particles that they found, or is refused with the way out."""

import itertools
import json

import numpy as np
import pytest
from annotation_files import write_yolo
from PIL import Image
from pycocotools import mask as coco_mask
from scipy import ndimage

from nanoseg_bench.annotations.masks.options import mask_options
from nanoseg_bench.annotations.raster import area
from nanoseg_bench.errors import AnnotationError, PredictionsError, UsageError
from nanoseg_bench.evaluation.predictions import require_complete


def found_masks(tool, external, name):
    return [tool.mask(name, each) for each in external.predictions.images[name]]


def assert_same_particles(tool, external, at_least=1.0):
    """Every particle of the truth is found with an IoU of ``at_least``, in the order of the files."""
    require_complete(external.predictions, tool.eval_set)
    for name in tool.names:
        found = found_masks(tool, external, name)
        assert len(found) == len(tool.truth[name])
        for mask, instance in zip(found, tool.truth[name], strict=True):
            truth = tool.mask(name, instance)
            assert (mask & truth).sum() / (mask | truth).sum() >= at_least


def results_of(tool, **changes):
    return [
        {key: each[key] for key in ("image_id", "category_id", "segmentation") if key in each}
        | {"score": 0.5}
        | changes
        for each in tool.own_coco()["annotations"]
        if not each.get("iscrowd")
    ]


# COCO


def test_coco_results_with_the_ids_of_the_prepared_set(tool):
    external = tool.read(tool.write_json("r.json", results_of(tool)))
    assert_same_particles(tool, external)
    assert external.scored and external.predictions.knows_classes and external.predictions.has_confidence
    assert {each.label for each in external.predictions.images[tool.names[0]]} <= set(tool.eval_set.classes)


def test_what_numeric_ids_were_taken_for_is_said(tool):
    external = tool.read(tool.write_json("r.json", results_of(tool)))
    truth = tool.prepared.root / "truth" / "test.json"
    assert f"image and category ids taken for those of {truth}, since no COCO file lies beside the results" in (
        external.notes
    )


@pytest.mark.parametrize("step", [1, -1])
def test_ids_that_number_the_images_otherwise_are_refused(tool, step):
    """They gave AP 0.0 where it is 1.0: every particle lay on those of another image."""
    ids = [image["id"] for image in tool.own_coco()["images"]]
    assert len(ids) > 1 and len({tool.eval_set.sizes[name] for name in tool.names}) == 1
    other = dict(zip(ids, ids[step:] + ids[:step], strict=True))
    results = [{**each, "image_id": other[each["image_id"]]} for each in results_of(tool)]
    with pytest.raises(PredictionsError, match=r"the ids are of another file.*Put the COCO file that they come from"):
        tool.read(tool.write_json("r.json", results))
    document = tool.own_coco()
    document["images"] = [{**image, "id": other[image["id"]]} for image in document["images"]]
    tool.write_json("out/images.json", {**document, "annotations": []})
    external = tool.read(tool.write_json("out/r.json", results))
    assert_same_particles(tool, external)
    assert "image and category ids are those of images.json, which lies beside the results" in external.notes


def test_a_weak_tool_with_the_right_ids_is_taken(tool):
    """It finds a fifth of each particle's pixels: no particle reaches an IoU of 0.5."""
    results = results_of(tool)
    for each in results:
        mask = coco_mask.decode(each["segmentation"])
        inside = np.argwhere(mask)
        mask[tuple(inside[len(inside) // 5 + 1 :].T)] = 0
        each["segmentation"] = coco_mask.encode(mask) | {"counts": coco_mask.encode(mask)["counts"].decode()}
    external = tool.read(tool.write_json("r.json", results))
    assert sum(map(len, external.predictions.images.values())) == len(results)


@pytest.mark.parametrize("first", [0, 1000])
def test_ids_that_are_nobodys_are_told(tool, first):
    own = [image["id"] for image in tool.own_coco()["images"]]
    results = [{**each, "image_id": own.index(each["image_id"]) + first} for each in results_of(tool)]
    with pytest.raises(PredictionsError, match=rf"image ids? \({first}.*nor a name.*put the COCO file"):
        tool.read(tool.write_json("r.json", results))


def test_coco_results_whose_ids_are_names(tool):
    names = {image["id"]: image["file_name"] for image in tool.own_coco()["images"]}
    results = [{**each, "image_id": names[each["image_id"]]} for each in results_of(tool)]
    external = tool.read(tool.write_json("r.json", results))
    assert_same_particles(tool, external)
    assert not external.predictions.knows_classes, "nobody says what the category ids mean"
    assert any("says what its category ids mean; --classes A,B,... does" in note for note in external.notes)
    external = tool.read(tool.write_json("r.json", results), classes=tool.eval_set.classes)
    assert external.predictions.knows_classes


def test_coco_results_with_the_file_that_their_ids_come_from(tool):
    document = tool.own_coco()
    for image in document["images"]:
        image["id"] += 1000
    results = [{**each, "image_id": each["image_id"] + 1000} for each in results_of(tool)]
    silent = results[0]["image_id"]
    tool.write_json("out/images.json", {**document, "annotations": []})
    external = tool.read(tool.write_json("out/r.json", [each for each in results if each["image_id"] != silent]))
    empty = [name for name, instances in external.predictions.images.items() if not instances]
    assert len(empty) == 1, "an image of the file without a result shows no particle"
    assert sum(map(len, external.predictions.images.values())) == sum(each["image_id"] != silent for each in results)


def test_an_image_without_results_is_missing_where_no_file_lists_the_images(tool):
    results = results_of(tool)
    lost = results[0]["image_id"]
    path = tool.write_json("r.json", [each for each in results if each["image_id"] != lost])
    with pytest.raises(PredictionsError, match=f"lacks 1 of the {len(tool.names)} images"):
        tool.read(path)


def test_a_coco_file_is_a_row_without_scores(tool):
    external = tool.read(tool.write_json("annotations.json", tool.own_coco()))
    assert_same_particles(tool, external)
    assert not external.scored
    assert {each.score for each in external.predictions.images[tool.names[0]]} == {1.0}
    assert "no scores: every particle counts" in external.notes


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"image_id": 4711}, "4711"),
        ({"score": "high"}, "'score' is 'high'"),
        ({"category_id": 99}, "'category_id' is 99"),
        ({"segmentation": None}, "segmentation"),
    ],
)
def test_malformed_results_are_refused_with_their_place(tool, change, part):
    results = results_of(tool)
    results[2] = {**results[2], **change}
    with pytest.raises((AnnotationError, PredictionsError), match=part):
        tool.read(tool.write_json("r.json", results))


def test_some_particles_without_a_score_are_refused(tool):
    results = results_of(tool)
    del results[0]["score"]
    with pytest.raises(PredictionsError, match=f"1 of {len(results)} particles have no score"):
        tool.read(tool.write_json("r.json", results))


def test_scores_beyond_1_only_rank(tool):
    external = tool.read(tool.write_json("r.json", results_of(tool, score=37)))
    assert external.scored and not external.predictions.has_confidence
    assert any("rank the particles" in note for note in external.notes)


def test_results_of_another_size_are_refused(tool):
    document = tool.own_coco()
    document["images"][0]["width"] += 1
    tool.write_json("out/images.json", {**document, "annotations": []})
    with pytest.raises(PredictionsError, match="predictions are in the micrograph's own pixels"):
        tool.read(tool.write_json("out/r.json", results_of(tool)))


# Instance maps


@pytest.mark.parametrize("pattern", ["{}.png", "{}.tif", "{}_cp_masks.png", "{}_mask.png"])
def test_instance_maps_by_the_names_that_tools_give(tool, pattern):
    for name in tool.names:
        tool.write_map(tool.root / "maps" / pattern.format(name), name)
    external = tool.read(tool.root / "maps")
    for name in tool.names:
        assert len(external.predictions.images[name]) == len(tool.truth[name])
        union = np.any([tool.mask(name, each) for each in tool.truth[name]], axis=0)
        assert (np.any(found_masks(tool, external, name), axis=0) == union).all()


def test_masks_of_particles_against_background_are_suspected(tool):
    for name in tool.names:
        path = tool.root / "maps" / f"{name}.png"
        tool.write_map(path, name)
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8) * 255).save(path)
    with pytest.raises(PredictionsError, match=r"a mask of particles against background.*--mask-kind binary"):
        tool.read(tool.root / "maps")
    assert tool.read(tool.root / "maps", format="masks")
    one_each = tool.read(tool.root / "maps", masks=mask_options("instance", label=None))
    assert {len(found) for found in one_each.predictions.images.values()} == {1}
    pieces = tool.read(tool.root / "maps", masks=mask_options("binary", label=None))
    for name in tool.names:
        with Image.open(tool.root / "maps" / f"{name}.png") as image:
            assert len(pieces.predictions.images[name]) == ndimage.label(np.asarray(image), np.ones((3, 3)))[1]


@pytest.mark.parametrize(
    ("change", "message", "options"),
    [
        (lambda values: np.where(values, 1 + values % 2, 0), "looks like a class map", {"kind": "classes"}),
        (lambda values: np.where(values, 0, 255), "looks like black particles on white", {"invert": True}),
        (
            lambda values: ndimage.gaussian_filter(np.where(values, 255.0, 0), 0.6).round(),
            "in grey levels.*--threshold 128",
            {"threshold": 128},
        ),
    ],
)
def test_masks_of_predictions_are_recognised_as_those_of_annotations(tool, change, message, options):
    for name in tool.names:
        path = tool.root / "maps" / f"{name}.png"
        tool.write_map(path, name)
        Image.fromarray(change(np.asarray(Image.open(path))).astype(np.uint8)).save(path)
    for format in ("auto", "masks"):
        with pytest.raises(AnnotationError, match=message):
            tool.read(tool.root / "maps", format=format)
    external = tool.read(tool.root / "maps", masks=mask_options(**options, label=None))
    for name in tool.names:
        union = np.any([tool.mask(name, each) for each in tool.truth[name]], axis=0)
        wrong = np.any(found_masks(tool, external, name), axis=0) != union
        # Smoothing takes a corner's pixel below one half.
        assert wrong.sum() <= (8 if "threshold" in options else 0)


def test_classes_of_masks_make_predictions_class_aware(tool):
    classes = tool.eval_set.classes
    for name in tool.names:
        width, height = tool.eval_set.sizes[name]
        values = np.zeros((height, width), np.uint8)
        for instance in tool.truth[name]:
            values[tool.mask(name, instance)] = 1 + classes.index(instance.label)
        (tool.root / "maps").mkdir(exist_ok=True)
        Image.fromarray(values).save(tool.root / "maps" / f"{name}.png")
    options = mask_options("classes", label=None, classes=classes)
    predictions = tool.read(tool.root / "maps", masks=options).predictions
    assert predictions.knows_classes
    for name in tool.names:
        assert {each.label for each in predictions.images[name]} == {each.label for each in tool.truth[name]}


def test_specks_of_predictions_are_told_and_left_out_on_demand(tool):
    for name in tool.names:
        tool.write_map(tool.root / "maps" / f"{name}.png", name)
    before = tool.read(tool.root / "maps").predictions.images
    least = int(np.median([area(each.region) for found in before.values() for each in found])) + 1
    external = tool.read(tool.root / "maps", masks=mask_options("instance", label=None, min_area=least))
    for name in tool.names:
        large = [each.region for each in before[name] if area(each.region) >= least]
        assert [each.region for each in external.predictions.images[name]] == large
    left_out = sum(map(len, before.values())) - sum(map(len, external.predictions.images.values()))
    assert left_out and any(f"{left_out} particles smaller than --min-area left out" in note for note in external.notes)


def test_options_of_masks_are_refused_for_other_predictions(tool):
    path = tool.write_json("r.json", results_of(tool))
    with pytest.raises(UsageError, match="--threshold: for masks"):
        tool.read(path, masks=mask_options(threshold=128, label=None))


# YOLO


@pytest.mark.parametrize("scored", [True, False])
def test_yolo_labels_with_and_without_confidence(tool, scored):
    classes = tool.eval_set.classes
    for name in tool.names:
        width, height = tool.eval_set.sizes[name]
        path = tool.root / "labels" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        write_yolo(path, tool.truth[name], classes, height, width)
        if scored:
            lines = path.read_text().splitlines()
            path.write_text("".join(f"{line} 0.25\n" for line in lines))
    external = tool.read(tool.root)
    assert not external.predictions.knows_classes, "nothing names the indices"
    (tool.root / "classes.txt").write_text("\n".join(classes))
    external = tool.read(tool.root)
    assert external.predictions.knows_classes and external.scored == scored
    assert {each.score for each in external.predictions.images[tool.names[0]]} == {0.25 if scored else 1.0}
    assert_same_particles(tool, external, at_least=0.9)
    missing = tool.root / "labels" / f"{tool.names[0]}.txt"
    missing.unlink()
    with pytest.raises(PredictionsError, match=r"an empty \.txt file"):
        tool.read(tool.root)
    missing.touch()
    assert tool.read(tool.root).predictions.images[tool.names[0]] == []


# LabelMe: a second annotator


def write_labelme(tool, relabel=lambda label: label):
    from nanoseg_bench.annotations.tracing import trace

    for name in tool.names:
        width, height = tool.eval_set.sizes[name]
        shapes = []
        for group, instance in enumerate(tool.truth[name]):
            parts = instance.region if isinstance(instance.region, tuple) else trace(instance.region)
            shapes += [
                {
                    "label": relabel(instance.label),
                    "shape_type": "polygon",
                    "group_id": group,
                    "points": np.asarray(part.exterior).tolist(),
                }
                for part in parts
            ]
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
        tool.write_json(f"second/{name}.json", {**document, "imageHeight": height, "imageWidth": width})
    return tool.root / "second"


def test_a_second_annotators_labelme_files_need_no_images(tool):
    external = tool.read(write_labelme(tool))
    assert external.predictions.knows_classes and not external.scored
    assert_same_particles(tool, external, at_least=0.9)


def test_scores_in_the_descriptions_of_labelme_files_are_read(tool):
    folder = write_labelme(tool)
    numbers = itertools.count()
    expected = []
    for name in tool.names:
        document = json.loads((folder / f"{name}.json").read_text())
        score = {}
        for shape in document["shapes"]:
            group = shape["group_id"]
            score[group] = score.get(group) or round(1 / (2 + next(numbers)), 6)
            shape["description"] = json.dumps({"score": score[group], "text": "rod"})
        expected += score.values()
        (folder / f"{name}.json").write_text(json.dumps(document))
    external = tool.read(folder)
    assert external.scored and external.predictions.has_confidence
    assert [each.score for name in tool.names for each in external.predictions.images[name]] == expected
    shape["description"] = "mended by hand"
    (folder / f"{name}.json").write_text(json.dumps(document))
    with pytest.raises(PredictionsError, match=r"1 of \d+ particles have no score"):
        tool.read(folder)


def test_foreign_classes_make_a_class_less_row_and_a_mixture_is_refused(tool):
    external = tool.read(write_labelme(tool, lambda label: "thing"))
    assert not external.predictions.knows_classes
    assert any("since the classes thing are none of the set's" in note for note in external.notes)
    numbers = itertools.count()
    folder = write_labelme(tool, lambda label: label if next(numbers) else "thing")
    with pytest.raises(PredictionsError, match="--class-less"):
        tool.read(folder)
    assert not tool.read(folder, class_less=True).predictions.knows_classes


# Files


def test_a_path_a_format_and_a_mixture_of_formats_are_told(tool):
    with pytest.raises(UsageError, match="no such file or folder"):
        tool.read(tool.root / "nowhere")
    (tool.root / "empty").mkdir()
    with pytest.raises(PredictionsError, match="no predictions of a known format"):
        tool.read(tool.root / "empty")
    folder = write_labelme(tool)
    (folder / "extra.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    with pytest.raises(PredictionsError, match="--from"):
        tool.read(folder)
    assert tool.read(folder, format="labelme")
    broken = tool.root / "cut.json"
    broken.write_text('[{"image_id": 1,')
    with pytest.raises(PredictionsError, match="not JSON"):
        tool.read(broken)


def test_two_answers_for_an_image_and_one_of_another_split_are_told(tool):
    for name in tool.names:
        tool.write_map(tool.root / "maps" / f"{name}.png", name)
    tool.write_map(tool.root / "maps" / f"{tool.names[0]}.tif", tool.names[0])
    with pytest.raises(PredictionsError, match="two answers for the image"):
        tool.read(tool.root / "maps")
    (tool.root / "maps" / f"{tool.names[0]}.tif").unlink()
    other = tool.prepared.images("train")[0].name
    tool.write_map(tool.root / "maps" / f"{other}.png", tool.names[0])
    with pytest.raises(PredictionsError, match=r"there are such in train"):
        tool.read(tool.root / "maps")


def test_the_format_that_is_asked_for_is_found_beside_others(tool):
    """Masks beside a COCO file were taken for images beside annotations, also where --from masks was given."""
    for name in tool.names:
        tool.write_map(tool.root / "out" / f"{name}.png", name)
    tool.write_json("out/truth.json", tool.own_coco())
    assert "(coco)" in tool.read(tool.root / "out").notes[0]
    assert "(masks)" in tool.read(tool.root / "out", format="masks").notes[0]
    with pytest.raises(PredictionsError, match="no predictions of the format 'labelme' there; predictions are read"):
        tool.read(tool.root / "out", format="labelme")
