"""``tillhook users``: the first administrator, before anybody can log in."""

import sys

import click
from sqlalchemy import select

from tillhook.access.models import Role, UserAccount, UserRole
from tillhook.access.users import NewUser, create_user
from tillhook.cli.context import Context, print_table, with_context
from tillhook.db import grouped


@click.group()
def users() -> None:
    """Who may log in."""


@users.command()
@click.argument("email")
@click.option("--name", default="", help="By default the address.")
@click.option("--role", "roles", multiple=True, default=("admin",), show_default=True)
@click.option("--warehouse", "warehouses", multiple=True, type=int, help="Id of one they work in.")
@click.option("--all-warehouses", is_flag=True, help="They work in all of them, as an admin does anyhow.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, do not ask.")
@with_context
def add(
    context: Context,
    email: str,
    name: str,
    roles: tuple[str, ...],
    warehouses: tuple[int, ...],
    all_warehouses: bool,
    password_stdin: bool,
) -> None:
    """Add a user who logs in with EMAIL."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    command = NewUser(
        email=email,
        name=name or email,
        password=password,
        roles=roles,
        warehouses=warehouses,
        all_warehouses=all_warehouses or "admin" in roles,
    )
    with context.runtime.unit_of_work() as session:
        user = create_user(session, command)
        click.echo(f"user {user.id}: {user.email}")


@users.command("list")
@with_context
def list_(context: Context) -> None:
    """List the users and their roles."""
    with context.runtime.unit_of_work(write=False) as session:
        statement = select(UserRole.user_id, Role.name).join(Role, Role.id == UserRole.role_id)
        roles = grouped(session.execute(statement.order_by(Role.name)))
        rows = [
            (
                str(user.id),
                user.email,
                user.name,
                ",".join(roles.get(user.id, ())),
                "" if user.is_active else "closed",
            )
            for user in session.scalars(select(UserAccount).order_by(UserAccount.id))
        ]
    print_table(("id", "email", "name", "roles", ""), rows)
