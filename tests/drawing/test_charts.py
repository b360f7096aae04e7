"""Labels of axes, as matplotlib places them."""

import itertools

import pytest

from nanoseg_bench.drawing.charts import blank_chart, log_axis


@pytest.mark.parametrize(
    ("lowest", "highest"),
    [(21, 29), (105, 160), (0.11, 0.14), (3, 8), (30, 220), (300, 2300), (5.4, 220), (0.02, 9000)],
)
def test_a_logarithmic_axis_has_labels_that_do_not_touch(lowest, highest):
    figure, axes = blank_chart(5.0, 3.5)
    log_axis(axes, lowest, highest)
    figure.canvas.draw()
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    assert 3 <= len(labels) <= 12
    assert all(lowest <= float(label.get_text()) <= highest for label in labels)
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    assert all(one.x1 + 4 < other.x0 for one, other in itertools.pairwise(boxes))
