"""Models, mini-batching and the processes that predict."""
