"""The page that classifies in the browser: rendered here, with the pinned libraries that it needs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from vermilion.page.shell import environment, page_style, policy_digest
from vermilion.world.models import SavedModel
from vermilion.world.npm_packages import ORT_WEB, TOKENIZERS

PAGE, SCRIPT = "index.html", "page.mjs"
PACKAGES = (ORT_WEB, TOKENIZERS)


def browser_files(model: SavedModel, npm: Path | None) -> dict[str, bytes]:
    """Return the page, its script and the libraries, by file name.

    Parameters
    ----------
    model : SavedModel
    npm : Path or None
        Folder with the archives of `PACKAGES`; None: fetched from the npm registry.

    Raises
    ------
    ModelError
        A package cannot be had, or is not what its integrity says.
    """
    libraries = {name: content for package in PACKAGES for name, content in package.read(npm).items()}
    template = environment("vermilion.export").get_template("page.html.j2")
    style = page_style()
    page = template.render(
        style=style,
        policy=_policy(style),
        labels=len(model.labels),
        encoder=model.encoder,
        task=model.task,
        libraries=[f"{package.name} {package.version}" for package in PACKAGES],
    )
    script = files("vermilion.export").joinpath("templates", SCRIPT).read_bytes()
    return {**libraries, PAGE: page.encode(), SCRIPT: script}


def _policy(style: str) -> str:
    """Return the content security policy: scripts and data of this folder, WebAssembly, and nothing from elsewhere."""
    rules = {
        "default-src": "'none'",
        "script-src": "'self' 'wasm-unsafe-eval'",
        "connect-src": "'self'",
        "style-src": policy_digest(style.encode()),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
