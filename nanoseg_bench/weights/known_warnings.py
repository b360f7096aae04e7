"""What is to be said of a set that shows what released weights were trained on."""

from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.weights.known_images import find_known_images
from nanoseg_bench.weights.release import read_release
from nanoseg_bench.weights.shipped import shipped_names, shipped_weights
from nanoseg_bench.wording import counted, shortened

_SHOWN = 5


def warn_of_known_images(
    prepared: PreparedSet, weights: Sequence[Path] | None = None, workers: int | None = None
) -> list[str]:
    """Sentences on images that a set is judged by and that released weights have seen.

    Args:
        prepared: The set.
        weights: That models start from; None for all that ship.
        workers: Processes.

    Raises:
        ModelError: The weights' files are damaged.
    """
    names_of: dict[Path, list[str]] = {}
    for path in [*map(shipped_weights, shipped_names())] if weights is None else dict.fromkeys(weights):
        release = read_release(path)
        # The parts of one set are kept apart by its own audit.
        if release is not None and release.trained_on.set_hash != prepared.content_hash:
            names_of.setdefault(path.with_name(release.known_images), []).append(release.name)
    told = []
    for known, names in names_of.items():
        if not known.is_file():  # whoever passed the weights on may have kept it
            told.append(
                f"{known}: is not there, so nothing tells whether this set shows what the weights "
                f"{' and '.join(names)} were trained on"
            )
            continue
        found = find_known_images(prepared, known, workers)
        if found:
            images = found.all_names
            told.append(
                f"{found.words} seem to show what the weights {' and '.join(names)} were trained on "
                f"({shortened(images, _SHOWN)}): what starts from these weights is flattered on this set; leave "
                f"{counted(len(images), 'image')} out of it, or train from scratch"
            )
    return told
