"""The gate turns a verdict into a decision and carries it out."""
