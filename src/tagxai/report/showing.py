"""What values of the contract call to show themselves: figures, and the page in a notebook's cell."""

from tagxai.report.figures import bands, heat_map, heat_maps
from tagxai.report.notebook import notebook_html

__all__ = ["bands", "heat_map", "heat_maps", "notebook_html"]
