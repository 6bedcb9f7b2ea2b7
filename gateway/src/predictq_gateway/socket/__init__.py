"""The WebSocket (RFC 6455): submitting, following and acknowledging over one connection."""
