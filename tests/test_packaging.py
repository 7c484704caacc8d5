"""The wheel: what is in it, that its plain package names are nobody else's, and that it runs where it is installed."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("carbon", "collectors", "config", "pipeline", "simulators", "sinks", "tanflow")
DATA = (
    "config/gateway.schema.json",
    "config/asset_types/compressor.yaml",
    "config/grades/gb19153_2019.csv",
    "config/templates/eastron_sdm630.yaml",
    "config/factors/grid-mee-nbs.csv",
    "simulators/demo.yaml",
    "simulators/factory.yaml",
    "simulators/scenarios/leak.yaml",
    "tanflow/web/static/index.html",
    "tanflow/web/static/vendor/LICENSE",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that the build leaves nothing in the source tree."""
    source = tmp_path_factory.mktemp("source")
    for name in OURS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(out), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, cwd=out)
    (found,) = out.glob("tanflow-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone into a directory of its own."""
    target = tmp_path_factory.mktemp("installed")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, cwd=target)
    return target


def roots(files: list[str]) -> set[str]:
    """Return the top-level import names a list of installed files claims."""
    tops = {Path(f).parts[0] for f in files if not f.startswith(("..", "/"))}
    return {re.sub(r"\.py$", "", top) for top in tops if not top.endswith((".dist-info", ".pth"))}


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert roots(names) == set(OURS)


def test_every_python_package_of_the_tree_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {p.relative_to(ROOT).as_posix() for name in OURS for p in (ROOT / name).rglob("*.py")}
    assert sources <= names, f"add to packages in pyproject.toml: {sorted(sources - names)}"


def test_data_files_are_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    kinds = (".yaml", ".csv", ".json", ".html", ".css", ".js", ".svg")
    data = {p.relative_to(ROOT).as_posix() for n in OURS for p in (ROOT / n).rglob("*") if p.suffix in kinds}
    assert data <= names, f"add to package-data in pyproject.toml: {sorted(data - names)}"
    assert set(DATA) <= names


def test_no_dependency_owns_one_of_our_names() -> None:
    for distribution in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")]):
        if distribution.metadata["Name"] != "tanflow":
            claimed = roots([str(f) for f in distribution.files or ()]) & set(OURS)
            assert not claimed, f"{distribution.metadata['Name']} installs {sorted(claimed)}"


def test_installed_packages_are_the_wheels(installed: Path) -> None:
    code = "import importlib, sys; print(*(importlib.import_module(n).__file__ for n in sys.argv[1:]), sep='\\n')"
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {code}", *OURS]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=installed.parent)
    for name, file in zip(OURS, said.stdout.split(), strict=True):
        assert Path(file).is_relative_to(installed / name)


def test_the_installed_program_starts_away_from_the_source_tree(installed: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-c",
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import tanflow.cli as c; c.main()",
    ]
    said = subprocess.run(
        [*command, str(installed), "--help"], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    for name in ("demo", "run", "check", "simulate", "status", "tail", "deadletters"):
        assert name in said.stdout


def test_the_console_script_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"tanflow": "tanflow.cli:main"}


def test_the_locks_are_hashed_and_name_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text, f"{name} names an index"
        pinned = re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
        blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
        assert len(blocks) == len(pinned)
        assert all("--hash=sha256:" in block for block in blocks)


def test_the_runtime_lock_is_part_of_the_development_lock() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([\w.-]+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")
