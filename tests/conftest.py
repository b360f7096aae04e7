"""Nothing phones home from a test either: set before anything imports LabelMe, Ultralytics or albumentations."""

import pytest

from nanoseg_bench.cli import main
from nanoseg_bench.environment import isolate_libraries

isolate_libraries()


@pytest.fixture(scope="session", autouse=True)
def own_locks(tmp_path_factory):
    """Latency is measured although other tests, or a user, are at work on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOSEG_BENCH_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory):
    """A tiny nanosynth, prepared once for all end-to-end tests."""
    root = tmp_path_factory.mktemp("tiny Größe")  # a space and an umlaut, as users have them
    arguments = ["prepare", "--dataset", "nanosynth", "--easy", "--images", "24", "--size", "128"]
    arguments += ["--augment-copies", "1", "--workers", "1", "--out", str(root / "data")]
    assert main(arguments) == 0
    return root / "data"
