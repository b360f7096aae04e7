"""What a report says of the model that found the particles."""

from nanoseg_bench.inference.predictor import Predictor
from nanoseg_bench.report.report_input import Method
from nanoseg_bench.runs.provenance import versions_of
from nanoseg_bench.weights.release import Judged, Release, read_release
from nanoseg_bench.weights.shipped import is_shipped

_PACKAGES = ("numpy", "scikit-image", "opencv-python-headless", "torch", "onnxruntime", "rapidocr")


def method_of(predictor: Predictor) -> Method:
    """Model, weights, confidence, what is known of their quality, and versions."""
    path, point = predictor.path, predictor.operating_point
    release = None if path is None else read_release(path)
    return Method(
        model=f"{predictor.model.recipe.title} ({_origin(predictor)}){_views(predictor)}",
        model_id=predictor.model.recipe.model,
        run=predictor.run,
        weights_sha256=predictor.weights_sha256,
        confidence=point.confidence if predictor.model.has_confidence else None,
        confidence_source=point.source,
        quality=() if release is None else quality_of(release),
        versions=versions_of(_PACKAGES),
    )


def quality_of(release: Release) -> tuple[str, ...]:
    """What the scores of released weights say, in sentences."""
    data = release.trained_on
    trained = f"The model was trained on {data.train} micrographs of {data.title or data.set_name}."
    return (trained, *filter(None, (_sentence(judged) for judged in release.judged)))


def _sentence(judged: Judged) -> str:
    scores = judged.scores
    found = [
        f"{100 * scores[key]:.1f} % of {name}"
        for key, name in (
            ("precision", "its outlines are particles (precision)"),
            ("recall", "the particles are found (recall)"),
        )
        if key in scores
    ]
    for key, name in (
        ("count_error_relative", "error of the number of particles"),
        ("diameter_median_error_relative", "error of the median diameter"),
    ):
        if key not in scores:
            continue
        low, high = scores.get(f"{key}_lo"), scores.get(f"{key}_hi")
        interval = "" if low is None or high is None else f" (95 % interval {100 * low:+.1f} to {100 * high:+.1f} %)"
        found.append(f"{name} {100 * scores[key]:+.1f} %{interval}")
    if not found:
        return ""
    which = "" if judged.eval_set == "test" else f" ({judged.eval_set})"
    return (
        f"On {judged.images} micrographs that it has not seen{which}: {', '.join(found)}. How "
        "good it is on other micrographs, these numbers do not tell."
    )


def _views(predictor: Predictor) -> str:
    return "" if predictor.views == 1 else f", each micrograph looked at from {predictor.views} sides"


def _origin(predictor: Predictor) -> str:
    path = predictor.path
    if path is None:
        return "from no file"
    return f"shipped weights {path.stem}" if is_shipped(path) else path.name
