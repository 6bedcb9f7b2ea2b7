"""What all sides of a push share: its settings, events, targets, conditions and secrets."""
