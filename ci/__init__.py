"""From a verdict to a decision: the gate and what it acts through."""
