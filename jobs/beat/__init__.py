"""What only the beat container runs: the scheduler and the thread that samples the queues."""
