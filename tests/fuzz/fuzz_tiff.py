"""Fuzz the TIFF reader with atheris: whatever the bytes, an image or a NanosegError.

    python tests/fuzz/fuzz_tiff.py -max_total_time=120 -rss_limit_mb=2048

A corpus of small valid TIFFs is written first, unless the command names a folder of its own. What is found is written
as ``crash-...`` or ``slow-unit-...`` into the working folder (``-artifact_prefix=FOLDER/``); naming such a file instead
of a folder runs it once. ``-max_len``, ``-timeout``, ``-jobs`` and all else are libFuzzer's.
"""

import io
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nanoseg_bench.images", "tifffile", "PIL.TiffImagePlugin"]):
    import numpy as np
    import tifffile
    from PIL import Image

    from nanoseg_bench.errors import NanosegError
    from nanoseg_bench.images import image_size, read_scale, read_with_notes


def seeds():
    """Bytes of valid TIFFs: layouts, sample types, compressions, pages and makers of scales."""
    grey = np.arange(192, dtype=np.uint8).reshape(12, 16)
    deep = grey.astype(np.uint16) * 300
    colour = np.stack((grey, grey[::-1], grey.T.reshape(12, 16)), axis=2)
    for pixels, options in (
        (grey, {}),
        (deep, {"byteorder": ">"}),
        (deep, {"tile": (16, 16)}),
        (deep.astype(np.int32), {"compression": "zlib", "predictor": 2}),
        (deep.astype(np.float32), {"bigtiff": True}),
        (deep, {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "nm"}}),
        (deep, {"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 2.0}}),
        (np.stack((deep, deep)), {}),
        (colour.astype(np.uint16), {"photometric": "rgb"}),
        (np.moveaxis(colour, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        (grey, {"extratags": [(34682, 2, 28, b"[Scan]\r\nPixelWidth=2.5e-9\r\n\0", True), (274, 3, 1, 6, True)]}),
        (grey, {"extratags": [(34118, 2, 44, b"AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 2 nm\0", True)]}),
    ):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, **{"photometric": "minisblack", **options})
        yield stream.getvalue()
    for pixels, compression in ((grey, "tiff_lzw"), (deep, "tiff_lzw"), (colour, "jpeg"), (grey > 99, "group4")):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "TIFF", compression=compression)
        yield stream.getvalue()


class OneFile:
    """The fuzzer's bytes as a file, read in every way there is."""

    def __init__(self, folder):
        self.path = Path(folder) / "fuzzed.tif"

    def __call__(self, data):
        self.path.write_bytes(data)
        size = pixels = None
        for read in (image_size, read_scale, read_with_notes):
            try:
                found = read(self.path)
            except NanosegError:
                continue
            size = found if read is image_size else size
            pixels = found[0] if read is read_with_notes else pixels
        if pixels is not None:
            assert pixels.dtype == np.uint8
            assert size == (pixels.shape[1], pixels.shape[0])


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    # Small images are as good at finding faults, and ten thousand of them a minute more so.
    Image.MAX_IMAGE_PIXELS = 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for index, data in enumerate(seeds()):
            (corpus / f"{index}.tif").write_bytes(data)
        named = any(not argument.startswith("-") for argument in sys.argv[1:])
        atheris.Setup([*sys.argv, *([] if named else [str(corpus)])], OneFile(folder))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
