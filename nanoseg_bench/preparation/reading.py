"""The first pass over the micrographs: read each once, keep what is small, set aside what cannot be used."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.faults import Problem
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.parallel import Workers
from nanoseg_bench.preparation.audit import FoundPair
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.grouping import regroup
from nanoseg_bench.preparation.inspection import Inspection, InspectionTask, inspect, twice_annotated
from nanoseg_bench.preparation.report import PrepareReport
from nanoseg_bench.preparation.shared_sources import find_shared_sources
from nanoseg_bench.preparation.split import choose_subset
from nanoseg_bench.preparation.tiling import noted_once
from nanoseg_bench.wording import counted, shortened

Seen = dict[str, tuple[MicrographRef, Inspection]]
"""Micrographs by name, in the order of the names."""

_LOG = logging.getLogger(__name__)


class Reader:
    """The first pass over the micrographs.

    Args:
        scratch: Folder for the fingerprints, one file per image.
        report: Where faulty files are entered.
        config: The user's.
        workers: Processes.

    Attributes:
        labels: What ``read`` saw.
    """

    def __init__(self, scratch: Path, report: PrepareReport, config: PrepareConfig, workers: Workers) -> None:
        self._scratch = scratch
        self._report = report
        self._config = config
        self._workers = workers
        self.labels: list[Mapping[str, int]] = []

    def read(self, entries: Sequence[MicrographRef], classes: tuple[str, ...] | None) -> Seen:
        """Look at what is to be split; by name, in that order, without those that cannot be used.

        Afterwards ``labels`` holds the particles by label of every micrograph, whether or not a subset was taken.
        """
        wanted, scales = self._config.images, self._config.scales
        if wanted is None:
            seen = surveyed = self._group(self._look(self._tasks(entries, classes, "main")))
        else:
            surveyed = self._group(self._look([InspectionTask(entry, classes) for entry in entries]))
            if self._report.faults and not (self._config.skip_faulty and surveyed):
                return surveyed  # to be refused for its faults, and not for having too few images without them
            records = [inspection for _, inspection in surveyed.values()]
            subset = choose_subset(records, wanted, self._config.seed, self._config.assignment)
            tasks = self._tasks([surveyed[record.name][0] for record in subset], classes, "main")
            seen = self._group(self._look(tasks))
        self.labels = [inspection.labels for _, inspection in surveyed.values()]
        if scales is not None:
            # Of all: what is not in the subset may have a row.
            for warning in scales.check(_wholes(surveyed)):
                _LOG.warning("%s", warning)
        return self._scale(seen)

    def read_aside(self, part: str, entries: Sequence[MicrographRef], classes: tuple[str, ...] | None) -> Seen:
        """Look at a part that is judged on only."""
        return self._scale(self._look(self._tasks(entries, classes, part)))

    def compare(self, seen: Seen) -> list[FoundPair]:
        """Images that show the same, by micrograph name."""
        ordered = sorted(seen)
        paths = [path for name in ordered if (path := seen[name][1].fingerprint_path) is not None]
        found = find_shared_sources(paths, self._workers)
        return [FoundPair((ordered[pair.first], ordered[pair.second]), pair.check, pair.evidence) for pair in found]

    def _tasks(
        self, entries: Sequence[MicrographRef], classes: tuple[str, ...] | None, part: str
    ) -> list[InspectionTask]:
        return [
            InspectionTask(entry, classes, self._scratch / f"{part}-{number:06d}.npz")
            for number, entry in enumerate(entries)
        ]

    def _look(self, tasks: Sequence[InspectionTask]) -> Seen:
        found: list[tuple[MicrographRef, Inspection]] = []
        problems: list[Problem] = []
        for task, result in zip(tasks, self._workers.each(inspect, tasks, "reading micrographs"), strict=True):
            if isinstance(result, Problem):
                problems.append(result)
            else:
                found.append((task.ref, result))
        twice = twice_annotated([inspection for _, inspection in found], [entry for entry, _ in found])
        for problem in (*problems, *twice.values()):
            self._report.add_problem(problem)
        kept = sorted((pair for place, pair in enumerate(found) if place not in twice), key=lambda pair: pair[1].name)
        return _noted_once(self._without_blank(kept))

    def _without_blank(
        self, found: Sequence[tuple[MicrographRef, Inspection]]
    ) -> list[tuple[MicrographRef, Inspection]]:
        """Two black images are identical, and would make one source group of two unrelated fields."""
        blank = [seen for _, seen in found if seen.is_blank]
        self._report.blank += [seen.name for seen in blank]
        # Corners of fields are expected to be empty; a whole one may be a failed export.
        if whole := [seen.image_path.name for seen in blank if seen.whole == seen.name]:
            _LOG.warning(
                "%s left out, which show one grey value and on which nothing is drawn: %s; export again what should "
                "show something",
                counted(len(whole), "image"),
                shortened(whole),
            )
        return [(ref, seen) for ref, seen in found if not seen.is_blank]

    def _group(self, seen: Seen) -> Seen:
        if self._config.group_by is None:
            return seen
        groups = regroup(_wholes(seen), self._config.group_by)
        return {
            name: (entry, _saying(inspection, source_group=groups[inspection.whole]))
            for name, (entry, inspection) in seen.items()
        }

    def _scale(self, seen: Seen) -> Seen:
        table = self._config.scales
        if table is None:
            return seen
        scaled = {}
        for name, (entry, inspection) in seen.items():
            scale = table.lookup(_Whole(inspection.whole, inspection.image_path))
            if scale is not None:
                inspection = replace(_saying(inspection, nm_per_px=scale), scale_from="scale-csv")
            scaled[name] = (entry, inspection)
        return scaled


def _noted_once(found: Sequence[tuple[MicrographRef, Inspection]]) -> Seen:
    micrographs = noted_once(seen.micrograph for _, seen in found)
    return {
        seen.name: (ref, replace(seen, micrograph=micrograph))
        for (ref, seen), micrograph in zip(found, micrographs, strict=True)
    }


@dataclass(frozen=True, slots=True)
class _Whole:
    """A micrograph as the tables and rules of the user know it, who has not seen its tiles."""

    name: str
    image_path: Path


def _wholes(seen: Seen) -> list[_Whole]:
    return list(dict.fromkeys(_Whole(inspection.whole, inspection.image_path) for _, inspection in seen.values()))


def _saying(inspection: Inspection, **known: Any) -> Inspection:
    """The same, where the user knows better than the annotation."""
    return replace(inspection, micrograph=replace(inspection.micrograph, **known))
