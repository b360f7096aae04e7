"""Preparing a set as ``nanoseg-bench prepare`` does: paths and words in, a prepared set out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.apart import require_apart
from nanoseg_bench.argument_names import errors_name_arguments
from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import require_path
from nanoseg_bench.parallel import OpenPool, default_workers, open_processes
from nanoseg_bench.preparation.audit import ReviewedPair, read_reviewed, resolve_reviewed
from nanoseg_bench.preparation.auditing import audit_set
from nanoseg_bench.preparation.choices import check_choices
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.grouping import parse_group_rule
from nanoseg_bench.preparation.inputs import Inputs, dataset_inputs, own_inputs
from nanoseg_bench.preparation.pipeline import prepare
from nanoseg_bench.preparation.prepared_set import PREVIEW, PreparedSet
from nanoseg_bench.preparation.preview import write_preview
from nanoseg_bench.preparation.scales import read_scale_table
from nanoseg_bench.preparation.set_names import DATA, MARKER, NANOSYNTH, dataset_name, set_name
from nanoseg_bench.preparation.shard_writing import parse_size
from nanoseg_bench.preparation.split import parse_ratios, read_split_file
from nanoseg_bench.staging import beside, hold_folder
from nanoseg_bench.storage import require_folder


@errors_name_arguments
def prepare_micrographs(
    annotations: Path | str | None = None,
    *,
    dataset: str | None = None,
    source: Path | str | None = None,
    name: str | None = None,
    out: Path | str | None = None,
    format: str = "auto",
    image_folder: Path | str | None = None,
    classes: Sequence[str] | None = None,
    images: int | None = None,
    easy: bool = False,
    skip_faulty: bool = False,
    split: str | None = None,
    keep_split: bool = False,
    split_file: Path | str | None = None,
    folds: int | None = None,
    group_by: str | None = None,
    reviewed: Path | str | None = None,
    scale_csv: Path | str | None = None,
    seed: int = 0,
    size: int = 640,
    tile: int | None = None,
    augment_to: int | None = None,
    augment_copies: int | None = None,
    ignore_banners: bool = False,
    preview: bool = False,
    shards: str | int | None = None,
    overwrite: str = "missing",
    workers: int | None = None,
) -> PreparedSet:
    """Make a split, audited, letterboxed, augmented set of annotated micrographs.

    What ``nanoseg-bench prepare`` does, with its options by the same names; the same input gives the same bytes. The
    work is done in several processes that are started by ``spawn``: a script that calls this needs the guard
    ``if __name__ == "__main__":``.

    Args:
        annotations: The user's own annotated micrographs: a folder, or the one file that holds all annotations.
        dataset: Instead of ``annotations``, a data set that has a card: ``nanosynth``, which is rendered here and is
            the default, or another one of ``nanoseg-bench list``.
        source: Where the data set lies; not for ``nanosynth``.
        name: Of the set; by default the data set's or the folder's. A subset and folds say so in it.
        out: Folder of the set; by default ``data/<name>``.
        format: Of the annotations: ``labelme``, ``via``, ``coco``, ``yolo`` or ``masks``; ``auto`` finds it out.
        image_folder: ``via``, ``coco`` and ``masks``: where the images are, if not beside.
        classes: Of the user's own annotations, in the order of their indices; by default every label in them.
        images: A subset of about so many micrographs; of ``nanosynth``, how many are rendered.
        easy: ``nanosynth``: easy scenes.
        skip_faulty: Go on without files and shapes that cannot be used; otherwise they are an error that lists all.
        split: ``train:val:test`` in parts; by default the data set's own split, where it has one, else ``8:1:1``.
        keep_split: The split that the user's annotations come with.
        split_file: CSV with the columns ``name`` and ``split``, which pins a split; further images join it.
        folds: Cross-validation in so many folds, instead of one split.
        group_by: Which micrographs belong into one split: ``folder``, ``regex:PATTERN`` with one group of the name, or
            ``csv:FILE:COLUMN``.
        reviewed: CSV with look-alikes without a common source: ``first``, ``second``, ``note``.
        scale_csv: CSV with the columns ``name`` and ``nm_per_px``; wins over all other scales.
        seed: Of split, augmentation and ``nanosynth``.
        size: Side of the square canvas in pixels.
        tile: Larger micrographs of the user are cut into tiles of about so many pixels, which are learnt and judged one
            by one; joins the name.
        augment_to: Images in all, copies included; by default 5.861 per original.
        augment_copies: Instead, exactly so many copies per training image.
        ignore_banners: Information bars that nobody labelled become ignore regions.
        preview: Write ``preview.html`` too: contact sheets and statistics.
        shards: Write images, labels and instances into tar files of about this size (``256M``, or bytes) instead of
            files of their own, which a file system bears no longer at 100,000 micrographs; trainings and all else read
            them alike.
        overwrite: An existing set: ``never`` keeps it; ``missing`` keeps it if it is of the same inputs, and refuses
            otherwise; ``always`` replaces it.
        workers: Processes; by default the number of cores, at most 8.

    Returns:
        The set. ``prepared.audit["passed"]`` says whether its parts share no source; ``run`` refuses it otherwise.

    Raises:
        UsageError: What is asked for is not there, or does not go together.
        NanosegError: A micrograph cannot be used; where there are several, a PreparationError lists them.
        PreparationError: The split cannot be made, or the folder holds a set of other inputs.
        FolderError: The folder cannot be written.
    """
    folders = {"annotations": annotations, "source": source, "out": out, "image_folder": image_folder}
    for option, given in folders.items():
        if given is not None:
            require_folder(given, option)
    for option, given in {"split_file": split_file, "reviewed": reviewed, "scale_csv": scale_csv}.items():
        if given is not None:
            require_path(given, option)
    own, data = _path(annotations), _path(source)
    if own is not None and (dataset is not None or data is not None or easy):
        raise UsageError(f"{own}: give your own annotations, or a dataset with its source, and not both")
    rendered = own is None and dataset in (None, NANOSYNTH)
    choices = {
        "dataset": dataset,
        "source": source,
        "name": name,
        "out": _path(out),
        "image_folder": image_folder,
        "classes": classes,
        "images": images,
        "easy": easy,
        "split": split,
        "group_by": group_by,
        "keep_split": keep_split,
        "seed": seed,
        "size": size,
        "tile": tile,
        "augment_to": augment_to,
        "augment_copies": augment_copies,
        "shards": shards,
        "overwrite": overwrite,
        "workers": workers,
    }
    check_choices(choices, own=own is not None, rendered=rendered)
    origin = dataset_name(own, dataset, name)
    called = set_name(origin, name, easy=easy, images=images, folds=folds, tile=tile)
    folder = DATA / called if out is None else Path(out)
    require_apart(folder, {"annotations": own, "source": data, "image_folder": _path(image_folder)}, "out ")
    if overwrite == "never" and (folder / MARKER).is_file():
        return PreparedSet(folder)
    # What is rendered and extracted for the set lies beside it; all of it is one call's at a time.
    with hold_folder(folder):
        if own is None:
            inputs = dataset_inputs(
                origin,
                data,
                folder,
                images=images,
                seed=seed,
                easy=easy,
                own_split=split is None,
                ignore_banners=ignore_banners,
                overwrite=overwrite,
                workers=workers,
            )
        else:
            found = open_source(
                own,
                format,
                image_folder=_path(image_folder),
                extract_to=beside(folder, "{}-images"),
                classes=classes,
                skip_faulty=skip_faulty,
            )
            inputs = own_inputs(found, own, classes, keep_split=keep_split, split_given=split_file is not None)
        config = read_config(
            inputs,
            split=split,
            split_file=_path(split_file),
            group_by=group_by,
            scale_csv=_path(scale_csv),
            reviewed=_path(reviewed),
            canvas=size,
            folds=folds,
            seed=seed,
            images=None if rendered else images,
            augment_to=augment_to,
            augment_copies=augment_copies,
            skip_faulty=skip_faulty,
            ignore_banners=ignore_banners,
            preview=preview,
            tile=tile,
            shards=shards,
        )
        return prepare_inputs(
            inputs, name=called, dataset=origin, out=folder, config=config, overwrite=overwrite, workers=workers
        )


def read_config(
    inputs: Inputs,
    *,
    split: str | None,
    split_file: Path | None,
    group_by: str | None,
    scale_csv: Path | None,
    reviewed: Path | None,
    shards: str | int | None = None,
    **choices: Any,
) -> PrepareConfig:
    """The user's choices: words are parsed, and the files that they name are read.

    Args:
        inputs: What is to be prepared; its own split holds where no other is given.
        split: As of ``prepare_micrographs``, like all that follow.
        split_file: Pins a split.
        group_by: Which micrographs belong into one split.
        scale_csv: Scales by name.
        reviewed: Pairs that a person has looked at.
        shards: Size of the shards.
        **choices: Further fields of ``PrepareConfig``, as they are.

    Raises:
        UsageError: A word is not understood.
        PreparationError: A file cannot be read.
    """
    return PrepareConfig(
        ratios=parse_ratios(split or "8:1:1"),
        assignment=inputs.split if split_file is None else read_split_file(split_file),
        extend=split_file is not None,
        group_by=None if group_by is None else parse_group_rule(group_by),
        scales=None if scale_csv is None else read_scale_table(scale_csv),
        reviewed=() if reviewed is None else read_reviewed(reviewed),
        shards=None if shards is None else parse_size(str(shards)),
        **choices,
    )


def prepare_inputs(
    inputs: Inputs,
    *,
    name: str,
    dataset: str,
    out: Path,
    config: PrepareConfig,
    overwrite: str = "missing",
    workers: int | None = None,
    open_pool: OpenPool = open_processes,
) -> PreparedSet:
    """Write a prepared set, look again at its audit where a person has looked at pairs since, and draw its preview.

    Args:
        inputs: What is to be prepared.
        name: Of the set.
        dataset: What its annotations are called.
        out: Folder of the set, which the caller holds.
        config: The user's choices.
        overwrite: As of ``pipeline.prepare``, which says what is raised, too.
        workers: Processes; by default the number of cores, at most 8.
        open_pool: Where they are.
    """
    existed = (out / MARKER).is_file() and overwrite == "missing"
    prepared = prepare(
        inputs.main.entries,
        inputs.ood,
        name=name,
        dataset=dataset,
        classes=inputs.classes,
        out=out,
        config=config,
        ood_classes=inputs.ood_classes,
        unannotated=inputs.main.unannotated,
        problems=inputs.main.problems,
        hrtem=inputs.hrtem,
        verify=inputs.verify,
        overwrite=overwrite,
        workers=workers,
        open_pool=open_pool,
    )
    if existed and config.reviewed and not _has_reviewed(prepared, config.reviewed):
        # The set stays as it is; what a person has seen since then concerns its audit.
        audit_set(prepared, config.reviewed, workers or default_workers(), open_pool)
    if config.preview and not (prepared.root / PREVIEW).is_file():
        write_preview(prepared, prepared.root / PREVIEW)
    return prepared


def _has_reviewed(prepared: PreparedSet, reviewed: Sequence[ReviewedPair]) -> bool:
    """Whether the audit of a set holds these pairs already: to look at all images again takes as long as to prepare."""
    originals = [(image.name, image.micrograph) for image in prepared.all_images if image.parent is None]
    held = {frozenset(pair["images"]): pair["note"] for pair in prepared.audit.get("reviewed", ())}
    return resolve_reviewed(reviewed, originals).items() <= held.items()


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)
