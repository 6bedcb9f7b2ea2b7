"""The HTTP process of predictq: producers write, readers read, one ASGI app."""
