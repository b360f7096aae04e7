"""``prepare_report.json``: every file that takes no part, why, and the way out; nothing is dropped silently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.faults import FaultReport
from nanoseg_bench.files import write_json
from nanoseg_bench.preparation.inspection import Inspection

REPORT_FORMAT = "nanoseg-prepare-report/1"


@dataclass(slots=True, kw_only=True)
class PrepareReport(FaultReport):
    """What became of the files that were found.

    Attributes:
        used: Micrographs that are in the set.
        background: Those of them without a particle: they are kept, and count as background.
        blank: Images and tiles of one grey value on which nothing is drawn: they are left out.
        notes: What readers left out or mended, by file.
    """

    used: int = 0
    background: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    notes: list[tuple[Path, str]] = field(default_factory=list)

    def add_used(self, files: Mapping[str, Path], inspections: Sequence[Inspection]) -> None:
        """Count the micrographs that are in the set.

        Args:
            files: The file that annotates it, by micrograph name.
            inspections: The micrographs.
        """
        self.used += len(inspections)
        self.background += [each.name for each in inspections if not each.particles]
        self.notes += [(files[each.name], note) for each in inspections for note in each.notes]

    def write(self, path: Path) -> None:
        """Write the report; same report, same bytes."""
        document: dict[str, Any] = {
            "format": REPORT_FORMAT,
            "images": self.used,
            "background": sorted(self.background),
            "blank": sorted(self.blank),
            "skipped": self._rows(self.problems),
            "faults_of_files": self._rows(self.of_files),
            "passed_over": self._rows(self.passed_over),
            "unannotated": sorted(self._relative(path) for path in self.unannotated),
            "notes": [{"file": self._relative(file), "note": self._shorten(note)} for file, note in self.notes],
        }
        write_json(path, document)
