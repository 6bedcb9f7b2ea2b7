"""Pushes: subscriptions, the outbox, and its dispatcher."""
