"""Small valid TIFFs, which both fuzzers of TIFFs begin with."""

import io

import numpy as np
import tifffile
from PIL import Image


def tiff_seeds():
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
