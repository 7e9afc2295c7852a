"""Figures and the HTML page of a study. Nothing here computes a measure."""

from convergent.report.page import write_report

__all__ = ["write_report"]
