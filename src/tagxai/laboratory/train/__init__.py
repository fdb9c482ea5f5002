"""Training of the embedded model from nothing: `python -m tagxai.laboratory.train --help`."""
