"""The files of exports."""
