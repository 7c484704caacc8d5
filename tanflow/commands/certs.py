"""`tanflow certs`: what the gateway shows OPC UA servers and browsers, whom it trusts, and what is wrong in between."""

from __future__ import annotations

import asyncio
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from config.errors import GatewayError
from config.load import load
from config.protocols.opcua import OpcuaConnection
from pipeline.log.directory import check_format
from tanflow.commands.options import ConfigFile, DataFolder, plain_table

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

app = typer.Typer(no_args_is_help=True, help=__doc__)
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

Config = Annotated[Path | None, typer.Option("-c", "--config", help="The gateway's configuration.")]
Which = Annotated[str, typer.Argument(help="Thumbprint, or the beginning of one, or a file in DER or PEM.")]


def certs_folder(config: Path | None, data: Path | None) -> Path:
    """Return where the certificates lie: below --data, else where the configuration says, else below ./data."""
    if data is None and (config is not None or Path("gateway.yaml").exists()):
        data = load(config or Path("gateway.yaml")).gateway.data.dir
    check_format(data or Path("data"))
    return (data or Path("data")) / "certs"


def ours(certs: Path) -> Path:
    """Return the folder for a command that keeps something in it.

    Raises GatewayError where it belongs to another user than the one at work: the gateway could not read what is kept.
    """
    there = next((place for place in (certs, certs.parent) if place.exists()), None)
    if there is None:
        if os.geteuid() == 0 and "SUDO_UID" in os.environ:
            words = "does not exist yet, and the gateway could not read what root makes there"
            raise GatewayError(f"{certs.parent} {words}; run it as the gateway's user: sudo -u USER tanflow …")
        return certs
    owner = there.stat().st_uid
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"'#{owner}'"
        words = f"belongs to the user {name}, and the gateway could not read what another makes there"
        raise GatewayError(f"{there} {words}; run it as that user: sudo -u {name} tanflow …")
    return certs


def keeps(connection: OpcuaConnection) -> bool:
    """Return whether asking a server may leave certificates in the gateway's folder."""
    return connection.security is not None or connection.username is not None


@app.command("list")
def list_(config: Config = None, data: DataFolder = None) -> None:
    """List the gateway's certificate and those of servers: trusted, issuers, rejected."""
    from collectors.opcua_certificates import CERTIFICATE, OWN, common_name, read, thumbprint
    from collectors.opcua_trust import ISSUERS, REJECTED, TRUSTED, TrustList

    certs = certs_folder(config, data)
    trust = TrustList(certs)
    mine = certs / OWN / CERTIFICATE
    rows = [(OWN, read(mine))] if mine.exists() else []
    rows += [(folder, one) for folder in (TRUSTED, ISSUERS, REJECTED) for one in trust.content(folder).values()]
    table = plain_table("", "name", "thumbprint", "until")
    table.columns[2].no_wrap = True  # it is copied from here
    for folder, one in rows:
        table.add_row(folder, common_name(one), thumbprint(one), f"{one.not_valid_after_utc:%Y-%m-%d}")
    if rows:
        out.print(table)
    else:
        out.print(f"{certs} holds nothing yet; the first secured connection makes the gateway's own", markup=False)


@app.command()
def show(which: Which, config: Config = None, data: DataFolder = None) -> None:
    """Show all a certificate says."""
    from collectors.opcua_trust import TrustList

    file, one = TrustList(certs_folder(config, data)).find(which)
    for name, value in _facts(one).items():
        out.print(f"{name:<14}{value}", markup=False)
    out.print(f"{'file':<14}{file}", markup=False)


@app.command()
def trust(
    which: Which,
    issuer: Annotated[bool, typer.Option("--issuer", help="An authority: trust every server it signs.")] = False,
    config: Config = None,
    data: DataFolder = None,
) -> None:
    """Trust a server's certificate, or with --issuer an authority's."""
    from collectors.opcua_certificates import common_name, thumbprint
    from collectors.opcua_trust import ISSUERS, TRUSTED, TrustList, is_authority

    list_of = TrustList(ours(certs_folder(config, data)))
    _, one = list_of.find(which)
    if issuer and not is_authority(one):
        raise GatewayError(f"'{common_name(one)}' signs no certificates; trust it without --issuer")
    file = list_of.move(one, ISSUERS if issuer else TRUSTED)
    what = "every certificate it signs is trusted now" if issuer else "is trusted now"
    out.print(f"'{common_name(one)}' {thumbprint(one)}: {what} ({file})", markup=False)


@app.command()
def reject(which: Which, config: Config = None, data: DataFolder = None) -> None:
    """Trust a certificate no longer; open sessions last until their connection is opened again."""
    from collectors.opcua_certificates import common_name, thumbprint
    from collectors.opcua_trust import REJECTED, TrustList

    list_of = TrustList(ours(certs_folder(config, data)))
    _, one = list_of.find(which)
    list_of.move(one, REJECTED)
    out.print(f"'{common_name(one)}' {thumbprint(one)} is not trusted", markup=False)


@app.command()
def renew(config: Config = None, data: DataFolder = None) -> None:
    """Make the gateway's certificate and key anew; the old ones are kept. Every server must trust the new one."""
    from collectors.opcua_certificates import renew as made_anew
    from collectors.opcua_certificates import thumbprint

    made = made_anew(ours(certs_folder(config, data)))
    words = "trust it on every server (tanflow certs export), then restart the gateway"
    out.print(f"{thumbprint(made.certificate)}, ApplicationUri {made.uri}: {words}", markup=False)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write it, in DER.")] = Path("tanflow.der"),
    config: Config = None,
    data: DataFolder = None,
) -> None:
    """Write the gateway's certificate for a server's administrator; its key stays. Made first where there is none."""
    from collectors.opcua_certificates import der, own, thumbprint

    mine = own(ours(certs_folder(config, data)))
    if file.exists() and file.read_bytes() != der(mine.certificate):
        raise GatewayError(f"{file} exists and is something else; name another file")
    file.write_bytes(der(mine.certificate))
    out.print(f"{file}: {thumbprint(mine.certificate)}, ApplicationUri {mine.uri}", markup=False)


@app.command()
def check(
    connection: Annotated[str, typer.Argument(help="Only this connection; default: all on OPC UA.")] = "",
    config: ConfigFile = Path("gateway.yaml"),
    data: DataFolder = None,
) -> None:
    """Ask each OPC UA server what it offers and say what is wrong; exit 1 if anything is.

    Nothing is written to a server. Below the data directory are kept: the gateway's own certificate, made where there
    is none, and in `rejected` what a server shows and nobody has trusted yet.
    """
    from collectors.opcua_check import examine

    gateway = load(config).gateway
    certs = (data or gateway.data.dir) / "certs"
    found = {n: c for n, c in gateway.connections.items() if isinstance(c, OpcuaConnection)}
    if connection and connection not in found:
        raise typer.BadParameter(f"no OPC UA connection '{connection}'; there is: {', '.join(found) or 'none'}")
    asked = {n: c for n, c in found.items() if connection in ("", n)}
    if any(map(keeps, asked.values())):
        err.print(f"{ours(certs)} keeps the gateway's certificate and those that servers show", markup=False)
    sound = True
    for name, one in asked.items():
        err.print(f"asking {one.url} …", markup=False)
        out.print(f"{name}  {one.url}", markup=False)
        for finding in asyncio.run(examine(one, certs)):
            sound = sound and finding.sound
            out.print(f"  {'ok  ' if finding.sound else 'FAIL'}  {finding.words}", markup=False)
            if finding.mend:
                out.print(f"        {finding.mend}", markup=False)
    raise typer.Exit(0 if sound else 1)


@app.command()
def server(
    names: Annotated[list[str], typer.Argument(help="Host names and addresses the page is reached by, best first.")],
    folder: Annotated[Path, typer.Option("--out", help="Where server.key and server.pem go.")] = Path(),
) -> None:
    """Make key and certificate for api.tls; whoever reads the page trusts it once. An authority's pair serves too."""
    from tanflow.web.self_signed import CERTIFICATE, KEY, make

    until = make(folder, names).not_valid_after_utc
    out.print(f"for {', '.join(names)} until {until:%Y-%m-%d}; write into gateway.yaml:", markup=False)
    here = folder.resolve()
    out.print(f"api: {{…, tls: {{certificate: {here / CERTIFICATE}, key: {here / KEY}}}}}", markup=False)


def _facts(one: Certificate) -> dict[str, str]:
    from collectors.opcua_certificates import hosts, thumbprint, uris

    return {
        "subject": one.subject.rfc4514_string(),
        "issuer": one.issuer.rfc4514_string() if one.issuer != one.subject else "itself",
        "thumbprint": thumbprint(one),
        "application": ", ".join(uris(one)) or "none",
        "hosts": ", ".join(hosts(one)) or "none",
        "valid": f"{one.not_valid_before_utc:%Y-%m-%d %H:%M} to {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
        "key": f"{getattr(one.public_key(), 'key_size', '?')} bits",
    }
