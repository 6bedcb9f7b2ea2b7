"""The database of predictq: ledger, predictions, dead letters, and the routes that read them."""
