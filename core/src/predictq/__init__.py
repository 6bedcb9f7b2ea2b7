"""predictq: machine-learning models behind a message queue."""

__all__ = ["__version__"]

__version__ = "0.1.0"
