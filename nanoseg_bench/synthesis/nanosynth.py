"""nanosynth, the embedded data set: plans which micrograph shows what, renders them, writes LabelMe JSON and PNG.

Every micrograph depends on the seed and on its own place in the plan only: neither on the other micrographs nor on
the number of workers.
"""

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.labelme.writing import write_labelme
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.files import visible_files, write_bytes
from nanoseg_bench.parallel import OpenPool, each, open_processes
from nanoseg_bench.synthesis.imaging import HRTEM
from nanoseg_bench.synthesis.scene import render_micrograph
from nanoseg_bench.synthesis.specimen import CLASSES, OOD_CLASSES, draw_specimen

_LOG = logging.getLogger(__name__)

GENERATOR_VERSION = "2"
"""Changes whenever the same arguments give other files, pixels or truth."""

PUBLISHED_IMAGES = 721
_PUBLISHED_COUNTS = {"nanocube": 267, "nanorod": 260, "nanosphere": 277}
_PARTS = ("main", "ood", "hrtem")
_GROUP_PREFIX = {"main": "specimen", "ood": "ood", "hrtem": "hrtem"}
_PLAN, _SPECIMEN, _MICROGRAPH = range(3)
_LARGEST_SPECIMEN = 5
_MICROGRAPHS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class PlannedScene:
    """One micrograph before it is rendered.

    Attributes:
        part: "main", "ood" or "hrtem".
        specimen: Number of its specimen in the part.
        member: Number of the micrograph in the specimen.
        specimen_labels: Classes that the specimen holds, the dominant one first.
        labels: Classes that this micrograph shows, the dominant one first.
    """

    part: str
    specimen: int
    member: int
    specimen_labels: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def source_group(self) -> str:
        """Identifier of the specimen."""
        return f"{_GROUP_PREFIX[self.part]}-{self.specimen:04d}"

    @property
    def stem(self) -> str:
        """File name without suffix, unique in the data set."""
        return f"{self.source_group}-{self.member}"


def write_nanosynth(
    folder: Path,
    images: int = PUBLISHED_IMAGES,
    seed: int = 0,
    ood_images: int | None = None,
    easy: bool = False,
    workers: int = 1,
    hrtem_images: int | None = None,
    open_pool: OpenPool = open_processes,
) -> None:
    """Render the data set into ``folder/<part>/<specimen>/``, a PNG and a JSON each; parts: main, ood and hrtem.

    Files of an earlier call with the same arguments are replaced by the same bytes.

    Args:
        folder: Made if it is not there.
        images: Size of the main part; the published one shows cubes, rods and spheres on 267, 260 and 277 images.
        seed: Everything follows from it.
        ood_images: Size of the out-of-distribution part (triangles and pentagons); one twelfth of ``images`` and at
            least six by default.
        easy: Few, large, clear particles on small fields, for demonstrations without an accelerator.
        workers: Processes.
        hrtem_images: Size of the part with lattice contrast, which is to be judged on only; the other parts do not
            depend on it. By default one eighteenth of ``images``, but none where that is less than one image per
            class, and none of ``easy`` sets, since lattices have no easy form.
        open_pool: Where the processes are.

    Raises:
        DatasetError: A number of images is too small, or the folder holds files of another data set.
    """
    ood_count = max(6, round(images / 12)) if ood_images is None else ood_images
    hrtem_count = default_hrtem_images(images, easy) if hrtem_images is None else hrtem_images
    plan = plan_main(images, seed) + plan_ood(ood_count, seed) + plan_hrtem(hrtem_count, seed)
    _refuse_foreign_files(folder, plan)
    jobs = [(folder, planned, seed, easy) for planned in plan]
    rendered = each(
        _write_micrograph,
        jobs,
        workers,
        "render nanosynth",
        at_once=_MICROGRAPHS_AT_ONCE,
        least_per_worker=_MICROGRAPHS_AT_ONCE,
        open_pool=open_pool,
    )
    hidden = sum(rendered)
    _LOG.info("nanosynth: %d particles were left out because others hide them or the border cuts them off", hidden)


def default_hrtem_images(images: int, easy: bool = False) -> int:
    """Size of the part with lattice contrast beside a main part of ``images``."""
    share = images // 18
    return 0 if easy or share < len(CLASSES) else share


def plan_main(images: int, seed: int) -> list[PlannedScene]:
    """Which specimens there are and what each micrograph shows.

    The published proportions (804 class presences on 721 images) are scaled to ``images`` and kept exactly.

    Raises:
        DatasetError: ``images`` is below 3.
    """
    if images < len(CLASSES):
        raise DatasetError(f"images={images}: nanosynth shows {len(CLASSES)} classes; ask for at least {len(CLASSES)}")
    rng = np.random.default_rng([seed, _PLAN, 0])
    presences = images + round(images * (sum(_PUBLISHED_COUNTS.values()) / PUBLISHED_IMAGES - 1))
    counts = dict(zip(_PUBLISHED_COUNTS, _apportion(list(_PUBLISHED_COUNTS.values()), presences), strict=True))
    mixed = _draw_pairs(counts, presences - images, rng)
    plan: list[PlannedScene] = []
    for label in CLASSES:
        pairs = [pair for pair in mixed if pair[0] == label]
        alone = counts[label] - sum(label in pair for pair in mixed)
        # Mixed micrographs stand together: they come from few specimens, as synthesis by-products do.
        plan += _group([*pairs, *[(label,)] * alone], "main", len(_specimens(plan)), images, rng)
    return plan


def plan_ood(images: int, seed: int) -> list[PlannedScene]:
    """Half triangles, half pentagons.

    Raises:
        DatasetError: ``images`` is below 0.
    """
    return _plan_aside("ood", OOD_CLASSES, images, seed)


def plan_hrtem(images: int, seed: int) -> list[PlannedScene]:
    """Each class on a third, one class per micrograph.

    Raises:
        DatasetError: ``images`` is below 0.
    """
    return _plan_aside("hrtem", CLASSES, images, seed)


def _plan_aside(part: str, labels: Sequence[str], images: int, seed: int) -> list[PlannedScene]:
    """A part in which each class is on its share of the micrographs, one class per micrograph."""
    if images < 0:
        raise DatasetError(f"{part}_images={images}: it cannot be negative; 0 writes no such part")
    rng = np.random.default_rng([seed, _PLAN, _PARTS.index(part)])
    plan: list[PlannedScene] = []
    for label, count in zip(labels, _apportion([1] * len(labels), images), strict=True):
        plan += _group([(label,)] * count, part, len(_specimens(plan)), images, rng)
    return plan


def _apportion(shares: Sequence[int], total: int) -> list[int]:
    """Whole numbers in the given proportions with the given sum (largest remainder)."""
    exact = [share * total / sum(shares) for share in shares]
    counts = [int(number) for number in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def _draw_pairs(counts: dict[str, int], number: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Classes of the micrographs that show two, dominant first: all six ordered pairs equally often, up to one."""
    ordered = [(first, second) for first in counts for second in counts if first != second]
    order = rng.permutation(len(ordered)).tolist()
    return sorted(ordered[order[i % len(ordered)]] for i in range(number))


def _group(
    shown: Sequence[tuple[str, ...]], part: str, first: int, images: int, rng: np.random.Generator
) -> list[PlannedScene]:
    """Cut a list of micrographs with one dominant class into specimens of two to five."""
    # Small sets keep more specimens than micrographs per specimen, or they could not be split by specimen.
    largest = int(np.clip(images // 12, 2, _LARGEST_SPECIMEN))
    plan: list[PlannedScene] = []
    start, specimen = 0, first
    while start < len(shown):
        left = len(shown) - start
        size = min(int(rng.integers(2, largest + 1)), left)
        if left - size == 1:
            size = left if left <= _LARGEST_SPECIMEN else size - 1 if size > 2 else size + 1
        members = shown[start : start + size]
        minor = sorted({label for labels in members for label in labels[1:]})
        specimen_labels = (members[0][0], *minor)
        plan += [PlannedScene(part, specimen, i, specimen_labels, labels) for i, labels in enumerate(members)]
        start, specimen = start + size, specimen + 1
    return plan


def _specimens(plan: Sequence[PlannedScene]) -> set[int]:
    return {planned.specimen for planned in plan}


def _write_micrograph(job: tuple[Path, PlannedScene, int, bool]) -> int:
    """Render and write one micrograph; returns how many particles were left out."""
    folder, planned, seed, easy = job
    part = _PARTS.index(planned.part)
    specimen_rng = np.random.default_rng([seed, _SPECIMEN, part, planned.specimen])
    if planned.part == "hrtem":
        specimen = draw_specimen(planned.source_group, planned.specimen_labels, specimen_rng, modality=HRTEM)
    else:
        specimen = draw_specimen(planned.source_group, planned.specimen_labels, specimen_rng, easy)
    rng = np.random.default_rng([seed, _MICROGRAPH, part, planned.specimen, planned.member])
    rendered = render_micrograph(specimen, planned.labels, rng)
    attributes = {"modality": specimen.optics.modality, "specimen": planned.source_group}
    if planned.part == "ood":
        attributes["ood_shape"] = planned.labels[0]
    target = folder / planned.part / planned.source_group
    image_path = target / f"{planned.stem}.png"
    height, width = rendered.pixels.shape
    micrograph = Micrograph(
        name=f"{planned.source_group}/{planned.stem}",
        image_path=image_path,
        width=width,
        height=height,
        instances=rendered.instances,
        source_group=planned.source_group,
        nm_per_px=rendered.nm_per_px,
        attributes=attributes,
    )
    stream = io.BytesIO()
    Image.fromarray(rendered.pixels).save(stream, "PNG", compress_level=4)
    write_bytes(image_path, stream.getvalue())
    write_labelme(image_path.with_suffix(".json"), micrograph, image_path.name)
    return rendered.hidden


def _refuse_foreign_files(folder: Path, plan: Sequence[PlannedScene]) -> None:
    stems = [folder / planned.part / planned.source_group / planned.stem for planned in plan]
    own = {stem.with_name(stem.name + suffix) for stem in stems for suffix in (".png", ".json")}
    for part in _PARTS:
        for path in visible_files(folder / part):
            if path not in own:
                raise DatasetError(f"{path} belongs to another data set; delete {folder} or choose another folder")
