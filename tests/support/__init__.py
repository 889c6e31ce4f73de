"""What the tests share: the stack under test, its terminal, its mail server, and the checks of a ledger."""
