"""`tanflow users …`: who may sign in at the gateway's page, and with which role; a password is never an argument."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from config.errors import GatewayError
from config.explain import nearest
from tanflow.commands.options import DataDir, plain_table
from tanflow.web.access.roles import PERMISSIONS, Role
from tanflow.web.access.users import FILE, User, changing, check_name, check_password, read

app = typer.Typer(no_args_is_help=True, help="Who may sign in at the gateway's page, and with which role.")
out = Console(highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(help="The user's name.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
_ROLES: Final = (
    "viewer reads; operator acknowledges and silences too; engineer also enters, commissions and exports; "
    "approver approves and exports; auditor exports and sees who did what."
)
_TOO_LONG: Final = 2_000  # of standard input [characters]


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help=_ROLES)],
    data: DataDir = Path("data"),
    password_stdin: FromStdin = False,
) -> None:
    """Add a user, or the first one: from then on everyone must sign in."""
    check_name(name, read(data / FILE))
    user = User.of(role, _password(name, password_stdin))
    with changing(data) as users:
        check_name(name, users)
        users[name] = user
        first = len(users) == 1
    out.print(f"{name} may sign in as {role}", markup=False)
    if first:
        out.print("from now on nobody reads or changes anything at this gateway without signing in")


@app.command()
def password(name: Name, data: DataDir = Path("data"), password_stdin: FromStdin = False) -> None:
    """Give a user another password; whoever is signed in with the old one is signed out."""
    _known(read(data / FILE), name)
    secret = _password(name, password_stdin)
    with changing(data) as users:
        users[name] = User.of(_known(users, name).role, secret)
    out.print(f"{name} has another password", markup=False)


@app.command()
def remove(name: Name, data: DataDir = Path("data")) -> None:
    """Remove a user, who is signed out at once; without any user nobody needs to sign in."""
    with changing(data) as users:
        _known(users, name)
        del users[name]
        left = len(users)
    out.print(f"{name} is removed", markup=False)
    if not left:
        out.print("no user is left: from now on whoever reaches this gateway may do everything")


@app.command(name="list")
def list_(data: DataDir = Path("data")) -> None:
    """Show the users, their roles and what these may do."""
    if not data.is_dir():  # of a mistyped one it would be said that nobody need sign in
        raise GatewayError(f"{data} is no data directory; --data says where it is")
    table = plain_table("user", "role", "may")
    for name, user in sorted(read(data / FILE).items()):
        table.add_row(name, user.role, ", ".join(sorted(PERMISSIONS[user.role])))
    out.print(table if table.row_count else "no users: nobody needs to sign in")


def _known(users: dict[str, User], name: str) -> User:
    if name not in users:
        raise GatewayError(f"there is no user '{name}'{nearest(name, users)}")
    return users[name]


def _password(name: str, from_stdin: bool) -> str:
    """Return a new password, asked twice where there is a terminal. Raises GatewayError for one too easy to guess."""
    if from_stdin:
        found = sys.stdin.read(_TOO_LONG).rstrip("\r\n")
    elif sys.stdin.isatty():
        found = str(typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt="Once more"))
    else:
        raise GatewayError("there is no terminal to ask for the password; hand it in with --password-stdin")
    check_password(name, found)
    return found
