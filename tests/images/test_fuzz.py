import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "fuzz" / "fuzz_tiff.py"


@pytest.mark.faults
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_half_a_minute_of_fuzzing_finds_nothing(tmp_path):
    command = [sys.executable, str(SCRIPT), "-max_total_time=30", "-rss_limit_mb=2048", "-timeout=20"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done " in done.stderr  # libFuzzer's last line: it ran to its end
    assert not list(tmp_path.glob("crash-*"))
