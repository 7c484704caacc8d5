"""`tanflow notify`: whether messages about alerts reach those who should read them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from config.errors import GatewayError, Rejected, Unavailable
from config.explain import nearest
from config.load import load
from config.model import Gateway
from config.words import text
from pipeline.desk.episode import Cost, Episode
from pipeline.heartbeat import GATEWAY
from sinks.notify.message import Message, Telling
from tanflow import alerting
from tanflow.commands.options import ConfigFile

app = typer.Typer(no_args_is_help=True, help="Messages about alerts: docs/notifications.md.")
out = Console(highlight=False, soft_wrap=True)
_NEVER: Final = "it refuses this for good: check the address, user, password or token of this channel"
_LATER: Final = "check that this machine reaches it: address, port, firewall, and proxy: where the plant has one"


@app.callback()
def _group() -> None:
    """Keep `test` a command of its own."""


@app.command("test")
def send_test(
    config: ConfigFile = Path("gateway.yaml"),
    channel: Annotated[str, typer.Option(help="Only this one; default: every channel.")] = "",
) -> None:
    """Send a test message by each channel now, from here; exit 1 where one does not take it."""
    gateway = load(config).gateway
    known = gateway.notify.channels
    if not known:
        raise GatewayError(f"{config} has no channels; write notify: {{channels: …}}, docs/notifications.md says how")
    if channel and channel not in known:
        raise GatewayError(f"there is no channel '{channel}'{nearest(channel, known)}")
    wrong = asyncio.run(_all(gateway, [channel] if channel else list(known)))
    if wrong:
        raise typer.Exit(1)


async def _all(gateway: Gateway, names: list[str]) -> int:
    """Test channels beside each other, tell of each, and return how many did not take the message."""
    told = await asyncio.gather(*(_one(gateway, name) for name in names))
    for name, (why, what_to_do) in zip(names, told, strict=True):
        out.print(f"{name}: {why or 'ok, the message was taken'}", markup=False)
        if what_to_do:
            out.print(f"  {what_to_do}", markup=False)
    return sum(bool(why) for why, _ in told)


async def _one(gateway: Gateway, name: str) -> tuple[str, str]:
    """Return what is wrong with a channel and what to do about it; nothing where it took the message."""
    try:
        async with alerting.channel(gateway, name, lambda _, excess, __: Cost(excess)) as channel:
            await channel.send(_message(gateway, name))
    except Rejected as error:
        return str(error), _NEVER
    except Unavailable as error:
        return str(error), _LATER
    except (GatewayError, OSError) as error:  # a secret or certificate that cannot be read
        return str(error), ""
    return "", ""


def _message(gateway: Gateway, name: str) -> Message:
    """Return a message about nothing; every one has an id of its own."""
    now = time.time_ns()
    episode = Episode(f"{GATEWAY}.test@{now}", GATEWAY, "", "test", "test", "info", "", fired_ns=now)
    language = getattr(gateway.notify.channels[name], "language", None) or gateway.notify.language
    telling = Telling(0, now, "test", episode, text(language, "notify.test_advice"))
    return Message(f"{gateway.site.name}-{name}-test-{now}", [telling])
