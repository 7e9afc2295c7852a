"""The measures: activations or statistics in, results out."""
