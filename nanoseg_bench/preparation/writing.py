"""Writing a planned set into an empty folder."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import yaml

from nanoseg_bench.annotations.coco.writing import CocoWriter
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.files import sha256_file, write_json, write_text
from nanoseg_bench.parallel import Workers
from nanoseg_bench.preparation.audit import write_audit
from nanoseg_bench.preparation.audit_page import write_audit_page
from nanoseg_bench.preparation.auditing import make_audit
from nanoseg_bench.preparation.canvases import CanvasSettings, WrittenCanvas, WrittenMicrograph, write_canvases
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.folds import FOLDS_FILE, write_folds_file
from nanoseg_bench.preparation.hashing import PREPARATION_VERSION, fold_hash
from nanoseg_bench.preparation.manifest import manifest_rows, manifest_writer
from nanoseg_bench.preparation.plan import HRTEM, Plan, PlannedMicrograph
from nanoseg_bench.preparation.prepared_set import (
    ASIDE,
    AUDIT_FILE,
    AUDIT_PAGE,
    FILES,
    FORMAT,
    MANIFEST,
    PREVIEW,
    REPORT_FILE,
    SHARDED_FORMAT,
    SPLIT_FILE,
    PreparedSet,
)
from nanoseg_bench.preparation.preview import write_preview
from nanoseg_bench.preparation.report import PrepareReport
from nanoseg_bench.preparation.set_names import MARKER
from nanoseg_bench.preparation.shard_writing import ShardedFiles
from nanoseg_bench.preparation.split import PARTS, write_split_file
from nanoseg_bench.seals import sealed
from nanoseg_bench.wording import counted

_AHEAD = 2
"""Micrographs for each process whose files may wait to be written into a shard."""


class _Files(Protocol):
    """Where images, labels and instances go."""

    def add(self, planned: PlannedMicrograph, written: WrittenMicrograph) -> None:
        """Take those of the next micrograph."""


def write_set(plan: Plan, report: PrepareReport, root: Path, config: PrepareConfig, workers: Workers) -> None:
    """Write a prepared set.

    Args:
        plan: All that was decided.
        report: Completed with what is used, and written.
        root: An empty folder.
        config: The user's.
        workers: Processes; the caller ends them before it takes ``root`` away.
    """
    summary = _write_images(plan, report, root, config, workers)
    main = [each for each in plan.micrographs if each.split not in ASIDE]
    if plan.folds:
        write_folds_file(root / FOLDS_FILE, {each.seen.name: each.folds for each in main})
    else:
        write_split_file(root / SPLIT_FILE, {each.seen.name: each.split for each in main})
    if not plan.folds and config.shards is None:  # Ultralytics reads single files
        write_text(root / "data.yaml", _data_yaml(plan))
    report.add_used(
        {planned.seen.name: planned.ref.path for planned in plan.micrographs},
        [planned.seen for planned in plan.micrographs],
    )
    report.write(root / REPORT_FILE)
    write_json(root / MARKER, sealed({**summary, FILES: _hashes(root)}))
    prepared = PreparedSet(root)
    audit = make_audit(prepared, plan.pairs, config.reviewed)
    write_audit(root / AUDIT_FILE, audit)
    write_audit_page(prepared, audit, root / AUDIT_PAGE)
    if config.preview:
        write_preview(prepared, root / PREVIEW)


def _hashes(root: Path) -> dict[str, str]:
    """SHA-256 of the files that are read as numbers and outlines; the manifest has those of the canvases."""
    names = [MANIFEST, FOLDS_FILE, REPORT_FILE]
    names += [path.relative_to(root).as_posix() for kind in ("canvas", "truth") for path in (root / kind).glob("*")]
    return {name: sha256_file(root / name) for name in sorted(names) if (root / name).is_file()}


def _write_images(
    plan: Plan, report: PrepareReport, root: Path, config: PrepareConfig, workers: Workers
) -> dict[str, Any]:
    """Write canvases, labels, truth and manifest; return the summary."""
    statistics = _Statistics()
    classes = {split: plan.classes_of(split) for split in plan.splits}
    if config.shards is None:
        _make_folders(root, plan.splits)
    settings = CanvasSettings(config.canvas, config.seed, classes, root if config.shards is None else None)
    with manifest_writer(root / MANIFEST) as manifest, _files(classes, root, config) as files:
        # Files that are on their way into a shard wait in memory: not those of all micrographs.
        ahead = None if config.shards is None else _AHEAD
        results = workers.each(partial(write_canvases, settings), plan.micrographs, "writing canvases", ahead=ahead)
        for planned, written in zip(plan.micrographs, results, strict=True):
            for image in written.canvases:
                _check_loss(image, config.max_loss)
            files.add(planned, written)
            for row in manifest_rows(planned, written, config.canvas):
                manifest.writerow(row)
            statistics.add(planned, written)
            report.notes += [(planned.ref.path, note) for note in _losses(written)]
    return _summary(plan, config, statistics)


def _losses(written: WrittenMicrograph) -> list[str]:
    """Sentences on the particles that were drawn and are not in the set."""
    causes = (
        (written.outside, "without a pixel inside the image: not in the truth"),
        (written.too_small, "without a pixel on the canvas: in the truth, but not to be learnt"),
    )
    return [f"{counted(count, 'particle')} {cause}" for count, cause in causes if count]


def _check_loss(image: WrittenCanvas, most: float | None) -> None:
    loss = image.label_loss
    if most is not None and loss is not None and 1 - loss.worst_iou > most:
        raise PreparationError(
            f"{image.name}: a particle's YOLO label has an IoU of {loss.worst_iou:.3f} with its truth ("
            f"{counted(loss.holes_lost, 'hole')} and {counted(loss.parts_joined, 'part')} lost in this image), below "
            f"{1 - most:.3f} as --max-loss {most:g} asks; allow more, or train on canvas/*.json, which holds all"
        )


@contextmanager
def _files(classes: Mapping[str, Sequence[str]], root: Path, config: PrepareConfig) -> Iterator[_Files]:
    if config.shards is None:
        with ExitStack() as stack:
            yield _SingleFiles(classes, root, config.canvas, stack)
    else:
        with ShardedFiles(root, config.shards, config.canvas, classes) as sharded:
            yield sharded


class _SingleFiles:
    """Two COCO files for each split, open until ``stack`` is left; images and labels have been written by workers."""

    def __init__(self, classes: Mapping[str, Sequence[str]], root: Path, canvas: int, stack: ExitStack) -> None:
        self._size = (canvas, canvas)
        self._writers = {}
        for split, names in classes.items():
            files = (root / kind / f"{split}.json" for kind in ("truth", "canvas"))
            truth, on_canvas = (stack.enter_context(CocoWriter(file, names)) for file in files)
            self._writers[split] = truth, on_canvas

    def add(self, planned: PlannedMicrograph, written: WrittenMicrograph) -> None:
        """Add the instances of a micrograph and its copies."""
        truth, canvas = self._writers[planned.split]
        size = planned.seen.micrograph.width, planned.seen.micrograph.height
        truth.add_encoded(planned.stem, size, written.truth)
        for image in written.canvases:
            canvas.add_encoded(image.name, self._size, image.annotations)


def _make_folders(root: Path, splits: Sequence[str]) -> None:
    for split in splits:
        (root / "images" / split).mkdir(parents=True)
        if split not in ASIDE:
            (root / "labels" / split).mkdir(parents=True)


def _data_yaml(plan: Plan) -> str:
    parts = {part: f"images/{part}" for part in PARTS if part in plan.splits}
    # Without `path`, which Ultralytics resolves against the working directory: then the YAML's own folder counts.
    document = {**parts, "names": dict(enumerate(plan.classes))}
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


class _Statistics:
    """Counts over the micrographs that were written."""

    def __init__(self) -> None:
        # By split, and by fold and part where there are folds.
        self._counts: dict[str | tuple[int, str], Counter[str]] = defaultdict(Counter)
        self._groups: dict[str | tuple[int, str], set[str]] = defaultdict(set)
        self.class_images: Counter[str] = Counter()
        self.class_instances: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.densest = 0
        self.worst_label_iou = 1.0

    def add(self, planned: PlannedMicrograph, written: WrittenMicrograph) -> None:
        particles, copies = sum(written.labels.values()), len(written.canvases) - 1
        if planned.split != HRTEM:  # shows the same classes, and would blur how often the set itself shows them
            self.class_images.update(written.labels.keys())
            self.class_instances.update(written.labels)
        self._count(planned.split, planned.source_group, copies, particles)
        for fold, part in enumerate(planned.folds, start=1):
            self._count((fold, part), planned.source_group, copies if part == "train" else 0, particles)
        self.densest = max(self.densest, particles, *(image.particles for image in written.canvases))
        self.losses.update(outside_image=written.outside, too_small_for_canvas=written.too_small)
        for image in written.canvases:
            self.losses["cut_by_augmentation"] += image.dropped
            if image.label_loss is not None:
                self.losses["yolo_parts_joined"] += image.label_loss.parts_joined
                self.losses["yolo_holes_lost"] += image.label_loss.holes_lost
                self.losses["yolo_vanished"] += image.label_loss.vanished
                self.worst_label_iou = min(self.worst_label_iou, image.label_loss.worst_iou)

    def counts(self, where: str | tuple[int, str]) -> dict[str, int]:
        """Source groups, images, copies and particles."""
        return {"groups": len(self._groups[where]), **self._counts[where]}

    def _count(self, where: str | tuple[int, str], group: str, copies: int, particles: int) -> None:
        self._groups[where].add(group)
        self._counts[where].update(images=1, copies=copies, instances=particles)


def _summary(plan: Plan, config: PrepareConfig, statistics: _Statistics) -> dict[str, Any]:
    shown, set_hash = plan.classes + plan.ood_classes, plan.content_hash
    return {
        "format": FORMAT if config.shards is None else SHARDED_FORMAT,
        "name": plan.name,
        "dataset": plan.dataset,
        "classes": list(plan.classes),
        "ood_classes": list(plan.ood_classes),
        "canvas": config.canvas,
        "seed": config.seed,
        "parameters": plan.parameters,
        "preparation": PREPARATION_VERSION,
        "content_hash": set_hash,
        **({} if config.shards is None else {"shard_bytes": config.shards}),
        "max_instances": statistics.densest,
        "counts": {split: statistics.counts(split) for split in plan.splits},
        **({"folds": _summaries_of_folds(plan, set_hash, statistics)} if plan.folds else {}),
        "class_images": {label: statistics.class_images[label] for label in shown},
        "class_instances": {label: statistics.class_instances[label] for label in shown},
        "losses": dict(sorted(statistics.losses.items())),
        "worst_label_iou": statistics.worst_label_iou,
        "warnings": list(plan.warnings),
    }


def _summaries_of_folds(plan: Plan, set_hash: str, statistics: _Statistics) -> list[dict[str, Any]]:
    """What of the summary is another in each fold."""
    aside = {split: statistics.counts(split) for split in plan.splits if split in ASIDE}
    return [
        {
            "content_hash": fold_hash(set_hash, fold),
            "counts": {part: statistics.counts((fold, part)) for part in PARTS} | aside,
        }
        for fold in range(1, plan.folds + 1)
    ]
