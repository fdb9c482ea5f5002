"""One page that holds an explanation: words in colours, audio to compare, a heat map that follows the sound."""

from tagxai.report.page import write_report

__all__ = ["write_report"]
