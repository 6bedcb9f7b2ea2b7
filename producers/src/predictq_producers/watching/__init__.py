"""Jobs of files that are put into a folder."""
