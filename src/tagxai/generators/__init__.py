"""Adapters that put text-to-audio models behind `tagxai.base.Generator`."""
