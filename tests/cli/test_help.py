import os
import re
import shlex
import subprocess
import sys

import pytest

from nanoseg_bench.cli import build_parser, main

HEAVY = (
    "torch",
    "ultralytics",
    "cv2",
    "numpy",
    "pandas",
    "labelme",
    "albumentations",
    "pydantic",
    "matplotlib",
    "flask",
)
VERBS = build_parser()._subparsers._group_actions[0].choices


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from nanoseg_bench.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"loaded = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "sys.exit(', '.join(loaded) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"--help loads {done.stderr}"


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="CPU time of a child is read with wait4")
def test_a_command_starts_in_some_times_what_python_alone_takes():
    # CPU time of the quickest of three: wall time on a busy machine says nothing about us, nor does a number of seconds
    # on a slow one.
    def seconds(*words):
        found = []
        for _ in range(3):
            pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, *words])
            _, status, usage = os.wait4(pid, 0)
            assert status == 0
            found.append(usage.ru_utime + usage.ru_stime)
        return min(found)

    # 8 times, where this was written: a tenth of a second; NumPy alone makes it 14.
    assert seconds("-m", "nanoseg_bench", "--version") < 25 * seconds("-c", "pass")


def test_every_verb_has_help(capsys):
    for verb in VERBS:
        with pytest.raises(SystemExit) as end:
            build_parser().parse_args([verb, "--help"])
        assert end.value.code == 0
        assert verb in capsys.readouterr().out


def test_the_examples_are_understood_and_spelt_as_the_options_are(capsys):
    texts = [parser.epilog or "" for parser in (build_parser(), *VERBS.values())]
    examples = [line for text in texts for line in re.findall(r"^  nanoseg-bench (.*?)(?:  .*)?$", text, re.MULTILINE)]
    assert {line.split()[0] for line in examples} == set(VERBS) - {"list"}
    for line in examples:
        verb, *words = shlex.split(line)
        try:
            build_parser().parse_args([verb, *words])
        except SystemExit:
            pytest.fail(f"{line}\n{capsys.readouterr().err}")
        shown = {flag for action in VERBS[verb]._actions for flag in action.option_strings}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= shown, line


def test_the_example_that_replaces_a_set_by_its_own_split_names_it():
    examples = re.findall(
        r"^  (nanoseg-bench prepare .*--split-file .*?)(?:  .*)?$", VERBS["prepare"].epilog, re.MULTILINE
    )
    (given,) = (build_parser().parse_args(shlex.split(line)[1:]) for line in examples)
    assert given.split_file.parts[:2] == ("data", given.name)


def test_an_unknown_verb_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as end:
        main(["trian"])
    assert end.value.code == 2
    assert "trian" in capsys.readouterr().err


def test_list_says_what_is_wrong_with_a_plug_in(tmp_path, monkeypatch, capsys):
    recipes, about = tmp_path / "torn_net" / "baselines", tmp_path / "torn_net-1.0.dist-info"
    recipes.mkdir(parents=True)
    about.mkdir()
    (tmp_path / "torn_net" / "__init__.py").touch()
    (recipes / "torn.yaml").write_text("presets: [")
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: torn-net\nVersion: 1.0\n")
    about.joinpath("entry_points.txt").write_text(
        "[nanoseg_bench.models]\ntorn = torn_net.model:Net\nempty = torn_net.model:Net\ngone = not_there.model:Net\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["list"]) == 0
    rows = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "(plug-in)" in line}
    assert list(rows) == ["empty", "gone", "torn"]
    assert "empty.yaml" in rows["empty"] and "no installed package" in rows["gone"] and "torn.yaml" in rows["torn"]


def test_list_names_every_model_and_data_set(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("otsu", "unet", "deeplabv3plus", "mask-rcnn", "yolo11n", "nsyolo", "emps", "nanosynth"):
        assert name in out
