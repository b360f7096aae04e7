"""Where the files of micrographs lie: a folder for each, named by its id and by nothing that a user wrote."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from nanoseg_bench.webapp.errors import unknown_micrograph
from nanoseg_bench.webapp.schemas import ID_PATTERN

STATE, OUTLINES, IMAGE, THUMBNAIL = "state.json", "outlines.json", "image.png", "thumbnail.png"

_ID = re.compile(ID_PATTERN)


class Folders:
    """The folders below the server's own.

    Args:
        data_dir: Of the server.
    """

    def __init__(self, data_dir: Path) -> None:
        self._root = (data_dir / "micrographs").resolve()
        self._incoming = (data_dir / "incoming").resolve()
        for folder in (self._root, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def of(self, id: str) -> Path:
        """A micrograph's folder.

        Raises:
            RequestError: The id is none, so that its folder might lie elsewhere.
        """
        return self._inside(self._root, id)

    def original(self, id: str, suffix: str) -> Path:
        """The file that was uploaded."""
        return self.of(id) / f"original{suffix}"

    def incoming(self, id: str) -> Path:
        """An empty folder for an upload that is being looked at; ``accept`` moves it to its place."""
        folder = self._inside(self._incoming, id)
        folder.mkdir()
        return folder

    def accept(self, id: str) -> None:
        """What came in is a micrograph."""
        self._inside(self._incoming, id).rename(self.of(id))

    def refuse(self, id: str) -> None:
        """What came in is none."""
        shutil.rmtree(self._inside(self._incoming, id), ignore_errors=True)

    def delete(self, id: str) -> None:
        """Delete all files of a micrograph."""
        shutil.rmtree(self.of(id), ignore_errors=True)

    def tidy(self, known: Collection[str]) -> None:
        """Delete what a kill left: uploads that were not taken yet, and folders of no micrograph."""
        for root, keep in ((self._incoming, ()), (self._root, known)):
            for folder in root.iterdir():
                if folder.name not in keep:
                    shutil.rmtree(folder, ignore_errors=True)

    def set_aside(self) -> Path | None:
        """Move the folders of all micrographs away, where no list of them is left; to where, None if there are none."""
        if not any(self._root.iterdir()):
            return None
        number = 1
        while (place := self._root.with_name(f"{self._root.name}-set-aside-{number}")).exists():
            number += 1
        self._root.rename(place)
        self._root.mkdir()
        return place

    def free_bytes(self) -> int:
        """Of the disk."""
        return shutil.disk_usage(self._root).free

    @staticmethod
    def _inside(root: Path, id: str) -> Path:
        folder = (root / id).resolve()
        if not _ID.fullmatch(id) or folder.parent != root:
            raise unknown_micrograph()
        return folder
