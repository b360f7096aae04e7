"""Which image of an eval set an answer belongs to, and whether every image has one."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nanoseg_bench.annotations.image_files import clean_path, composed, without_suffix
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.wording import counted, shortened


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer goes.

    Attributes:
        name: The image's name in the eval set.
        width: Columns of the micrograph.
        height: Rows.
    """

    name: str
    width: int
    height: int


class ImageNames:
    """Images of a prepared set by the names that other tools give them.

    Tools are run on the micrographs, whose names are not always those in the prepared set. Either counts, with folders
    and an image suffix or without, where it leads to one image only.

    Args:
        images: Those that may be meant.
    """

    def __init__(self, images: Iterable[PreparedImage]) -> None:
        exact: dict[str, set[str]] = defaultdict(set)
        short: dict[str, set[str]] = defaultdict(set)
        for image in images:
            for name in (image.name, image.micrograph):
                exact[composed(name)].add(image.name)
                short[PurePosixPath(composed(name)).name].add(image.name)
        self._stages = (exact, short)

    def find(self, given: str) -> str | None:
        """The image of this name; None where there is none, or several."""
        name = composed(without_suffix(clean_path(given).as_posix()))
        exact, short = self._stages
        for known, key in ((exact, name), (short, PurePosixPath(name).name)):
            if len(found := known.get(key, set())) == 1:
                return next(iter(found))
        return None


class Answers:
    """The answers to an eval set as a reader finds them.

    Args:
        path: What was handed in.
        prepared: The prepared set.
        eval_set: The eval set.
    """

    def __init__(self, path: Path, prepared: PreparedSet, eval_set: EvalSet) -> None:
        self._path = path
        self._prepared = prepared
        self._eval_set = eval_set
        self._names = ImageNames(prepared.judged_images(eval_set.name))
        self._places: dict[str, str] = {}
        self._images: dict[str, list[Instance]] = {}
        self._unknown: list[str] = []

    def knows(self, given: str) -> bool:
        """Whether an image goes by this name."""
        return self._names.find(given) is not None

    def place(self, given: str) -> Place | None:
        """Where the answer for the image of this name goes; None, and remembered, where there is no such image.

        Raises:
            PredictionsError: An answer for this image is there already.
        """
        name = self._names.find(given)
        if name is None:
            self._unknown.append(given)
            return None
        if name in self._places:
            raise PredictionsError(
                f"{self._path}: two answers for the image {name!r}, {self._places[name]} and {given}; keep one"
            )
        self._places[name] = given
        self._images[name] = []
        return Place(name, *self._eval_set.sizes[name])

    def require_size(self, place: Place, size: tuple[int, int], where: str) -> None:
        """Refuse an answer that was made on an image of another size.

        Raises:
            PredictionsError: (width, height) are others than the micrograph's.
        """
        if size != (place.width, place.height):
            raise PredictionsError(
                f"{where}: made on {size[0]}x{size[1]} px, but the micrograph {place.name!r} has "
                f"{place.width}x{place.height} px; predictions are in the micrograph's own pixels, so run the tool on "
                "it, or scale its result back"
            )

    def put(self, place: Place, instances: Iterable[Instance]) -> None:
        """Keep the particles of an image. Ignore regions are no particles, and are left out."""
        self._images[place.name] += [instance for instance in instances if not instance.ignored]

    def complete(self, way_out: str) -> dict[str, list[Instance]]:
        """The particles of every image, in the eval set's order.

        Args:
            way_out: How this format says that an image shows no particle.

        Raises:
            PredictionsError: An image is missing, or is none of the eval set's; the message names the first few.
        """
        what = f"{self._eval_set.name!r} of {self._prepared.root}"
        if self._unknown:
            raise PredictionsError(
                f"{self._path}: {counted(len(self._unknown), 'image')} that {what} does not have: "
                f"{shortened(self._unknown)}{self._hint()}; take them out, or rename them to the images' names"
            )
        missing = [name for name in self._eval_set.images if name not in self._images]
        if missing:
            raise PredictionsError(
                f"{self._path}: lacks {len(missing)} of the {counted(len(self._eval_set.images), 'image')} of {what}: "
                f"{shortened(missing)}; every image needs an answer. {way_out}"
            )
        return {name: self._images[name] for name in self._eval_set.images}

    def _hint(self) -> str:
        # Augmented copies have the names of their micrographs, too.
        originals = [image for image in self._prepared.all_images if image.parent is None]
        other = ImageNames(image for image in originals if image.split != self._eval_set.name)
        splits = {image.name: image.split for image in originals}
        found = sorted({splits[name] for given in self._unknown if (name := other.find(given))})
        return f" (there are such in {', '.join(found)})" if found else ""
