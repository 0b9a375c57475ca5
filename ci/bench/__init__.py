"""Benchmarks and long proofs; their results, with date and machine, are in `results/`."""
