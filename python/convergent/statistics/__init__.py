"""What one pass over the data keeps, and from which the measures follow."""
