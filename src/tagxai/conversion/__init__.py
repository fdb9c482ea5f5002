"""Checkpoints of audiocraft as transformers' MusicGen, and back, bit for bit.

    from tagxai.conversion import convert

    convert("audiogen-medium", "audiogen-transformers", to="transformers")

Afterwards both models score the same codes. The original's scores are kept in the folder, and every load of the
converted model is compared with them (`tagxai.generators.codes.self_test`).
"""

from tagxai.conversion.converting import ConversionReport, Format, convert

__all__ = ["ConversionReport", "Format", "convert"]
