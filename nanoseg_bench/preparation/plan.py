"""All that is decided about a prepared set before anything of it is written."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from nanoseg_bench.annotations.file_names import UniqueNames
from nanoseg_bench.annotations.image_files import original_name
from nanoseg_bench.annotations.instance import ALL_CLASSES
from nanoseg_bench.annotations.labels import warn_of_similar_labels, without_spelling
from nanoseg_bench.annotations.masks.specks import warn_of_specks
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.annotations.tally import Tallies
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.images import warn_of_invisible, warn_of_uneven_pixels, warn_of_unknown_units
from nanoseg_bench.preparation.audit import FoundPair, resolve_reviewed
from nanoseg_bench.preparation.augment import augmentation_parameters, copies_per_image
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.folds import fold_by_group
from nanoseg_bench.preparation.grouping import source_groups
from nanoseg_bench.preparation.hashing import content_hash
from nanoseg_bench.preparation.inspection import Inspection
from nanoseg_bench.preparation.prepared_set import ASIDE, SPLITS
from nanoseg_bench.preparation.split import fixed_split, share_warnings, split_by_group
from nanoseg_bench.wording import counted, shortened

OOD, HRTEM = ASIDE


@dataclass(frozen=True, eq=False, slots=True)
class PlannedMicrograph:
    """One micrograph of the set.

    Attributes:
        ref: Where it comes from.
        seen: What the first look gave.
        split: One of ``SPLITS``.
        source_group: What it must share its split with.
        stem: Of its files, unique in the set and legal on every file system.
        copy_stems: Of its augmented copies.
        folds: Train, val or test in each fold; empty in a set without folds. With folds, ``split`` is train: each
            micrograph is trained on in most of them, and so are its copies.
    """

    ref: MicrographRef
    seen: Inspection
    split: str
    source_group: str
    stem: str
    copy_stems: tuple[str, ...]
    folds: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """A prepared set before it is written.

    Attributes:
        name: Of the set.
        dataset: Name of the card that it is made from.
        classes: Class names; their order gives the indices.
        ood_classes: Further labels of the out-of-distribution part.
        micrographs: By split, then by name.
        parameters: What decides the content besides the micrographs.
        pairs: Images that were found to show the same, by stem.
        warnings: Sentences for the user.
    """

    name: str
    dataset: str
    classes: tuple[str, ...]
    ood_classes: tuple[str, ...]
    micrographs: tuple[PlannedMicrograph, ...]
    parameters: dict[str, Any]
    pairs: tuple[FoundPair, ...]
    warnings: tuple[str, ...]

    @property
    def content_hash(self) -> str:
        """What the set will be, before it is made."""
        return content_hash([_identity(each) for each in self.micrographs], self.parameters)

    @property
    def folds(self) -> int:
        """How many folds there are; 0 for a set with one split."""
        return max(len(each.folds) for each in self.micrographs)

    @property
    def splits(self) -> list[str]:
        """Those that have a micrograph, in the usual order."""
        present = {each.split for each in self.micrographs}
        return [split for split in SPLITS if split in present]

    def classes_of(self, split: str) -> tuple[str, ...]:
        """Names of what a split may show."""
        return self.classes + self.ood_classes if split == OOD else self.classes

    def of(self, split: str) -> list[PlannedMicrograph]:
        """The micrographs of one split."""
        return [each for each in self.micrographs if each.split == split]


def make_plan(
    main: Mapping[str, tuple[MicrographRef, Inspection]],
    aside: Mapping[str, Mapping[str, tuple[MicrographRef, Inspection]]],
    pairs: Sequence[FoundPair],
    *,
    name: str,
    dataset: str,
    classes: tuple[str, ...] | None,
    config: PrepareConfig,
) -> Plan:
    """Decide source groups, split, copies and file names.

    Args:
        main: What is split, by micrograph name.
        aside: What is judged on only, by split and micrograph name.
        pairs: Images that were found to show the same, by micrograph name.
        name: Of the set.
        dataset: Name of the card that it is made from.
        classes: Class names; None takes every label that occurs, in alphabetical order.
        config: The user's.

    Raises:
        PreparationError: The split cannot be made, there is no particle, or a reviewed pair is not in the set.
    """
    seen = [inspection for _, inspection in main.values()]
    if classes is None:
        classes = tuple(sorted({label for inspection in seen for label in inspection.labels}))
    if not classes:
        notes = {note for inspection in seen for note in inspection.notes}
        noted = f" (reading noted: {min(notes)})" if notes else ""
        raise PreparationError(
            f"no particle is outlined in {counted(len(seen), 'image')}{noted}; annotate the images first"
        )
    known = set(classes)
    if ALL_CLASSES in known:
        raise PreparationError(
            f"class {ALL_CLASSES!r}: tables call the row of all particles so; give the class another name"
        )
    more = {label for _, inspection in aside.get(OOD, {}).values() for label in inspection.labels} - known
    seen_aside = [inspection for part in aside.values() for _, inspection in part.values()]
    warnings = [
        *_warnings([*seen, *seen_aside]),
        *_warn_of_tiles([*seen, *seen_aside]),
        *_warn_of_versions(seen),
        *_warn_of_similar_groups([*seen, *seen_aside]),
        *_warn_of_banners([*seen, *seen_aside], config),
    ]
    groups, split, folds, warnings_of_split = _split(seen, seen_aside, pairs, config)
    train = [each for each, part in split.items() if part == "train"]
    copies = copies_per_image(train, len(split), config.seed, config.augment_to, config.augment_copies)
    everything = dict(main)
    for part, micrographs_aside in aside.items():
        split |= dict.fromkeys(micrographs_aside, part)
        everything |= micrographs_aside
    micrographs = _name_files(everything, split, folds, groups, copies)
    stems = {each.seen.name: each.stem for each in micrographs}
    # The audit does it again, but only when all is written.
    resolve_reviewed(config.reviewed, [(stem, name) for name, stem in stems.items()])
    return Plan(
        name=name,
        dataset=dataset,
        classes=classes,
        ood_classes=tuple(sorted(more)),
        micrographs=micrographs,
        parameters={
            "canvas": config.canvas,
            "classes": list(classes),
            "seed": config.seed,
            "split": "fixed" if config.assignment is not None else ":".join(map(str, config.ratios)),
            "augmentation": augmentation_parameters() if any(copies.values()) else None,
            **({"folds": config.folds} if config.folds else {}),
            **({"ignore_banners": True} if config.ignore_banners else {}),
            **({"tile": config.tile} if config.tile else {}),
        },
        pairs=tuple(
            FoundPair((stems[pair.names[0]], stems[pair.names[1]]), pair.check, pair.evidence) for pair in pairs
        ),
        warnings=(*warnings, *warnings_of_split),
    )


def _warnings(everything: Sequence[Inspection]) -> list[str]:
    """What a person should look at in the annotations, each told once for all images."""
    labels = sum((Counter(each.labels) for each in everything), Counter[str]())
    uneven = [
        (each.name, each.reading["uneven_nm"])
        for each in everything
        if each.micrograph.nm_per_px is None and "uneven_nm" in each.reading
    ]
    units = [
        (each.name, each.reading["unknown_unit"])
        for each in everything
        if each.micrograph.nm_per_px is None and "unknown_unit" in each.reading
    ]
    pieces = {each.name: each.micrograph.pieces for each in everything if each.micrograph.pieces}
    tallies = Tallies()
    for each in everything:
        tallies.add(each.name, each.micrograph.tally, each.micrograph.without_area)
    return [
        *tallies.warnings(),
        *tallies.warn_of_kinds(),
        *warn_of_similar_labels(labels),
        *warn_of_uneven_pixels(uneven),
        *warn_of_unknown_units(units),
        *warn_of_specks(pieces),
        *warn_of_invisible([each.name for each in everything if each.reading.get("invisible")]),
    ]


def _warn_of_tiles(everything: Sequence[Inspection]) -> list[str]:
    """What the numbers of a set of tiles are numbers of; nothing where all micrographs are whole."""
    tiles = [each.micrograph.cutout for each in everything if each.micrograph.cutout is not None]
    if not tiles:
        return []
    divided = sum(tile.divided for tile in tiles)
    cut = counted(len({tile.whole for tile in tiles}), "micrograph")
    return [
        f"{cut} cut into {counted(len(tiles), 'tile')}, which are learnt and judged one by one; their seams cut "
        f"{counted(divided, 'particle')}, each piece of which counts as a particle (an ignore region where it is less "
        "than a tenth of it)"
    ]


def _warn_of_versions(main: Sequence[Inspection]) -> list[str]:
    """That images were altered before they came here, which their names say; nothing where there is one of each."""
    versions = Counter(original_name(whole) for whole in {each.whole for each in main})
    several = [number for number in versions.values() if number > 1]
    if not several:
        return []
    return [
        f"{sum(several)} images are versions of {counted(len(several), 'image')}, as Roboflow names them (.rf.): those "
        "of one image stay in one part, and those in val and test are judged as they were altered; better export the "
        "images without augmentations, which are made here"
    ]


def _warn_of_similar_groups(everything: Sequence[Inspection]) -> list[str]:
    """That one specimen may have two names, and so lie in two parts; nothing where no two names look alike."""
    similar: dict[str, set[str]] = defaultdict(set)
    for each in everything:
        if each.micrograph.source_group:  # images of similar names are not meant to be one source
            similar[without_spelling(each.own_group)].add(each.own_group)
    several = [" and ".join(map(repr, sorted(names))) for _, names in sorted(similar.items()) if len(names) > 1]
    if not several:
        return []
    return [
        f"source groups {shortened(several, between='; ')}: each counts as a source of its own, though they differ "
        "only in case, blanks or the form of a character; if they mean one specimen, give them one name, or it may be "
        "trained on and tested on"
    ]


def _warn_of_banners(everything: Sequence[Inspection], config: PrepareConfig) -> list[str]:
    """The proposal to ignore information bars; none where a published split says what is compared."""
    number = sum(each.unlabelled_banners > 0 for each in everything)
    if not number or config.ignore_banners or (config.assignment is not None and not config.extend):
        return []
    return [
        f"{counted(number, 'image')} with an information bar that nobody labelled: what a model finds on it counts as "
        "a false positive; --ignore-banners makes it an ignore region (a particle on it stays a particle)"
    ]


def _split(
    main: Sequence[Inspection], aside: Sequence[Inspection], pairs: Sequence[FoundPair], config: PrepareConfig
) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, ...]], list[str]]:
    """(group by name, split by name of ``main``, parts in the folds by name of ``main``, warnings)."""
    everything = [*main, *aside]
    pixels = _pixel_keys(everything, config.assignment or {})
    joining = _joining_pairs(
        pairs, {each.name for each in main}, _short_names(each.name for each in everything), config
    )
    groups, joins = source_groups(everything, pixels, [(*pair.names, pair.check) for pair in joining])
    warnings = [str(join) for join in joins]
    if len({each.whole for each in main}) > 1 and not any(each.micrograph.source_group for each in main):
        warnings.append(
            "nobody named source groups, so each image counts as a source of its own, and the check source-groups has "
            "nothing to look at; say which images belong to one specimen (--group-by)"
        )
    own = {each.name: groups[each.name] for each in main}
    if config.folds:
        folds = fold_by_group(main, config.folds, config.ratios, config.seed, own, joins)
        return groups, dict.fromkeys(own, "train"), folds, warnings
    if config.assignment is not None:
        split = fixed_split(
            main, config.assignment, own, extend=config.extend, ratios=config.ratios, seed=config.seed, joins=joins
        )
    else:
        split = split_by_group(main, config.ratios, config.seed, own, joins)
        warnings += share_warnings(split, own, config.ratios)
    return groups, split, {}, warnings


def _pixel_keys(everything: Sequence[Inspection], assignment: Mapping[str, str]) -> dict[str, str]:
    """What identical images have in common, by name: also the split, where a given split puts them apart."""
    parts: dict[str, set[str]] = defaultdict(set)
    for each in everything:
        if each.name in assignment:
            parts[each.pixels_sha256].add(assignment[each.name])
    keys = {}
    for each in everything:
        apart = sorted(parts[each.pixels_sha256])
        part = assignment.get(each.name, apart[0]) if len(apart) > 1 else ""
        keys[each.name] = f"{each.pixels_sha256} {part}"
    return keys


def _joining_pairs(
    pairs: Sequence[FoundPair], main: set[str], short_names: Mapping[str, str], config: PrepareConfig
) -> list[FoundPair]:
    """The found pairs that make one source group of two.

    Two images that a given split puts apart stay apart: that is what the audit is to show, with both images side by
    side, not what a group can mend. The same holds for what is judged on only.
    """
    reviewed = {frozenset((each.first, each.second)) for each in config.reviewed}
    assignment = config.assignment or {}

    def spellings(name: str) -> tuple[str, str]:
        """The micrograph's name, and what its files will be called, which the audit shows."""
        return name, UniqueNames().take(short_names[name])

    def joins(pair: FoundPair) -> bool:
        first, second = pair.names
        apart = first in assignment and second in assignment and assignment[first] != assignment[second]
        seen = any(frozenset(names) in reviewed for names in product(spellings(first), spellings(second)))
        return {first, second} <= main and not seen and not apart

    return [pair for pair in pairs if joins(pair)]


def _name_files(
    everything: Mapping[str, tuple[MicrographRef, Inspection]],
    split: Mapping[str, str],
    folds: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, str],
    copies: Mapping[str, int],
) -> tuple[PlannedMicrograph, ...]:
    order = sorted(everything, key=lambda name: (SPLITS.index(split[name]), name))
    file_names = UniqueNames()
    short_names = _short_names(order)
    stems = {name: file_names.take(short_names[name]) for name in order}
    planned = []
    for name in order:
        count, stem = copies.get(name, 0), stems[name]
        digits = max(len(str(count)), 2)
        copy_stems = tuple(file_names.take(stem, f"-aug{number:0{digits}d}") for number in range(1, count + 1))
        entry, seen = everything[name]
        parts = folds.get(name, ())
        planned.append(PlannedMicrograph(entry, seen, split[name], groups[name], stem, copy_stems, parts))
    return tuple(planned)


def _identity(planned: PlannedMicrograph) -> dict[str, Any]:
    seen, micrograph = planned.seen, planned.seen.micrograph
    return {
        "name": micrograph.name,
        "size": [micrograph.width, micrograph.height],
        "nm_per_px": micrograph.nm_per_px,
        "attributes": dict(micrograph.attributes),
        "source_group": planned.source_group,
        "split": planned.split,
        **({"folds": list(planned.folds)} if planned.folds else {}),
        "copies": len(planned.copy_stems),
        "pixels": seen.pixels_sha256,
        "truth": seen.truth_sha256,
        # Where there is none it does not enter: sets made by people keep their hash.
        **({} if micrograph.begun_by is None else {"begun_by": micrograph.begun_by.as_json()}),
    }


def _short_names(names: Iterable[str]) -> dict[str, str]:
    """The last part of each name, or all of it where another one ends alike."""
    last_parts = {name: name.rsplit("/", 1)[-1] for name in names}
    number = Counter(part.casefold() for part in last_parts.values())
    return {name: part if number[part.casefold()] == 1 else name for name, part in last_parts.items()}
