"""Slow, literal programs of the papers' definitions. They never import the package that they check."""
