"""The documents: links lead somewhere, commands and targets exist, every dependency has its reason, configs load."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections import ChainMap
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from config.load import load
from tanflow.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("carbon", "collectors", "config", "pipeline", "simulators", "sinks", "tanflow")
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=\[]", line)[0] for line in declared}
    table = re.findall(r"^\| ([\w-]+(?:, [\w-]+)*) \| \S", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
    explained = {name for cell in table for name in cell.split(", ")} - {"package"}
    assert explained == names


def test_the_readme_lists_every_command() -> None:
    help_text = CliRunner().invoke(app, ["--help"]).stdout
    listed = set(re.findall(r"^\| `tanflow (\w+)", README, re.MULTILINE))
    offered = set(re.findall(r"^│ (\w+) +\S", help_text, re.MULTILINE))
    assert listed == offered


def test_the_readmes_configuration_is_valid(tmp_path: Path) -> None:
    """Its blocks are steps of one file."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)]
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(dict(ChainMap(*blocks))))
    assert list(load(tmp_path / "gateway.yaml").gateway.alerts) == ["too-much"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_named_in_documents_exist(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(PACKAGES)}|tests|benchmarks|dashboards)/[\w./-]+\.\w+)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_targets_named_in_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {t for page in PAGES for t in re.findall(r"`make ([a-z]+)", page.read_text())}
    assert named <= targets
    said = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^make (\w+)", said, re.MULTILINE)) == targets - {"help", "needs"}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_says_what_enters_and_what_leaves(name: str) -> None:
    assert (ROOT / name / "README.md").is_file()


@pytest.mark.parametrize("name", PACKAGES)
def test_modules_named_on_a_packages_page_are_there(name: str) -> None:
    named = re.findall(r"`([a-z_0-9/]+\.py)`", (ROOT / name / "README.md").read_text())
    there = {module.name for module in (ROOT / name).rglob("*.py")}
    missing = [n for n in named if Path(n).name not in there and not (ROOT / n).exists()]
    assert missing == []


def test_every_module_opens_with_what_it_is_for() -> None:
    for name in (*PACKAGES, "benchmarks", "dashboards"):
        for module in (ROOT / name).rglob("*.py"):
            if "node_modules" in module.parts:  # others', put there by npm
                continue
            text = module.read_text()
            first = text.startswith(('"""', "#!")) or not text.strip()
            assert first, f"{module.relative_to(ROOT)} has no first sentence"
