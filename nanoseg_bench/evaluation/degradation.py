"""How much worse a model becomes on corrupted images: pure functions of scores in [0, 1], higher is better.

A score that is missing makes the result missing: a mean over fewer severities is the mean of something else.
"""

from collections.abc import Mapping, Sequence

Score = float | None


def mean_performance(scores: Sequence[Score]) -> Score:
    """Mean over the severities of a corruption, each weighing the same: P_c = Σ_s P_{c,s} / N_s.

    Args:
        scores: One for each severity.

    Returns:
        None without scores, or where one is missing.
    """
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known and len(known) == len(scores) else None


def mean_corrupted_performance(by_corruption: Mapping[str, Sequence[Score]]) -> Score:
    """Mean over corruptions of the means over severities: mPC = Σ_c P_c / N_c.

    (Michaelis et al., Benchmarking robustness in object detection, arXiv:1907.07484.)

    Args:
        by_corruption: Scores of each corruption, one for each severity.

    Returns:
        None without corruptions, or where a score is missing.
    """
    return mean_performance([mean_performance(scores) for scores in by_corruption.values()])


def relative_degradation(clean: Score, corrupted: Score) -> Score:
    """Share of the clean score that is lost: 1 - P / P_clean, which is 1 - rPC for P = mPC (ibid.).

    Args:
        clean: Score on the images as they are.
        corrupted: Score on corrupted ones; ``mean_performance`` or ``mean_corrupted_performance``.

    Returns:
        0 where nothing is lost, 1 where all is, negative where the model became better; None where a score is missing
        or the clean one is 0.
    """
    if clean is None or corrupted is None or clean == 0:
        return None
    return 1 - corrupted / clean
