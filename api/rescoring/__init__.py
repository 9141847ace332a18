"""Re-scoring: scores by a corrected definition, added beside those that were recorded."""
