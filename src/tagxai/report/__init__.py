"""What people look at and listen to: the audio files, the heat map and the HTML page of one explanation."""

from tagxai.report.writing import write_audio, write_report

__all__ = ["write_audio", "write_report"]
