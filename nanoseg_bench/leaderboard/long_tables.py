"""Tables with several lines for each run: one for each class, one for each way in which images were taken."""

from collections.abc import Sequence

from nanoseg_bench.runs.record import SCRATCH, Record


def identity(record: Record) -> dict[str, object]:
    """The columns that say which run it is."""
    return {
        "model": record.model,
        "title": record.title,
        "preset": record.preset,
        "seed": record.seed,
        "started_from": record.started_from,
        "initial_weights": record.initial_weights or SCRATCH,
        "external": record.external,
    }


def class_rows(records: Sequence[Record]) -> list[dict[str, object]]:
    """Average precision of each class of the truth; nothing of models that know no classes."""
    return [
        {**identity(record), "class": name, **result.model_dump(exclude={"precision_at_recall"})}
        for record in records
        for name, result in record.details.classes.items()
    ]


def modality_rows(records: Sequence[Record]) -> list[dict[str, object]]:
    """The scores of each modality's images by themselves."""
    return [
        {**identity(record), "modality": name, **scores}
        for record in records
        for name, scores in record.details.modalities.items()
    ]
