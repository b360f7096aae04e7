"""What a report says of a model, in words for those who use it."""

import re

from nanoseg_bench.inference import open_predictor
from nanoseg_bench.report.analysis.method import method_of


def test_the_shipped_weights_are_told_without_a_word_of_benchmarks():
    method = method_of(open_predictor(None))
    said = " ".join((method.confidence_source, *method.quality))
    assert method.confidence_source == "the model did best with it on its validation images"
    assert re.search(r"has not seen: \d\d\.\d % of its outlines are particles \(precision\)", said)
    assert not re.search(r"\bval\b|eval set|operating point|\.json", said)
