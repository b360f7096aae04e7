"""``nanoseg-bench prepare``: from annotated micrographs to a prepared set."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.errors import UsageError

if TYPE_CHECKING:
    from nanoseg_bench.annotations.instance import Micrograph
    from nanoseg_bench.catalog.card import Card
    from nanoseg_bench.preparation.prepared_set import PreparedSet

_NANOSYNTH = "nanosynth"
_NANOSYNTH_IMAGES = 721
_SOURCE_MARKER = "source.json"

_EPILOG = """\
examples:
  nanoseg-bench prepare                                        nanosynth, the embedded data set -> data/nanosynth
  nanoseg-bench prepare --images 24 --size 320                 a small one to try things -> data/nanosynth-24
  nanoseg-bench prepare --labelme MY_FOLDER --name mine        your own LabelMe folder -> data/mine
  nanoseg-bench prepare --labelme MY_FOLDER --group-by 'regex:^([^_]+)_'
                                                               images of one specimen share what precedes the first _
  nanoseg-bench prepare --dataset emps --source emps/          EMPS with its official test set -> data/emps
  nanoseg-bench prepare --dataset emps --source emps/ --split 8:1:1 --name emps-resplit

Images of one specimen, session, figure or paper belong into one split, or the test only shows what was learnt by
heart. Say which belong together: source_group in the JSON, or --group-by.
"""


@dataclass(frozen=True)
class _Inputs:
    """What is to be prepared."""

    micrographs: "list[Micrograph]"
    ood: "list[Micrograph]"
    classes: tuple[str, ...]
    assignment: Mapping[str, str] | None


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
        "--dataset", metavar="NAME", help=f"a data set that has a card, see `list` (default: {_NANOSYNTH})"
    )
    what.add_argument("--labelme", type=Path, metavar="DIR", help="your own folder of LabelMe JSON and images")
    parser.add_argument("--source", type=Path, metavar="DIR", help="where the data set of --dataset lies")
    parser.add_argument("--classes", metavar="A,B,...", help="classes of --labelme (default: every label in it)")
    parser.add_argument("--images", type=int, metavar="N", help="a subset of N images; its size joins the name")
    parser.add_argument("--easy", action="store_true", help="nanosynth: easy scenes")
    where = parser.add_argument_group("where")
    where.add_argument("--name", help="of the set (default: the data set's or the folder's)")
    where.add_argument("--out", type=Path, metavar="DIR", help="folder of the set (default: data/<name>)")
    where.add_argument(
        "--overwrite",
        choices=("never", "missing", "always"),
        default="missing",
        help="an existing set: never: keep it; missing: keep it if it is of the same inputs, else stop; "
        "always: replace it (default: %(default)s)",
    )
    split = parser.add_argument_group("split")
    ratios = split.add_mutually_exclusive_group()
    ratios.add_argument("--split", metavar="TRAIN:VAL:TEST", help="default: the card's split if it has one, else 8:1:1")
    ratios.add_argument("--split-file", type=Path, metavar="CSV", help="a fixed split: columns name, split")
    split.add_argument("--group-by", metavar="RULE", help="folder, or regex:PATTERN with one (group) of the name")
    split.add_argument(
        "--seed", type=int, default=0, help="of split, augmentation and nanosynth (default: %(default)s)"
    )
    canvas = parser.add_argument_group("canvas")
    canvas.add_argument("--size", type=int, default=640, help="side of the square canvas, px (default: %(default)s)")
    copies = canvas.add_mutually_exclusive_group()
    copies.add_argument("--augment-to", type=int, metavar="N", help="images in all (default: 5.861 per original)")
    copies.add_argument("--augment-copies", type=int, metavar="K", help="exactly K per training image; 0 for none")
    canvas.add_argument("--workers", type=int, metavar="N", help="processes (default: the cores, at most 8)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the verb; 1 when the split audit failed."""
    _check(arguments)
    name = _set_name(arguments)
    out: Path = arguments.out or Path("data") / name
    from nanoseg_bench.preparation.pipeline import MARKER, prepare
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.preparation.split import parse_ratios

    ratios = parse_ratios(arguments.split or "8:1:1")
    if arguments.overwrite == "never" and (out / MARKER).is_file():
        return _show(PreparedSet(out))
    inputs = _read(arguments, out)
    prepared = prepare(
        inputs.micrographs,
        inputs.ood,
        name=name,
        dataset=_dataset_name(arguments),
        classes=inputs.classes,
        out=out,
        canvas=arguments.size,
        ratios=ratios,
        assignment=inputs.assignment,
        seed=arguments.seed,
        augment_to=arguments.augment_to,
        augment_copies=arguments.augment_copies,
        overwrite=arguments.overwrite,
        workers=arguments.workers,
    )
    return _show(prepared)


def _check(arguments: argparse.Namespace) -> None:
    own, rendered = arguments.labelme is not None, _is_nanosynth(arguments)
    if arguments.source is not None and (own or rendered):
        raise UsageError(f"--source {arguments.source}: goes with --dataset NAME; for your own folder use --labelme")
    if not own and not rendered:
        from nanoseg_bench.catalog.registry import load_card

        load_card(arguments.dataset)  # a misspelt name is told before anything is asked of it
    if not own and not rendered and arguments.source is None:
        raise UsageError(f"--dataset {arguments.dataset}: say with --source DIR where it lies")
    if arguments.easy and not rendered:
        raise UsageError(f"--easy goes with --dataset {_NANOSYNTH} only")
    if arguments.classes is not None and not own:
        raise UsageError("--classes goes with --labelme; a data set's classes stand in its card")
    if arguments.name is not None and arguments.name != _slug(arguments.name):
        raise UsageError(f"--name {arguments.name!r}: letters, digits, dot, - and _ only, e.g. {_slug(arguments.name)}")
    for flag, least in (("images", 1), ("size", 32), ("workers", 1), ("seed", 0)):
        value = getattr(arguments, flag)
        if value is not None and value < least:
            raise UsageError(f"--{flag} {value}: give at least {least}")


def _is_nanosynth(arguments: argparse.Namespace) -> bool:
    return arguments.labelme is None and arguments.dataset in (None, _NANOSYNTH)


def _dataset_name(arguments: argparse.Namespace) -> str:
    if arguments.labelme is not None:
        return str(arguments.name or _slug(arguments.labelme.resolve().name))
    return str(arguments.dataset or _NANOSYNTH)


def _set_name(arguments: argparse.Namespace) -> str:
    name = arguments.name or _dataset_name(arguments) + ("-easy" if arguments.easy else "")
    size = arguments.images
    if size is None or (_is_nanosynth(arguments) and size == _NANOSYNTH_IMAGES) or name.endswith(f"-{size}"):
        return str(name)
    return f"{name}-{size}"


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "set"


def _read(arguments: argparse.Namespace, out: Path) -> _Inputs:
    from nanoseg_bench.catalog.registry import load_card, read_dataset, read_split
    from nanoseg_bench.preparation.grouping import regroup
    from nanoseg_bench.preparation.split import choose_subset, read_split_file

    ood: list[Micrograph] = []
    assignment: Mapping[str, str] | None = None
    if arguments.labelme is not None:
        # Where images go that exist only inside their JSON.
        extracted = out.with_name(f"{out.name}-images")
        micrographs, classes = _read_own(arguments.labelme, arguments.classes, extracted)
    else:
        card = load_card(arguments.dataset or _NANOSYNTH)
        classes = card.classes
        if _is_nanosynth(arguments):
            micrographs, ood = _read_nanosynth(arguments, card, out)
        else:
            micrographs = read_dataset(card, arguments.source)
        if card.default_split is not None and arguments.split is None:
            assignment = read_split(card, card.default_split)
    if arguments.split_file is not None:
        assignment = read_split_file(arguments.split_file)
    if arguments.group_by is not None:
        micrographs = regroup(micrographs, arguments.group_by)
    if arguments.images is not None and not _is_nanosynth(arguments):
        micrographs = choose_subset(micrographs, arguments.images, arguments.seed, assignment)
        if assignment is not None:
            assignment = {each.name: assignment[each.name] for each in micrographs if each.name in assignment}
    return _Inputs(micrographs, ood, classes, assignment)


def _read_own(folder: Path, classes: str | None, extract_to: Path) -> "tuple[list[Micrograph], tuple[str, ...]]":
    from nanoseg_bench.annotations.labelme import read_labelme_folder

    given = tuple(part.strip() for part in classes.split(",") if part.strip()) if classes is not None else None
    micrographs = read_labelme_folder(folder, given, extract_to)
    found = {each.label for micrograph in micrographs for each in micrograph.instances if not each.ignored}
    used = given or tuple(sorted(label for label in found if label is not None))
    if not used:
        raise UsageError(f"--labelme {folder}: no particle is outlined in any of its {len(micrographs)} images")
    return micrographs, used


def _read_nanosynth(
    arguments: argparse.Namespace, card: "Card", out: Path
) -> "tuple[list[Micrograph], list[Micrograph]]":
    from nanoseg_bench.annotations.labelme import read_labelme_folder

    source = out.with_name(f"{out.name}-source")
    _render_nanosynth(arguments, card, source)
    main = read_labelme_folder(source / "main", card.classes)
    ood = read_labelme_folder(source / "ood", (*card.classes, *card.ood_classes))
    return main, ood


def _render_nanosynth(arguments: argparse.Namespace, card: "Card", source: Path) -> None:
    """Write nanosynth's LabelMe folder unless it is there: it goes through the same door as a user's own."""
    from nanoseg_bench.errors import PreparationError
    from nanoseg_bench.files import read_json, write_json
    from nanoseg_bench.preparation.pipeline import default_workers
    from nanoseg_bench.preparation.staging import check_replaceable, recover_folder, staged_folder
    from nanoseg_bench.synthesis.nanosynth import GENERATOR_VERSION, PUBLISHED_IMAGES, write_nanosynth

    images = arguments.images or PUBLISHED_IMAGES
    wanted = {
        "dataset": card.name,
        "generator": GENERATOR_VERSION,
        "images": images,
        "seed": arguments.seed,
        "easy": arguments.easy,
    }
    recover_folder(source)
    check_replaceable(source, _SOURCE_MARKER)
    if (source / _SOURCE_MARKER).is_file():
        found = read_json(source / _SOURCE_MARKER)
        if found == wanted:
            return
        if arguments.overwrite != "always":
            raise PreparationError(
                f"{source}: rendered with other parameters ({found}; now {wanted}); use --overwrite always to replace "
                "it, or another --name"
            )
    with staged_folder(source, _SOURCE_MARKER) as root:
        workers = arguments.workers or default_workers()
        write_nanosynth(root, images, arguments.seed, easy=arguments.easy, workers=workers)
        write_json(root / _SOURCE_MARKER, wanted)


def _show(prepared: "PreparedSet") -> int:
    from rich.console import Console
    from rich.table import Table

    from nanoseg_bench.preparation.audit import read_audit

    console = Console(highlight=False, soft_wrap=True)
    summary = prepared.summary
    table = Table(title=f"{prepared.name}: {prepared.canvas} px canvas, {', '.join(prepared.classes)}")
    table.add_column("split")
    for column in ("images", "copies", "particles", "groups"):
        table.add_column(column, justify="right")
    for split, counts in summary["counts"].items():
        table.add_row(split, *(str(counts[key]) for key in ("images", "copies", "instances", "groups")))
    console.print(table)
    shown = ", ".join(f"{label} {count}" for label, count in summary["class_images"].items())
    console.print(f"images that show: {shown}", markup=False)
    audit = read_audit(prepared.root / "split_audit.json")
    console.print(f"split audit: {audit['conclusion']}", markup=False)
    for check in audit["checks"]:
        if check["findings"]:
            level = "to look at" if check["passed"] else "shared between splits"
            console.print(f"  {check['name']}: {check['findings']} {level}, see split_audit.json", markup=False)
    if audit["passed"]:
        console.print(f"next: nanoseg-bench run --data {prepared.root} --models all", markup=False)
        return 0
    console.print("the split audit failed: no model will be trained on this set; mend the split", markup=False)
    return 1
