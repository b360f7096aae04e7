"""How ``splits/official.csv`` was made: EMPS publishes train and test, val is cut out of train.

    python datasets/emps/official_split.py FOLDER_OF_EMPS

Val is about one ninth of the official training images, whole papers (DOI) only. The training images are divided into
eight density classes of equal size by their number of particles. The papers are then gone through in the order of
the SHA-256 of seed and DOI, and a paper is taken when it does not lift any density class above its ninth. Hashes
instead of a random generator keep the result independent of library versions and file order.
"""

import csv
import hashlib
import io
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from nanoseg_bench.catalog.emps import open_emps
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.files import write_text

_DENSITY_CLASSES = 8
_VAL_SHARE = 9


def write_official_split(path: Path, source: Path, seed: int = 0) -> None:
    """Write the split of the EMPS repository in ``source`` as CSV (``name,split``), sorted by name, atomically."""
    split = official_split(source, seed)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("name", "split"))
    writer.writerows(sorted(split.items()))
    write_text(path, stream.getvalue())


def official_split(source: Path, seed: int = 0) -> dict[str, str]:
    """``train``, ``val`` or ``test`` of every image of the EMPS repository in ``source``.

    Raises:
        DatasetError: ``train.csv`` or ``test.csv`` is missing, or does not name the images that are there.
    """
    micrographs = {entry.name: entry.read() for entry in open_emps(source, "particle").entries}
    train, test = _read_names(source / "train.csv"), _read_names(source / "test.csv")
    if sorted(train + test) != sorted(micrographs):
        raise DatasetError(f"{source}: train.csv and test.csv do not name each image once; copy the repository again")
    val = choose_val(
        {name: micrographs[name].source_group or name for name in train},
        {name: len(micrographs[name].instances) for name in train},
        seed,
    )
    return dict.fromkeys(train, "train") | dict.fromkeys(val, "val") | dict.fromkeys(test, "test")


def choose_val(groups: Mapping[str, str], particles: Mapping[str, int], seed: int) -> list[str]:
    """Choose whole source groups that hold about one ninth of each density class.

    Args:
        groups: Source group by image name.
        particles: Number of particles by image name.
        seed: Changes the order in which groups are tried.

    Returns:
        Sorted image names.
    """
    ordered = sorted(groups, key=lambda name: (particles[name], name))
    density = {name: position * _DENSITY_CLASSES // len(ordered) for position, name in enumerate(ordered)}
    # The differences of rounded sums add up to the rounded ninth of all.
    borders = [round(sum(level < k for level in density.values()) / _VAL_SHARE) for k in range(_DENSITY_CLASSES + 1)]
    room = Counter({level: borders[level + 1] - borders[level] for level in range(_DENSITY_CLASSES)})
    members: dict[str, list[str]] = {}
    for name in ordered:
        members.setdefault(groups[name], []).append(name)
    chosen: list[str] = []
    for group in sorted(members, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()):
        need = Counter(density[name] for name in members[group])
        if need <= room:
            room -= need
            chosen += members[group]
    return sorted(chosen)


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        raise DatasetError(f"{path}: missing; give the folder of the EMPS repository")
    return path.read_text(encoding="utf-8").split()


if __name__ == "__main__":
    write_official_split(Path(__file__).parent / "splits" / "official.csv", Path(sys.argv[1]))
