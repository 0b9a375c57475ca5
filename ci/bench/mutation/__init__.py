"""The parts of the bench `ci.bench.mutants`: the sample, the row of a mutant, the numbers, the file of results."""
