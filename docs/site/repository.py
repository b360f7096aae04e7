"""MkDocs hook: the pages lie in the site as they do in the repository, and notebooks are pages.

MkDocs takes one folder of pages. Ours lie in several, and link to each other as a forge shows them: README.md to
docs/using.md, that to ../leaderboards/README.md. So each file goes into the site by its path in the repository.
"""

import re
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTEXT.md",
    "CONTRIBUTING.md",
    "DECISIONS.md",
    "CITATION.cff",
    "baselines/external.md",
    "datasets/emps/card.yaml",
    "leaderboards/README.md",
)
"""What is shown or linked to outside docs/."""

_SUFFIXES = (".md", ".png", ".svg", ".ipynb")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FEW_LINES = 40


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the pages that MkDocs found by those of the repository."""
    for file in list(files):
        if Path(file.abs_src_path or "").is_relative_to(config.docs_dir):
            files.remove(file)
    folder = ROOT / "docs"
    own = sorted(path.relative_to(ROOT).as_posix() for path in folder.rglob("*") if path.suffix in _SUFFIXES)
    for path in (*PAGES, *own):
        files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
        if path.endswith(".ipynb"):
            page = str(Path(path).with_suffix(".md"))
            files.append(File.generated(config, page, content=notebook_page(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead links to a notebook, which a forge shows as a page, to its page here."""
    return markdown.replace(".ipynb)", ".md)") if (ROOT / page.file.src_uri).is_file() else markdown


def notebook_page(path: Path) -> str:
    """A notebook as Markdown: its text, its code, and what the code showed."""
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts.append(f"```python\n{cell.source}\n```")
            parts += [shown for output in cell.outputs if (shown := _shown(output))]
    parts.append(f"The notebook itself: [{path.name}]({path.name})")
    return "\n\n".join(parts) + "\n"


def _shown(output: nbformat.NotebookNode) -> str:
    """An output as its best form: a picture, a table, or text."""
    if output.output_type == "stream":
        return _text(output.text)
    data = output.get("data", {})
    if "image/png" in data:
        picture = data["image/png"].replace("\n", "")
        return f'<img alt="{data.get("text/plain", "figure")}" src="data:image/png;base64,{picture}">'
    if "text/html" in data:
        # Without pandas' style, since the theme has one; in one line, since an empty one would end the HTML.
        table = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
        return re.sub(r"\n\s*", "", table.replace(' border="1" class="dataframe"', ""))
    return _text(data.get("text/plain", ""))


def _text(text: str) -> str:
    lines = _ANSI.sub("", text).rstrip().splitlines()[:_FEW_LINES]
    return "```text\n" + "\n".join(lines) + "\n```" if lines else ""
