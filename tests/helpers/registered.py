"""A method that is registered for one test."""

from dataclasses import replace

from tagxai.registering.registry import registry


def register_method(monkeypatch, name, cls):
    known = registry().methods
    entry = replace(known["random"], name=name, cls=cls)
    monkeypatch.setitem(vars(registry()), "_by_kind", {**registry()._by_kind, "method": {**known, name: entry}})
