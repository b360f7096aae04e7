"""From micrographs to a prepared set on disk: inspect, group, split, letterbox, augment, audit, write.

The whole set is written beside its final place and renamed at the end, so a kill leaves the old set or the new one.
"""

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nanoseg_bench.annotations.coco import write_coco
from nanoseg_bench.annotations.instance import Instance, Micrograph
from nanoseg_bench.errors import DatasetError, PreparationError
from nanoseg_bench.files import write_json, write_text
from nanoseg_bench.preparation.audit import audit_split
from nanoseg_bench.preparation.augment import augmentation_parameters, copies_per_image
from nanoseg_bench.preparation.canvases import CanvasTask, WrittenMicrograph, write_canvases
from nanoseg_bench.preparation.grouping import source_groups
from nanoseg_bench.preparation.inspection import Inspection, check_labels, check_names, inspect
from nanoseg_bench.preparation.manifest import content_hash, manifest_row, write_manifest
from nanoseg_bench.preparation.prepared_set import FORMAT, SPLITS, PreparedSet
from nanoseg_bench.preparation.split import PARTS, fixed_split, share_warnings, split_by_group
from nanoseg_bench.preparation.staging import recover_folder, staged_folder
from nanoseg_bench.progress import track

OOD = "ood"
MARKER = "prepared.json"

_LOG = logging.getLogger(__name__)
_DEFAULT_MAX_WORKERS = 8
# Starting a worker costs as much as some dozen images.
_MIN_TASKS_PER_WORKER = 8

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class _Plan:
    """All that is decided before anything is written; the fields are those of ``prepare``."""

    name: str
    dataset: str
    classes: tuple[str, ...]
    ood_classes: tuple[str, ...]
    canvas: int
    seed: int
    micrographs: list[Micrograph]
    split: dict[str, str]
    groups: dict[str, str]
    inspections: dict[str, Inspection]
    copies: dict[str, int]
    parameters: dict[str, Any]
    warnings: list[str]

    @property
    def content_hash(self) -> str:
        """What the set will be, before it is made."""
        return content_hash([self._entry(each) for each in self.micrographs], self.parameters)

    def _entry(self, micrograph: Micrograph) -> dict[str, Any]:
        name = micrograph.name
        return {
            "name": name,
            "size": [micrograph.width, micrograph.height],
            "nm_per_px": micrograph.nm_per_px,
            "attributes": dict(micrograph.attributes),
            "source_group": self.groups[name],
            "split": self.split[name],
            "copies": self.copies.get(name, 0),
            "pixels": self.inspections[name].pixels_sha256,
            "truth": self.inspections[name].truth_sha256,
        }


def prepare(
    micrographs: Sequence[Micrograph],
    ood: Sequence[Micrograph] = (),
    *,
    name: str,
    dataset: str,
    classes: Sequence[str],
    out: Path,
    canvas: int = 640,
    ratios: tuple[int, int, int] = (8, 1, 1),
    assignment: Mapping[str, str] | None = None,
    seed: int = 0,
    augment_to: int | None = None,
    augment_copies: int | None = None,
    overwrite: str = "missing",
    workers: int | None = None,
) -> PreparedSet:
    """Write a prepared set; same input and seed, same bytes in labels, splits and manifest.

    Args:
        micrographs: What is split into train, val and test.
        ood: Out-of-distribution micrographs: judged on, never trained on, never augmented; other labels are allowed.
        name: Of the set, in tables and file names.
        dataset: Name of the card that it is made from.
        classes: Class names; their order gives the indices.
        out: Folder of the set.
        canvas: Side of the canvas images in pixels.
        ratios: Parts for train, val and test.
        assignment: Split by micrograph name, instead of ``ratios``.
        seed: Of split and augmentation.
        augment_to: Images in all, copies included; the paper's 5.861 per original by default.
        augment_copies: Exactly so many copies per training image instead; 0 for none.
        overwrite: ``never`` keeps an existing set as it is; ``missing`` keeps it when it was made from the same
            inputs and refuses otherwise; ``always`` writes it anew.
        workers: Processes; the number of cores, at most 8, by default. The result does not depend on it. They are
            started by ``spawn``, so a script that calls this needs the guard ``if __name__ == "__main__":``.

    Raises:
        ImageError: A micrograph cannot be read.
        PreparationError: The inputs do not fit together, the split cannot be made, the folder cannot be written, or
            it holds a set of other inputs.
    """
    recover_folder(out)
    existing = _existing(out) if overwrite != "always" else None
    if existing is not None and overwrite == "never":
        _LOG.info("%s: exists and is kept as it is", out)
        return existing
    if not micrographs:
        raise PreparationError("there are no micrographs to prepare; give a folder that holds annotated images")
    workers = workers or default_workers()
    classes = tuple(classes)
    ood_classes = _more_labels(ood, classes)
    everything = sorted(micrographs, key=lambda each: each.name) + sorted(ood, key=lambda each: each.name)
    check_names(everything)
    check_labels(micrographs, classes)

    check_labels(ood, classes + ood_classes)

    def plan() -> _Plan:
        results = _each(inspect, everything, workers, "reading micrographs")
        inspections = {each.name: result for each, result in zip(everything, results, strict=True)}
        groups, warnings = _groups(everything, inspections)
        split = _split(micrographs, groups, ratios, assignment, seed)
        if assignment is None:
            warnings += share_warnings(split, groups, ratios)
        for warning in warnings:
            _LOG.warning("%s", warning)
        train = [each for each, part in split.items() if part == "train"]
        copies = copies_per_image(train, len(split), seed, augment_to, augment_copies)
        parameters = {
            "canvas": canvas,
            "classes": list(classes),
            "seed": seed,
            "split": "fixed" if assignment is not None else ":".join(map(str, ratios)),
            "augmentation": augmentation_parameters() if any(copies.values()) else None,
        }
        return _Plan(
            name=name,
            dataset=dataset,
            classes=classes,
            ood_classes=ood_classes,
            canvas=canvas,
            seed=seed,
            micrographs=everything,
            split={**split, **{each.name: OOD for each in ood}},
            groups=groups,
            inspections=inspections,
            copies=copies,
            parameters=parameters,
            warnings=warnings,
        )

    if existing is not None:
        return _same_or_refuse(existing, plan())
    # The folder is opened first: that it cannot be written is better known before all images are read.
    with staged_folder(out, MARKER) as root:
        _write(plan(), root, workers)
    return PreparedSet(out)


def default_workers() -> int:
    """Processes to use unless told otherwise."""
    return min(os.cpu_count() or 1, _DEFAULT_MAX_WORKERS)


def _existing(out: Path) -> PreparedSet | None:
    if not (out / MARKER).is_file():
        return None
    try:
        return PreparedSet(out)
    except (DatasetError, ValueError) as error:
        raise PreparationError(f"{error}; or give --overwrite always") from error


def _same_or_refuse(existing: PreparedSet, plan: _Plan) -> PreparedSet:
    if (existing.name, existing.dataset) == (plan.name, plan.dataset) and existing.content_hash == plan.content_hash:
        _LOG.info("%s: up to date", existing.root)
        return existing
    raise PreparationError(
        f"{existing.root}: holds a prepared set of other inputs or parameters ({existing.name}, content "
        f"{existing.content_hash[:12]}; now {plan.name}, {plan.content_hash[:12]}). "
        "Use --overwrite always to replace it, or another --out"
    )


def _more_labels(ood: Sequence[Micrograph], classes: Sequence[str]) -> tuple[str, ...]:
    labels = {each.label for micrograph in ood for each in micrograph.instances if not each.ignored}
    return tuple(sorted(label for label in labels if label is not None and label not in classes))


def _groups(
    micrographs: Sequence[Micrograph], inspections: Mapping[str, Inspection]
) -> tuple[dict[str, str], list[str]]:
    pixels = {name: inspection.pixels_sha256 for name, inspection in inspections.items()}
    groups, identical = source_groups(micrographs, pixels)
    return groups, [f"identical pixels, kept in one source group: {', '.join(names)}" for names in identical]


def _split(
    micrographs: Sequence[Micrograph],
    groups: Mapping[str, str],
    ratios: tuple[int, int, int],
    assignment: Mapping[str, str] | None,
    seed: int,
) -> dict[str, str]:
    own = {each.name: groups[each.name] for each in micrographs}
    if assignment is not None:
        return fixed_split(micrographs, assignment, own)
    return split_by_group(micrographs, ratios, seed, own)


def _write(plan: _Plan, root: Path, workers: int) -> None:
    for split in SPLITS:
        if split in plan.split.values():
            (root / "images" / split).mkdir(parents=True)
            if split != OOD:
                (root / "labels" / split).mkdir(parents=True)
    tasks = _tasks(plan, root)
    done = list(_each(write_canvases, tasks, workers, "writing canvases"))
    rows = _rows(plan, tasks, done)
    for split in SPLITS:
        if split in plan.split.values():
            _write_instances(plan, root, split, tasks, done)
    write_manifest(root / "manifest.csv", rows)
    hashes = {task.name: plan.inspections[task.micrograph.name].hashes for task in tasks}
    write_json(root / "split_audit.json", audit_split(rows, hashes, plan.content_hash))
    write_text(root / "data.yaml", _data_yaml(plan))
    write_json(root / MARKER, _summary(plan, tasks, done))


def _tasks(plan: _Plan, root: Path) -> list[CanvasTask]:
    order = sorted(plan.micrographs, key=lambda each: (SPLITS.index(plan.split[each.name]), each.name))
    used: set[str] = set()
    last_parts = Counter(_last_part(micrograph.name).casefold() for micrograph in order)
    stems = []
    for micrograph in order:
        short = _last_part(micrograph.name)
        alone = last_parts[short.casefold()] == 1
        stems.append(_unique(_stem(short if alone else micrograph.name), used))
    tasks = []
    for micrograph, stem in zip(order, stems, strict=True):
        split = plan.split[micrograph.name]
        count = plan.copies.get(micrograph.name, 0)
        digits = max(len(str(count)), 2)
        tasks.append(
            CanvasTask(
                micrograph=micrograph,
                split=split,
                name=stem,
                copy_names=tuple(_unique(f"{stem}-aug{number:0{digits}d}", used) for number in range(1, count + 1)),
                # Nothing is trained on ood, whose shapes have no index among the classes.
                classes=() if split == OOD else plan.classes,
                canvas=plan.canvas,
                seed=plan.seed,
                root=root,
            )
        )
    return tasks


def _last_part(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _stem(name: str) -> str:
    """A file name for a micrograph's name, on every file system."""
    return re.sub(r"[^\w.-]+", "_", name.replace("/", "__")).strip(".") or "micrograph"


def _unique(stem: str, used: set[str]) -> str:
    # Case does not tell files apart on Windows and macOS.
    candidate, number = stem, 1
    while candidate.casefold() in used:
        number += 1
        candidate = f"{stem}-{number}"
    used.add(candidate.casefold())
    return candidate


def _rows(plan: _Plan, tasks: Sequence[CanvasTask], done: Sequence[WrittenMicrograph]) -> list[dict[str, str]]:
    rows = []
    for task, written in zip(tasks, done, strict=True):
        for image in written.images:
            rows.append(
                manifest_row(
                    task.micrograph,
                    name=image.name,
                    split=task.split,
                    source_group=plan.groups[task.micrograph.name],
                    canvas=plan.canvas,
                    pixels_sha256=plan.inspections[task.micrograph.name].pixels_sha256,
                    instances=image.particles,
                    parent="" if image.name == task.name else task.name,
                    dropped=image.dropped,
                    transforms=image.transforms,
                )
            )
    return rows


def _write_instances(
    plan: _Plan, root: Path, split: str, tasks: Sequence[CanvasTask], done: Sequence[WrittenMicrograph]
) -> None:
    classes = plan.classes + plan.ood_classes if split == OOD else plan.classes
    sizes: dict[str, tuple[int, int]] = {}
    truth: dict[str, list[Instance]] = {}
    on_canvas: dict[str, list[Instance]] = {}
    for task, written in zip(tasks, done, strict=True):
        if task.split == split:
            sizes[task.name] = (task.micrograph.width, task.micrograph.height)
            truth[task.name] = written.truth
            on_canvas.update({image.name: image.instances for image in written.images})
    write_coco(root / "truth" / f"{split}.json", sizes, truth, classes)
    square = (plan.canvas, plan.canvas)
    write_coco(root / "canvas" / f"{split}.json", dict.fromkeys(on_canvas, square), on_canvas, classes)


def _data_yaml(plan: _Plan) -> str:
    parts = {part: f"images/{part}" for part in PARTS if part in plan.split.values()}
    document = {"path": ".", **parts, "names": dict(enumerate(plan.classes))}
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _summary(plan: _Plan, tasks: Sequence[CanvasTask], done: Sequence[WrittenMicrograph]) -> dict[str, Any]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    groups: dict[str, set[str]] = defaultdict(set)
    class_images: Counter[str] = Counter()
    class_instances: Counter[str] = Counter()
    losses: Counter[str] = Counter()
    densest = 0
    for task, written in zip(tasks, done, strict=True):
        labels = Counter(str(each.label) for each in written.truth if not each.ignored)
        class_images.update(labels.keys())
        class_instances.update(labels)
        groups[task.split].add(plan.groups[task.micrograph.name])
        copies = len(written.images) - 1
        counts[task.split].update(images=1, copies=copies, instances=labels.total())
        densest = max(densest, labels.total(), *(image.particles for image in written.images))
        losses.update(outside_image=written.outside, too_small_for_canvas=written.too_small)
        for image in written.images:
            losses["cut_by_augmentation"] += image.dropped
            if image.yolo_loss is not None:
                losses["yolo_parts_joined"] += image.yolo_loss.parts_joined
                losses["yolo_holes_lost"] += image.yolo_loss.holes_lost
                losses["yolo_vanished"] += image.yolo_loss.vanished
    shown = plan.classes + plan.ood_classes
    return {
        "format": FORMAT,
        "name": plan.name,
        "dataset": plan.dataset,
        "classes": list(plan.classes),
        "ood_classes": list(plan.ood_classes),
        "canvas": plan.canvas,
        "seed": plan.seed,
        "parameters": plan.parameters,
        "content_hash": plan.content_hash,
        "max_instances": densest,
        "counts": {split: {"groups": len(groups[split]), **counts[split]} for split in SPLITS if split in counts},
        "class_images": {label: class_images[label] for label in shown},
        "class_instances": {label: class_instances[label] for label in shown},
        "losses": dict(sorted(losses.items())),
        "warnings": plan.warnings,
    }


def _each(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int, description: str
) -> Iterator[Result]:
    """Results in the order of the tasks, from as many processes as pay off."""
    workers = min(workers, max(len(tasks) // _MIN_TASKS_PER_WORKER, 1))
    if workers == 1:
        yield from track(map(function, tasks), description, len(tasks))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from track(pool.map(function, tasks), description, len(tasks))
