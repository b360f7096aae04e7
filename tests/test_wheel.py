"""The wheel as others get it: built, installed into an empty environment, and used from a folder of its own."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="programs lie elsewhere on Windows")]


def check(command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """program(words): what ``nanoseg-bench`` prints, installed from the wheel without network.

    The environment sees the libraries of the one that runs the tests behind its own folder, so what they bring is not
    installed again; nanoseg-bench itself is the wheel's.
    """
    pytest.importorskip("hatchling", reason="it builds the wheel: pip install -e '.[test]'")
    root = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    check([*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", root, ROOT])
    (wheel,) = root.glob("nanoseg_bench-*.whl")
    check([sys.executable, "-m", "venv", "--without-pip", root / "empty"])
    python = root / "empty" / "bin" / "python"
    check([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel])
    site = Path(check([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"XDG_CACHE_HOME": str(root / "cache"), "COLUMNS": "200"}
    (root / "desk").mkdir()
    where = check([python, "-c", "import nanoseg_bench as n; print(n.__file__)"], cwd=root / "desk", env=environment)
    assert Path(where.strip()).is_relative_to(root), "the tests would be of the checkout"

    def call(*words):
        return check([root / "empty" / "bin" / "nanoseg-bench", *words], cwd=root / "desk", env=environment)

    call.desk = root / "desk"
    return call


def test_help_and_what_ships(program):
    assert "predict" in program("--help")
    listed = program("list")
    assert all(name in listed for name in ("emps", "nanosynth", "otsu", "nsyolo"))


def test_from_nothing_to_a_table(program):
    program("prepare", "--images", "8")
    shown = program("run", "nanosynth-8", "--preset", "smoke", "--models", "otsu", "--device", "cpu")
    assert "Otsu + watershed" in shown
    assert (program.desk / "leaderboards" / "nanosynth-8-test.csv").is_file()


def test_the_weights_that_ship_find_particles(program):
    pixels = np.random.default_rng(0).normal(60, 8, (200, 260))
    rows, columns = np.mgrid[:200, :260]
    for x, y in ((60, 60), (180, 70), (110, 140)):
        pixels[(columns - x) ** 2 + (rows - y) ** 2 < 24**2] += 120
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(program.desk / "discs.png")
    program("predict", "discs.png", "--out", "found", "--device", "cpu", "--engine", "torch")
    assert (program.desk / "found" / "labelme" / "discs.json").is_file()
