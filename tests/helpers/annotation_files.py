"""Single files of annotations, as the package writes them into folders that it makes."""

from nanoseg_bench.annotations.coco.writing import CocoWriter
from nanoseg_bench.annotations.masks.writing import draw_instance_map
from nanoseg_bench.annotations.yolo.label import yolo_label


def write_coco(path, images, instances, classes, *, suffix=".png"):
    """A COCO file of ``images`` (their sizes) and ``instances``, both by name; an image without instances has none."""
    assert instances.keys() <= images.keys()
    with CocoWriter(path, classes, suffix) as writer:
        for name, size in images.items():
            writer.add(name, size, instances.get(name, ()))


def write_yolo(path, instances, classes, height, width):
    """A label; returns what it lost."""
    label = yolo_label(path, instances, classes, height, width)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(label.content())
    return label.loss()


def write_instance_map(path, instances, height, width):
    """An instance map; returns its file and what was drawn."""
    drawn = draw_instance_map(instances, height, width)
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.with_suffix(drawn.suffix)
    path.write_bytes(drawn.content())
    return path, drawn
