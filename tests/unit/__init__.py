"""Each module by itself: values in, values out; no doubles of our own code."""
