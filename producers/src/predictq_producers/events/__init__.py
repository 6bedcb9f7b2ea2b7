"""Events of other systems: CloudEvents become requests, those of object stores become jobs."""
