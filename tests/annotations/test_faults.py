import os
import pickle
from pathlib import Path

import pytest

from nanoseg_bench.annotations.errors import NotAnAnnotationError
from nanoseg_bench.annotations.faults import FaultReport, Problem, SeveralFaultsError, common_root, refuse_faults
from nanoseg_bench.errors import AnnotationError, ImageError, PreparationError


def problem(path, kind=AnnotationError):
    return Problem(path.stem, path, kind(f"{path}: broken"))


def test_what_is_no_annotation_is_no_fault(tmp_path):
    report = FaultReport(root=tmp_path)
    for name, kind in (("a", AnnotationError), ("b", NotAnAnnotationError), ("c", ImageError)):
        report.add_problem(problem(tmp_path / f"{name}.json", kind))
    assert [each.name for each in report.problems] == ["a", "c"]
    assert [each.name for each in report.passed_over] == ["b"]


@pytest.mark.parametrize("kind", [AnnotationError, PreparationError])
def test_the_first_ten_are_told_and_where_all_are(tmp_path, kind):
    report = FaultReport(root=tmp_path)
    report.add_problem(problem(tmp_path / "f00.json", ImageError))
    assert report.refusal(tmp_path / "all.json", kind) is report.problems[0].error
    for number in range(1, 12):
        report.add_problem(problem(tmp_path / f"f{number:02}.json"))
    error = report.refusal(tmp_path / "all.json", kind)
    first, *lines = str(error).splitlines()
    assert type(error) is kind
    assert first == "12 files cannot be used:"
    assert lines[:10] == [f"  {tmp_path / f'f{number:02}.json'}: broken" for number in range(10)]
    assert lines[10] == "  and 2 more"
    assert f"{tmp_path / 'all.json'}. Mend them, or give --on-error skip" in lines[11]


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        (("a/b/x.json", "a/c/y.json"), "a"),
        (("a/b/x.json", "a/b/c/y.json"), "a/b"),
        (("x.json", "a/y.json"), "."),
        (("x.json",), "."),
        ((os.path.abspath("x.json"), "a/y.json"), "."),
        ((), "."),
    ],
)
def test_common_root(paths, root):
    assert common_root(map(Path, paths)) == Path(root)


def test_one_fault_is_told_as_it_is(tmp_path):
    refuse_faults(tmp_path / "a.json", [])
    with pytest.raises(AnnotationError, match=r"a\.json: shape 1 is open$") as error:
        refuse_faults(tmp_path / "a.json", ["shape 1 is open"])
    assert not isinstance(error.value, SeveralFaultsError)


@pytest.mark.parametrize("number", [2, 5, 6, 40])
def test_several_faults_are_told_together_and_survive_a_process(tmp_path, number):
    path, faults = tmp_path / "a.json", [f"shape {k} is open" for k in range(number)]
    with pytest.raises(SeveralFaultsError) as raised:
        refuse_faults(path, faults)
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.path, error.faults) == (path, tuple(faults))
    first, *lines = str(error).splitlines()
    assert first == f"{path}: {number} faults:"
    assert [line.strip() for line in lines[:5]] == faults[:5]
    assert [line.strip() for line in lines[5:]] == ([f"and {number - 5} more"] if number > 5 else [])


def test_the_report_holds_all_faults(tmp_path):
    report = FaultReport(root=tmp_path)
    error = SeveralFaultsError(tmp_path / "a.json", tuple(f"shape {k} is open" for k in range(9)))
    report.add_problem(Problem("a", tmp_path / "a.json", error))
    (row,) = report._rows(report.problems)
    assert row["file"] == "a.json"
    assert row["message"].splitlines()[0] == "a.json: 9 faults:"
    assert row["message"].splitlines()[-1].strip() == "shape 8 is open"


@pytest.mark.parametrize(
    ("root", "message", "shortened"),
    [
        (
            "data",
            "data/a.json: its image data/b.png is (data/b.png, 'data/b.png')",
            "a.json: its image b.png is (b.png, 'b.png')",
        ),
        ("data", "data/a.json: its image /big/data/b.png is a link", "a.json: its image /big/data/b.png is a link"),
        ("data", "data/a.json: annotates mydata/b.png", "a.json: annotates mydata/b.png"),
        (".", "a.json: its image ../images/b.png is a link", "a.json: its image ../images/b.png is a link"),
        ("/x", "/x/a.json: and so does /x/x/b.json", "a.json: and so does x/b.json"),
    ],
)
def test_only_the_folder_itself_is_left_out_of_messages(root, message, shortened):
    report = FaultReport(root=Path(root))
    report.add_problem(Problem("a", Path(root) / "a.json", AnnotationError(message)))
    assert report._rows(report.problems) == [{"file": "a.json", "message": shortened}]
