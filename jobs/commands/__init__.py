"""Programs that the shell scripts start in a container, each named like the script that calls it; and what one of them decides by."""
