"""Bodies, queries and answers of the API, as the OpenAPI document describes them."""
