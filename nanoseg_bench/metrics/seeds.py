"""Several seeds of one model: what training's chance contributes to the uncertainty, and what the choice of images.

A score of seed s on resampled eval set r is modelled as

    x_sr = μ + seed_s + images_r + rest_sr,

with random effects: another seed, another eval set, and an eval set that suits one seed more than another. By the
law of total variance the variance of the mean over S seeds is Var(seed) / S + Var(images) + Var(rest) / S. Resampling
the source groups shows the last two, repeating the training the first (and the rest once more, which is taken off).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats


@dataclass(frozen=True, slots=True)
class SeedEffects:
    """A score over several seeds; variances are None with one seed, or without resamples.

    Attributes:
        mean: Mean over the seeds.
        spread: Standard deviation over the seeds, S − 1 in the denominator: what one sees.
        variance_seed: Var(seed): other seeds, on infinitely many images. It is spread² less Var(rest), at least 0; of a
            handful of seeds it is a rough estimate.
        variance_sampling: Var(images) + Var(rest) / S: the variance of the mean under resampling; other images, the
            same trained models.
        standard_error: sqrt(variance_seed / S + variance_sampling): other images and other seeds.
    """

    mean: float
    spread: float | None
    variance_seed: float | None
    variance_sampling: float | None
    standard_error: float | None


def seed_effects(scores: NDArray[np.float64], resampled: NDArray[np.float64]) -> SeedEffects:
    """Tell both sources of variance apart.

    Args:
        scores: (S,) score of each seed on the eval set.
        resampled: (S, R) the same on R resampled eval sets, all seeds with the same weights; a column with NaN is left
            out.

    Raises:
        ValueError: There is no seed, or not one row for each.
    """
    seeds = scores.size
    if seeds == 0 or len(resampled) != seeds:
        raise ValueError(f"{seeds} scores and {len(resampled)} rows of resampled scores; one row per seed is needed")
    mean = float(scores.mean())
    complete = resampled[:, ~np.isnan(resampled).any(axis=0)]
    sampling = float(complete.mean(axis=0).var(ddof=1)) if complete.shape[1] > 1 else None
    if seeds == 1:
        return SeedEffects(mean, None, None, sampling, None)
    spread = float(scores.std(ddof=1))
    if sampling is None:
        return SeedEffects(mean, spread, None, None, None)
    rest = complete - complete.mean(axis=0) - complete.mean(axis=1, keepdims=True) + complete.mean()
    variance_rest = float((rest**2).sum() / ((seeds - 1) * (complete.shape[1] - 1)))
    variance_seed = max(spread**2 - variance_rest, 0.0)
    return SeedEffects(mean, spread, variance_seed, sampling, float(np.sqrt(variance_seed / seeds + sampling)))


def interval_over_both(effects: SeedEffects, seeds: int) -> tuple[float, float] | None:
    """95 % interval of the mean that holds both sources: other images and other seeds.

    mean ± t(ν) · standard error, with the degrees of freedom of Welch and Satterthwaite,
    ν = SE⁴ / ((spread² / S)² / (S − 1)), at least S − 1: few seeds widen it as far as their spread matters (t is 4.3
    for three of them), and not where only the images do. It is the spread that S seeds estimate, with S − 1 degrees of
    freedom; Var(seed), a difference of two estimates, in its place would promise more of them than there are. The
    resamples are taken for infinitely many, so few source groups make the interval too narrow, as they do every
    bootstrap.

    Args:
        effects: From ``seed_effects``.
        seeds: S.

    Returns:
        None with one seed, or without resamples.
    """
    if effects.standard_error is None or effects.spread is None:
        return None
    of_seeds = (effects.spread**2 / seeds) ** 2 / (seeds - 1)
    freedom = max(effects.standard_error**4 / of_seeds, seeds - 1) if of_seeds > 0 else np.inf
    half = float(stats.t.ppf(0.975, freedom)) * effects.standard_error
    return effects.mean - half, effects.mean + half
