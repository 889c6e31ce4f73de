"""Login, roles and the audit: what is off until ``AUTH=on``, and costs nothing then. `switch.py` switches it on.

Each request is either open to everybody, or comes from an actor: a person with a session, or a program with a token.
What a route needs is in `roles.py`; `gate.py` asks; `trail.py` writes down who changed what.
"""
