"""A document as bytes that depend on its content alone."""

import datetime
import io
import zipfile
from typing import TYPE_CHECKING

from nanoseg_bench.report.formats import FIRST_ZIP_YEAR, require_zip_clock

if TYPE_CHECKING:
    from docx.document import Document

_ZIP_TIME = (FIRST_ZIP_YEAR, 1, 1, 0, 0, 0)
_OWNER_MAY_WRITE = 0o644 << 16


def set_properties(document: "Document", *, title: str, subject: str, author: str, made: datetime.datetime) -> None:
    """What the file says of itself.

    Args:
        document: Its template's statements are replaced.
        title: One line.
        subject: One line.
        author: Empty where nobody is named.
        made: With a time zone.
    """
    properties = document.core_properties
    utc = made.astimezone(datetime.UTC).replace(tzinfo=None, microsecond=0)
    properties.title, properties.subject = title[:255], subject[:255]
    properties.author = properties.last_modified_by = author[:255]
    properties.comments = properties.keywords = ""
    properties.created = properties.modified = utc
    properties.revision = 1


def document_bytes(document: "Document") -> bytes:
    """The .docx, without the time at which it was written.

    Raises:
        NanosegError: The computer's clock says a year that no ZIP file can hold, and python-docx writes it.
    """
    require_zip_clock()
    stream = io.BytesIO()
    document.save(stream)
    again = io.BytesIO()
    with zipfile.ZipFile(stream) as written, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in written.infolist():
            entry = zipfile.ZipInfo(member.filename, _ZIP_TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, _OWNER_MAY_WRITE
            archive.writestr(entry, written.read(member))
    return again.getvalue()
