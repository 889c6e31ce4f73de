"""The ledger: one row per job, on disk before the job is accepted, and the truth about it ever after."""
