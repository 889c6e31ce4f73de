"""The dashboard: HTML pages for people, the fragments that are pushed into open pages, and the forms."""
