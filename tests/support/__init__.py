"""What several tests share: a strict client, servers to talk to, the house rules as functions, the search for leaks."""
