"""Programs that the shell scripts start in a container, named like these scripts, and what one of them decides by."""
