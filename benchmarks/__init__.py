"""Benchmarks: ratios against peers, run by hand."""
