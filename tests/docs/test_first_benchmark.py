"""The notebook runs as it stands, in a folder of its own."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra test: nbclient")
nbclient = pytest.importorskip("nbclient", reason="needs the extra test: nbclient")
pytest.importorskip("ipykernel", reason="needs the extra test: ipykernel")

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "first-benchmark.ipynb"


def outputs(notebook):
    """(text, number of pictures, errors) of each code cell."""
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            data = [output.get("data", {}) for output in cell.outputs]
            text = "".join(output.get("text", "") for output in cell.outputs)
            text += "".join(each.get("text/plain", "") for each in data)
            shown.append((text, sum("image/png" in each for each in data)))
    return shown


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_runs(tmp_path):
    executed = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(executed, timeout=1700, kernel_name="python3", resources=where).execute()
    shown = outputs(executed)
    assert sum(pictures for _, pictures in shown) == 2
    assert all(text or pictures for text, pictures in shown[1:])
    assert re.findall(r"'(\w+)-quick[+\w]*-seed0': '(\w+)'", shown[2][0]) == [("otsu", "ok"), ("unet", "ok")]
    assert (tmp_path / "first-benchmark" / "leaderboards").is_dir()
