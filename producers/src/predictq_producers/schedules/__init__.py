"""Jobs that are started again and again, at times that the settings name."""
