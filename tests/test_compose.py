"""docker-compose.yml: its form, what it refuses to start without, and that its files fit each other."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from config.load import load

ROOT = Path(__file__).parents[1]
REQUIRED = {"INFLUX_USER": "someone", "GRAFANA_USER": "someone", "TANFLOW_SECRETS": "./docker/secrets"}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def compose(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    if shutil.which("docker-compose"):
        program = ["docker-compose"]
    elif shutil.which("docker"):
        program = ["docker", "compose"]
    else:
        pytest.fail("docker-compose is missing: scripts/needs docker-compose installs it or says how")
    clean = {key: value for key, value in os.environ.items() if key not in REQUIRED} | env
    command = [*program, "-f", "docker-compose.yml", *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=600, check=False)


def test_the_file_is_accepted() -> None:
    answer = compose("config", "-q", env=REQUIRED)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("left_out", sorted(REQUIRED))
def test_nothing_starts_with_a_name_or_secret_left_out(left_out: str) -> None:
    answer = compose("config", "-q", env={k: v for k, v in REQUIRED.items() if k != left_out})
    assert answer.returncode != 0
    assert left_out in answer.stdout + answer.stderr or "make-secrets" in answer.stderr


def test_no_secret_stands_in_the_file() -> None:
    for name, service in COMPOSE["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET", key):
                assert str(value).startswith("/run/secrets/"), f"{name}: {key}"


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_every_service_is_pinned_watched_and_unprivileged(name: str) -> None:
    service = COMPOSE["services"][name]
    assert re.search(r":\d+\.\d+\.\d+", service["image"]), "a version, not a moving tag"
    assert service["healthcheck"]["test"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    if "build" in service:
        assert "USER tanflow" in (ROOT / service["build"]["dockerfile"]).read_text()
    else:
        assert int(service["user"].partition(":")[0]) > 0
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), "nothing listens beyond this machine"


@pytest.mark.parametrize("name", ["gateway", "plant", "mosquitto", "grafana"])
def test_the_root_of_what_meets_the_network_is_read_only(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"} & service.keys()
    for volume in service.get("volumes", ()):
        assert volume.endswith(":ro") or re.fullmatch(r"[\w-]+:/[\w/-]+", volume), "only named volumes are written to"
    if "build" in service:
        (temporary,) = service["tmpfs"]
        assert set(temporary.partition(":")[2].split(",")) >= {"noexec", "nosuid", "nodev"}


def test_the_image_holds_every_package_of_ours() -> None:
    recipe = (ROOT / "docker/Dockerfile").read_text()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    for package in {name.partition(".")[0] for name in packages}:
        assert f"COPY {package} {package}\n" in recipe, package
    assert "--require-hashes" in recipe


def test_every_file_that_is_mounted_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert not source.startswith("./") or (ROOT / source).exists(), source


def test_every_secret_is_written_for_those_who_ask(tmp_path: Path) -> None:
    where = tmp_path / "secrets"
    subprocess.run([sys.executable, ROOT / "docker/make-secrets", where], check=True, capture_output=True)
    asked = {name for service in COMPOSE["services"].values() for name in service.get("secrets", ())}
    assert asked <= set(COMPOSE["secrets"])
    assert set(COMPOSE["secrets"]) == {path.name for path in where.iterdir()}
    assert where.stat().st_mode & 0o777 == 0o700
    again = subprocess.run([sys.executable, ROOT / "docker/make-secrets", where], capture_output=True, check=False)
    assert again.returncode != 0, "secrets in use are never replaced"


def test_the_page_has_a_certificate_of_its_own_key_and_names(tmp_path: Path) -> None:
    make: list[str | Path] = [sys.executable, ROOT / "docker/make-secrets", tmp_path, "gateway.plant.example"]
    subprocess.run(make, check=True, capture_output=True)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "api_certificate", tmp_path / "api_key")
    found = x509.load_pem_x509_certificate((tmp_path / "api_certificate").read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gateway.plant.example", "localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_a_broker_password_matches_its_hash(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "docker/make-secrets", tmp_path], check=True, capture_output=True)
    lines = (tmp_path / "mosquitto_passwd").read_text().splitlines()
    user, _, rest = lines[0].partition(":")
    _, kind, iterations, salt, digest = rest.split("$")
    password = (tmp_path / f"mqtt_{user}").read_text().strip()
    expected = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), int(iterations))
    assert (kind, base64.b64decode(digest)) == ("7", expected)


def test_the_gateway_reads_the_example_factory_by_the_names_of_the_network(tmp_path: Path) -> None:
    text = (ROOT / "docker/gateway.yaml").read_text()
    subprocess.run([sys.executable, ROOT / "docker/make-secrets", tmp_path / "s"], check=True, capture_output=True)
    local = tmp_path / "gateway.yaml"
    local.write_text(text.replace("/run/secrets", str(tmp_path / "s")).replace("plant:15020", "127.0.0.1:15020"))
    ours, example = load(local).gateway, load(ROOT / "examples/factory.yaml").gateway
    assert ours.areas == example.areas
    assert (ours.site, ours.windows, ours.alerts) == (example.site, example.windows, example.alerts)
    assert set(re.findall(r"/run/secrets/(\w+)", text)) <= set(COMPOSE["services"]["gateway"]["secrets"])
