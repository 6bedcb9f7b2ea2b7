"""The live page: the files that its build made, and the routes that serve them."""
