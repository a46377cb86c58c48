"""The style, the scripts and the security policy of a page, and the environment that renders its template."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from vermilion.world.pairs import is_pair, on_one_line


@dataclass(frozen=True, slots=True)
class Assets:
    """The page's own style and scripts, and the policy that lets the browser run these and nothing else."""

    style: str
    script: str
    plotly: str
    policy: str


def environment(package: str) -> Environment:
    """Return what renders the templates of a package, beside those that all pages share.

    Texts and labels are shown as they are and never as markup.
    """
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("vermilion.page")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
        finalize=_shown,
    )


def _shown(value: object) -> object:
    """Return what a page shows of a value: of a pair of texts both, with a mark between them."""
    return on_one_line(value) if isinstance(value, str) and is_pair(value) else value


@cache
def page_style() -> str:
    """Return the style that all pages share."""
    return environment("vermilion.page").get_template("page.css.j2").render()


@cache
def assets() -> Assets:
    """Return what every page carries with it, about 2 MB: nearly all of it plotly, compressed."""
    style = page_style()
    script = files("vermilion.page").joinpath("templates/page.js").read_text("utf-8")
    plotly = files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    # Without a time stamp the same run gives the same bytes.
    packed = base64.b64encode(gzip.compress(plotly, mtime=0)).decode()
    return Assets(style, script, packed, _policy(style, script, plotly))


def _policy(style: str, script: str, plotly: bytes) -> str:
    """Return the content security policy: this style, these two scripts, and nothing from anywhere."""
    rules = {
        "default-src": "'none'",
        "script-src": f"{policy_digest(script.encode())} {policy_digest(plotly)}",
        # plotly adds its rules, one by one, to a style element that it makes empty.
        "style-src": f"{policy_digest(style.encode())} {policy_digest(b'')}",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def policy_digest(content: bytes) -> str:
    """Return how a content security policy names the one content that it lets through."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
