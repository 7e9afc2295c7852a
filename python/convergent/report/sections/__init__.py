"""The parts of the page, one module a paper; each makes its sections from a study's results."""
