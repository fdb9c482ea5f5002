"""A method or generator that is registered for one test."""

from dataclasses import replace

from tagxai.registering.registry import registry


def register_method(monkeypatch, name, cls):
    _register(monkeypatch, "method", "random", name, cls)


def register_generator(monkeypatch, name, cls):
    _register(monkeypatch, "generator", "tiny", name, cls)


def _register(monkeypatch, kind, like, name, cls):
    known = getattr(registry(), f"{kind}s")
    entry = replace(known[like], name=name, cls=cls)
    monkeypatch.setitem(vars(registry()), "_by_kind", {**registry()._by_kind, kind: {**known, name: entry}})
