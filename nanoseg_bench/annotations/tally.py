"""What became of shapes that are no particle, or may not be one of their own: noted for each image, counted for all.

A particle that is lost in reading is never told in a report file only: every kind here has a sentence for the console.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nanoseg_bench.annotations.left_out import note_without_area
from nanoseg_bench.wording import counted

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the shapes of one image.

    Attributes:
        faulty: Shapes that cannot be read and were left out: where, what is wrong, and the way out.
        empty: Shapes that cover no pixel, though they lie in the image; left out. Label and place of each.
        twins: Particles that are outlined twice, both of which count. Label and place of each.
        twins_dropped: Particles that were outlined twice, of which the first outline counts. Label and place of each.
        crowds: COCO's crowd regions, which are ignore regions and no particles.
        regions: Regions of the image in all, where there are such crowds.
        background: Shapes that say of themselves that they are background; left out.
    """

    faulty: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    twins_dropped: tuple[str, ...] = ()
    crowds: int = 0
    regions: int = 0
    background: int = 0

    def notes(self) -> tuple[str, ...]:
        """One sentence on each kind, for the report of the image."""
        notes = [f"left out {fault}" for fault in self.faulty]
        if self.empty:
            notes.append(f"left out, since without area: {'; '.join(self.empty)}")
        if self.twins:
            notes.append(f"outlined twice, and counted twice: {'; '.join(self.twins)}")
        if self.twins_dropped:
            notes.append(f"outlined twice, and counted once: {'; '.join(self.twins_dropped)}")
        if self.crowds:
            notes.append(f"{counted(self.crowds, 'region')} with iscrowd 1: ignore regions, not particles")
        if self.background:
            notes.append(f"left out {counted(self.background, 'shape')} labelled as background")
        return tuple(notes)


@dataclass(slots=True)
class Tallies:
    """What became of the shapes of all images, for the console.

    Attributes:
        images: Number of images by kind.
        shapes: Number of shapes by kind.
        examples: The first ones of each kind, with their image.
        without_area: Shapes of kinds that outline nothing, by kind.
        regions: Regions in all, crowds included.
    """

    images: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    without_area: Counter[str] = field(default_factory=Counter)
    regions: int = 0

    def add(self, name: str, tally: Tally, without_area: Mapping[str, int]) -> None:
        """Enter one image.

        Args:
            name: Of the micrograph.
            tally: What became of its shapes.
            without_area: ``Micrograph.without_area``.
        """
        for kind, told in (
            ("faulty", tally.faulty),
            ("empty", tally.empty),
            ("twins", tally.twins),
            ("twins_dropped", tally.twins_dropped),
        ):
            self._count(kind, len(told), [f"{name}: {text}" for text in told[:_SHOWN]])
        self._count("crowds", tally.crowds, [name])
        self._count("background", tally.background, [name])
        self.without_area.update(without_area)
        self.regions += tally.regions

    def _count(self, kind: str, number: int, examples: Sequence[str]) -> None:
        if not number:
            return
        self.images[kind] += 1
        self.shapes[kind] += number
        shown = self.examples.setdefault(kind, [])
        shown += examples[: _SHOWN - len(shown)]

    def as_json(self) -> dict[str, int]:
        """Number of shapes by kind, of the kinds that occur."""
        return dict(sorted(self.shapes.items()))

    def warnings(self) -> list[str]:
        """One sentence on each kind that occurs, with the way out; shapes of a kind without area not included."""
        told = []
        if self.shapes["faulty"]:
            told.append(
                f"{counted(self.shapes['faulty'], 'faulty shape')} left out of {self._images('faulty')}, so that "
                f"{'its place counts' if self.shapes['faulty'] == 1 else 'their places count'} as background:"
                f"{self._list('faulty')}"
            )
        if self.shapes["empty"]:
            told.append(
                f"{counted(self.shapes['empty'], 'shape')} without area left out of {self._images('empty')} (no pixel "
                f"is covered); draw them again or delete them:{self._list('empty')}"
            )
        if self.shapes["twins"]:
            told.append(
                f"{counted(self.shapes['twins'], 'particle')} of {self._images('twins')} outlined twice, which counts "
                "twice in the truth: --drop-duplicates keeps the first outline of one label; of two labels, delete "
                f"one:{self._list('twins')}"
            )
        if self.shapes["twins_dropped"]:
            told.append(
                f"{counted(self.shapes['twins_dropped'], 'second outline')} of the same particle left out of "
                f"{self._images('twins_dropped')}, as --drop-duplicates asks:{self._list('twins_dropped')}"
            )
        if self.shapes["crowds"]:
            told.append(
                f"{self.shapes['crowds']} of {counted(self.regions, 'region')}, in {self._images('crowds')}, have "
                "iscrowd 1 and are ignore regions, not particles; CVAT writes so for every particle that was drawn as "
                f"a mask: --iscrowd particle takes them for particles (the first are in "
                f"{', '.join(self.examples['crowds'])})"
            )
        if self.shapes["background"]:
            told.append(
                f"{counted(self.shapes['background'], 'shape')} labelled as background left out of "
                f"{self._images('background')} (the first are in {', '.join(self.examples['background'])})"
            )
        return told

    def warn_of_kinds(self) -> list[str]:
        """A sentence on the shapes of kinds that outline nothing, such as lines."""
        return list(note_without_area(self.without_area))

    def _images(self, kind: str) -> str:
        return counted(self.images[kind], "image")

    def _list(self, kind: str) -> str:
        lines = list(self.examples[kind])
        if self.shapes[kind] > len(lines):
            lines.append(f"and {self.shapes[kind] - len(lines)} more, all in the report")
        return "".join(f"\n    {line}" for line in lines)
