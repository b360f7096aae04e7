"""What is to be prepared: a user's own annotations, a data set with a card, or the rendered one."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nanoseg_bench.annotations.labelme.reading import open_labelme
from nanoseg_bench.annotations.source import MicrographRef, Source
from nanoseg_bench.catalog.card import Card
from nanoseg_bench.catalog.registry import load_card, open_dataset, split_path, verify_dataset
from nanoseg_bench.changes import dict_changes, list_changes
from nanoseg_bench.errors import PreparationError, UsageError
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.parallel import OpenPool, default_workers, open_processes
from nanoseg_bench.preparation.prepared_set import ASIDE
from nanoseg_bench.preparation.set_names import NANOSYNTH
from nanoseg_bench.preparation.split import read_split_file
from nanoseg_bench.staging import beside, check_replaceable, recover_folder, staged_folder
from nanoseg_bench.synthesis.nanosynth import GENERATOR_VERSION, PUBLISHED_IMAGES, write_nanosynth

_SOURCE_MARKER = "source.json"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """What is to be prepared.

    Attributes:
        main: What is split.
        ood: Out-of-distribution part.
        hrtem: Part with lattice contrast.
        classes: The class list; None takes every label that occurs.
        ood_classes: Labels that ``ood`` may show besides.
        split: A fixed split of the data set's card, or the one that the annotations come with.
        verify: Checks the data set's numbers.
    """

    main: Source
    ood: tuple[MicrographRef, ...] = ()
    hrtem: tuple[MicrographRef, ...] = ()
    classes: tuple[str, ...] | None = None
    ood_classes: tuple[str, ...] | None = None
    split: Mapping[str, str] | None = None
    verify: Callable[[Sequence[Mapping[str, int]]], None] | None = None


def own_inputs(
    source: Source,
    path: Path,
    classes: Sequence[str] | None = None,
    *,
    keep_split: bool = False,
    split_given: bool = False,
) -> Inputs:
    """A user's own annotations.

    Args:
        source: As ``open_source`` opened them.
        path: Where they lie, for messages.
        classes: The class list; by default the format's own, or every label that occurs.
        keep_split: Take the split that the annotations come with.
        split_given: The user gives another one, so nothing is said of it.

    Raises:
        UsageError: They come without a split, and it is to be kept.
    """
    split = None
    if keep_split:
        if source.split is None:
            raise UsageError(
                f"--keep-split: {path} comes without a split; leave it out, or give one by --split-file CSV"
            )
        split = source.split
    elif source.split is not None and not split_given:
        counts = Counter(source.split.values())
        shown = ", ".join(f"{part} {counts[part]}" for part in ("train", "val", "test") if counts[part])
        _LOG.warning(
            "%s comes with a split of its own (%s), and is split anew by source groups: --keep-split keeps its own",
            path,
            shown,
        )
    return Inputs(source, classes=source.classes if classes is None else tuple(classes), split=split)


def dataset_inputs(
    name: str,
    folder: Path | None,
    out: Path,
    *,
    images: int | None = None,
    seed: int = 0,
    easy: bool = False,
    own_split: bool = True,
    ignore_banners: bool = False,
    overwrite: str = "missing",
    workers: int | None = None,
    open_pool: OpenPool = open_processes,
) -> Inputs:
    """A data set that has a card. The rendered one is rendered first, beside ``out``, unless it is there.

    Args:
        name: Of the data set.
        folder: Where it lies; None for the rendered one.
        out: The set that it is to become.
        images: Rendered only: how many.
        seed: Rendered only: of the images.
        easy: Rendered only: easy scenes.
        own_split: Take the split of the card, where it has one.
        ignore_banners: Whether information bars are to become ignore regions; a published split refuses it.
        overwrite: Rendered only: ``always`` replaces one that was rendered with other parameters.
        workers: Processes; the number of cores, at most 8, by default.
        open_pool: Where they are.

    Raises:
        UsageError: There is no such data set, or its folder is not given.
        DatasetError: The folder does not hold it.
        PreparationError: It was rendered with other parameters, or its split file is malformed.
    """
    card = load_card(name)
    split = None
    if card.default_split is not None and own_split:
        split = read_split_file(split_path(card, card.default_split))
        if ignore_banners:
            raise UsageError(
                f"--ignore-banners: {card.name} has a published split, and its scores stay comparable with those in "
                "the literature; give --split 8:1:1 for a set of your own"
            )
    if name == NANOSYNTH:
        source = beside(out, "{}-source")
        render = partial(write_nanosynth, workers=workers or default_workers(), open_pool=open_pool)
        _render(render, card, source, images or PUBLISHED_IMAGES, seed, easy=easy, overwrite=overwrite)
        ood, hrtem = (open_labelme(source / part).entries if (source / part).is_dir() else () for part in ASIDE)
        return Inputs(open_labelme(source / "main"), ood, hrtem, card.classes, card.ood_classes, split)
    if folder is None:
        raise UsageError(f"--dataset {name}: say with --source DIR where it lies")
    return Inputs(
        open_dataset(card, folder), classes=card.classes, split=split, verify=partial(verify_dataset, card, folder)
    )


def _render(
    render: Callable[..., None], card: Card, source: Path, images: int, seed: int, *, easy: bool, overwrite: str
) -> None:
    """Write nanosynth's LabelMe folder unless it is there: it is read as a user's own."""
    wanted = {"dataset": card.name, "generator": GENERATOR_VERSION, "images": images, "seed": seed, "easy": easy}
    recover_folder(source)
    check_replaceable(source, _SOURCE_MARKER)
    if (source / _SOURCE_MARKER).is_file():
        found = read_json(source / _SOURCE_MARKER)
        if found == wanted:
            return
        if overwrite != "always":
            raise PreparationError(
                f"{source}: rendered with other parameters ({list_changes(dict_changes(found, wanted))}); use "
                "--overwrite always to replace it, or another --name"
            )
    with staged_folder(source, _SOURCE_MARKER) as root:
        render(root, images, seed, easy=easy)
        write_json(root / _SOURCE_MARKER, wanted)
