"""Benchmarks and long proofs; `results/` holds their results, with date and machine."""
