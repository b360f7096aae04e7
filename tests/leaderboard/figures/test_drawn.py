import logging

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nanoseg_bench.cli import figures as verb
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.leaderboard.figures.drawn import FORMATS, Drawn, write_drawn
from nanoseg_bench.leaderboard.figures.style import COLUMN_WIDTH, figure_style


def draw():
    figure = Figure(figsize=(COLUMN_WIDTH, 1.0))
    figure.subplots().plot([0, 1], [2, 3])
    return Drawn("line", figure, ("x", "y"), [(0, 2), (0.1, None)], arrays={"map": np.eye(3, dtype=np.float32)})


@pytest.mark.parametrize("file_format", FORMATS)
def test_same_figure_same_bytes(tmp_path, file_format):
    written = []
    for folder in ("one", "two"):
        with figure_style():
            written.append(write_drawn(draw(), tmp_path / folder, file_format))
    assert [path.name for path in written[0]] == [f"line.{file_format}", "line.csv", "line.npz"]
    for one, two in zip(*written, strict=True):
        assert one.read_bytes() == two.read_bytes()
    text = written[0][0].read_bytes()
    assert b"CreationDate" not in text and b"dc:date" not in text


def test_files_hold_what_was_drawn(tmp_path):
    with figure_style():
        picture, table, maps = write_drawn(draw(), tmp_path, "png")
    assert table.read_bytes() == b"x,y\n0,2\n0.1,\n"
    assert np.array_equal(np.load(maps)["map"], np.eye(3))
    image = Image.open(picture)
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert image.width == int(90 / 25.4 * 300)


def test_the_fonts_of_a_pdf_are_not_talked_of(tmp_path, caplog):
    """Commands log what is said at the level info; each font was worth a hundred lines."""
    caplog.set_level(logging.INFO)
    with figure_style():
        write_drawn(draw(), tmp_path, "pdf")
    assert [record.name for record in caplog.records if record.name.startswith("fontTools")] == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with figure_style(), pytest.raises(NanosegError, match=r"file.*another --out"):
        write_drawn(draw(), tmp_path / "file", "png")


def test_the_command_line_offers_every_format():
    assert set(verb._FORMATS) == set(FORMATS)
