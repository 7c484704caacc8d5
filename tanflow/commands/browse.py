"""`tanflow browse`: what an OPC UA server has, with units and values, and a configuration of what is chosen of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from pydantic import ValidationError
from rich.console import Console

from config.errors import GatewayError
from config.explain import explain
from config.load import load
from config.protocols.opcua import OpcuaConnection, OpcuaPoint, OpcuaSecurity
from config.strict import Secret
from tanflow.commands.certs import certs_folder, keeps, ours

if TYPE_CHECKING:
    from collectors.opcua_browse import Found, Tree

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)
_PASSWORD: Final = "TANFLOW_PASSWORD"
_SHOWN: Final = 60  # characters of a value


def browse(
    server: Annotated[str, typer.Argument(help="opc.tcp://host:port, or with -c a connection's name.")],
    node: Annotated[str, typer.Option(help="Begin here: a NodeId or a browse path; default: Objects.")] = "",
    depth: Annotated[int, typer.Option(help="How many levels down.", min=1, max=50)] = 5,
    most: Annotated[int, typer.Option("--max", help="How many nodes at most.", min=1, max=100_000)] = 2_000,
    security: Annotated[str, typer.Option(help="A policy, e.g. Basic256Sha256; with :sign it only signs.")] = "",
    user: Annotated[str, typer.Option(help=f"Sign in by name; the password is ${_PASSWORD}, or asked.")] = "",
    match: Annotated[list[str] | None, typer.Option(help="Choose variables by path, e.g. 'Plant/*/Power'.")] = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="Print the configuration of the chosen variables.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write that configuration to a new file.")] = None,
    config: Annotated[Path | None, typer.Option("-c", "--config", help="A configuration with the connection.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", readable=False, help="The data directory with the certificates.")
    ] = None,
) -> None:
    """Show an OPC UA server's nodes with types, units, ranges, values; only browses and reads."""
    from tanflow.commissioning.opcua_yaml import configuration

    if output is not None and output.exists():
        raise GatewayError(f"{output} exists; name a new file")
    connection = _connection(server, security, user, config)
    certs = certs_folder(config, data)
    kept = f"; {ours(certs)} keeps the certificates of both" if keeps(connection) else ""
    bounds = f"at most {most} nodes, {depth} levels"
    err.print(f"browsing {connection.url} ({bounds}); nothing is written to it{kept}", markup=False)
    tree, namespaces = asyncio.run(_browsed(connection, certs, node, depth, most))
    if not yaml and output is None:
        _print(tree.root)
    if tree.cut:
        err.print(tree.cut, markup=False)
    if yaml or output is not None:
        text = configuration(connection, tree.root, namespaces, match or [])
        if output is not None:
            output.write_text(text, encoding="utf-8")
            err.print(f"{output} is written; check it: tanflow check -c {output}", markup=False)
        else:
            out.print(text, markup=False, end="")


def _connection(server: str, security: str, user: str, config: Path | None) -> OpcuaConnection:
    if "://" not in server:
        found = load(config or Path("gateway.yaml")).gateway.connections.get(server)
        if not isinstance(found, OpcuaConnection):
            raise typer.BadParameter(
                f"'{server}' is no OPC UA connection of the configuration, nor opc.tcp://host:port"
            )
        return found
    if user and _PASSWORD not in os.environ:
        os.environ[_PASSWORD] = typer.prompt(f"password of {user}", hide_input=True, err=True)
    policy, _, mode = security.partition(":")
    try:
        secured = None
        if policy:
            message = "sign" if mode == "sign" else "sign_and_encrypt"
            secured = OpcuaSecurity.model_validate({"policy": policy, "message": message})
        named = {"username": user, "password": Secret(env=_PASSWORD)} if user else {}
        return OpcuaConnection.model_validate({"protocol": "opcua", "url": server, "security": secured, **named})
    except ValidationError as error:
        said = (f"{'.'.join(map(str, e['loc']))}: {explain(e, OpcuaConnection)}" for e in error.errors())
        raise typer.BadParameter("; ".join(said)) from None


async def _browsed(
    connection: OpcuaConnection, certs: Path, start: str, depth: int, most: int
) -> tuple[Tree, list[str]]:
    from asyncua import ua

    from collectors.opcua_browse import browse as walk
    from collectors.opcua_session import connect
    from collectors.reaching import why_not

    session = await connect(connection, lambda _: None, certs)
    try:
        point = _point(start or "i=85")
        await session.locate([point])
        place = session.places[point]
        if place.node is None:
            raise GatewayError(place.words)
        tree = await walk(session, place.node, depth, most, lambda n: err.print(f"  {n} nodes", markup=False))
        return tree, session.places.namespaces
    except (TimeoutError, OSError, ua.UaError) as error:
        raise GatewayError(f"{connection.url} stopped answering: {why_not(error)}") from error
    finally:
        await session.close(within_s=connection.timeout_s)


def _point(text: str) -> OpcuaPoint:
    try:
        return OpcuaPoint(node=text)
    except ValidationError:
        return OpcuaPoint(path=text)


def _print(found: Found) -> None:
    for child in found.children:
        out.print(f"{'  ' * found.depth}{child.name}{_said(child)}", markup=False)
        _print(child)


def _said(found: Found) -> str:
    if found.value is None:
        return f"  [{found.node.to_string()}]"
    variant, status = found.value.Value, found.value.StatusCode
    kind = "nothing" if variant is None else variant.VariantType.name + (" array" if variant.is_array else "")
    value = "" if variant is None or variant.Value is None else f" = {str(variant.Value)[:_SHOWN]}"
    unit = f" {found.unit.DisplayName.Text or ''}" if found.unit is not None else ""
    span = f" ({found.range.Low:g} … {found.range.High:g})" if found.range is not None else ""
    state = "" if status is None or status.is_good() else f" {status.name}"
    return f"{value}{unit}{span}{state}  {kind}  [{found.node.to_string()}]"
