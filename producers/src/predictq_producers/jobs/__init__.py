"""Jobs: files of many rows, planned into chunks and cut into requests."""
