"""The report page: one HTML file that opens offline, with its style, data and scripts inside.

Nothing from outside becomes markup: texts are made harmless (harness/text.py), the template escapes them, the
data is JSON whose `<`, `>`, `&` and `'` are escapes, the scripts write text and never HTML. And if something
did get through, the page's policy runs no script but its own, known by their hashes, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from harness import __version__
from harness.columns import significant
from harness.errors import FormatError, UsageError
from harness.report.html_cells import Selection
from harness.report.html_page import page
from harness.store import Store
from harness.text import clean

PARTS = Path(__file__).parent / "page"
SCRIPTS = ("plots.js", "charts.js", "details.js", "page.js")  # in this order, as one script


def render(store: Store, selection: Selection = Selection()) -> str:  # noqa: B008 (frozen)
    """The page of the chosen cells as HTML.

    Raises UsageError where nothing is chosen or a package is missing, FormatError for impossible figures.
    """
    try:
        import jinja2
        from markupsafe import Markup
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the report page needs the Python package {error.name}: pip install 'quantbench[report]'"
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PARTS), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters["figure"] = lambda value: "—" if value is None else significant(value)
    scripts = {
        "theme_script": _script(_read("theme.js")),
        "plotly_script": _script(get_plotlyjs()),
        "page_script": _script("\n".join(map(_read, SCRIPTS))),
    }
    try:
        return environment.get_template("report.html.j2").render(
            page=page(store, selection),
            version=__version__,
            css=Markup(_read("report.css")),
            policy=_policy(scripts.values()),
            **{name: Markup(text) for name, text in scripts.items()},
        )
    except (ArithmeticError, TypeError, ValueError) as error:  # a share of 7, a time that is not a number
        raise FormatError(
            f"the results database holds a figure that no measurement gives ({clean(str(error))}): "
            "restore a copy of it"
        ) from error


def _read(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _script(text: str) -> str:
    """A script as it can stand inline: nothing in it ends the element, and its hash is that of its bytes."""
    text = text.replace("\r\n", "\n")
    if any(end in text.lower() for end in ("</script", "<!--", "\r", "\0")):
        raise UsageError("the installed plotly cannot be put into a page: install another version of it")
    return text


def _policy(scripts: Iterable[str]) -> str:
    """The Content-Security-Policy: these scripts and nothing else, and no request to anywhere.

    Styles may be inline because the plotting library sets them; they can load nothing either.
    """
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
