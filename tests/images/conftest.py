"""Writers of the formats that no library at hand writes."""

import struct

import numpy as np
import pytest

_DM_IMAGE_TYPES = {"int16": 1, "float32": 2, "uint8": 6, "int32": 7, "uint16": 10, "float64": 12}
_DM_ELEMENTS = {"int16": 2, "int32": 3, "uint16": 4, "float32": 6, "float64": 7, "uint8": 10}


class DmWriter:
    """Gatan's tag structure, version 3 (lengths of 4 bytes) or 4 (of 8 bytes); big-endian tags, little-endian data."""

    def __init__(self, version):
        self.version = version

    def long(self, value):
        return struct.pack(">i" if self.version == 3 else ">q", value)

    def group(self, name, tags, root=False):
        body = b"".join(tags)
        size = b"" if self.version == 3 or root else self.long(len(body))
        start = b"" if root else self.header(20, name)
        return start + b"\x01\x00" + size + self.long(len(tags)) + body

    def header(self, kind, name):
        return struct.pack(">BH", kind, len(name)) + name.encode()

    def data(self, name, definition, data):
        content = b"%%%%" + self.long(len(definition)) + b"".join(map(self.long, definition)) + data
        size = b"" if self.version == 3 else self.long(len(content))
        return self.header(21, name) + size + content

    def number(self, name, value):
        return self.data(name, [5], struct.pack("<I", value))

    def real(self, name, value):
        return self.data(name, [6], struct.pack("<f", value))

    def text(self, name, value):
        return self.data(name, [20, 4, len(value)], value.encode("utf-16-le"))

    def image(self, pixels, scale, unit):
        """pixels: (..., H, W); Gatan's order of dimensions is X, Y, Z."""
        element = _DM_ELEMENTS[str(pixels.dtype)]
        calibration = self.group("", [self.real("Origin", 0), self.real("Scale", scale), self.text("Units", unit)])
        stored = self.data("Data", [20, element, pixels.size], pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
        brightness = [self.real("Origin", 0), self.real("Scale", 1), self.text("Units", "")]
        return self.group(
            "",
            [
                self.group(
                    "ImageData",
                    [
                        self.group(
                            "Calibrations",
                            [
                                self.group("Brightness", brightness),
                                self.group("Dimension", [calibration] * pixels.ndim),
                            ],
                        ),
                        stored,
                        self.number("DataType", _DM_IMAGE_TYPES[str(pixels.dtype)]),
                        self.group("Dimensions", [self.number("", size) for size in pixels.shape[::-1]]),
                        self.number("PixelDepth", pixels.itemsize),
                    ],
                ),
                self.group("ImageTags", [self.text("Device", "none")]),
                self.text("Name", "field"),
            ],
        )

    def file(self, images, thumbnail=False):
        tags = [self.group("ImageList", images)]
        if thumbnail:
            tags.append(self.group("Thumbnails", [self.group("", [self.number("ImageIndex", 0)])]))
        body = self.group("", tags, root=True)
        return struct.pack(">i", self.version) + self.long(len(body)) + struct.pack(">i", 1) + body + bytes(8)


@pytest.fixture
def dm_writer():
    """The writer itself, for tags that no microscope writes."""
    return DmWriter


@pytest.fixture
def dm_file(tmp_path):
    """dm_file([(pixels, scale, unit), ...]): a DM3 or DM4 of these images; returns its path."""

    def write(images, version=3, name="a", thumbnail=False):
        writer = DmWriter(version)
        path = tmp_path / f"{name}.dm{version}"
        path.write_bytes(writer.file([writer.image(*image) for image in images], thumbnail))
        return path

    return write


@pytest.fixture
def emd_file(tmp_path):
    """emd_file([(title, pixels, nm per pixel), ...]): an NCEM EMD, written by h5py; its first axis is x."""
    h5py = pytest.importorskip("h5py")

    def write(images, name="a"):
        path = tmp_path / f"{name}.emd"
        with h5py.File(path, "w") as file:
            file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
            for title, pixels, scale in images:
                group = file.create_group(f"data/{title}")
                group.attrs["emd_group_type"] = 1
                group.create_dataset("data", data=pixels.T)
                for axis, size in enumerate(pixels.T.shape, start=1):
                    dim = group.create_dataset(f"dim{axis}", data=np.arange(size) * scale)
                    dim.attrs["name"], dim.attrs["units"] = "xyz"[axis - 1], "[n_m]"
        return path

    return write


@pytest.fixture
def ramp():
    """ramp(dtype, height, width): ascending values, for a mapping that may be checked by order."""

    def make(dtype="uint16", height=40, width=50):
        return np.linspace(1000, 30000, height * width).astype(dtype).reshape(height, width)

    return make
