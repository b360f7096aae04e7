"""From annotated micrographs to a prepared set on disk: read, compare, group, split, letterbox, augment, audit.

Micrographs are read one by one in worker processes; what stays in memory is small. The whole set is written beside
its final place and renamed at the end, so a kill leaves the old set or the new one.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from nanoseg_bench.annotations.faults import Problem, common_root
from nanoseg_bench.annotations.name_matching import match_names
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.errors import DatasetError, FolderError, PreparationError
from nanoseg_bench.parallel import OpenPool, Workers, default_workers, open_processes
from nanoseg_bench.preparation.banners import IgnoringBanners
from nanoseg_bench.preparation.changed import set_changes
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.plan import HRTEM, OOD, Plan, make_plan
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.preparation.reading import Reader, Seen
from nanoseg_bench.preparation.report import PrepareReport
from nanoseg_bench.preparation.set_names import FOLDERS, MARKER
from nanoseg_bench.preparation.shard_writing import in_bytes
from nanoseg_bench.preparation.tiling import forget_wholes, in_tiles, whole_name
from nanoseg_bench.preparation.writing import write_set
from nanoseg_bench.staging import beside, hold_folder, recover_folder, scratch_folder, staged_folder
from nanoseg_bench.wording import counted, shortened

_LOG = logging.getLogger(__name__)


def prepare(
    entries: Sequence[MicrographRef],
    ood: Sequence[MicrographRef] = (),
    *,
    name: str,
    dataset: str,
    classes: Sequence[str] | None,
    out: Path,
    config: PrepareConfig | None = None,
    ood_classes: Sequence[str] | None = None,
    unannotated: Sequence[Path] = (),
    problems: Sequence[Problem] = (),
    hrtem: Sequence[MicrographRef] = (),
    verify: Callable[[Sequence[Mapping[str, int]]], None] | None = None,
    overwrite: str = "missing",
    workers: int | None = None,
    open_pool: OpenPool = open_processes,
) -> PreparedSet:
    """Write a prepared set; same input and config, same bytes.

    Args:
        entries: What is split into train, val and test.
        ood: Out-of-distribution micrographs: judged on, never trained on, never augmented; other labels are allowed.
        name: Of the set, in tables and file names.
        dataset: Name of the card that it is made from.
        classes: Class names; their order gives the indices. None takes every label that occurs.
        out: Folder of the set.
        config: The user's.
        ood_classes: Labels that ``ood`` may show besides ``classes``; None allows any.
        unannotated: Images without annotation, for the report.
        problems: ``Source.problems`` of ``entries``.
        hrtem: Micrographs with lattice contrast: judged on only, as ``ood``, but of ``classes``, which must be given.
        verify: Called with the particles by label of every micrograph of ``entries``, before a subset is taken.
        overwrite: ``never`` keeps an existing set as it is; ``missing`` keeps it when it was made from the same
            inputs and refuses otherwise; ``always`` writes it anew.
        workers: Processes; the number of cores, at most 8, by default. The result does not depend on it. They are
            started by ``spawn``, so a script that calls this needs the guard ``if __name__ == "__main__":``.
        open_pool: Where they are.

    Raises:
        NanosegError: A micrograph cannot be used; where there are several, a PreparationError lists them.
        PreparationError: The inputs do not fit together, the split cannot be made, or the folder holds a set of other
            inputs.
        FolderError: The folder cannot be written, or holds folders of other things that would go with it.
    """
    # The folder is opened first: that it cannot be written is better known before all images are read.
    with ExitStack() as stack:
        # Another call may be writing the same set: it is done before we look what is there.
        stack.enter_context(hold_folder(out))
        recover_folder(out)
        existing = _existing(out) if overwrite != "always" else None
        if existing is None:
            _require_no_others(out)
        if existing is not None and overwrite == "never":
            _LOG.info("%s: exists and is kept as it is", out)
            return existing
        if not entries:
            raise PreparationError("there are no micrographs to prepare; give a folder that holds annotated images")
        config = config or PrepareConfig()
        if config.ignore_banners:
            entries, ood, hrtem = ([IgnoringBanners(entry) for entry in part] for part in (entries, ood, hrtem))
        paths = [entry.path for entry in (*entries, *ood, *hrtem)]
        report = PrepareReport(root=common_root([*paths, *unannotated]), unannotated=list(unannotated))
        report.of_files = list(problems)
        failure_report = beside(out, "{}-prepare_report.json")
        scratch = stack.enter_context(scratch_folder(out))
        root = None if existing is not None else stack.enter_context(staged_folder(out, MARKER))
        # Last, so that it is left first: no worker writes into a folder that is being taken away.
        processes = stack.enter_context(Workers(workers or default_workers(), open_pool=open_pool))
        if config.tile:
            stack.callback(forget_wholes)
            entries, ood, hrtem = (in_tiles(part, config.tile, processes) for part in (entries, ood, hrtem))
        config = _spelt_as_here(config, entries)
        reader = Reader(scratch, report, config, processes)
        known = None if classes is None else tuple(classes)
        main = reader.read(entries, known)
        allowed = None if ood_classes is None or classes is None else (*classes, *ood_classes)
        aside = {OOD: reader.read_aside(OOD, ood, allowed), HRTEM: reader.read_aside(HRTEM, hrtem, known)}
        if report.faults and not (config.skip_faulty and main):
            report.write(failure_report)
            raise report.refusal(failure_report, PreparationError)
        failure_report.unlink(missing_ok=True)
        if verify is not None:
            verify(reader.labels)
        if not main:
            passed_over = [problem.file.name for problem in report.passed_over]
            raise PreparationError(
                f"none of {counted(len(entries), 'micrograph')} can be used; {counted(len(passed_over), 'file')} "
                f"passed over as no annotations: {shortened(passed_over)}"
                + (f"; {len(report.blank)} of one grey value, and nothing is drawn on them" if report.blank else "")
            )
        left_out = {problem.name for problem in report.problems}.union(report.blank)
        left_out |= {whole_name(entry) for entry in entries if entry.name in left_out}
        config = _narrow_assignment(config, left_out, main)
        pairs = reader.compare({**main, **aside[OOD], **aside[HRTEM]})
        plan = make_plan(
            main,
            aside,
            pairs,
            name=name,
            dataset=dataset,
            classes=known,
            config=config,
        )
        for warning in plan.warnings:
            _LOG.warning("%s", warning)
        if root is not None:
            write_set(plan, report, root, config, processes)
    if existing is not None:
        return _same_or_refuse(existing, plan, config)
    return PreparedSet(out)


def _spelt_as_here(config: PrepareConfig, entries: Sequence[MicrographRef]) -> PrepareConfig:
    """A given split by the names of the micrographs, which people write with suffixes, or a spreadsheet otherwise."""
    if config.assignment is None:
        return config
    try:
        meant = match_names(config.assignment, (name for each in entries for name in (each.name, whole_name(each))))
    except ValueError as error:
        raise PreparationError(f"the split: {error}") from error
    return replace(config, assignment={meant.get(name, name): part for name, part in config.assignment.items()})


def _narrow_assignment(config: PrepareConfig, left_out: set[str], main: Seen) -> PrepareConfig:
    """A given split may name files that are left out, or not in the subset that is asked for: no unknown names.

    It names whole micrographs: their tiles go where these go.
    """
    if config.assignment is None:
        return config
    kept = {
        name: part
        for name, part in config.assignment.items()
        if name not in left_out and (config.images is None or name in main)
    }
    for name, (_, inspection) in main.items():
        if inspection.whole != name and inspection.whole in config.assignment:
            kept.pop(inspection.whole, None)
            kept[name] = config.assignment[inspection.whole]
    return replace(config, assignment=kept)


def _require_no_others(out: Path) -> None:
    """Refuse to replace a set that somebody keeps other folders in, as with ``run --runs data/mine/runs``."""
    if not (out / MARKER).is_file():
        return
    folders = sorted(each.name for each in out.iterdir() if each.is_dir() and each.name not in FOLDERS)
    others = [f"{name}/" for name in folders if not name.startswith(".")]  # those are a notebook's
    if others:
        raise FolderError(
            f"{out}: holds {shortened(others)}, which `prepare` has not written and would delete with the set; move it "
            "elsewhere first"
        )


def _existing(out: Path) -> PreparedSet | None:
    if not (out / MARKER).is_file():
        return None
    try:
        return PreparedSet(out)
    except (DatasetError, ValueError) as error:
        raise PreparationError(f"{error}; or give --overwrite always") from error


def _same_or_refuse(existing: PreparedSet, plan: Plan, config: PrepareConfig) -> PreparedSet:
    shards = config.shards
    if (existing.name, existing.dataset) == (plan.name, plan.dataset) and existing.content_hash == plan.content_hash:
        if existing.shard_bytes != shards:
            asked = "single files" if shards is None else f"shards of {in_bytes(shards)}"
            lies = "single files" if existing.shard_bytes is None else f"shards of {in_bytes(existing.shard_bytes)}"
            raise PreparationError(
                f"{existing.root}: holds the same set in {lies}, and {asked} were asked for; ask for {lies}, use "
                "--overwrite always to write it anew, or another --out"
            )
        lost = 1 - existing.summary.get("worst_label_iou", 1.0)
        if config.max_loss is not None and lost > config.max_loss:
            raise PreparationError(
                f"{existing.root}: holds the same set, in which a particle's YOLO label loses {lost:.3f} of its truth, "
                f"above --max-loss {config.max_loss:g}; allow more, or train on canvas/*.json, which holds all"
            )
        existing.require_files()
        _LOG.info("%s: up to date", existing.root)
        return existing
    changes = "; ".join(set_changes(existing, plan))
    keep = "" if existing.folds else " (add --split-file with its split.csv to keep every image where it is)"
    raise PreparationError(
        f"{existing.root}: holds a prepared set of other inputs or parameters: {changes}. "
        f"Use --overwrite always to replace it{keep}, or another --out"
    )
