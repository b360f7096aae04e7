"""Packages that only some verbs need: the extras that ``pyproject.toml`` declares beside what all of them need."""

from importlib.util import find_spec

from nanoseg_bench.errors import MissingExtraError

EXTRAS = {
    "docx": "app",
    "flask": "app",
    "fsspec": "s3",
    "h5py": "em",
    "labelme": "annotate",
    "lxml": "app",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "pptx": "app",
    "rapidocr": "app",
    "ray": "ray",
    "rsciio": "em",
    "s3fs": "s3",
    "sklearn": "fit",
    "sparse": "em",
    "waitress": "app",
    "werkzeug": "app",
    "xlsxwriter": "app",
}
"""The extra that brings a package, by the name that is imported."""


def is_installed(package: str) -> bool:
    """Whether a package is there; it is not imported."""
    return find_spec(package) is not None


def way_to(extra: str) -> str:
    """The command that adds an extra to an installation; the quotes are those that Windows' prompt knows, too."""
    return f'pip install "nanoseg-bench[{extra}]"'


def require_packages(what: str, *packages: str, otherwise: str = "") -> None:
    """Refuse what cannot be done without packages of an extra, before any work is done for it.

    Args:
        what: Needs them; the message begins with it.
        packages: Keys of ``EXTRAS``.
        otherwise: Another way out, if there is one.

    Raises:
        MissingExtraError: Some of them are not installed; says how to get them.
    """
    missing = [name for name in packages if not is_installed(name)]
    if missing:
        ways = f"{way_to(EXTRAS[missing[0]])}{f'; {otherwise}' if otherwise else ''}"
        raise MissingExtraError(f"{what} needs {' and '.join(missing)}, not installed here; run: {ways}")
