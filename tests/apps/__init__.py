"""Applications for the tests to serve: small ones of our own, and one real one for each framework."""
