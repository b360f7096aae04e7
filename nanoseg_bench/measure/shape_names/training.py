"""Fits the namer to rendered silhouettes, by scikit-learn, which nothing else here needs.

``python tests/benchmarks/train_shape_names.py`` makes ``namer.json`` again.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.extras import require_packages
from nanoseg_bench.measure.morphology import find_hull, measure_mask
from nanoseg_bench.measure.shape_names.descriptors import describe
from nanoseg_bench.measure.shape_names.forms import NAMES
from nanoseg_bench.measure.shape_names.main_part import describe_main_part
from nanoseg_bench.measure.shape_names.namer import Floats, ShapeNamer, with_products
from nanoseg_bench.measure.shape_names.silhouettes import Silhouette, draw_silhouette

LEAST_CERTAINTY = 0.5
"""A name is given where it is likelier right than wrong."""

_TRAINING, HELD_OUT = range(2)
"""Streams of chance. Those held out are for tests and tables alone."""

_ITERATIONS = 2000


def fit_namer(per_name: int) -> ShapeNamer:
    """Fit the regression to silhouettes.

    Args:
        per_name: How many of each name.
    """
    require_packages("fitting names of shapes", "sklearn")
    from sklearn.linear_model import LogisticRegression

    descriptors, names = described(draw_silhouettes(per_name, _TRAINING))
    mean, scale = descriptors.mean(axis=0), descriptors.std(axis=0)
    features = with_products((descriptors - mean) / scale)
    regression = LogisticRegression(C=1.0, tol=1e-5, max_iter=_ITERATIONS).fit(features, names)
    return ShapeNamer(
        names=NAMES,
        least_certainty=LEAST_CERTAINTY,
        low=descriptors.min(axis=0),
        high=descriptors.max(axis=0),
        mean=mean,
        scale=scale,
        weights=regression.coef_,
        intercepts=regression.intercept_,
    )


def draw_silhouettes(per_name: int, stream: int) -> Iterator[Silhouette]:
    """As many of each name, in the order of ``NAMES``; the same ones each time."""
    for position, name in enumerate(NAMES):
        rng = np.random.default_rng([stream, position])
        for _ in range(per_name):
            yield draw_silhouette(name, rng)


def described(silhouettes: Iterator[Silhouette], *, main_part: bool = False) -> tuple[Floats, NDArray[np.int64]]:
    """(N, D) descriptors, and (N,) positions of their names in ``NAMES``.

    Args:
        silhouettes: Outlines with their names.
        main_part: Describe them as outlines of a model are, which may be ragged; silhouettes have no fringes.
    """
    values, names = [], []
    for each in silhouettes:
        hull = find_hull(each.mask)
        numbers = measure_mask(each.mask, hull=hull)
        values.append(describe_main_part(each.mask, hull, numbers) if main_part else describe(hull, numbers))
        names.append(NAMES.index(each.name))
    return np.array(values), np.array(names)
