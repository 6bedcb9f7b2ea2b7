"""Server-Sent Events: the order in which requests were completed, and the streams that tell of it."""
