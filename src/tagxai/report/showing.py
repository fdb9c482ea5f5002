"""What values of the contract call to show themselves: figures, and the page in a notebook's cell."""

from tagxai.report.figures import bands, heat_map, heat_maps
from tagxai.report.notebook import notebook_html
from tagxai.report.opening import open_page

__all__ = ["bands", "heat_map", "heat_maps", "notebook_html", "open_page"]
