"""How often one address may be wrong and may ask what costs, over real HTTP; and what no answer allows a web site."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from config.model import Api
from config.strict import Secret
from tanflow.web.access.limits import Limit
from tanflow.web.access.pace import COSTS, Pace, address_of
from tanflow.web.access.roles import TABLE
from tests.services.ports import free_port
from tests.tanflow.signing_in import Hand
from tests.tanflow.web import POWER, open_site

TOKEN = "a-token-of-this-test-alone"


async def test_wrong_tokens_are_told_to_wait_and_the_right_one_too(tmp_path: Path) -> None:
    """Else the answer would tell a right guess from a wrong one at any rate."""
    (tmp_path / "token").write_text(TOKEN)
    hand = Hand()
    api = Api(port=free_port(), token=Secret(file=tmp_path / "token"))
    async with open_site(tmp_path, api, now_s=hand) as site:
        right = {"authorization": f"Bearer {TOKEN}"}
        for n in range(10):
            assert (await site.client.get("/api/health", headers={"authorization": f"Bearer {n}"})).status_code == 401
        for headers in ({"authorization": "Bearer 11"}, right):
            answer = await site.client.get("/api/health", headers=headers)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "6")
            assert "wrong tokens" in answer.json()["error"]
        assert (await site.client.get("/api/health")).status_code == 401  # who sends none is not counted
        hand.now += 6
        assert (await site.client.get("/api/health", headers=right)).status_code == 200


async def test_questions_that_cost_are_bounded_and_others_are_not(tmp_path: Path) -> None:
    hand = Hand()
    async with open_site(tmp_path, now_s=hand) as site:
        answers = [(await site.client.get("/api/report?year=x")).status_code for _ in range(21)]
        assert answers == [400] * 20 + [429]
        answer = await site.client.get(f"/api/query?series={POWER}")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert (await site.client.get("/api/health")).status_code == 200
        hand.now += 1.0
        assert (await site.client.get(f"/api/query?series={POWER}")).status_code == 200


def test_one_address_does_not_use_up_anothers() -> None:
    pace = Pace(Hand())
    while not pace.ask("10.0.0.1", "/api/report"):
        pass
    assert pace.ask("10.0.0.2", "/api/report") == 0.0
    assert pace.ask("10.0.0.1", "/api/health") == 0.0


def test_what_is_counted_by_network_and_what_by_address() -> None:
    def counted(host: str) -> str:
        return address_of({"client": (host, 1)})

    assert counted("192.0.2.7") == counted("::ffff:192.0.2.7") == "192.0.2.7"
    assert counted("2001:db8::1") == counted("2001:db8::ffff:2") != counted("2001:db8:0:1::1")
    assert counted("fe80::1%eth0") == "fe80::/64"
    assert address_of({"client": None}) == ""


def test_what_costs_stands_in_the_table_of_addresses() -> None:
    assert COSTS.keys() <= TABLE.keys()


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 5)), max_size=60))
def test_never_more_than_the_burst_and_one_each_so_often(steps: list[tuple[float, int]]) -> None:
    hand = Hand(0.0)
    limit, taken = Limit(5, 0.5, hand), 0
    for passes, tries in steps:
        hand.now += passes
        if not limit.wait_s(tries):
            limit.take(tries)
            taken += tries
        assert taken <= 5 + hand.now / 0.5 + 1e-6


async def test_no_answer_lets_another_web_site_in(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        asking = {"origin": "https://elsewhere.example", "access-control-request-method": "GET"}
        for answer in (
            await site.client.options("/api/health", headers=asking),
            await site.client.get("/api/health", headers=asking),
            await site.client.get("/"),
            await site.client.get("/nothing"),
            await site.client.request("TRACE", "/api/health"),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-frame-options"] == "DENY"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "server" not in answer.headers
            assert answer.status_code == (200 if answer.request.url.path == "/" else answer.status_code)
        assert (await site.client.get("/api/health", headers=asking)).status_code == 403
