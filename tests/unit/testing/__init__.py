"""What tests of applications use."""
