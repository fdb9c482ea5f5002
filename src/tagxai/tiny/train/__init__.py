"""Training of the embedded model from nothing: `python -m tagxai.tiny.train --help`."""
