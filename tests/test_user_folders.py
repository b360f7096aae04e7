"""A user without a home folder, as a container's that runs under a number which no one has."""

import sys
from pathlib import Path

import pytest

from nanoseg_bench.errors import UsageError
from nanoseg_bench.storage import cache_folder
from nanoseg_bench.user_folders import home, user_caches
from nanoseg_bench.webapp.settings import default_data_dir


@pytest.fixture
def homeless(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")  # what Python says of such a user

    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)


def test_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert user_caches() == Path.home() / ".cache" / "nanoseg-bench"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_caches() == tmp_path / "nanoseg-bench"


def test_without_a_home_the_message_says_what_to_set(homeless, monkeypatch, tmp_path):
    for ask, way_out in (
        (user_caches, "XDG_CACHE_HOME"),
        (lambda: cache_folder("sets", "s3://bucket/set"), "XDG_CACHE_HOME"),
        (default_data_dir, "--data-dir"),
        (lambda: home("do this"), "do this"),
    ):
        with pytest.raises(UsageError, match=rf"no home folder; .*{way_out}"):
            ask()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_caches().is_relative_to(tmp_path)
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert default_data_dir().is_relative_to(tmp_path)
