"""Masks as predictions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.masks.pairs import find_mask_folders, image_name_of, is_mask_name
from nanoseg_bench.annotations.masks.particles import find_particles, made_for, read_values
from nanoseg_bench.annotations.masks.patterns import recognise
from nanoseg_bench.annotations.masks.specks import warn_of_specks
from nanoseg_bench.annotations.predictions import PredictionOptions, PredictionReader, Regions, RegionsRef, name_below
from nanoseg_bench.annotations.tracing import trace
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.images import IMAGE_SUFFIXES


class MaskPredictions(PredictionReader):
    """A mask for each image.

    Of kind ``auto``, values must number the particles: a model that numbers none has joined those that touch, which
    whoever hands it in should know.
    """

    words = "instance maps (.png, .tif)"
    no_particle = "An image without particles has a map of zeros"
    plural = "masks"

    def is_file(self, path: Path) -> bool:
        """Whether it is an image."""
        return path.suffix.lower() in IMAGE_SUFFIXES

    def select(self, folder: Path, files: Sequence[Path]) -> list[Path]:
        """Those in a folder of masks, else those called ``NAME_mask``, else all images."""
        _, mask_folder = find_mask_folders(folder)
        images = [path for path in files if self.is_file(path)]
        if mask_folder is not None:
            return [path for path in images if path.is_relative_to(mask_folder)]
        return [path for path in images if is_mask_name(path)] or images

    def root(self, path: Path) -> Path:
        """The folder of masks, where there is one beside images."""
        return find_mask_folders(path)[1] or path

    def open(self, files: Sequence[Path], root: Path, options: PredictionOptions) -> list[RegionsRef]:
        """One image for each mask, of its name or of that without what was added to say that it is a mask."""
        masks = options.masks
        chosen = masks.kind == "auto"
        if chosen:
            # Binary masks are found by their pieces, in all files: one piece each reads the same either way.
            chosen = recognise(files) == "instance"
            masks = replace(masks, kind="instance")
        names = [name_below(path, root) for path in files]
        return [
            RegionsRef((name, image_name_of(name)), path, partial(_read, path, masks, chosen))
            for name, path in zip(names, files, strict=True)
        ]

    def check(self, read: Mapping[str, tuple[Path, Regions]], options: PredictionOptions) -> tuple[str, ...]:
        """Tell specks, and refuse masks that hold one value each unless the user said that this is meant."""
        # Whoever names the format has looked; an explicit kind needs no suspicion either.
        if options.masks.kind == "auto" and not options.format_is_given:
            _refuse_binary(
                (path, [each for each in found.instances if not each.ignored]) for path, found in read.values()
            )
        return tuple(warn_of_specks({name: found.pieces for name, (_, found) in read.items()}))


def _read(path: Path, options: MaskOptions, chosen: bool, size: tuple[int, int]) -> Regions:
    """The particles of a mask, unless it was made for an image of another size."""
    values = read_values(path, options)
    own = made_for(values, size, options, path)
    if own != size:
        return Regions((), own)
    found = find_particles(values, options, path, chosen=chosen, size=own)
    return Regions(found.instances, own, found.pieces)


def _refuse_binary(found: Iterable[tuple[Path, list[Instance]]]) -> None:
    maps = [(path, instances) for path, instances in found if instances]
    if any(len(instances) > 1 for _, instances in maps):
        return
    for path, (instance,) in maps:
        if isinstance(instance.region, Rle) and (parts := len(trace(instance.region))) > 1:
            raise PredictionsError(
                f"{path}: one value in {parts} separate pieces, and no map of the folder holds several values: it "
                "seems to be a mask of particles against background. In an instance map every particle has a number of "
                "its own: export those, or give --mask-kind binary, which makes a particle of every piece; "
                "--mask-kind instance where all pieces are one particle"
            )
