"""What the scripts call in the web container, because it needs what only its image has."""
