"""Who is asking, what may they do, and writing it down: all that is off until ``AUTH=on``, and costs nothing then.

Each request is either open to everybody, or comes from an actor: a person with a session, or a program with a token.
What a route needs is in `roles.py`; `webapp/gate.py` asks each request; `trail.py` writes down who changed what.
"""
