"""Pictures of an explanation: words by seconds over the clip's spectrogram, and their spread over seeds.

Figures are made without pyplot, so nothing here opens a window or keeps state.
"""

from tagxai.report.figures.bands import bands
from tagxai.report.figures.heat_map import heat_map, heat_maps

__all__ = ["bands", "heat_map", "heat_maps"]
