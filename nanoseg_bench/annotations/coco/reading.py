"""COCO instance files, read: the format of truth and predictions inside a prepared set, and an exchange format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nanoseg_bench.annotations.coco.document import (
    WHAT,
    CocoDocument,
    Numbered,
    further_keys_of,
    is_crowd,
    read_document,
    read_instances,
    understand_document,
)
from nanoseg_bench.annotations.coco.parts import CocoPart, find_parts
from nanoseg_bench.annotations.errors import MissingImageError
from nanoseg_bench.annotations.faults import Problem, faults_error, refuse_faults, refuse_shapes
from nanoseg_bench.annotations.image_files import ImageFinder, checked_size, without_suffix
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph
from nanoseg_bench.annotations.json_values import parse_json_object
from nanoseg_bench.annotations.labels import without_background
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.wording import counted


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What a COCO file holds.

    Attributes:
        images: (width, height) in pixels by image name: ``file_name`` without its image suffix.
        instances: Instances by image name; every image of the file has an entry, maybe an empty one.
        classes: Category names in the order of their ids, without the extra category of ignore regions.
    """

    images: dict[str, tuple[int, int]]
    instances: dict[str, list[Instance]]
    classes: tuple[str, ...]


def read_coco(path: Path) -> CocoFile:
    """Read a COCO instance file: polygons, compressed or uncompressed RLE, ``iscrowd``, ``score`` where present.

    Raises:
        AnnotationError: The file is missing or malformed; the message names every annotation at fault.
    """
    return _whole(read_document(path))


def read_coco_bytes(data: bytes, path: Path) -> CocoFile:
    """Read a COCO instance document that lies inside another file, as ``read_coco`` reads one of its own.

    Args:
        data: The JSON.
        path: The file that holds it, for messages.

    Raises:
        AnnotationError: It is malformed; the message names every annotation at fault.
    """
    return _whole(understand_document(parse_json_object(data, path, WHAT), path))


def _whole(document: CocoDocument) -> CocoFile:
    path, faults = document.path, list(document.faults)
    images: dict[str, tuple[int, int]] = {}
    instances: dict[str, list[Instance]] = {}
    for identifier, image in document.images.items():
        where = f"image {image.number}"
        name = without_suffix(image.file_name.replace("\\", "/"))
        if name in images:
            faults.append(f"{where}: {name!r} (id {identifier!r}) stands there twice; keep one of them")
        elif image.size is None:
            faults.append(f"{where}: {name!r} has no 'width' and 'height'; write the file again with them")
        else:
            images[name] = image.size
            instances[name], found = read_instances(document.annotations[identifier], document.categories, image.size)
            faults += found
    refuse_faults(path, faults)
    return CocoFile(images, instances, document.classes)


@dataclass(frozen=True, slots=True)
class CocoIndex:
    """What the ids in a COCO file stand for.

    Attributes:
        images: ``file_name`` by image id.
        sizes: (width, height) in pixels by image id; None where the file does not say.
        categories: Category name by id.
    """

    images: dict[int | str, str]
    sizes: dict[int | str, tuple[int, int] | None]
    categories: dict[int | str, str]


def read_coco_index(path: Path) -> CocoIndex:
    """Read the images and categories of a COCO file.

    Raises:
        AnnotationError: The file is missing or malformed.
    """
    document = read_document(path)
    refuse_faults(path, document.faults)
    return CocoIndex(
        images={identifier: image.file_name for identifier, image in document.images.items()},
        sizes={identifier: image.size for identifier, image in document.images.items()},
        categories=dict(document.categories),
    )


@dataclass(frozen=True, slots=True)
class CocoRef:
    """One image of a COCO file, with its own annotations only.

    Attributes:
        name: The image's ``file_name`` without suffix.
        path: The image; the COCO file where there is none.
        source: The COCO file.
        fault: Why the image cannot be used; empty when it can.
        size: (width, height) as the file states it; None where it does not.
        annotations: Their numbers in the file, and what stands there.
        categories: Category name by id.
        not_carried: Keys of the image and of the file that nothing here reads.
        crowds_are_particles: Whether ``iscrowd`` is passed over.
    """

    name: str
    path: Path
    source: Path
    fault: str
    size: tuple[int, int] | None
    annotations: tuple[Numbered, ...]
    categories: Mapping[int | str, str]
    not_carried: tuple[str, ...] = ()
    crowds_are_particles: bool = False

    def read(self) -> Micrograph:
        """Read the annotations and the image's size.

        Raises:
            FaultyShapesError: Names every malformed annotation, and holds what remains without them.
            AnnotationError: The image is missing, turned or of another size.
            ImageError: The image cannot be read.
        """
        if self.fault:
            raise MissingImageError(f"{self.source}: {self.fault}")
        width, height = checked_size(self.path, self.size, f"{self.source}: image {self.name!r}")
        found, faults = read_instances(self.annotations, self.categories, (width, height))
        if self.crowds_are_particles:
            found = [replace(instance, crowd=False) for instance in found]
        crowds = sum(instance.crowd and instance.label != IGNORE_LABEL for instance in found)
        instances, background = without_background(found)
        keys = (f"annotations.{key}" for key in further_keys_of(self.annotations))
        micrograph = Micrograph(
            self.name,
            self.path,
            width,
            height,
            instances,
            not_carried=tuple(sorted([*self.not_carried, *keys])),
            tally=Tally(crowds=crowds, regions=len(found), background=background),
        )
        refuse_shapes(self.source, faults, micrograph)
        return micrograph


def open_coco(path: Path, image_folder: Path | None = None, iscrowd: str | None = None) -> Source:
    """List the images of a COCO instance file, or of the files of a data set that comes in parts.

    An image is looked for by its ``file_name`` in ``image_folder``, beside the file, and in the folders ``images`` and
    that of the file's own name next to it (and next to ``annotations``, where the file lies in such a folder). An
    image without annotations is background. Categories keep the order of their ids; one that only serves as the
    others' ``supercategory`` is left out.

    Several files below a folder are joined where their names, or those of their folders, say which is train, val and
    test, as Roboflow and COCO itself name them; the names of the images then begin with the part.

    Args:
        path: The JSON, or a folder that holds one COCO file, or one for each part.
        image_folder: Where to look first.
        iscrowd: What regions with ``iscrowd`` 1 are: ``ignore`` (regions) or ``particle``; None takes them for ignore
            regions unless nothing else would be left.

    Returns:
        A Source with the ``split`` of the parts, and as ``problems`` the images that cannot be used and the
        annotations of images that are not listed.

    Raises:
        AnnotationError: There is no such file, or several of no known part, or it is no COCO instance file, or its
            categories are malformed, or no particle would be left.
    """
    parts = find_parts(path) if path.is_dir() else (CocoPart(path),)
    documents = [read_document(part.path) for part in parts]
    if iscrowd is None:
        _refuse_only_crowds(path, documents)
    entries: list[CocoRef] = []
    split: dict[str, str] = {}
    for part, document in zip(parts, documents, strict=True):
        found = _entries(part, document, image_folder, iscrowd == "particle")
        entries += found
        split |= {entry.name: part.split for entry in found if part.split}
    return Source(
        "coco",
        tuple(sorted(entries, key=lambda entry: entry.name)),
        tuple(dict.fromkeys(name for document in documents for name in document.classes)),
        problems=tuple(
            Problem(each.path.name, each.path, faults_error(each.path, each.faults))
            for each in documents
            if each.faults
        ),
        split=split or None,
    )


def _refuse_only_crowds(path: Path, documents: Sequence[CocoDocument]) -> None:
    regions = [
        is_crowd(entry) and document.label_of(entry) != IGNORE_LABEL
        for document in documents
        for annotations in document.annotations.values()
        for _, entry in annotations
    ]
    if regions and all(regions):
        raise AnnotationError(
            f"{path}: all {counted(len(regions), 'region')} have iscrowd 1, so that no particle is left; CVAT writes "
            "so for every particle that was drawn as a mask: give --iscrowd particle; or --iscrowd ignore, if they are "
            "crowds"
        )


def _entries(
    part: CocoPart, document: CocoDocument, image_folder: Path | None, crowds_are_particles: bool
) -> list[CocoRef]:
    path = part.path
    finder = ImageFinder(_image_folders(path, image_folder), below=[image_folder or path.parent, path.parent])
    files = finder.find_all([image.file_name for image in document.images.values()])
    return [
        CocoRef(
            name=part.prefix + file.name,
            path=file.path or path,
            source=path,
            fault=file.fault,
            size=image.size,
            annotations=tuple(document.annotations[identifier]),
            categories=document.categories,
            not_carried=(*document.further_keys, *image.further_keys),
            crowds_are_particles=crowds_are_particles,
        )
        for file, (identifier, image) in zip(files, document.images.items(), strict=True)
    ]


def _image_folders(path: Path, image_folder: Path | None) -> list[Path]:
    beside = path.parent
    folders = [beside, beside / "images", beside / path.stem]
    if beside.name == "annotations":  # the layout of COCO itself and of CVAT: annotations/ and images/ side by side
        part = path.stem.rpartition("_")[2]  # instances_train2017.json, and the images in train2017
        folders += [beside.parent / "images", beside.parent, beside.parent / part, beside.parent / "images" / part]
    return [image_folder, *folders] if image_folder is not None else folders
