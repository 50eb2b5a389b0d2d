"""Shows an ``Evaluation``: a table for the terminal, and a page with plots that needs nothing but itself.

It shows figures and computes none. The page draws with matplotlib, which only ``html`` imports.
"""

from typing import TYPE_CHECKING

from streams.evaluation_report.terminal import table

if TYPE_CHECKING:
    from models.evaluate.result import Evaluation

__all__ = ["html", "table"]


def html(evaluation: "Evaluation") -> str:
    """The whole page; equal evaluations give equal pages."""
    from streams.evaluation_report.page import page

    return page(evaluation)
