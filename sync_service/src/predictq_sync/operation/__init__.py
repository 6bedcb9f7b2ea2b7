"""What operators look at: how deployments are doing, what came and what became of it. Shadows are shown here."""
