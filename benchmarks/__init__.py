"""Benchmarks: accuracy and speed of this project beside other systems."""
