"""What programs identify themselves with: ``python -m webapp.commands.tokens``, for ``ops/tokens.sh``."""

import argparse
import sys

from jobs.ledger import audit, tokens
from jobs.ledger.database import ledger
from jobs.ledger.records import Role
from webapp.auth import people
from webapp.auth.trail import by_script
from webapp.rendering import utc

#: What people call it by, and the audit, too.
PROGRAM = "ops/tokens.sh"


def main() -> int:
    """Do what the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(prog=PROGRAM)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add")
    add.add_argument("name")
    add.add_argument("--role", choices=[role.word for role in Role], default=Role.OPERATOR.word)
    add.add_argument("--days", type=float)
    commands.add_parser("revoke").add_argument("name")
    commands.add_parser("list")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "add":
                _add(arguments.name, Role.of(arguments.role), arguments.days)
            case "revoke":
                _revoke(arguments.name)
            case "list":
                _list()
    except ValueError as error:
        print(f"error: {error}\n\nWhich there are: ops/tokens.sh list", file=sys.stderr)
        return 1
    return 0


def _add(name: str, role: Role, days: float | None) -> None:
    with ledger().writing() as connection:
        made = people.add_token(connection, name, role, days)
        audit.add(connection, by_script(PROGRAM, "add_token", name, role.word))
    # Alone on standard output, so that a script can take it from there.
    print("It is shown only now. Programs send it so: Authorization: Bearer TOKEN", file=sys.stderr)
    print(made)


def _revoke(name: str) -> None:
    with ledger().writing() as connection:
        people.remove_token(connection, name)
        audit.add(connection, by_script(PROGRAM, "remove_token", name))
    print(f"The token {name} is revoked.")


def _list() -> None:
    with ledger().reading() as connection:
        found = tokens.all_of_them(connection)
    print(f"{'NAME':<32}  {'ROLE':<8}  {'EXPIRES':<23}  LAST USED")
    for token in found:
        expires = utc(token.expires_at) if token.expires_at else "never"
        used = utc(token.last_used_at) if token.last_used_at else "never"
        print(f"{token.name:<32}  {token.role:<8}  {expires:<23}  {used}")


if __name__ == "__main__":
    sys.exit(main())
