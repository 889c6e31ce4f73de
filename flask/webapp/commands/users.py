"""Who may log in: ``python -m webapp.commands.users``, for ``ops/users.sh``."""

import argparse
import sys

from jobs.ledger import accounts, audit
from jobs.ledger.database import ledger
from jobs.ledger.records import Role
from webapp.auth import passwords, people
from webapp.auth.trail import by_script
from webapp.rendering import utc

#: What people call it by, and the audit, too.
PROGRAM = "ops/users.sh"

#: The name of the person that build.sh lets in first.
FIRST = "admin"


def main() -> int:
    """Do what the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(prog=PROGRAM)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("add", "password", "revoke"):
        commands.add_parser(name).add_argument("name")
    commands.choices["add"].add_argument("--role", choices=[role.word for role in Role], default=Role.VIEWER.word)
    commands.add_parser("list")
    commands.add_parser("first")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "add":
                _add(arguments.name, Role.of(arguments.role))
            case "password":
                _give_password(arguments.name)
            case "revoke":
                _revoke(arguments.name)
            case "list":
                _list()
            case "first":
                _add_first()
    except ValueError as error:
        print(f"error: {error}\n\nWho there is: ops/users.sh list", file=sys.stderr)
        return 1
    return 0


def _add(name: str, role: Role) -> None:
    password = passwords.new_password()
    kept = passwords.hash_of(password)
    with ledger().writing() as connection:
        people.add(connection, name, role, kept)
        audit.add(connection, by_script(PROGRAM, "add_person", name, role.word))
    _show(name, password)


def _add_first() -> None:
    """Add an administrator, if nobody may log in yet."""
    with ledger().reading() as connection:
        if accounts.count(connection) > 0:
            return
    _add(FIRST, Role.ADMIN)


def _give_password(name: str) -> None:
    password = passwords.new_password()
    kept = passwords.hash_of(password)
    with ledger().writing() as connection:
        people.give_password(connection, name, kept)
        audit.add(connection, by_script(PROGRAM, "give_password", name))
    _show(name, password)


def _show(name: str, password: str) -> None:
    print(f"  user:     {name}\n  password: {password}")
    print(f"  It is shown only now. For another one: ops/users.sh password {name}")


def _revoke(name: str) -> None:
    with ledger().writing() as connection:
        people.remove(connection, name)
        audit.add(connection, by_script(PROGRAM, "remove_person", name))
    print(f"{name} is let in no more.")


def _list() -> None:
    with ledger().reading() as connection:
        found = accounts.everybody(connection)
    print(f"{'NAME':<32}  {'ROLE':<8}  LAST LOGIN")
    for account in found:
        last = utc(account.last_login_at) if account.last_login_at else "never"
        print(f"{account.name:<32}  {account.role:<8}  {last}")


if __name__ == "__main__":
    sys.exit(main())
