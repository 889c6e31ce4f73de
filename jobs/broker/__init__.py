"""To and from RabbitMQ: what publishes jobs, and what asks for the lengths of the queues."""
