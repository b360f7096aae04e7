import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from nanoseg_bench.cli import annotate

ROD = {"label": "rod", "points": [[5, 5], [20, 5], [20, 20], [5, 20]], "shape_type": "polygon"}


@pytest.fixture
def folder(tmp_path):
    """A LabelMe file per name, beside its image."""

    def make(**files):
        root = tmp_path / "micrographs"
        root.mkdir(exist_ok=True)
        for name, shapes in files.items():
            Image.new("L", (60, 40), 90).save(root / f"{name}.png")
            document = {"version": "6.3.1", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png"}
            document |= {"imageData": None, "imageHeight": 40, "imageWidth": 60}
            (root / f"{name}.json").write_text(json.dumps(document))
        return root

    return make


@pytest.fixture
def session(monkeypatch, tmp_path):
    """The environment of a user with an empty home folder and an invisible screen."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    return home


def main(argv):
    from nanoseg_bench.cli import main

    return main([str(each) for each in argv])


def test_check_of_good_files(folder, capsys):
    root = folder(a=[ROD], b=[])
    assert main(["annotate", root, "--classes", "rod, cube", "--check"]) == 0
    assert "2 LabelMe files, 0 to be mended: 0 errors, 0 warnings. Particles: rod 1" in capsys.readouterr().out


def test_check_lists_errors_first_and_ends_with_1(folder, capsys):
    root = folder(a=[ROD, ROD], b=[{**ROD, "label": "rods"}], c=[ROD])
    before = {path: path.read_bytes() for path in root.iterdir()}
    assert main(["annotate", root, "--classes", "rod,cube", "--check"]) == 1
    out = capsys.readouterr().out
    error, warning = (next(line for line in out.splitlines() if name in line) for name in ("b.json", "a.json"))
    assert "error" in error and "did you mean 'rod'?" in error
    assert "warning" in warning and "outlined twice" in warning
    assert out.index(error) < out.index(warning)
    assert "c.json" not in out
    assert "3 LabelMe files, 1 to be mended: 1 error, 1 warning" in out
    assert {path: path.read_bytes() for path in root.iterdir()} == before


def test_similar_labels_are_told_for_all_files(folder, capsys):
    root = folder(a=[ROD], b=[{**ROD, "label": "Rod"}])
    assert main(["annotate", root, "--check"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "(all files)" in out and "'Rod' (1 particle, first in b), 'rod' (1 particle, first in a)" in out
    assert "0 errors, 1 warning." in out


def test_warnings_alone_do_not_fail(folder):
    assert main(["annotate", folder(a=[ROD, ROD]), "--check"]) == 0


def test_classes_of_a_card(folder, capsys):
    root = folder(a=[{**ROD, "label": "nanorods"}, {**ROD, "label": "triangle"}])
    assert main(["annotate", root, "--dataset", "nanosynth", "--check"]) == 1
    assert (
        "label 'nanorods' (1 particle) is not in the class list (nanocube, nanosphere, nanorod, triangle, pentagon)"
        in (capsys.readouterr().out)
    )


def test_usage(folder, tmp_path, capsys, session):
    assert main(["annotate", tmp_path / "nowhere", "--check"]) == 2
    assert main(["annotate", folder(a=[ROD]), "--classes", " , ", "--check"]) == 2
    assert main(["annotate", folder(a=[ROD]), "--dataset", "nanosinth", "--check"]) == 2
    assert "did you mean 'nanosynth'" in capsys.readouterr().err
    (tmp_path / "micrographs" / "a.json").unlink()
    assert main(["annotate", tmp_path / "micrographs"]) == 2
    captured = capsys.readouterr()
    assert "nothing is annotated yet" in captured.err
    assert "a.png" in captured.out and "has no annotation" in captured.out


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="a session there has a screen")
def test_without_a_screen_it_says_so(folder, session, monkeypatch, capsys):
    monkeypatch.delenv("QT_QPA_PLATFORM")
    assert main(["annotate", folder(a=[ROD])]) == 2
    assert "needs a screen" in capsys.readouterr().err


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    return None


@pytest.mark.slow
def test_labelme_opens_with_the_labels_and_leaves_the_settings_alone(folder, session):
    root = folder(a=[ROD])
    verb = subprocess.Popen(
        [sys.executable, "-m", "nanoseg_bench", "annotate", str(root), "--classes", "rod,cube"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # On Windows the interpreter of a virtual environment starts another one.
        labelme = wait_for(
            lambda: [
                each for each in psutil.Process(verb.pid).children(recursive=True) if "--labels" in each.cmdline()
            ],
            300,
        )
        assert labelme, verb.communicate(timeout=10)
        command = labelme[-1].cmdline()
        assert command[command.index("--labels") + 1] == "rod,cube,ignore"
        time.sleep(6)
        assert labelme[-1].is_running() and labelme[-1].status() != psutil.STATUS_ZOMBIE
        assert verb.poll() is None
        labelme[-1].terminate()
        _, err = verb.communicate(timeout=300)
    finally:
        verb.kill()
    assert verb.returncode == 1
    assert "LabelMe ended with code" in err
    assert not (session / ".labelmerc").exists()
    assert not list(session.rglob("*onnxruntime*"))
    assert sorted(path.name for path in root.iterdir()) == ["a.json", "a.png"]


# Looks into LabelMe's window as soon as it is open.
_LOOK = """
import json, sys
from PyQt5 import QtCore, QtWidgets
run = QtWidgets.QApplication.exec_
def look():
    from labelme.app import MainWindow
    (window,) = [each for each in QtWidgets.QApplication.topLevelWidgets() if isinstance(each, MainWindow)]
    allowed = {label: window.validate_label(label) for label in ("rod", "cube", "ignore", "rods")}
    config = {key: window._config[key] for key in ("labels", "validate_label", "with_image_data", "epsilon")}
    print(json.dumps({"allowed": allowed, **config}))
    QtWidgets.QApplication.exit(0)
def exec_(*arguments):
    QtCore.QTimer.singleShot(500, look)
    return run()
QtWidgets.QApplication.exec_ = exec_
"""


@pytest.mark.slow
@pytest.mark.parametrize("settings", [None, "epsilon: 3.5\n"])
def test_labelme_takes_the_labels_and_obeys_the_users_settings(folder, session, settings):
    if settings is not None:
        (session / ".labelmerc").write_text(settings)
    command = annotate.labelme_command(folder(a=[ROD]), ["rod", "cube"], session)
    launch = command.index("-c") + 1
    command[launch] = _LOOK + command[launch]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "allowed": {"rod": True, "cube": True, "ignore": True, "rods": False},
        "labels": ["rod", "cube", "ignore"],
        "validate_label": "exact",
        "with_image_data": False,
        "epsilon": 10.0 if settings is None else 3.5,
    }
    assert (session / ".labelmerc").exists() == (settings is not None)
    if settings is not None:
        assert (session / ".labelmerc").read_text() == settings


def test_labels_with_a_comma_reach_labelme_in_a_file(folder, tmp_path):
    command = annotate.labelme_command(folder(a=[ROD]), ["core, shell", "rod"], tmp_path)
    listed = Path(command[command.index("--labels") + 1])
    assert listed.read_text(encoding="utf-8").splitlines() == ["core, shell", "rod", "ignore"]
    command = annotate.labelme_command(folder(a=[ROD]), ["rod"], tmp_path)
    assert command[command.index("--labels") + 1] == "rod,ignore"
