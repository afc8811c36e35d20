"""Time limits at length: races at the limit, and interruptions at any moment."""
