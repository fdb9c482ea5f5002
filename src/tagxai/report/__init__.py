"""Pages that hold an explanation: words in colours, audio to compare, a heat map that follows the sound."""

from tagxai.report.folder import write_report

__all__ = ["write_report"]
