"""Self-contained HTML pages: one skeleton and one style, with pictures and charts inside the file.

A page needs no network and no other file. Its template extends ``page.html`` of this package::

    {% extends "page.html" %}
    {% block content %}...{% endblock %}

Same input, same bytes.
"""

import base64
import hashlib
import io
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.wording import thousands_apart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_QUALITIES = (80, 65, 50, 35, 20)


def render(package: str, template: str, **values: Any) -> str:
    """Fill a template; values are escaped unless they are ``Markup``.

    Args:
        package: Python package whose ``templates`` folder holds the template.
        template: Its file name.
        values: Its variables.

    Raises:
        jinja2.UndefinedError: The template uses a variable that is not given.
    """
    return _environment(package).get_template(template).render(**values)


@cache
def _environment(package: str) -> jinja2.Environment:
    """It keeps the templates that it has compiled, which takes longer than to fill them."""
    loaders = [jinja2.PackageLoader(package), jinja2.PackageLoader(__name__)]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = number
    return environment


@dataclass(frozen=True, slots=True)
class Script:
    """A script inside a page.

    Attributes:
        text: Between the tags.
        digest: For the page's Content-Security-Policy, which then lets nothing else run, whatever a name contains.
    """

    text: Markup
    digest: str


def script(package: str, name: str) -> Script:
    """A script of this project, from the ``templates`` folder of a package."""
    text = (files(package) / "templates" / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Script(Markup(text), f"sha256-{digest}")  # noqa: S704  (ours, not a user's)


def number(value: float) -> str:
    """A number for reading: whole ones with thousands apart (narrow no-break space), others to three digits."""
    if isinstance(value, int) or float(value).is_integer() or abs(value) >= 1000:
        return thousands_apart(value)
    digits = 3 - len(str(int(abs(value)))) if abs(value) >= 1 else 3
    return f"{value:.{digits}f}" if abs(value) >= 0.001 else f"{value:.2g}"


def data_uri(pixels: NDArray[np.uint8], max_bytes: int | None = None) -> str:
    """A picture as a ``data:`` address (WebP).

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
        max_bytes: Of the encoded picture; the quality falls until it fits, or to the lowest that is still legible.
    """
    encoded = b""
    for quality in _QUALITIES:
        stream = io.BytesIO()
        Image.fromarray(pixels).convert("RGB").save(stream, "WEBP", quality=quality, method=4)
        encoded = stream.getvalue()
        if max_bytes is None or len(encoded) <= max_bytes:
            break
    return "data:image/webp;base64," + base64.b64encode(encoded).decode("ascii")


def svg(figure: "Figure", identifier: str, description: str) -> Markup:
    """A matplotlib figure as an ``<svg>`` element that follows the width of its column.

    Args:
        figure: Made without pyplot.
        identifier: Unique on the page; keeps the ids of one chart apart from those of the next.
        description: Read aloud in place of the chart.
    """
    import matplotlib as mpl

    stream = io.StringIO()
    # Texts stay texts: small, searchable, and in the page's font. The salt makes the ids repeatable.
    with mpl.rc_context({"svg.hashsalt": identifier, "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{identifier}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{identifier}-", text)
    opening = f'<svg class="chart" role="img" aria-label="{escape(description)}"'
    text = re.sub(r'<svg(?P<rest>[^>]*?) width="[^"]*"', rf"{opening}\g<rest>", text, count=1)
    # The view box alone decides the shape; width and height come from the page.
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return Markup(text)  # noqa: S704  (matplotlib escapes its texts)
