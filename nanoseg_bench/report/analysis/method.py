"""What a report says of the model that found the particles."""

from nanoseg_bench.inference.predictor import Predictor
from nanoseg_bench.measure.uncertainty import OutlineErrors, in_percent
from nanoseg_bench.report.report_input import Method
from nanoseg_bench.runs.provenance import versions_of
from nanoseg_bench.weights.release import Judged, Release, read_release
from nanoseg_bench.weights.shipped import is_shipped

_PACKAGES = ("numpy", "scikit-image", "opencv-python-headless", "torch", "onnxruntime", "rapidocr")

_COUNT = "count_error_relative"
_BIAS = "diameter_pair_error_bias"
_TYPICAL = "diameter_median_error_image_typical"
_POOLED = "diameter_median_error_relative"


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
        outlines=None if release is None else outline_errors(release),
        versions=versions_of(_PACKAGES),
    )


def quality_of(release: Release) -> tuple[str, ...]:
    """What the scores of released weights say, in sentences."""
    data = release.trained_on
    trained = f"The model was trained on {data.train} micrographs of {data.title or data.set_name}."
    return (trained, *filter(None, (_sentence(judged, release.confidence) for judged in release.judged)))


def outline_errors(release: Release) -> OutlineErrors | None:
    """What the scores on test say of the outlines; None where they say nothing, as those of earlier releases."""
    judged = next((each for each in release.judged if each.eval_set == "test"), None)
    if judged is None or not {_TYPICAL, _BIAS} <= set(judged.scores):
        return None
    return OutlineErrors(judged.scores[_TYPICAL], judged.scores[_BIAS], _ends(judged, _BIAS), judged.images)


def _sentence(judged: Judged, confidence: float) -> str:
    """What was judged, and from which confidence on: whoever chose another one has other numbers."""
    scores = judged.scores
    found = [
        f"{100 * scores[key]:.1f} % of {name}"
        for key, name in (
            ("precision", "its outlines are particles (precision)"),
            ("recall", "the particles are found (recall)"),
        )
        if key in scores
    ]
    if _COUNT in scores:
        found.append(f"error of the number of particles {in_percent(scores[_COUNT])} %{_interval(judged, _COUNT)}")
    sizes = []
    if _BIAS in scores:
        sizes.append(
            f"diameters of particles that it finds are off by {in_percent(scores[_BIAS])} %{_interval(judged, _BIAS)}"
        )
    if _TYPICAL in scores:
        sizes.append(
            f"the median diameter of a micrograph is missed by {100 * scores[_TYPICAL]:.1f} % in the typical one"
        )
    if _POOLED in scores:
        sizes.append(
            f"that of the particles of all micrographs together, whatever was missed, by {in_percent(scores[_POOLED])} "
            f"%{_interval(judged, _POOLED)}"
        )
    if not found and not sizes:
        return ""
    which = "" if judged.eval_set == "test" else f" ({judged.eval_set})"
    where = f"On {judged.images} micrographs that it has not seen{which}, from a confidence of {confidence:.3g} on"
    told = [f"{where}: {', '.join(found)}."] if found else []
    if sizes:
        told.append(f"Against annotators' outlines there, {'; '.join(sizes)}.")
    return " ".join([*told, "How good it is on other micrographs, these numbers do not tell."])


def _interval(judged: Judged, score: str) -> str:
    ends = _ends(judged, score)
    return "" if ends is None else f" (95 % interval {in_percent(ends[0])} to {in_percent(ends[1])} %)"


def _ends(judged: Judged, score: str) -> tuple[float, float] | None:
    low, high = (judged.scores.get(f"{score}_{end}") for end in ("lo", "hi"))
    return None if low is None or high is None else (low, high)


def _views(predictor: Predictor) -> str:
    return "" if predictor.views == 1 else f", each micrograph looked at from {predictor.views} sides"


def _origin(predictor: Predictor) -> str:
    path = predictor.path
    if path is None:
        return "from no file"
    return f"shipped weights {path.stem}" if is_shipped(path) else path.name
