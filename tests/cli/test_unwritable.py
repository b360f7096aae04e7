"""Places that cannot be written: each verb names the place and the way out; reading needs no permission to write."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_process import command_process
from PIL import Image

from nanoseg_bench.cli import main

pytestmark = pytest.mark.usefixtures("runs_in_this_process")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A prepared set, a run of Otsu on it, its records, and one image."""
    root = tmp_path_factory.mktemp("made")
    command = ["prepare", "--easy", "--images", "12", "--size", "64", "--workers", "1", "--augment-copies", "0"]
    assert main([*command, "--out", str(root / "toy"), "--name", "toy-12"]) == 0
    places = ["--runs", str(root / "runs"), "--leaderboards", str(root / "boards")]
    assert main(["run", str(root / "toy"), "--models", "otsu", "--preset", "smoke", *places]) == 0
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)).save(root / "image.png")
    return root


@pytest.fixture
def read_only(made):
    """A copy that nobody may change, and a folder that may be."""
    root = Path(tempfile.mkdtemp(prefix="read-only-"))
    shutil.copytree(made, root / "shared")
    (root / "mine").mkdir()
    folders = [path for path in (root / "shared").rglob("*") if path.is_dir()]
    for folder in (root / "shared", *folders):
        folder.chmod(0o555)
    yield root
    for folder in (root / "shared", *folders):
        folder.chmod(0o755)
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def run_unprivileged():
    """call(commands, folder): the ends of commands in a process that permissions bind."""
    before = []
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write anywhere, and setpriv is not there to change that")
        before = ["setpriv", "--bounding-set", "-all"]
    with command_process(before=before) as run:
        yield lambda commands, folder: [run(folder, *command) for command in commands]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_shared_table_is_shown_to_those_who_may_only_read(read_only, run_unprivileged):
    boards = read_only / "shared" / "boards"
    (table, markdown, page, elsewhere), before = (
        run_unprivileged(
            [
                ["leaderboard", "toy-12", "--leaderboards", boards],
                ["leaderboard", "toy-12", "--leaderboards", boards, "--markdown"],
                ["leaderboard", "toy-12", "--leaderboards", boards, "--html"],
                ["leaderboard", "toy-12", "--leaderboards", boards, "--html", "page.html"],
            ],
            read_only / "mine",
        ),
        sorted(boards.iterdir()),
    )
    assert table[0] == 0 and "Otsu" in table[1] and "toy-12-test.csv (not written)" in table[1]
    assert f"{boards}: the CSV files cannot be written (Permission denied), so the tables are only shown" in table[2]
    assert markdown[0] == 0 and "Otsu" in markdown[1]
    assert page[0] == 1 and f"{boards}: cannot be written (Permission denied)" in page[2] and "--html FILE" in page[2]
    assert elsewhere[0] == 0 and (read_only / "mine" / "page.html").is_file()
    assert sorted(boards.iterdir()) == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("kind", ["read-only", "a file"])
def test_each_verb_names_the_place_and_the_way_out(read_only, run_unprivileged, kind):
    shared = read_only / "shared"
    place = shared if kind == "read-only" else read_only / "mine" / "file"
    if kind == "a file":
        place.write_text("no folder")
    data, image = shared / "toy", shared / "image.png"
    runs, boards = ["--runs", shared / "runs"], ["--leaderboards", shared / "boards"]
    nowhere, otsu = place / "new", shared / "runs" / "otsu-smoke-seed0"
    annotations = shared / "toy-source" / "main"
    cases = [
        (["explain", image, "--model", otsu, "--out", nowhere / "a.png"], "--out"),
        (["explain", image, "--model", otsu, "--out", "a.png", "--arrays", nowhere / "a.npz"], "--arrays"),
        (["export", otsu, "--to", "onnx", "--out", nowhere / "a.onnx"], "--out"),
        (["figures", data, *runs, *boards, "--out", nowhere], "--out"),
        (["predict", image, "--model", otsu, "--out", nowhere], "another folder"),
        (["score", "--data", data, *runs, "--leaderboards", nowhere], "--leaderboards"),
        (["run", data, "--models", "otsu", *boards, "--runs", nowhere], "--runs"),
        (["run", data, "--models", "otsu", "--runs", "runs", "--leaderboards", nowhere], "--leaderboards"),
        (["convert", annotations, nowhere, "--to", "coco"], "another folder"),
        (["prepare", "--labelme", annotations, "--out", nowhere], "another folder"),
    ]
    if kind == "read-only":
        cases += [(["audit", data], "another folder")]
    ends = run_unprivileged([command for command, _ in cases], read_only / "mine")
    for (command, way_out), (code, _, err) in zip(cases, ends, strict=True):
        assert code == 1, (command, err)
        assert "cannot be written (" in err and str(place) in err and way_out in err, (command, err)
    (end,) = run_unprivileged([["annotate", annotations, "--check"]], read_only / "mine")
    assert end[0] == 0, "looking needs no permission to write"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_micrograph_that_may_not_be_read_is_told_and_the_others_are_measured(read_only, run_unprivileged):
    folder, out = read_only / "mine" / "in", read_only / "mine" / "sizes"
    folder.mkdir()
    for name in ("closed.png", "open.png"):
        shutil.copy(read_only / "shared" / "image.png", folder / name)
    (folder / "closed.png").chmod(0)
    otsu = read_only / "shared" / "runs" / "otsu-smoke-seed0"
    command = ["analyze", folder, "--model", otsu, "--out", out, "--no-ocr", "--to", "labels"]
    (end,) = run_unprivileged([command], read_only / "mine")
    assert end.code == 1 and "closed.png: cannot be opened (Permission denied)" in " ".join(end.out.split()), end
    assert pd.read_csv(out / "images.csv").set_index("image")["status"].to_dict() == {"closed": "failed", "open": "ok"}


def test_a_file_that_no_verb_thought_of_gives_a_line_and_no_traceback(tmp_path, capsys):
    record = tmp_path / "records" / "toy" / "otsu-smoke-seed0-test.json"
    record.mkdir(parents=True)
    assert main(["leaderboard", "toy", "--leaderboards", str(tmp_path)]) == 1
    assert f"nanoseg-bench: {record}: cannot be read or written (Is a directory)" in capsys.readouterr().err
