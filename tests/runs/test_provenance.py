import re
import subprocess
import sys

import pytest

import nanoseg_bench
from nanoseg_bench.runs.provenance import device_name, package_commit, package_versions, processor_of


def test_versions_name_this_package_and_torch():
    versions = package_versions()
    assert versions["nanoseg-bench"] == nanoseg_bench.__version__
    assert "torch" in versions


def test_the_commit_is_not_that_of_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    theirs = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    commit = package_commit()
    assert commit is None or not commit.startswith(theirs)
    # As in a hook of theirs.
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert package_commit() == commit


def test_the_cpu_has_a_name():
    name = device_name("cpu")
    assert re.search(r" \(\d+ threads?\)$", name)
    assert processor_of(name) and f"{processor_of(name)} (1 thread)" != processor_of(name)


def test_the_threads_are_those_of_torch_before_it_is_imported(monkeypatch):
    code = (
        "import sys\nfrom nanoseg_bench.environment import isolate_libraries\nisolate_libraries()\n"
        "from nanoseg_bench.runs.provenance import device_name\n"
        "before = device_name('cpu')\nassert 'torch' not in sys.modules\n"
        "import torch\nassert before == device_name('cpu'), (before, device_name('cpu'))"
    )
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("given", "threads"), [("1", 1), ("4", 4), ("99", 8), ("", 8), ("0", 8), ("4,2", 8)])
def test_the_variable_of_openmp_is_the_number_of_threads_up_to_the_cores(given, threads, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr("nanoseg_bench.runs.provenance.available_cores", lambda: 8)
    assert device_name("cpu").endswith(f"({threads} thread{'s' * (threads > 1)})")
