"""Where ``datasets/`` and ``baselines/`` lie: in the repository (editable install) or inside the installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(kind: str) -> Path:
    """Folder ``datasets`` or ``baselines``.

    Raises:
        FileNotFoundError: Neither the repository root nor the package holds it: the installation is broken.
    """
    for folder in (_PACKAGE.parent / kind, _PACKAGE / "_data" / kind):
        # The repository root is only taken for ours when pyproject.toml lies beside: site-packages has none.
        if folder.is_dir() and (folder.parent.name == "_data" or (folder.parent / "pyproject.toml").is_file()):
            return folder
    raise FileNotFoundError(f"{kind}/ is missing from the installation at {_PACKAGE}; reinstall nanoseg-bench")
