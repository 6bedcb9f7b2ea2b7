"""The bulk writes of ledger and store."""

from predictq_sync.writing.writer import REQUEST_COLUMNS, Entered, RequestRow, Stored, Writer, writer_of

__all__ = ["REQUEST_COLUMNS", "Entered", "RequestRow", "Stored", "Writer", "writer_of"]
