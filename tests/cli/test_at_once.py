"""Two commands that write the same folder, started together or one after the other, in processes of their own."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nanoseg_bench.cli import main
from nanoseg_bench.files import read_json
from nanoseg_bench.locks import hold

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

ONE = ("--workers", "1")


def draw(folder, number, rng):
    """One micrograph of six discs with its LabelMe file."""
    image = Image.fromarray(rng.integers(40, 60, (96, 96), dtype=np.uint8))
    shapes = []
    for place in range(6):
        x, y, r = 16 + 32 * (place % 3), 24 + 48 * (place // 3), 8 + int(rng.integers(4))
        ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=int(rng.integers(150, 250)))
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        points = np.stack([x + r * np.cos(turn), y + r * np.sin(turn)], axis=1).round(2).tolist()
        shapes.append({"label": "disc", "points": points, "shape_type": "polygon", "group_id": None, "flags": {}})
    image.save(folder / f"{number:02d}.png")
    document = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{number:02d}.png", "imageData": None}
    (folder / f"{number:02d}.json").write_text(json.dumps(document | {"imageHeight": 96, "imageWidth": 96}))


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two at once") / "Aufnahmen"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        draw(folder, number, rng)
    return folder


def start(*arguments, cwd):
    command = [sys.executable, "-m", "nanoseg_bench", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def both(delay, first, second, cwd):
    """(exit code, what it printed) of two commands, the second started ``delay`` seconds after the first."""
    processes = [start(*first, cwd=cwd)]
    time.sleep(delay)
    processes.append(start(*second, cwd=cwd))
    ends = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, out + err) for process, (out, err) in zip(processes, ends, strict=True)]


def require_whole(prepared):
    """Every file is what the manifest says, and no other lies there.

    What else the audit finds is no matter here: it compares canvases, and at 64 px these discs look alike.
    """
    main(["audit", str(prepared), "--workers", "1"])
    (files,) = (check for check in read_json(prepared / "split_audit.json")["checks"] if check["name"] == "files")
    assert files["passed"] and files["details"] == []


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_prepare_twice_gives_the_set_to_both(annotated, tmp_path):
    command = ("prepare", "--labelme", annotated, "--out", "set", "--size", "64", "--augment-copies", "0", *ONE)
    ends = both(0, command, command, tmp_path)
    assert [code for code, _ in ends] == [0, 0], ends
    require_whole(tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"], "no lock, no half-written folder"


@pytest.mark.slow
def test_nanosynth_is_rendered_by_one_of_two(tmp_path):
    command = ("prepare", "--easy", "--images", "12", "--size", "64", "--augment-copies", "0", "--workers", "1")
    with held_by_another(tmp_path / "set-source"):
        processes = [start(*command, "--out", "set", cwd=tmp_path) for _ in range(2)]
        for process in processes:  # so that both are at it, however long they take to start
            assert any("is writing it; waiting for its end" in line for line in process.stderr)
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "set-source"]


def test_other_parameters_are_refused_after_the_wait_and_the_set_stays_whole(annotated, tmp_path):
    command = ("prepare", "--labelme", annotated, "--out", "set", "--augment-copies", "0", *ONE, "--size")
    ends = both(0.3, (*command, "64"), (*command, "96"), tmp_path)
    assert sorted(code for code, _ in ends) == [0, 1], ends
    assert "set: holds a prepared set of other inputs or parameters" in max(ends)[1]
    require_whole(tmp_path / "set")


def test_one_of_two_conversions_is_refused_by_name(annotated, tmp_path):
    command = ("convert", annotated, "out", "--to", "coco")
    ends = both(0, command, command, tmp_path)
    assert sorted(code != 0 for code, _ in ends) == [False, True], ends
    told = max(ends)[1]
    assert "out: another nanoseg-bench command" in told or "out: is there already" in told
    assert len(read_json(tmp_path / "out" / "annotations.json")["annotations"]) == 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.slow
def test_two_predictions_into_one_folder_are_both_recorded(annotated, tmp_path):
    prepare = ["prepare", "--labelme", str(annotated), "--out", str(tmp_path / "set"), "--size", "64"]
    assert main([*prepare, "--augment-copies", "0", "--workers", "1"]) == 0
    runs = ["--runs", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "boards")]
    assert main(["run", str(tmp_path / "set"), "--models", "otsu", "--preset", "smoke", *runs]) == 0
    images = sorted(annotated.glob("*.png"))
    more = ("--model", "runs/otsu-smoke-seed0", "--out", "found", "--overwrite", "missing", "--to", "coco,overlay")
    ends = both(0, ("predict", *images[:7], *more), ("predict", *images[5:], *more), tmp_path)
    assert [code for code, _ in ends] == [0, 0], ends
    entries = read_json(tmp_path / "found" / "predictions.json")["images"]
    assert sorted(entry["name"] for entry in entries) == [path.stem for path in images]
    assert len(list((tmp_path / "found" / "overlay").glob("*.png"))) == 10
    assert len(read_json(tmp_path / "found" / "coco" / "annotations.json")["images"]) == 10
    assert hidden(tmp_path) == hidden(tmp_path / "found") == []


@pytest.mark.faults
@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_a_killed_prepare_is_followed_by_one_that_works(annotated, tmp_path):
    command = ("prepare", "--labelme", annotated, "--out", "set", "--size", "320", "--augment-copies", "8")
    process = start(*command, cwd=tmp_path)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".set.incomplete*/images/train/*")) and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert list(tmp_path.glob(".set.incomplete*")), "killed while it wrote"
    again = start(*command, cwd=tmp_path)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, out + err
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    require_whole(tmp_path / "set")


@pytest.fixture(scope="module")
def run_of_otsu(annotated, tmp_path_factory):
    """A folder with a prepared set, a run of Otsu on it, and its records."""
    root = tmp_path_factory.mktemp("finished")
    prepare = ["prepare", "--labelme", str(annotated), "--out", str(root / "set"), "--size", "64"]
    assert main([*prepare, "--augment-copies", "0", "--workers", "1"]) == 0
    runs = ["--runs", str(root / "runs"), "--leaderboards", str(root / "boards")]
    assert main(["run", str(root / "set"), "--models", "otsu", "--preset", "smoke", *runs]) == 0
    return root


@pytest.mark.faults
def test_two_of_score_give_the_records_of_one(run_of_otsu, tmp_path):
    command = ("score", "--data", run_of_otsu / "set", "--runs", run_of_otsu / "runs", "--leaderboards", "boards")
    ends = both(0, command, command, tmp_path)
    assert [code for code, _ in ends] == [0, 0], ends
    rows = [path.read_text().splitlines() for path in sorted((tmp_path / "boards").glob("*-test.csv"))]
    assert [len(each) for each in rows] == [2], "a heading, and one row"
    assert [path.name for path in tmp_path.iterdir()] == ["boards"]
    assert [path for path in (tmp_path / "boards").rglob(".*") if path.is_file()] == []


@pytest.mark.faults
def test_two_of_analyze_give_each_particle_once(run_of_otsu, annotated, tmp_path):
    model = ("--model", run_of_otsu / "runs" / "otsu-smoke-seed0", "--no-ocr", "--out", "sizes")
    command = ("analyze", annotated / "00.png", annotated / "01.png", *model)
    ends = both(0, command, command, tmp_path)
    assert 0 in [code for code, _ in ends], ends
    for code, told in ends:
        assert code == 0 or "sizes: another nanoseg-bench command" in told, told
    assert main([*map(str, command[:-1]), str(tmp_path / "sizes")]) == 0
    again = (tmp_path / "sizes" / "particles.csv").read_bytes()
    assert main([*map(str, command[:-1]), str(tmp_path / "alone")]) == 0
    assert again == (tmp_path / "alone" / "particles.csv").read_bytes()
    assert hidden(tmp_path / "sizes") == hidden(tmp_path) == []


@contextmanager
def held_by_another(target):
    """Somebody else writes it: what one thread holds is not another's."""
    taken, done = threading.Event(), threading.Event()

    def take():
        with hold(target, wait=False):
            taken.set()
            done.wait(300)

    thread = threading.Thread(target=take)
    thread.start()
    assert taken.wait(120)
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.slow
def test_an_export_that_another_one_writes_is_refused_by_name(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    out = tmp_path / "model.onnx"
    with held_by_another(out):
        assert main(["export", "yolo11n", "--to", "onnx", "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert f"{out}: another nanoseg-bench command (process {os.getpid()}" in told and "write somewhere else" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_two_exports_at_once_leave_one_whole_file(tmp_path):
    onnx = pytest.importorskip("onnx")
    command = ("export", "yolo11n", "--to", "onnx", "--out", "model.onnx")
    ends = both(0, command, command, tmp_path)
    codes = sorted(code for code, _ in ends)
    assert codes[0] == 0 and codes[1] in (1, 2), ends
    told = max(ends)[1]
    assert "model.onnx: another nanoseg-bench command" in told or "model.onnx: is there already" in told, told
    onnx.checker.check_model(str(tmp_path / "model.onnx"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def published(root):
    folder = root / "predictions"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_what_is_published_waits_for_who_writes_the_records(run_of_otsu, tmp_path):
    shutil.copytree(run_of_otsu, tmp_path / "root")
    root = tmp_path / "root"
    command = ("leaderboard", "set", "--publish", "--runs", "runs", "--leaderboards", "boards")
    with held_by_another(root / "boards" / "Aufnahmen"):
        process = start(*command, cwd=root)
        for line in process.stderr:
            if "waiting for its end" in line:
                break
        assert process.poll() is None and not (root / "boards" / "predictions").exists()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    once = published(root / "boards")
    assert any(name.endswith("test.json.gz") for name in once)


@pytest.mark.faults
def test_two_that_publish_and_one_that_scores_end_well(run_of_otsu, tmp_path):
    shutil.copytree(run_of_otsu, tmp_path / "root")
    root = tmp_path / "root"
    publish = ("leaderboard", "set", "--publish", "--runs", "runs", "--leaderboards", "boards")
    ends = both(0, publish, publish, root)
    assert [code for code, _ in ends] == [0, 0], ends
    once = published(root / "boards")
    score = ("score", "--data", "set", "--runs", "runs", "--leaderboards", "boards")
    for _ in range(3):
        ends = both(0, publish, score, root)
        assert [code for code, _ in ends] == [0, 0], ends
        assert published(root / "boards") == once
    assert [path for path in (root / "boards").rglob(".*") if path.is_file()] == []
