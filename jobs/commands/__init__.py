"""Programs that the shell scripts start in a container, each named like its script; and what one of them decides by."""
