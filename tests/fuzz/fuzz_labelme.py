"""Coverage-guided fuzzing of the LabelMe door: bytes to a file, read it, rasterise what was read.

    python tests/fuzz/fuzz_labelme.py -max_total_time=120 -rss_limit_mb=2048

Whatever the bytes: a NanosegError or a Micrograph whose masks have the image's size. The seeds are made at the start.
Arguments are libFuzzer's; a folder among them collects the inputs that reach new code.
"""

import base64
import contextlib
import io
import json
import random
import sys
import tempfile
import warnings
from pathlib import Path

import atheris
import numpy as np
from PIL import Image

with atheris.instrument_imports(include=["nanoseg_bench.annotations", "nanoseg_bench.images", "nanoseg_bench.files"]):
    from nanoseg_bench.annotations.labelme.reading import embedded_image, open_labelme, read_labelme
    from nanoseg_bench.annotations.raster import rle_to_mask, to_rle
    from nanoseg_bench.errors import NanosegError

WIDTH, HEIGHT = 60, 40
ODD = [
    None,
    True,
    -1,
    0,
    0.5,
    1e308,
    -1e12,
    2**64,
    "",
    "a.png",
    "mask",
    "circle",
    "\0",
    [],
    {},
    [[1, 1], [2, 2]],
    [3, 4],
]


def shape(kind, points, **more):
    return {"label": "cube", "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def png(values):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


def documents():
    """One valid document for each thing that the format can hold."""
    window = np.ones((6, 16), dtype=np.uint8)
    shapes = [
        shape("polygon", [[5, 5], [25, 5], [15, 25]]),
        shape("polygon", [[-50, 5], [250.5, 5], [15, 2500]], group_id=3),
        shape("rectangle", [[17, 9], [3, 4]]),
        shape("rectangle", [[3, 4], [17, 4], [17, 9], [3, 9]]),
        shape("circle", [[30, 20], [35, 20]], flags={"crowd": True}),
        shape("oriented_rectangle", [[3, 3], [9, 3], [9, 9], [3, 9]]),
        shape("mask", [[4, 3], [19, 8]], mask=png(window)),
        shape("linestrip", [[3, 3], [4, 4], [5, 5]]),
        shape("point", [[3, 3]]),
    ]
    whole = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        "nanoseg": {"nm_per_px": 0.5, "source_group": "s1", "attributes": {"modality": "SEM"}},
    }
    yield whole
    yield {"shapes": [{"label": "角", "points": [[5, 5], [25, 5], [15, 25]]}], "imagePath": "..\\x\\a.png"}
    yield {**whole, "shapes": [], "imageData": png(np.zeros((HEIGHT, WIDTH), dtype=np.uint8))}
    for each in shapes:
        yield {"shapes": [each], "imagePath": "a.png"}


def write_seeds(folder):
    for number, document in enumerate(documents()):
        text = json.dumps(document, ensure_ascii=False)
        (folder / f"{number}.json").write_text(text, encoding="utf-8")
    (folder / "bom.json").write_text(text, encoding="utf-8-sig")
    (folder / "utf16.json").write_text(text, encoding="utf-16")


def read_bytes(folder, data):
    path = folder / "in" / "a.json"
    path.write_bytes(data)
    for read in (lambda: open_labelme(path.parent, folder / "out").entries[0].read(), lambda: read_labelme(path)):
        try:
            micrograph = read()
        except NanosegError:
            continue
        for instance in micrograph.instances:
            rle = to_rle(instance, micrograph.height, micrograph.width)
            if rle_to_mask(rle).shape != (micrograph.height, micrograph.width):
                raise AssertionError(f"mask of another size: {instance}")
    with contextlib.suppress(NanosegError):
        embedded_image(path)


def places(value):
    """Every list or dictionary inside a JSON value, with its keys."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from places(value[key])


def mutate(data, max_size, seed):
    """Change one value of a JSON document; bytes that are none, and every third document, are left to libFuzzer."""
    rng = random.Random(seed)
    try:
        document = json.loads(data)
        found = list(places(document))
    except (ValueError, RecursionError):
        found = []
    if not found or rng.random() < 1 / 3:
        return atheris.Mutate(data, max_size)
    holder, key = rng.choice(found)
    action = rng.randrange(4)
    if action == 0:
        del holder[key]
    elif action == 1:
        other, other_key = rng.choice(found)
        holder[key] = json.loads(json.dumps(other[other_key]))
    elif action == 2 and isinstance(holder[key], (int, float)):
        holder[key] = holder[key] * rng.choice([-1, 0.5, 3, 1e9]) + rng.choice([0, 1, -0.5])
    else:
        holder[key] = rng.choice(ODD)
    return json.dumps(document).encode()[:max_size]


def main():
    warnings.simplefilter("ignore")
    in_memory = Path("/dev/shm")  # thousands of files a minute
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as temporary:
        folder = Path(temporary)
        for name in ("seeds", "in", "out"):
            (folder / name).mkdir()
        write_seeds(folder / "seeds")
        Image.new("L", (WIDTH, HEIGHT), 90).save(folder / "in" / "a.png")
        arguments = [sys.argv[0], "-max_len=8000", f"-artifact_prefix={Path.cwd()}/", *sys.argv[1:]]
        # The first folder is written to: one of our own, unless the caller gave one.
        folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        atheris.Setup(
            [*arguments, *([] if folders else [str(folder / "out")]), str(folder / "seeds")],
            lambda data: read_bytes(folder, data),
            custom_mutator=mutate,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
