"""What a PNG says about itself before and behind its pixels, by the headers of its chunks; no pixel is decoded."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""What a PNG begins with."""

_START = struct.Struct(">8s I4s II BB")  # signature, length, IHDR, width, height, bits, colour type
_START_BYTES = 33  # signature and all of IHDR
_CHUNK = struct.Struct(">I4s")  # length of the content, kind
_AROUND_CONTENT = 12  # length, kind and check sum
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATION_KEYWORDS = (b"Raw profile type exif", b"XML:com.adobe.xmp")
_KEYWORD_BYTES = 80  # of a text chunk: at most 79, and a zero
_NO_PIXELS = bytes(4) + b"IDAT" + bytes(4)


@dataclass(frozen=True, slots=True)
class PngHeader:
    """A PNG without its pixels.

    Attributes:
        width: Columns as stored.
        height: Rows as stored.
        bits: Per sample.
        colour: PNG's number of the colour type.
        whole: Whether there is one header and an end; the chunks between may be damaged all the same.
        without_pixels: The file with nothing in it but the chunks that may tell how the image is turned, wherever they
            stand, and an image without data; empty where there is no such chunk.
    """

    width: int
    height: int
    bits: int
    colour: int
    whole: bool
    without_pixels: bytes


def read_png_header(stream: BinaryIO) -> PngHeader | None:
    """The header of a PNG that begins where the stream does; None of any other file."""
    start = stream.read(_START_BYTES)
    if len(start) < _START_BYTES or not start.startswith(PNG_SIGNATURE):
        return None
    _, length, kind, width, height, bits, colour = _START.unpack_from(start)
    if kind != b"IHDR" or length != _START_BYTES - len(PNG_SIGNATURE) - _AROUND_CONTENT:
        return None
    kept: list[bytes] = []
    last, headers = b"", 1
    for last, position, length in png_chunks(stream, _START_BYTES):
        headers += last == b"IHDR"
        if last == b"eXIf" or (last in _TEXTS and stream.read(_KEYWORD_BYTES).startswith(_ORIENTATION_KEYWORDS)):
            stream.seek(position)
            kept.append(stream.read(length + _AROUND_CONTENT))
    whole = headers == 1 and last == b"IEND"
    without_pixels = b"".join((start, *kept, _NO_PIXELS)) if kept else b""
    return PngHeader(width, height, bits, colour, whole, without_pixels)


def png_chunks(stream: BinaryIO, position: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, position and length of the chunks from a position on, to the end of the image or of the file."""
    kind = b""
    while kind != b"IEND":
        stream.seek(position)
        header = stream.read(_CHUNK.size)
        if len(header) < _CHUNK.size:
            return
        length, kind = _CHUNK.unpack(header)
        yield kind, position, length
        position += _AROUND_CONTENT + length
