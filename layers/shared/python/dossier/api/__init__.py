"""The HTTP API for programs (``docs/api.md``): its routes, its models, its errors."""
