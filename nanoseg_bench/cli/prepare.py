"""``nanoseg-bench prepare``: from annotated micrographs to a prepared set."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.apart import require_apart
from nanoseg_bench.cli.executor_options import add_executor, add_workers, open_cluster, pool_of
from nanoseg_bench.cli.mask_flags import mask_options_of
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.set_summary import show_set
from nanoseg_bench.cli.sets import short_name
from nanoseg_bench.cli.shared import fetch_set, told_as
from nanoseg_bench.cli.sources import CLASS_WITH_COMMA, add_source_options, open_from, parse_classes
from nanoseg_bench.errors import StorageError, UsageError
from nanoseg_bench.preparation.set_names import NANOSYNTH, dataset_name, is_set, set_name
from nanoseg_bench.storage import is_url, path_or_url
from nanoseg_bench.terminal import command_line

if TYPE_CHECKING:
    from nanoseg_bench.parallel import OpenPool
    from nanoseg_bench.preparation.config import PrepareConfig
    from nanoseg_bench.preparation.inputs import Inputs
    from nanoseg_bench.preparation.prepared_set import PreparedSet

_EPILOG = """\
examples:
  nanoseg-bench prepare                                        nanosynth, the embedded data set -> data/nanosynth
  nanoseg-bench prepare --images 24 --size 320                 a small one to try things -> data/nanosynth-24
  nanoseg-bench prepare MY_FOLDER --name mine                  your own annotated micrographs -> data/mine
  nanoseg-bench prepare --labelme MY_FOLDER --group-by "regex:^([^_]+)_"
                                                               images of one specimen share what precedes the first _
  nanoseg-bench prepare --labelme MY_FOLDER --group-by csv:samples.csv:specimen --scale-csv scales.csv --preview
  nanoseg-bench prepare --annotations exported.json            COCO, VIA, YOLO-seg or masks; found out, or --from
  nanoseg-bench prepare --labelme MY_FOLDER --name mine --split-file data/mine/split.csv --overwrite always
                                                               new images join, no old one changes its split
  nanoseg-bench prepare --labelme MY_FOLDER --folds 5          few micrographs: each is tested in one of 5 folds
  nanoseg-bench prepare --images 20000 --executor ray --address auto
                                                               rendered and prepared by all machines of a cluster
  nanoseg-bench prepare --dataset emps --source emps/          EMPS with its official test set -> data/emps
  nanoseg-bench prepare --dataset emps --source emps/ --split 8:1:1 --name emps-resplit
  nanoseg-bench prepare MY_FOLDER --out s3://lab/mine           into a bucket that several machines share
  nanoseg-bench prepare ARCHIVE/ --shards 256M                 very many: a few large files instead of three for each

Images of one specimen, session, figure or paper belong into one split, or the test only shows what was learnt by
heart. Say which belong together: source_group in the JSON, or --group-by.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "prepare",
        help="annotated micrographs -> a split, audited, letterboxed, augmented set",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what").add_mutually_exclusive_group()
    what.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="FOLDER",
        help="your own annotated micrographs: LabelMe, COCO, VIA, YOLO-seg or masks, which is found out",
    )
    what.add_argument(
        "--dataset",
        metavar="NAME",
        help=f"a data set that has a card, see `list`; your own in datasets/NAME/card.yaml (default: {NANOSYNTH})",
    )
    what.add_argument("--labelme", type=Path, metavar="DIR", help="your own folder of LabelMe JSON and images")
    what.add_argument(
        "--annotations", type=Path, metavar="PATH", help="the same as FOLDER, or the one file that holds all"
    )
    parser.add_argument("--source", type=Path, metavar="DIR", help="where the data set of --dataset lies")
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="A,B,...",
        help=f"classes of your own annotations (default: every label in them); {CLASS_WITH_COMMA}",
    )
    parser.add_argument("--images", type=int, metavar="N", help="a subset of N images; its size joins the name")
    parser.add_argument("--easy", action="store_true", help="nanosynth: easy scenes")
    parser.add_argument("--scale-csv", type=Path, metavar="CSV", help="columns name, nm_per_px; wins over all else")
    parser.add_argument(
        "--on-error",
        choices=("fail", "skip"),
        default="fail",
        help="files and shapes that cannot be used: stop with a list of all, or go on without them (default: "
        "%(default)s)",
    )
    add_source_options(parser)
    where = parser.add_argument_group("where")
    where.add_argument("--name", help="of the set (default: the data set's or the folder's)")
    where.add_argument(
        "--out", type=path_or_url, metavar="DIR", help="folder of the set, or its URL (default: data/<name>)"
    )
    where.add_argument(
        "--overwrite",
        choices=("never", "missing", "always"),
        default="missing",
        help="an existing set: never: keep it; missing: keep it if it is of the same inputs, else stop; "
        "always: replace it (default: %(default)s)",
    )
    parser.add_argument(
        "--ignore-banners",
        action="store_true",
        help="information bars that nobody labelled become ignore regions; not with a data set's own split",
    )
    where.add_argument("--preview", action="store_true", help="write preview.html: contact sheets and statistics")
    split = parser.add_argument_group("split")
    ratios = split.add_mutually_exclusive_group()
    ratios.add_argument("--split", metavar="TRAIN:VAL:TEST", help="default: the card's split if it has one, else 8:1:1")
    ratios.add_argument(
        "--keep-split",
        action="store_true",
        help="the split that the annotations come with: one COCO file for each part (Roboflow), or a data.yaml",
    )
    ratios.add_argument(
        "--split-file", type=Path, metavar="CSV", help="pins a split: columns name, split; further images join it"
    )
    split.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="cross-validation instead of one split: every micrograph is tested in one of K folds; joins the name. "
        "Train and val of a fold share out the rest as --split says",
    )
    split.add_argument(
        "--group-by",
        metavar="RULE",
        help="folder, regex:PATTERN with one (group) of the name, or csv:FILE:COLUMN with the column name",
    )
    split.add_argument(
        "--reviewed", type=Path, metavar="CSV", help="look-alikes without a common source: first,second,note"
    )
    split.add_argument(
        "--seed", type=int, default=0, help="of split, augmentation and nanosynth (default: %(default)s)"
    )
    canvas = parser.add_argument_group("canvas")
    canvas.add_argument("--size", type=int, default=640, help="side of the square canvas, px (default: %(default)s)")
    canvas.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="cut larger micrographs of your own into adjoining tiles of about N px, which are learnt and judged one "
        "by one; joins the name",
    )
    copies = canvas.add_mutually_exclusive_group()
    copies.add_argument("--augment-to", type=int, metavar="N", help="images in all (default: 5.861 per original)")
    copies.add_argument("--augment-copies", type=int, metavar="K", help="exactly K per training image; 0 for none")
    canvas.add_argument(
        "--max-loss", type=float, metavar="X", help="largest 1 - IoU of a particle's YOLO label with its truth"
    )
    where.add_argument(
        "--shards",
        metavar="SIZE",
        help="write images, labels and instances into tar files of about SIZE (256M, 1G), as WebDataset reads them, "
        "instead of files of their own: for 100,000 micrographs and more; the content and its hash stay the same",
    )
    add_workers(canvas)
    add_executor(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prepare the set unless it is there, and show it; 1 when the split audit failed."""
    _understand(arguments)
    _check(arguments)
    name = _set_name(arguments)
    if is_url(arguments.out):
        return _prepare_at(arguments.out, arguments, name)
    out: Path = arguments.out or Path("data") / name
    options = ("labelme", "annotations", "source", "image_folder")
    require_apart(out, {f"--{name.replace('_', '-')}": getattr(arguments, name) for name in options}, "--out ")
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.preparation.set_names import MARKER
    from nanoseg_bench.staging import hold_folder

    if arguments.overwrite == "never" and (out / MARKER).is_file():
        return show_set(PreparedSet(out), arguments)
    # What is rendered and extracted for the set lies beside it; all of it is one call's at a time.
    with hold_folder(out), open_cluster(arguments) as cluster:
        prepared = _prepare(arguments, name, out, *pool_of(cluster, arguments.workers))
    return show_set(prepared, arguments)


def _prepare_at(url: str, arguments: argparse.Namespace, name: str) -> int:
    """Prepare a set beside the cache, and carry it to a URL; what is there is kept or replaced as a folder would be."""
    import secrets
    import shutil

    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.preparation.set_names import MARKER
    from nanoseg_bench.staging import hold_folder
    from nanoseg_bench.storage import StoredFolder, cache_folder, name_of
    from nanoseg_bench.stored_copies import CONTENTS, is_uploaded, upload_folder

    if arguments.executor == "ray":
        raise UsageError(
            f"--out {url}: --executor ray writes into a folder that all its machines see; give one, or leave it out"
        )
    target = StoredFolder(url)
    exists = target.read(MARKER) is not None
    if exists and arguments.overwrite == "never":
        return show_set(PreparedSet(fetch_set(url)), arguments, url)
    if not exists or arguments.overwrite == "always":
        target.require_writable()
    staging = cache_folder("staging", url)
    out = staging / name_of(url)
    with hold_folder(staging):
        try:
            shutil.rmtree(staging, ignore_errors=True)  # what a kill left
            staging.mkdir(parents=True)
            if exists and arguments.overwrite == "missing":
                shutil.copytree(fetch_set(url), out)
            with told_as(out, url):
                prepared = _prepare(arguments, name, out, *pool_of(None, arguments.workers))
            if not (exists and is_uploaded(out, target)):
                try:
                    upload_folder(out, target, MARKER, replace=exists)
                except StorageError as error:
                    kept = staging.with_name(f"{staging.name}-kept-{secrets.token_hex(4)}")
                    staging.rename(kept)
                    raise StorageError(
                        f"{error}; the set is prepared, and kept in {kept / out.name}: give that folder to "
                        f"`nanoseg-bench run`, or delete {CONTENTS} at the URL and copy the folder there with another "
                        f"tool, {MARKER} last"
                    ) from error
            return show_set(prepared, arguments, url)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _prepare(
    arguments: argparse.Namespace, name: str, out: Path, workers: int | None, open_pool: "OpenPool"
) -> "PreparedSet":
    from nanoseg_bench.preparation.preparing import prepare_inputs

    inputs = _read(arguments, out, workers, open_pool)
    return prepare_inputs(
        inputs,
        name=name,
        dataset=_dataset_name(arguments),
        out=out,
        config=_config(arguments, inputs),
        overwrite=arguments.overwrite,
        workers=workers,
        open_pool=open_pool,
    )


def _config(arguments: argparse.Namespace, inputs: "Inputs") -> "PrepareConfig":
    from nanoseg_bench.preparation.preparing import read_config

    return read_config(
        inputs,
        split=arguments.split,
        split_file=arguments.split_file,
        group_by=arguments.group_by,
        scale_csv=arguments.scale_csv,
        reviewed=arguments.reviewed,
        canvas=arguments.size,
        folds=arguments.folds,
        seed=arguments.seed,
        # nanosynth is rendered in the size that is asked for.
        images=None if _is_nanosynth(arguments) else arguments.images,
        augment_to=arguments.augment_to,
        augment_copies=arguments.augment_copies,
        max_loss=arguments.max_loss,
        skip_faulty=arguments.on_error == "skip",
        ignore_banners=arguments.ignore_banners,
        preview=arguments.preview,
        tile=arguments.tile,
        shards=arguments.shards,
    )


def _understand(arguments: argparse.Namespace) -> None:
    """Take FOLDER for the user's own annotations, or for a data set where only that has the name.

    Raises:
        UsageError: What is to be read is not there, or is a prepared set already.
    """
    folder: Path | None = arguments.folder
    if folder is not None:
        if is_set(folder):
            name = command_line([short_name(folder)])
            raise UsageError(f"{folder}: is a prepared set already; next: nanoseg-bench run {name}")
        if not folder.exists() and _is_dataset(str(folder)):
            arguments.dataset = str(folder)
        else:
            arguments.annotations = folder
    own = "" if folder is not None else "--annotations"
    require_there({"--labelme": arguments.labelme, own: arguments.annotations}, "give the path of the annotations")
    given = ("image_folder", "scale_csv", "split_file", "reviewed")
    require_there({f"--{name.replace('_', '-')}": getattr(arguments, name) for name in given})


def _is_dataset(name: str) -> bool:
    from nanoseg_bench.catalog.registry import cards

    return name in [card.name for card in cards()]


def _check(arguments: argparse.Namespace) -> None:
    from nanoseg_bench.preparation.choices import check_choices

    own, rendered = _own(arguments), _is_nanosynth(arguments)
    check_choices(vars(arguments), own=own is not None, rendered=rendered)
    if own is None and not rendered:
        from nanoseg_bench.catalog.registry import load_card

        load_card(arguments.dataset)  # a misspelt name is reported before anything is asked of it
        if arguments.source is None:
            raise UsageError(f"--dataset {arguments.dataset}: say with --source DIR where it lies")
    if own is None and (given := mask_options_of(arguments, None).given):
        raise UsageError(f"{', '.join(given)}: goes with your own annotations")
    if arguments.source_format != "auto" and arguments.annotations is None:
        raise UsageError(f"--from {arguments.source_format}: goes with FOLDER or --annotations PATH")


def _own(arguments: argparse.Namespace) -> Path | None:
    """The user's own annotations; None for a data set with a card."""
    own: Path | None = arguments.labelme or arguments.annotations
    return own


def _is_nanosynth(arguments: argparse.Namespace) -> bool:
    return _own(arguments) is None and arguments.dataset in (None, NANOSYNTH)


def _dataset_name(arguments: argparse.Namespace) -> str:
    return dataset_name(_own(arguments), arguments.dataset, arguments.name)


def _set_name(arguments: argparse.Namespace) -> str:
    name, easy, images, folds = arguments.name, arguments.easy, arguments.images, arguments.folds
    return set_name(_dataset_name(arguments), name, easy=easy, images=images, folds=folds, tile=arguments.tile)


def _read(arguments: argparse.Namespace, out: Path, workers: int | None, open_pool: "OpenPool") -> "Inputs":
    from nanoseg_bench.preparation.inputs import dataset_inputs, own_inputs
    from nanoseg_bench.staging import beside

    own = _own(arguments)
    if own is None:
        return dataset_inputs(
            arguments.dataset or NANOSYNTH,
            arguments.source,
            out,
            images=arguments.images,
            seed=arguments.seed,
            easy=arguments.easy,
            own_split=arguments.split is None,
            ignore_banners=arguments.ignore_banners,
            overwrite=arguments.overwrite,
            workers=workers,
            open_pool=open_pool,
        )
    if arguments.labelme is not None:
        arguments.source_format = "labelme"
    given = parse_classes(arguments.classes)
    # Where images go that exist only inside their JSON.
    source = open_from(arguments, own, given, extract_to=beside(out, "{}-images"))
    split_given = arguments.split_file is not None
    return own_inputs(source, own, given, keep_split=arguments.keep_split, split_given=split_given)
