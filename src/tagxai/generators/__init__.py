"""Adapters that put text-to-audio models behind `tagxai.contract.generator.Generator`."""
