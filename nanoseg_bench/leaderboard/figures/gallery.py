"""Which figures there are, and each of them as files; what cannot be drawn says why and does not stop the others."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import to_rle
from nanoseg_bench.errors import NanosegError, UsageError
from nanoseg_bench.leaderboard.comparability import open_scored_set
from nanoseg_bench.leaderboard.figures.bars import draw_bars
from nanoseg_bench.leaderboard.figures.chosen_images import choose_image, choose_images
from nanoseg_bench.leaderboard.figures.confusion import draw_confusions
from nanoseg_bench.leaderboard.figures.contenders import Contender
from nanoseg_bench.leaderboard.figures.curves import draw_curves
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError, write_drawn
from nanoseg_bench.leaderboard.figures.loss import draw_losses
from nanoseg_bench.leaderboard.figures.maps import NetworkMaps, draw_boundaries, draw_heat_maps
from nanoseg_bench.leaderboard.figures.overlays import draw_overlays
from nanoseg_bench.leaderboard.figures.page_grid import rows_that_fit
from nanoseg_bench.leaderboard.figures.robustness import draw_robustness
from nanoseg_bench.leaderboard.figures.sizes import draw_sizes
from nanoseg_bench.leaderboard.figures.style import figure_style
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.wording import counted, did_you_mean

Explainer = Callable[[Contender, Path, PreparedImage, tuple[Rle, ...]], NetworkMaps]
"""Contender, its run's folder, an image and its ignore regions to the maps.

A NanosegError where there are no weights, or no such maps.
"""


class Materials:
    """What figures are drawn from; each part is read when the first figure asks for it.

    Args:
        contenders: In the leaderboard's order; at least one.
        data: Folder of the prepared set that they were scored on.
        runs: Folder of its runs.
        images: Names of the images to show; None chooses some.
        explain: Looks into a network.
    """

    def __init__(
        self,
        contenders: Sequence[Contender],
        data: Path,
        runs: Path,
        images: Sequence[str] | None,
        explain: Explainer,
    ) -> None:
        self.contenders = contenders
        self.runs = runs
        self._data = data
        self._names = images
        self._explain = explain

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the prepared set."""
        return self.contenders[0].first.test.classes

    @property
    def texts(self) -> list[str]:
        """What may need letters that matplotlib's own font lacks."""
        confusions = [
            record.details.confusion
            for each in self.contenders
            for record in each.first.records.values()
            if record.details.confusion is not None
        ]
        shapes = [name for confusion in confusions for name in confusion.truth]
        return [*(each.label for each in self.contenders), *self.classes, *shapes, *(self._names or ())]

    @cached_property
    def prepared(self) -> PreparedSet:
        """The prepared set.

        Raises:
            DatasetError: It is not there, or is another one than the records are of.
        """
        return open_scored_set(self._data, self.contenders[0].first.test)

    def images(self, eval_set: str, count: int) -> list[PreparedImage]:
        """Images to show; as ``choose_images``."""
        return choose_images(self.prepared, self.contenders, eval_set, self._names, count)

    @cached_property
    def seen(self) -> tuple[PreparedImage, list[NetworkMaps], tuple[str, ...]]:
        """One image, the maps of every network whose weights are there, and why others are missing.

        Raises:
            NothingToDrawError: There are none.
            UsageError, DatasetError: As ``images``.
        """
        image = choose_image(self.prepared, self.contenders, self._names)
        truth = self.prepared.instances_of("truth", image.split, {image.name})[image.name]
        width, height = image.letterbox.width, image.letterbox.height
        ignored = tuple(to_rle(each, height, width) for each in truth if each.ignored)
        seen, missing = [], []
        for each in self.contenders:
            try:
                seen.append(self._explain(each, self.runs / each.first.run_id, image, ignored))
            except NanosegError as error:
                missing.append(f"Without {each.label}: {error}.")
        if not seen:
            others = f" The same for {counted(len(missing) - 1, 'other model')}." if len(missing) > 1 else ""
            raise NothingToDrawError(f"no network to look into; {missing[0]}{others}")
        return image, seen, tuple(missing)


@dataclass(frozen=True, slots=True)
class Kind:
    """A figure that can be asked for.

    Attributes:
        name: Stem of its files.
        numbers: Of the paper's figures that it corresponds to.
        draw: From the materials.
    """

    name: str
    numbers: tuple[str, ...]
    draw: Callable[[Materials], Drawn]


def _overlays(materials: Materials, eval_set: str) -> Drawn:
    contenders = materials.contenders
    images = materials.images(eval_set, rows_that_fit(len(contenders) + 2))
    return draw_overlays(contenders, materials.prepared, materials.runs, images, eval_set)


def _maps(materials: Materials, draw: Callable[[Sequence[NetworkMaps], PreparedImage], Drawn]) -> Drawn:
    image, seen, missing = materials.seen
    drawn = draw(seen, image)
    return replace(drawn, notes=(*drawn.notes, *missing))


KINDS = (
    Kind("loss", ("6",), lambda materials: draw_losses(materials.contenders, materials.runs)),
    Kind("bars", ("7",), lambda materials: draw_bars(materials.contenders, materials.classes)),
    Kind("overlays", ("8", "9"), lambda materials: _overlays(materials, "test")),
    Kind("overlays-ood", ("8", "9"), lambda materials: _overlays(materials, "ood")),
    Kind("confusion", ("10",), lambda materials: draw_confusions(materials.contenders)),
    Kind("confusion-ood", ("10",), lambda materials: draw_confusions(materials.contenders, "ood")),
    Kind("heat-maps", ("11",), lambda materials: _maps(materials, draw_heat_maps)),
    Kind("boundaries", ("12",), lambda materials: _maps(materials, draw_boundaries)),
    Kind("curves", (), lambda materials: draw_curves(materials.contenders)),
    Kind("robustness", (), lambda materials: draw_robustness(materials.contenders)),
    Kind("sizes", (), lambda materials: draw_sizes(materials.contenders)),
)


def choose_kinds(only: Sequence[str] | None) -> list[Kind]:
    """The figures of these numbers or names, in the order of ``KINDS``; None means all.

    Raises:
        UsageError: There is no such figure; the message offers the nearest.
    """
    known = [key for kind in KINDS for key in (*kind.numbers, kind.name)]
    for key in only or ():
        if key not in known:
            hint = did_you_mean(key, known, 0.5)
            raise UsageError(f"--only {key}: no such figure; {hint}there are {', '.join(dict.fromkeys(known))}")
    return [kind for kind in KINDS if only is None or not {kind.name, *kind.numbers}.isdisjoint(only)]


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a figure.

    Attributes:
        kind: Which one.
        paths: Its files, the figure first; none where it could not be drawn.
        notes: What was left out of it, or why it could not be drawn.
    """

    kind: Kind
    paths: tuple[Path, ...]
    notes: tuple[str, ...]


def make_figures(kinds: Sequence[Kind], materials: Materials, out: Path, file_format: str) -> Iterator[Made]:
    """Draw and write figures, one after the other.

    Args:
        kinds: Which.
        materials: From what.
        out: Folder of the files.
        file_format: One of ``drawn.FORMATS``.

    Raises:
        UsageError: The materials name an image that is not there.
        NanosegError: The folder cannot be written.
    """
    texts = materials.texts
    for kind in kinds:
        with figure_style(texts):
            try:
                drawn = kind.draw(materials)
            except UsageError:
                raise
            except NanosegError as error:
                made = Made(kind, (), (str(error),))
            else:
                made = Made(kind, tuple(write_drawn(drawn, out, file_format)), drawn.notes)
        yield made
