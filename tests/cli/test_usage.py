"""What is misspelt, and what ends a command early: the same in every verb."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nanoseg_bench.cli import main
from nanoseg_bench.cli.names import split_integers, split_names
from nanoseg_bench.cli.nearest import nearest_path
from nanoseg_bench.cli.sets import find_name, find_set
from nanoseg_bench.cli.shipped import find_initial_weights, find_model
from nanoseg_bench.cli.sources import parse_classes
from nanoseg_bench.errors import UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_set(folder, name):
    folder.mkdir(parents=True)
    (folder / "prepared.json").write_text(f'{{"format": "nanoseg-prepared/2", "name": "{name}"}}', encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("prepar", "there is no 'prepar'; did you mean 'prepare'?"),
        ("leader-board", "did you mean 'leaderboard'?"),
        ("run --modles all", "there is no --modles; did you mean '--models'?"),
        ("predict a.png --modle x", "there is no --modle; did you mean '--model'?"),
        ("convert a b --to cocco", "--to: there is no 'cocco'; did you mean 'coco'?"),
        ("convert a b --to coco --image_folder c", "did you mean '--image-folder'?"),
        ("prepare a --overwrite allways", "did you mean 'always'?"),
        ("list models", "models: not understood here"),
    ],
)
def test_a_misspelt_word_is_offered_the_nearest(command, part, capsys):
    with pytest.raises(SystemExit) as end:
        main(command.split())
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert part in message
    assert "--help" in message
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    "command",
    [
        "run {}",
        "audit {}",
        "score {}",
        "score somewhere/{}",
        "score --predictions {} --as tool",
        "figures {}",
        "leaderboard {}",
        "prepare {}",
        "prepare --labelme {}",
        "prepare --annotations {}",
        "prepare . --scale-csv {}",
        "prepare . --reviewed {}",
        "convert {} out --to coco",
        "annotate {} --check",
        "predict {} --model .",
        "predict . --model {}",
        "explain {} --model .",
        "explain a.png --model {}",
        "export {}",
    ],
)
def test_what_is_not_there_is_one_mistake_with_one_exit_code(command, here, capsys):
    (here / "a.png").touch()
    make_set(here / "data" / "mine", "mine")
    boards = here / "leaderboards" / "records" / "mine"
    boards.mkdir(parents=True)
    assert main(command.format("nowhere").split()) == 2
    assert "nowhere: n" in capsys.readouterr().err


def test_a_path_is_offered_the_nearest_that_exists(here):
    (here / "Größe 2" / "images").mkdir(parents=True)
    (here / "Größe 2" / "images" / "sample_01.tif").touch()
    (here / "Größe 2" / "images" / "other.tif").touch()
    found = Path("Größe 2", "images", "sample_01.tif")
    for misspelt in ("größe_2/images/sample-01.tif", "Größe 2/image/sample_01.tiff", "Grösse 2/Images/sample_01.TIF"):
        assert nearest_path(Path(misspelt)) == found
        assert nearest_path(here / misspelt) == here / found
    assert nearest_path(Path("elsewhere/images/sample_01.tif")) is None
    assert nearest_path(Path("Größe 2/images/nope.tif")) is None


def test_nearly_the_name_of_shipped_weights(here):
    hint = "give a run's folder"
    for given, part in (
        ("nsyol", "did you mean 'nsyolo'?"),
        ("YOLO_11n", "did you mean 'yolo11n'?"),
        ("elsewhere/nsyol", hint),
    ):
        with pytest.raises(UsageError, match=re.escape(f"--model {given}: no such file or folder; {part}")):
            find_model(Path(given), hint)
    with pytest.raises(UsageError, match=re.escape("--weights nsyol: no such file or folder; did you mean 'nsyolo'?")):
        find_initial_weights("nsyol", ["nsyolo"])


def test_a_set_goes_by_its_name_or_its_path(here, monkeypatch):
    make_set(here / "data" / "mine", "mine")
    make_set(here / "else where" / "folder", "other")
    assert find_set("mine") == Path("data/mine")
    assert find_set("data/mine").resolve() == find_set(None, "mine").resolve() == here / "data" / "mine"
    assert find_set(here / "else where" / "folder") == here / "else where" / "folder"
    assert find_set("mine", "data/mine") == Path("data/mine")
    (here / "mine").mkdir()  # annotations of the same name are no set
    assert find_set("mine") == Path("data/mine")
    for wrong, part in (
        ("mien", "did you mean 'mine'?"),
        ("else where/foldr", "did you mean 'else where/folder'?"),
        ("quite-another", "there are mine in data/"),
        (None, "data/nanosynth: not a prepared set"),
    ):
        with pytest.raises(UsageError) as told:
            find_set(wrong)
        assert part in str(told.value)
    with pytest.raises(UsageError, match="name one set"):
        find_set("mine", "else where/folder")
    (here / "my raw").mkdir()
    with pytest.raises(UsageError, match="make one of it: nanoseg-bench prepare 'my raw'"):
        find_set("my raw")
    assert find_name("else where/folder", ["other"], "records") == "other"
    assert find_name("data/gone", ["gone"], "records") == "gone"
    with pytest.raises(UsageError, match="oter: no records of that name; did you mean 'other'"):
        find_name("oter", ["other"], "records")


def test_lists_are_separated_by_spaces_or_commas():
    assert parse_classes(["cube,rod"]) == parse_classes(["cube", "rod"]) == parse_classes(["cube,", "rod"])
    assert parse_classes(['"core, shell"', "rod"]) == ("core, shell", "rod")
    assert parse_classes(["core shell,rod"]) == ("core shell", "rod")
    assert split_names(["nsyolo, unet", "otsu,"]) == ["nsyolo", "unet", "otsu"]
    assert split_integers(["0,1", "2"], "--seeds") == [0, 1, 2]
    with pytest.raises(UsageError, match="--seeds x: give whole numbers"):
        split_integers(["0,x"], "--seeds")


@pytest.mark.parametrize("command", ["run mine --models ,", "run mine --seeds ,"])
def test_a_list_of_nothing_is_refused(command, here, capsys):
    assert main(command.split()) == 2
    assert "--models, --seeds: give at least one of each" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prepare", "audit mine", "convert . out --to coco", "export a --to release"])
def test_no_verb_takes_less_than_one_process(command, here, capsys):
    assert main([*command.split(), "--workers", "0"]) == 2
    assert "--workers 0: give at least 1" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="a shell's pipe")
@pytest.mark.parametrize(
    ("command", "unbuffered", "codes"),
    [("list", "", "1 141"), ("list", "1", "1 141"), ("convert in out --to coco", "", "141"), ("--help", "1", "0 141")],
)
def test_a_reader_that_has_gone_ends_a_command_quietly(command, codes, unbuffered, here, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    (here / "in").mkdir()
    Image.new("L", (32, 24)).save(here / "in" / "a.png")
    shape = {"label": "cube", "shape_type": "polygon", "points": [[2, 2], [20, 2], [20, 20]]}
    document = {"imagePath": "a.png", "imageHeight": 24, "imageWidth": 32, "shapes": [shape]}
    (here / "in" / "a.json").write_text(json.dumps(document), encoding="utf-8")
    program = f"{shlex.quote(sys.executable)} -m nanoseg_bench {command}"
    # The reader has gone before anything is written.
    subprocess.run(["bash", "-c", f"(sleep 0.3; {program} 2>told; echo $? >code) | true"], check=True, timeout=300)
    assert (here / "told").read_text() == ""
    assert (here / "code").read_text().strip() in codes.split()
    if "convert" in command:
        assert (here / "out" / "conversion_report.json").is_file()
