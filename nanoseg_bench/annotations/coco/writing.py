"""COCO instance files, written: always as compressed RLE, so that a particle's holes and parts survive.

Annotation ids start at 1: COCO's evaluation takes id 0 for "unmatched" and loses average precision by it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from nanoseg_bench.annotations.clipping import points_outside
from nanoseg_bench.annotations.instance import BY_HAND, IGNORE_LABEL, Instance, Micrograph
from nanoseg_bench.annotations.loss import ImageLoss
from nanoseg_bench.annotations.raster import area, bounding_box, to_rle
from nanoseg_bench.annotations.writer import IMAGES, Encoded, Share, WriteOptions, Writer, count_pixels, particles_of
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import atomic_path


class CocoFolderWriter(Writer):
    """``annotations.json`` and ``images/``. It holds every particle, pixel by pixel."""

    folders = (IMAGES,)
    image_folder = IMAGES
    numbers_classes = True
    holds_scores = True

    def encode(self, micrograph: Micrograph, stem: str, source: Path, options: WriteOptions) -> Encoded:
        """The annotations of one micrograph, which go into the one file."""
        height, width = micrograph.height, micrograph.width
        masks = [replace(each, region=to_rle(each, height, width)) for each in micrograph.instances]
        kept = [each for each in masks if count_pixels(each, micrograph)]
        outside = len(particles_of(masks)) - len(particles_of(kept))
        loss = ImageLoss(
            instances=len(particles_of(kept)),
            outside=outside,
            ignored_lost=len(masks) - len(kept) - outside,
            points_clipped=sum(points_outside(micrograph.instances, height, width)),
        )
        return Encoded(loss, shared=tuple(encode_annotations(kept, (width, height), options.classes, str(source))))

    @contextmanager
    def shared_file(self, root: Path, options: WriteOptions) -> Iterator[Share]:
        """The one file."""
        with CocoWriter(root / "annotations.json", options.classes, suffix="") as writer:
            yield writer.add_encoded


class CocoWriter:
    """Write a COCO instance file image by image, so that a set may be larger than memory.

    The file appears, atomically, when the block ends; nothing is left of it when the block raises. Annotations are
    written as they come; of each image only its line at the end of the file is kept. Same calls, same bytes.

        with CocoWriter(path, ["cube", "rod"]) as writer:
            writer.add("a", (640, 480), instances)

    Segmentations are compressed RLE. Ids of images and annotations count from 1 in the order of the calls; the
    category id is the position in ``classes`` + 1. Ignore regions have ``iscrowd`` 1 and one extra category
    ``ignore`` after the classes, which is only there when it is used.

    Args:
        path: The file to write.
        classes: Class names.
        suffix: Added to the image name to make ``file_name``.
    """

    def __init__(self, path: Path, classes: Sequence[str], suffix: str = ".png") -> None:
        self._path = path
        self._classes = tuple(classes)
        self._suffix = suffix
        self._images: dict[str, str] = {}
        self._annotations = 0
        self._ignore_prefix = _ignore_prefix(self._classes)
        self._any_ignored = False
        self._open = ExitStack()
        self._stream: TextIO | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path))
            self._stream = stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
            self._stream.write(_BEGIN)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stream, self._stream = self._stream, None
        if error is not None or stream is None:
            self._open.__exit__(kind, error, traceback)
            return
        with self._open:  # a failure at the end leaves nothing behind either
            self._write_end(stream)

    def add(self, name: str, size: tuple[int, int], instances: Iterable[Instance]) -> None:
        """Write one image's instances.

        Args:
            name: Image name, without suffix.
            size: (width, height) in pixels.
            instances: Its particles and ignore regions, maybe none.

        Raises:
            AnnotationError: The image came before, an instance has no pixel inside it, or a label is not a class.
        """
        self.add_encoded(name, size, encode_annotations(instances, size, self._classes, f"{self._path}: {name!r}"))

    def add_encoded(self, name: str, size: tuple[int, int], fragments: Iterable[str]) -> None:
        """Write one image whose instances went through ``encode_annotations``, with the same size and classes.

        Raises:
            AnnotationError: The image came before.
        """
        if self._stream is None:
            raise ValueError(f"{self._path}: CocoWriter is used outside of its with block")
        if name in self._images:
            raise AnnotationError(f"{self._path}: image {name!r} is there twice; keep one of them")
        image_id = len(self._images) + 1
        self._images[name] = _image(image_id, name + self._suffix, size)
        for fragment in fragments:
            self._annotations += 1
            self._any_ignored = self._any_ignored or fragment.startswith(self._ignore_prefix)
            self._stream.write(_annotation(self._annotations, image_id, fragment))

    def _write_end(self, stream: TextIO) -> None:
        stream.writelines(_end(self._images.values(), self._classes, self._any_ignored))


def coco_text(
    name: str, size: tuple[int, int], fragments: Sequence[str], classes: Sequence[str], image_id: int = 1
) -> str:
    """The COCO file of one image, as ``CocoWriter`` would write it: same arguments, same text.

    Args:
        name: Image name, without suffix.
        size: (width, height) in pixels.
        fragments: Its instances, through ``encode_annotations`` with the same size and classes.
        classes: Class names.
        image_id: Its id, where the image is one of several that have such a file.
    """
    prefix = _ignore_prefix(classes)
    lines = [_annotation(number, image_id, fragment) for number, fragment in enumerate(fragments, start=1)]
    end = _end([_image(image_id, f"{name}.png", size)], classes, any(each.startswith(prefix) for each in fragments))
    return "".join([_BEGIN, *lines, *end])


_BEGIN = '{"annotations":['


def _ignore_prefix(classes: Sequence[str]) -> str:
    """What the fragment of an ignore region begins with."""
    return f'{{"category_id":{len(classes) + 1},'


def _annotation(number: int, image_id: int, fragment: str) -> str:
    comma = ",\n" if number > 1 else "\n"
    return f'{comma}{{"id":{number},"image_id":{image_id},{fragment[1:]}'


def _image(image_id: int, file_name: str, size: tuple[int, int]) -> str:
    return _compact({"id": image_id, "file_name": file_name, "width": size[0], "height": size[1]})


def _end(images: Iterable[str], classes: Sequence[str], any_ignored: bool) -> Iterator[str]:
    names = (*classes, IGNORE_LABEL) if any_ignored else classes
    categories = [{"id": position, "name": name} for position, name in enumerate(names, start=1)]
    yield '\n],\n"images":['
    for position, image in enumerate(images):
        yield f"{',' if position else ''}\n{image}"
    yield f'\n],\n"categories":{_compact(categories)}}}\n'


def encode_annotations(
    instances: Iterable[Instance], size: tuple[int, int], classes: Sequence[str], where: str
) -> list[str]:
    """One image's instances as JSON objects, without the ids that the file gives; made to run in a worker process.

    Args:
        instances: Particles and ignore regions.
        size: (width, height) in pixels.
        classes: Class names of the file.
        where: File and image, for messages.

    Returns:
        Texts for ``CocoWriter.add_encoded``, in the order of the instances.

    Raises:
        AnnotationError: An instance has no pixel inside its image, or a label outside ``classes``.
    """
    width, height = size
    category_ids = {name: position for position, name in enumerate((*classes, IGNORE_LABEL), start=1)}
    fragments: list[str] = []
    for position, instance in enumerate(instances, start=1):
        place = f"{where}, instance {position}"
        category_id = _category_id(instance, category_ids, place)
        fragments.append(_compact({"category_id": category_id, **_region_fields(instance, height, width, place)}))
    return fragments


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _category_id(instance: Instance, category_ids: dict[str, int], where: str) -> int:
    label = IGNORE_LABEL if instance.crowd and instance.label is None else instance.label
    if label is None or label not in category_ids:
        raise AnnotationError(
            f"{where}: label {label!r} is not one of the classes {', '.join(list(category_ids)[:-1])}"
        )
    return category_ids[label]


def _region_fields(instance: Instance, height: int, width: int, where: str) -> dict[str, Any]:
    rle = to_rle(instance, height, width)
    pixels = area(rle)
    if pixels == 0:
        raise AnnotationError(f"{where} ({instance.label}) covers no pixel of its {width}x{height} px; leave it out")
    fields: dict[str, Any] = {
        "segmentation": {"size": [height, width], "counts": rle.counts.decode("ascii")},
        "area": pixels,
        "bbox": list(bounding_box(rle)),
        "iscrowd": int(instance.ignored),
    }
    if instance.score is not None:
        fields["score"] = instance.score
    if instance.origin in BY_HAND:
        fields["origin"] = instance.origin
    return fields
