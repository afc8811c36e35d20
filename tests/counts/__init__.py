"""The long form of the test that the counts of a server are exact."""
