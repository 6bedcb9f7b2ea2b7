"""Jobs in the database: what the ledger writes of them, how far they are, and what came of them."""
