"""The devices of each asset, and what is wrong with one now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from config.bindings import BoundDevice

if TYPE_CHECKING:
    from tanflow.gateway import Gateway


def devices_by_asset(gateway: Gateway) -> dict[str, list[BoundDevice]]:
    """Return the devices of each asset that has any."""
    found: dict[str, list[BoundDevice]] = {}
    for device in gateway.devices:
        found.setdefault(device.asset_name, []).append(device)
    return found


def trouble(gateway: Gateway, device: BoundDevice) -> str:
    """Return what is wrong with a device now, "" when it is well."""
    counters = gateway.board.component(f"collector.{device.device.connection}")
    words = counters.links.get(device.key, "")
    return words or (counters.last_error or "not connected" if counters.state == "down" else "")


def state_of(gateway: Gateway, device: BoundDevice) -> Literal["ok", "slow", "down"]:
    """Return ok, slow (it answers, but takes longer than its period) or down."""
    if not trouble(gateway, device):
        return "ok"
    counters = gateway.board.component(f"collector.{device.device.connection}")
    return "slow" if device.key in counters.slow and counters.state != "down" else "down"


def described(gateway: Gateway, device: BoundDevice) -> dict[str, Any]:
    """Return what is known of a device: where it is, what it is, and how."""
    connection, wrong = gateway.config.connections[device.device.connection], trouble(gateway, device)
    return {
        "name": device.name,
        "connection": device.device.connection,
        "protocol": connection.protocol,
        "address": device.device.address,
        "template": device.device.template,
        "state": state_of(gateway, device),
        "last_error": wrong or None,
    }
