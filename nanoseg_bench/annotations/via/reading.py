"""VGG Image Annotator 1 and 2: project files and JSON exports of annotations.

One file annotates many images. It states no image sizes, and a region's class is one of its free attributes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.errors import MissingImageError, NoAnnotationsError, UnclearFormatError
from nanoseg_bench.annotations.faults import refuse_shapes
from nanoseg_bench.annotations.image_files import ImageFinder, checked_size
from nanoseg_bench.annotations.instance import Instance, Micrograph
from nanoseg_bench.annotations.json_search import json_levels
from nanoseg_bench.annotations.json_values import further_keys, read_json_object, read_label
from nanoseg_bench.annotations.labels import own_label, without_background
from nanoseg_bench.annotations.left_out import note_without_area
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.annotations.via.format import CSV_NOT_READ
from nanoseg_bench.annotations.via.regions import WITHOUT_AREA, region_polygon
from nanoseg_bench.errors import AnnotationError

_WHAT = "a VIA 2 project or JSON export"
_USUAL_ATTRIBUTES = ("label", "class", "type", "name", "shape")
_LABEL_WITHOUT_ATTRIBUTES = "particle"
_FILES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ViaRef:
    """One image of a VIA file.

    Attributes:
        name: The image's file name without suffix.
        path: The image; the VIA file where there is none.
        source: The VIA file.
        fault: Why the image cannot be used; empty when it can.
        regions: The image's regions as they stand there.
        label_attribute: The region attribute that holds the class; None where regions have no attributes.
        file_attributes: Names of the image's own attributes that have a value.
    """

    name: str
    path: Path
    source: Path
    fault: str
    regions: tuple[Any, ...]
    label_attribute: str | None
    file_attributes: tuple[str, ...] = ()

    def read(self) -> Micrograph:
        """Read the regions and the image's size; regions without an area are left out and noted.

        Raises:
            FaultyShapesError: Names every region that is malformed or has no class, and holds what remains.
            AnnotationError: The image is missing or turned by EXIF.
            ImageError: The image cannot be read.
        """
        if self.fault:
            raise MissingImageError(f"{self.source}: {self.fault}")
        where = f"{self.source}: image {self.name!r}"
        width, height = checked_size(self.path, None, where)
        read = read_regions(self.regions, self.label_attribute, f"image {self.name!r}")
        instances, background = without_background(read.instances)
        micrograph = Micrograph(
            self.name,
            self.path,
            width,
            height,
            instances,
            notes=note_without_area(read.without_area),
            without_area=read.without_area,
            not_carried=self._not_carried(),
            tally=Tally(background=background),
        )
        refuse_shapes(self.source, read.faults, micrograph)
        return micrograph

    def _not_carried(self) -> tuple[str, ...]:
        known = frozenset() if self.label_attribute is None else frozenset({self.label_attribute})
        attributes = [region.get("region_attributes") for region in self.regions if isinstance(region, dict)]
        keys = further_keys([each for each in attributes if isinstance(each, dict)], known)
        return tuple(
            sorted(
                [f"file_attributes.{key}" for key in self.file_attributes]
                + [f"region_attributes.{key}" for key in keys]
            )
        )


def open_via(path: Path, image_folder: Path | None = None, label_attribute: str | None = None) -> Source:
    """List the images of a VIA file: a project (``_via_img_metadata``) or exported annotations, of VIA 1 or 2.

    An image is looked for by its ``filename`` in ``image_folder``, beside the file, in the folders ``images`` and that
    of the file's own name next to it, and in the project's default path. An image without regions is background.

    Args:
        path: The JSON, or a folder with exactly one VIA file.
        image_folder: Where to look first.
        label_attribute: The region attribute that holds the class. Without it, the only attribute is taken, else the
            one named label, class, type, name or shape. Where regions have no attributes, all are ``particle``.

    Raises:
        AnnotationError: There is no such file, or several, or it is no VIA file, or it is not clear which attribute
            holds the class.
    """
    if path.is_dir():
        path = _only_file(path)
    if path.suffix.lower() == ".csv":
        raise NoAnnotationsError(f"{path}: {CSV_NOT_READ}")
    document = read_json_object(path, _WHAT)
    images = _images(document, path)
    attribute = _label_attribute(document, images, label_attribute, path)
    finder = ImageFinder(_image_folders(document, path, image_folder), below=[image_folder or path.parent, path.parent])
    files = finder.find_all([_file_name(image) for image in images])
    entries = [
        ViaRef(
            file.name, file.path or path, path, file.fault, tuple(_regions(image)), attribute, _file_attributes(image)
        )
        for file, image in zip(files, images, strict=True)
    ]
    return Source("via", tuple(sorted(entries, key=lambda entry: entry.name)))


def is_via(document: object) -> bool:
    """Whether a JSON value looks like a file of VIA 1 or 2, or of VIA 3, which is opened to be refused by its name."""
    if not isinstance(document, dict) or not document:
        return False
    return (
        "_via_img_metadata" in document or _is_via_3(document) or all(_is_image(value) for value in document.values())
    )


@dataclass(frozen=True, slots=True)
class ViaRegions:
    """What the regions of one image are.

    Attributes:
        instances: Those that outline something.
        without_area: How many regions of each kind outline nothing.
        faults: What is wrong with each region that is malformed or has no class.
    """

    instances: tuple[Instance, ...]
    without_area: Counter[str]
    faults: tuple[str, ...]


def read_regions(regions: Sequence[Any], label_attribute: str | None, where: str) -> ViaRegions:
    """Read the regions of one image.

    Args:
        regions: As they stand in the file.
        label_attribute: The region attribute that holds the class; None where regions have no attributes.
        where: The image, for messages.
    """
    instances: list[Instance] = []
    without_area: Counter[str] = Counter()
    faults: list[str] = []
    for number, region in enumerate(regions, start=1):
        try:
            instance = _read_region(region, label_attribute, f"{where}: region {number}", without_area)
        except AnnotationError as error:
            faults.append(str(error))
            continue
        if instance is not None:
            instances.append(instance)
    return ViaRegions(tuple(instances), without_area, tuple(faults))


def _read_region(region: Any, label_attribute: str | None, where: str, without_area: Counter[str]) -> Instance | None:
    """The instance; None for a region that outlines nothing, which is counted."""
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict) or not isinstance(shape.get("name"), str):
        raise AnnotationError(f"{where}: no 'shape_attributes' with a 'name'; draw the region again or delete it")
    if shape["name"] in WITHOUT_AREA:
        without_area[shape["name"]] += 1
        return None
    label = own_label(_label(region.get("region_attributes"), label_attribute, where))
    return Instance(label, (region_polygon(shape, where),))


def _images(document: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    if _is_via_3(document):
        raise AnnotationError(f"{path}: a VIA 3 project, which is not read; annotate images with VIA 2")
    metadata = document.get("_via_img_metadata", document)
    if not isinstance(metadata, dict) or not all(_is_image(image) for image in metadata.values()):
        raise AnnotationError(f"{path}: not {_WHAT}: images with 'filename' and 'regions' are missing")
    return list(metadata.values())


def _is_via_3(document: Mapping[str, Any]) -> bool:
    return {"project", "metadata", "file", "view"} <= document.keys()


def _is_image(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("filename"), str)
        and isinstance(value.get("regions", []), (list, dict))
    )


def _regions(image: Mapping[str, Any]) -> list[Any]:
    regions = image.get("regions", [])
    return list(regions.values()) if isinstance(regions, dict) else regions  # VIA 1 numbers them in a dictionary


def _file_attributes(image: Mapping[str, Any]) -> tuple[str, ...]:
    attributes = image.get("file_attributes")
    return tuple(further_keys([attributes], frozenset())) if isinstance(attributes, dict) else ()


def _file_name(image: Mapping[str, Any]) -> str:
    # VIA 1 keeps the address of an image that it fetched in 'fileref'.
    address = image.get("fileref")
    return str(address if isinstance(address, str) and address else image["filename"])


def _attributes_of_regions(images: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for image in images:
        for region in _regions(image):
            attributes = region.get("region_attributes") if isinstance(region, dict) else None
            if isinstance(attributes, dict):
                yield from attributes


def _label_attribute(
    document: Mapping[str, Any], images: Sequence[Mapping[str, Any]], wanted: str | None, path: Path
) -> str | None:
    names = dict.fromkeys(_attributes_of_regions(images))
    declared = document.get("_via_attributes")
    if isinstance(declared, dict) and isinstance(declared.get("region"), dict):
        names.update(dict.fromkeys(declared["region"]))
    choices = ", ".join(ascii(name) for name in names) or "none"
    if wanted is not None:
        if wanted in names:
            return wanted
        raise AnnotationError(f"{path}: regions have no attribute {wanted!r}; there is: {choices}")
    if len(names) < 2:
        return next(iter(names), None)
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    usual = next((by_lower[name] for name in _USUAL_ATTRIBUTES if name in by_lower), None)
    if usual is None:
        raise AnnotationError(
            f"{path}: which region attribute holds the class? Name one with --label-attribute: {choices}"
        )
    return usual


def _label(attributes: Any, name: str | None, where: str) -> str:
    if name is None:
        return _LABEL_WITHOUT_ATTRIBUTES
    value = attributes.get(name) if isinstance(attributes, dict) else None
    if isinstance(value, dict):  # a checkbox: {"cube": true, "rod": false}
        ticked = [key for key, state in value.items() if state is True]
        if len(ticked) != 1:
            raise AnnotationError(f"{where}: {len(ticked)} boxes of attribute {name!r} are ticked; tick one in VIA")
        value = ticked[0]
    if value in (None, "", "undefined"):
        raise AnnotationError(f"{where}: attribute {name!r} has no value; choose one in VIA")
    return read_label(value, where)


def _image_folders(document: Mapping[str, Any], path: Path, image_folder: Path | None) -> list[Path]:
    folders = [path.parent, path.parent / "images", path.parent / path.stem]
    settings = document.get("_via_settings")
    core = settings.get("core") if isinstance(settings, dict) else None
    default = core.get("default_filepath") if isinstance(core, dict) else None
    if isinstance(default, str) and default and "\0" not in default:
        folders.append(path.parent / default.replace("\\", "/"))
    return [image_folder, *folders] if image_folder is not None else folders


def _only_file(folder: Path) -> Path:
    found = next(filter(None, ([path for path in level if _holds_via(path)] for level in json_levels(folder))), [])
    if len(found) == 1:
        return found[0]
    if not found:
        tables = sorted(folder.glob("*.csv"))
        hint = f" (VIA's CSV is not read: export {tables[0].name} as JSON)" if tables else ""
        raise NoAnnotationsError(f"{folder}: no VIA file in it{hint}; give the path of the JSON")
    shown = ", ".join(path.relative_to(folder).as_posix() for path in found[:_FILES_SHOWN])
    raise UnclearFormatError(f"{folder}: {len(found)} VIA files ({shown}); give the path of the one you mean")


def _holds_via(path: Path) -> bool:
    try:
        return is_via(read_json_object(path, _WHAT))
    except AnnotationError:
        return False
