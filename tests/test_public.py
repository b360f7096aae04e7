"""The package as a Python user sees it: light to import, and the same work as on the command line."""

import ast
import importlib.util
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import nanoseg_bench
from nanoseg_bench.annotations.instance import Polygon
from nanoseg_bench.cli import main
from nanoseg_bench.errors import AnnotationError, DatasetError, RecordError, UsageError
from nanoseg_bench.files import read_json
from nanoseg_bench.inference import read_folder
from nanoseg_bench.weights.shipped import shipped_weights

HEAVY = ("cv2", "matplotlib", "numpy", "pandas", "pydantic", "torch", "ultralytics")
FUNCTIONS = ("open_predictor", "predict_folder", "prepare", "read_annotations", "read_image", "read_leaderboard", "run")


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, nanoseg_bench\n"
        "dir(nanoseg_bench), nanoseg_bench.__version__, nanoseg_bench.NanosegError\n"
        f"sys.exit(', '.join(sorted(set({HEAVY!r}) & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"import nanoseg_bench loads {done.stderr}"


def test_every_name_is_there_and_says_what_it_is():
    for name in set(nanoseg_bench.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(nanoseg_bench, name)), name
    assert set(nanoseg_bench.__all__) <= set(dir(nanoseg_bench))
    with pytest.raises(AttributeError, match="no_such_thing"):
        nanoseg_bench.no_such_thing  # noqa: B018


@pytest.mark.parametrize("package", ["nanoseg_bench", "nanoseg_bench.inference", "nanoseg_bench.models"])
def test_the_reference_shows_every_public_name(package):
    pages = (Path(__file__).resolve().parent.parent / "docs" / "api").glob("*.md")
    shown = {
        line.rpartition(".")[2] for page in pages for line in page.read_text("utf-8").splitlines() if line[:3] == ":::"
    }
    assert set(importlib.import_module(package).__all__) - {"__version__"} <= shown


def test_no_name_is_a_module_too():
    """Python would put the module in its place as soon as anything imports it."""
    for name in nanoseg_bench.__all__:
        assert name == "__version__" or importlib.util.find_spec(f"nanoseg_bench.{name}") is None, name


def test_type_checkers_see_what_is_imported():
    tree = ast.parse(Path(nanoseg_bench.__file__).read_text("utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname or alias.name: f"{node.module.removeprefix('nanoseg_bench.')}:{alias.name}"
        for node in typed.body
        for alias in node.names
    }
    assert seen == nanoseg_bench._HOMES
    assert sorted([*seen, "__version__"]) == sorted(nanoseg_bench.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_is_documented_and_typed(name):
    function = getattr(nanoseg_bench, name)
    text = inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters.values():
        assert f"    {parameter.name}: " in text, parameter.name
        assert parameter.annotation is not inspect.Parameter.empty, parameter.name


@pytest.fixture(scope="module")
def rendered(tiny_set):
    """The LabelMe folder that the session's set was made of."""
    return tiny_set.with_name(f"{tiny_set.name}-source") / "main"


def test_a_set_by_python_is_that_of_the_command_line(rendered, tmp_path):
    options = ["--size", "96", "--augment-copies", "1", "--seed", "3", "--workers", "1", "--group-by", "folder"]
    some = tmp_path / "some"
    for specimen in sorted(rendered.iterdir())[:5]:
        shutil.copytree(specimen, some / specimen.name)
    assert main(["prepare", str(some), "--name", "mine", "--out", str(tmp_path / "cli"), *options]) == 0
    prepared = nanoseg_bench.prepare(
        some,
        name="mine",
        out=tmp_path / "python",
        size=96,
        augment_copies=1,
        seed=3,
        workers=1,
        group_by="folder",
    )
    other = nanoseg_bench.PreparedSet(tmp_path / "cli")
    assert (prepared.name, prepared.dataset, prepared.classes) == ("mine", "mine", other.classes)
    assert prepared.content_hash == other.content_hash
    assert repr(prepared) == f"PreparedSet({str(tmp_path / 'python')!r})"
    files = sorted(path.relative_to(prepared.root) for path in prepared.root.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other.root) for path in other.root.rglob("*") if path.is_file())
    assert read_json(prepared.root / "prepared.json") == read_json(other.root / "prepared.json")
    assert nanoseg_bench.prepare(out=prepared.root, overwrite="never").content_hash == prepared.content_hash


def test_weights_that_ship_go_by_name_as_on_the_command_line(tiny_set, tmp_path, monkeypatch):
    planned = []

    def carry_out(specs, *arguments, **options):
        planned.extend(specs)
        return {}

    monkeypatch.setattr("nanoseg_bench.leaderboard.benchmark.carry_out", carry_out)
    for name in ("shipped", "nsyolo", shipped_weights("nsyolo")):
        nanoseg_bench.run(tiny_set, ["nsyolo"], preset="smoke", weights=name)
    assert [spec.weights for spec in planned] == [shipped_weights("nsyolo")] * 3
    for name, message in [
        ("shiped", "weights shiped: no such file; give a .safetensors file, or the name of weights that ship"),
        ("shipped", "weights shipped: start networks of the YOLO family, and not unet; give models nsyolo"),
    ]:
        with pytest.raises(UsageError, match=message):
            nanoseg_bench.run(tiny_set, ["nsyolo", "unet"], preset="smoke", weights=name)


def test_the_rendered_data_set_is_that_of_the_command_line(rendered_set, tmp_path):
    prepared = nanoseg_bench.prepare(easy=True, images=12, size=64, augment_copies=0, workers=1, out=tmp_path / "data")
    other = rendered_set
    assert (prepared.name, prepared.content_hash) == (other.name, other.content_hash)


def test_what_does_not_go_together_is_refused(rendered, tmp_path):
    with pytest.raises(UsageError, match="not both"):
        nanoseg_bench.prepare(rendered, dataset="emps")
    with pytest.raises(UsageError, match="source DIR"):
        nanoseg_bench.prepare(dataset="emps", out=tmp_path / "set")
    with pytest.raises(UsageError, match="lies inside annotations"):
        nanoseg_bench.prepare(rendered, out=rendered / "set")
    with pytest.raises(UsageError, match="overwrite 'allways': is one of never, missing, always"):
        nanoseg_bench.run(tmp_path, "otsu", overwrite="allways")
    for options, message in [
        ({"seeds": (0, -1)}, "seeds -1: a seed lies between 0 and"),
        ({"seeds": ()}, "models, seeds: give at least one of each"),
        ({"models": []}, "models, seeds: give at least one of each"),
        ({"jobs": 0}, "jobs 0: give at least 1"),
        ({"robust_images": -1}, "robust_images -1: give at least 0"),
        ({"seeds": (0.5,)}, "seeds 0.5: give whole numbers"),
        ({"seeds": -1}, "seeds -1: a seed lies between 0 and"),
        ({"seeds": np.array([-1])}, "seeds -1: a seed lies between 0 and"),
        ({"jobs": 1.5}, "jobs 1.5: give a whole number"),
        ({"robust_images": 1.5}, "robust_images 1.5: give a whole number"),
    ]:
        with pytest.raises(UsageError, match=message):
            nanoseg_bench.run(tmp_path, **options)
    with pytest.raises(UsageError, match="my-set"):
        nanoseg_bench.prepare(rendered, name="my set")
    for options, message in [
        ({"size": 0}, "size 0: give at least 32"),
        ({"images": 0}, "images 0: give at least 1"),
        ({"seed": -1}, "seed -1: give at least 0"),
        ({"seed": 1.5}, "seed 1.5: give a whole number"),
        ({"size": 320.0}, r"size 320\.0: give a whole number"),
        ({"size": "320"}, "size '320': give a whole number"),
        ({"images": 3.5}, r"images 3\.5: give a whole number"),
        ({"augment_copies": 1.5}, r"augment_copies 1\.5: give a whole number"),
        ({"augment_copies": -1}, "augment_copies -1: give at least 0"),
        ({"augment_copies": 1, "augment_to": 30}, "augment_to, augment_copies: give one of both"),
        ({"overwrite": "allways"}, "overwrite 'allways': is one of never, missing, always"),
        ({"source": tmp_path}, "source .*: goes with a dataset that is not rendered here"),
        ({"classes": ["a"]}, "classes: goes with your own annotations"),
        ({"keep_split": True}, "keep_split: goes with your own annotations"),
        ({"out": "."}, "out .: give the folder by its name"),
    ]:
        with pytest.raises(UsageError, match=message):
            nanoseg_bench.prepare(**{"out": tmp_path / "set", **options})
    for options, message in [
        ({"tile": 100.5}, r"tile 100\.5: give a whole number"),
        ({"classes": "cube,rod"}, r"classes 'cube,rod': give a list of names, such as \['cube', 'rod'\]"),
    ]:
        with pytest.raises(UsageError, match=message):
            nanoseg_bench.prepare(rendered, out=tmp_path / "set", **options)
    with pytest.raises(UsageError, match=r"^split '8:1': give three whole numbers"):
        nanoseg_bench.prepare(rendered, out=tmp_path / "set", split="8:1")
    assert not (tmp_path / "set").exists()


def test_what_was_given_for_something_else_is_named(rendered, tiny_set, tmp_path):
    for options, message in [
        ({"recipe": ["epochs=3"]}, r"^recipe \['epochs=3'\]: give a dictionary, such as {'epochs': 50, "),
        ({"recipe": "epochs=3"}, "^recipe 'epochs=3': give a dictionary"),
        ({"recipe": {3: 3}}, "^recipe {3: 3}: give a dictionary"),
        ({"models": 3}, "^models 3: give one, or a list of them"),
        ({"seeds": None}, "^seeds None: give one, or a list of them"),
        ({"runs": 3}, "^runs 3: give a path$"),
        ({"leaderboards": None}, "^leaderboards None: give a path$"),
        ({"prepared": ["data/mine"]}, r"^prepared \['data/mine'\]: give a path$"),
        ({"prepared": tiny_set, "models": "nsyolo", "weights": 3}, "^weights 3: give a path$"),
    ]:
        with pytest.raises(UsageError, match=message):
            nanoseg_bench.run(**{"prepared": tmp_path, "models": "otsu", **options})
    for options, message in [
        ({"split": (8, 1, 1)}, r"^split \(8, 1, 1\): give a text, such as '8:1:1'"),
        ({"group_by": 3}, "^group_by 3: give a text, such as 'folder'"),
        ({"name": 3}, "^name 3: give a text"),
        ({"folds": "5"}, "^folds '5': give a whole number"),
        ({"annotations": 3}, "^annotations 3: give a path$"),
        ({"image_folder": ["a"]}, r"^image_folder \['a'\]: give a path$"),
        ({"split_file": 3}, "^split_file 3: give a path$"),
        ({"reviewed": 3}, "^reviewed 3: give a path$"),
        ({"scale_csv": 3}, "^scale_csv 3: give a path$"),
    ]:
        with pytest.raises(UsageError, match=message):
            nanoseg_bench.prepare(**{"annotations": rendered, "out": tmp_path / "set", **options})
    for read, message in [
        (nanoseg_bench.read_image, "^path 3: give a path$"),
        (nanoseg_bench.read_annotations, "^path 3: give a path$"),
        (nanoseg_bench.open_predictor, "^model 3: give a path$"),
        (read_folder, "^folder 3: give a path$"),
    ]:
        with pytest.raises(UsageError, match=message):
            read(3)
    with pytest.raises(UsageError, match=r"^dataset 3: give a text, such as 'emps'"):
        nanoseg_bench.prepare(dataset=3, out=tmp_path / "set")
    with pytest.raises(UsageError, match=r"^set_name .*: give the name of a prepared set, such as prepared.name"):
        nanoseg_bench.read_leaderboard(tmp_path)
    assert not (tmp_path / "set").exists()


def test_a_set_goes_by_its_name_as_on_the_command_line(tiny_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "gold").symlink_to(tiny_set.resolve())
    for given in ("gold", Path("data/gold")):
        with pytest.raises(UsageError, match=r"^recipe epochs: otsu trains nothing"):  # the set was found
            nanoseg_bench.run(given, "otsu", recipe={"epochs": 3})
    with pytest.raises(DatasetError, match=r"^silver: not a prepared set .*, which is data/NAME where it was told no"):
        nanoseg_bench.run("silver", "otsu")


def test_an_option_that_python_has_not_keeps_its_dashes(tmp_path):
    """Its argument would be refused."""
    coloured = np.zeros((16, 16, 3), np.uint8)
    coloured[2:6, 2:6], coloured[9:13, 9:13] = (255, 0, 0), (0, 255, 0)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        Image.fromarray(coloured).save(tmp_path / name / "a.png")
    with pytest.raises(AnnotationError, match="give --mask-kind colour"):
        nanoseg_bench.read_annotations(tmp_path, "masks")


def test_annotations_say_what_they_are_in_a_line(rendered):
    (first, *_) = nanoseg_bench.read_annotations(rendered)
    number = len(first.instances)
    assert repr(first) == f"Micrograph({first.name!r}, {first.width} x {first.height} px, {number} instances)"
    (polygon, *_) = first.instances[0].region
    assert repr(polygon) == f"Polygon({len(polygon.exterior)} points)"
    assert repr(Polygon(polygon.exterior, (polygon.exterior,))).endswith("points, 1 hole)")


def test_annotations_are_what_was_rendered(rendered):
    micrographs = nanoseg_bench.read_annotations(rendered)
    files = {path.relative_to(rendered).with_suffix("").as_posix() for path in rendered.rglob("*.json")}
    assert [each.name for each in micrographs] == sorted(files)
    shapes = [read_json(rendered / f"{each.name}.json")["shapes"] for each in micrographs]
    assert [len(each.instances) for each in micrographs] == list(map(len, shapes))
    first = micrographs[0]
    assert nanoseg_bench.read_image(first.image_path).shape[:2] == (first.height, first.width)


def test_faulty_annotations_are_an_error_or_left_out(rendered, tmp_path, caplog):
    for path in sorted(rendered.rglob("*-0.*")) + sorted(rendered.rglob("*-1.*")):
        if path.parent.name == "specimen-0000":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    good, bad = sorted(tmp_path.glob("*.json"))
    bad.write_text('{"shapes": [')
    with pytest.raises(AnnotationError, match=bad.name):
        nanoseg_bench.read_annotations(tmp_path, "labelme")
    assert [each.name for each in nanoseg_bench.read_annotations(tmp_path, "labelme", skip_faulty=True)] == [good.stem]
    assert bad.name in caplog.text


def test_a_run_by_python_is_a_row_of_the_table(tiny_set, tmp_path, runs_in_this_process):
    boards = tmp_path / "boards"
    found = nanoseg_bench.run(tiny_set, "otsu", preset="smoke", runs=tmp_path / "runs", leaderboards=boards)
    assert {run: outcome.status for run, outcome in found.outcomes.items()} == {"otsu-smoke-seed0": "ok"}
    table = found.table()
    pd.testing.assert_frame_equal(table, pd.read_csv(boards / f"{found.prepared.name}-test.csv"))
    assert table["model"].tolist() == ["otsu"] and 0 < table["map_50_95_agnostic"][0] < 1
    predictor = nanoseg_bench.open_predictor(found.runs / "otsu-smoke-seed0")
    assert predictor.operating_point.source != "default"
    with pytest.raises(UsageError, match="give test"):
        nanoseg_bench.read_leaderboard(found.prepared.name, boards, table="seeds")
    with pytest.raises(UsageError, match="is one of test"):
        nanoseg_bench.read_leaderboard(found.prepared.name, boards, table="tset")
    with pytest.raises(RecordError, match="no records"):
        nanoseg_bench.read_leaderboard("other", boards)


def test_models_that_cannot_be_run_are_refused_before_anything_is_written(tiny_set, tmp_path):
    places = {"runs": tmp_path / "runs", "leaderboards": tmp_path / "boards"}
    with pytest.raises(UsageError, match="did you mean 'otsu'"):
        nanoseg_bench.run(tiny_set, ["ostu"], **places)
    with pytest.raises(UsageError, match=r"weights gone\.safetensors"):
        nanoseg_bench.run(tiny_set, "nsyolo", weights="gone.safetensors", **places)
    with pytest.raises(UsageError, match="final"):
        nanoseg_bench.run(tiny_set, "otsu", final=True, **places)
    with pytest.raises(UsageError, match=r"^recipe epochs: otsu trains nothing"):
        nanoseg_bench.run(tiny_set, "otsu", recipe={"epochs": 3}, **places)
    assert not any(tmp_path.iterdir())
