"""What /api/openapi.json says is what the addresses take: every one of them, every parameter, every body."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tanflow.web.access.roles import TABLE
from tanflow.web.openapi import document
from tests.tanflow.web import open_site


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(m, path, said) for path, by in document()["paths"].items() for m, said in by.items()]


def test_every_address_of_the_one_table_is_described() -> None:
    assert {(m.upper(), path) for m, path, _ in operations()} == {(m, p) for p, by in TABLE.items() for m in by}


async def test_each_address_knows_the_parameters_that_are_described_and_no_other(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        for method, path, said in operations():
            body = {"json": {}} if method == "post" else {}
            if path == "/api/documents" and method == "post":
                body = {"content": b"a\n1\n", "headers": {"content-type": "text/csv"}}  # type: ignore[dict-item]
            place = path.replace("{name}", "press")
            answer = await site.client.request(method, place, params={"nonsense": "1"}, **body)  # type: ignore[arg-type]
            assert answer.status_code == 400, (method, path, answer.text)
            names = [one["name"] for one in said["parameters"] if one["in"] == "query"]
            known = f"known here: {', '.join(names)}" if names else "there are none here"
            assert answer.json()["error"] == f"unknown parameter 'nonsense'; {known}", (method, path)


async def test_each_body_is_of_the_types_that_are_described(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        for method, path, said in operations():
            if method != "post":
                continue
            kinds = list(said["requestBody"]["content"])
            answer = await site.client.post(path, content=b"x", headers={"content-type": "text/plain"})
            assert answer.status_code == 400, path
            told = answer.json()["error"]
            assert sorted(told.partition("is none of ")[2].split(", ")) == sorted(kinds), path


async def test_it_is_served_and_every_choice_it_names_is_one(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        answer = await site.client.get("/api/openapi.json")
        assert answer.json() == document()
        for method, path, said in operations():
            for one in said["parameters"]:
                if method == "get" and path != "/api/report":
                    for value in one["schema"].get("enum", ()):
                        found: httpx.Response = await site.client.get(path, params={one["name"]: value})
                        assert f"{one['name']}={value!r}" not in found.text, (path, value)
