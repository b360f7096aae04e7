import json

import pytest

from nanoseg_bench.errors import RecordError
from nanoseg_bench.runs.documents import Fit, read_document

FIT = {
    "report": {"checkpoint": "weights.safetensors", "epochs": 2, "seconds": 1.5},
    "made_by": {"versions": {}, "commit": None},
}


def test_the_checkpoint_of_a_fit_is_a_file_name(tmp_path):
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(FIT))
    assert read_document(path, Fit).report.checkpoint.name == "weights.safetensors"
    for name in ("../other/weights.safetensors", "/etc/passwd", "x" * 300):
        path.write_text(json.dumps({**FIT, "report": {**FIT["report"], "checkpoint": name}}))
        with pytest.raises(RecordError, match=r"fit\.json: .*its checkpoint is no file name"):
            read_document(path, Fit)
