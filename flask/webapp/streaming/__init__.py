"""Server-Sent Events: what has changed in the ledger, told to every viewer who has a stream open."""
