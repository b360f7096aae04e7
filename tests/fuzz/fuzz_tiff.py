"""Fuzz the TIFF reader with atheris: whatever the bytes, an image or a NanosegError.

    python tests/fuzz/fuzz_tiff.py -max_total_time=120 -rss_limit_mb=2048

A corpus of small valid TIFFs is written first, unless the command names a folder of its own. What is found is written
as ``crash-...`` or ``slow-unit-...`` into the working folder (``-artifact_prefix=FOLDER/``); naming such a file instead
of a folder runs it once. ``-max_len``, ``-timeout``, ``-jobs`` and all else are libFuzzer's.
"""

import logging
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nanoseg_bench.images", "tifffile", "PIL.TiffImagePlugin"]):
    import numpy as np
    import tifffile  # noqa: F401, before the seeds import it: it is to be instrumented
    from PIL import Image

    from nanoseg_bench.errors import NanosegError
    from nanoseg_bench.images import image_size, read_scale, read_with_notes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from tiff_seeds import tiff_seeds


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
        for index, data in enumerate(tiff_seeds()):
            (corpus / f"{index}.tif").write_bytes(data)
        named = any(not argument.startswith("-") for argument in sys.argv[1:])
        atheris.Setup([*sys.argv, *([] if named else [str(corpus)])], OneFile(folder))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
