import re
import subprocess

import nanoseg_bench
from nanoseg_bench.runs.provenance import device_name, package_commit, package_versions, processor_of


def test_versions_name_this_package_and_torch():
    versions = package_versions()
    assert versions["nanoseg-bench"] == nanoseg_bench.__version__
    assert "torch" in versions


def test_the_commit_is_not_that_of_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    theirs = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    commit = package_commit()
    assert commit is None or not commit.startswith(theirs)


def test_the_cpu_has_a_name():
    name = device_name("cpu")
    assert re.search(r" \(\d+ threads?\)$", name)
    assert processor_of(name) and f"{processor_of(name)} (1 thread)" != processor_of(name)
