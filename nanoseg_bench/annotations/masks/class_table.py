"""``instances.csv`` beside instance maps: the class of each particle by image and value."""

import csv
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from nanoseg_bench.annotations.masks.writing import LABELS_COLUMNS
from nanoseg_bench.annotations.name_matching import match_names, normalised
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.user_tables import separator_of
from nanoseg_bench.wording import counted, did_you_mean, shortened

_LOG = logging.getLogger(__name__)


def read_class_table(path: Path, names: Sequence[str]) -> Mapping[str, tuple[tuple[int, str], ...]]:
    """Value and label of the particles by name of the image; empty where it is another table.

    Separators are commas, semicolons or tabs, as spreadsheets write them. Names are matched as ``match_names`` says;
    rows that fit no image are told, and have no effect.

    Args:
        path: The table.
        names: Of the images that have masks.

    Raises:
        AnnotationError: It cannot be read, a value is no whole number or has two labels, or a name is not clear.
    """
    labels: dict[str, dict[int, str]] = defaultdict(dict)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, delimiter=separator_of(stream))
            if not set(LABELS_COLUMNS) <= set(reader.fieldnames or ()):
                return {}
            for row in reader:
                if row["name"] is None or row["value"] is None:
                    raise ValueError(f"line {reader.line_num} ends before its name or its value")
                known = labels[normalised(row["name"])]
                value, label = int(row["value"]), (row["label"] or "").strip()
                if label and known.setdefault(value, label) != label:  # without one, it is called as the others are
                    raise ValueError(f"line {reader.line_num}: {value} is {label!r} and, above, {known[value]!r}")
        meant = match_names(labels, names)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise AnnotationError(
            f"{path}: is no table of {', '.join(LABELS_COLUMNS)} ({error}); mend it, or take it away"
        ) from error
    strays = [name for name in labels if name not in meant]
    if strays:
        _LOG.warning(
            "%s: %s without a mask, whose classes are not used: %s; %smend the table",
            path,
            counted(len(strays), "name"),
            shortened(strays),
            did_you_mean(strays[0], names),
        )
    return {meant[name]: tuple(pairs.items()) for name, pairs in labels.items() if name in meant}
