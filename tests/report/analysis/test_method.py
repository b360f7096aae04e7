"""What a report says of a model, in words for those who use it."""

import json
import re
from dataclasses import asdict

from nanoseg_bench.inference import open_predictor
from nanoseg_bench.report.analysis.method import method_of, outline_errors
from nanoseg_bench.report.report_input import Method
from nanoseg_bench.weights.release import read_release
from nanoseg_bench.weights.shipped import shipped_names, shipped_weights


def test_the_shipped_weights_are_told_without_a_word_of_benchmarks():
    method = method_of(open_predictor(None))
    said = " ".join((method.confidence_source, *method.quality))
    assert method.confidence_source == "the model did best with it on its validation images"
    assert re.search(r"has not seen, from a confidence of 0\.\d+ on: \d\d\.\d % of its outlines are particles", said)
    assert "\N{HYPHEN-MINUS}" not in re.sub(r"(?<=\w)-(?=\w)", "", said), "numbers have a minus sign"
    assert not re.search(r"\bval\b|eval set|operating point|\.json", said)


def test_scores_are_told_with_the_confidence_that_they_were_judged_at():
    """Not with the one that the user asks for, at which precision and recall are others."""
    (name, *_) = shipped_names()
    release = read_release(shipped_weights(name))
    asked = method_of(open_predictor(shipped_weights(name), confidence=0.3))
    assert asked.confidence == 0.3 != release.confidence
    assert f"from a confidence of {release.confidence:.3g} on" in " ".join(asked.quality)


def test_the_budget_knows_the_outlines_of_shipped_weights_from_their_card():
    """What the published record says of these weights; nothing of a release from before, which has no such scores."""
    for name in shipped_names():
        weights = shipped_weights(name)
        release = read_release(weights)
        (judged,) = release.judged
        errors = outline_errors(release)
        assert errors.images == judged.images > 20
        assert errors.bias_interval[0] <= errors.bias <= errors.bias_interval[1]
        assert errors.typical == judged.scores["diameter_median_error_image_typical"] > 0
        card = weights.with_suffix(".md").read_text("utf-8")
        assert f"| median diameter error of the typical image (relative) | {errors.typical:.3f} |" in card
        del judged.scores["diameter_pair_error_bias"]
        assert outline_errors(release) is None


def test_a_method_comes_back_from_json():
    """As the page keeps it."""
    method = method_of(open_predictor(None))
    assert method.outlines is not None
    assert Method.from_json(json.loads(json.dumps(asdict(method)))) == method
    assert Method.from_json({"model": "earlier", "quality": ["Good."]}) == Method(model="earlier", quality=("Good.",))
