"""Models that belong to the caller: frozen and in evaluation mode while a generator has them, then as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Self
from weakref import WeakKeyDictionary

from tagxai.errors import UnsupportedError

_lock = Lock()
_blocks: WeakKeyDictionary[Borrower, int] = WeakKeyDictionary()
"""How many blocks of `borrowed` are open. Not an attribute: a copy of a generator is in none of them."""


class Borrower:
    """A generator that wraps models which the caller may want to train on."""

    _borrowed: tuple[Any, ...] = ()
    _before: tuple[tuple[Any, str, bool], ...] | None = None  # parts and weights with their flags; None: released

    def _borrow(self, *models: Any) -> None:
        """Freeze `models` and set them to evaluation. Raises UnsupportedError for weights that autograd cannot use."""
        if any(weight.is_inference() for model in models for weight in model.parameters()):
            raise UnsupportedError(
                "this model was loaded under torch.inference_mode, so that torch cannot differentiate it; load it "
                "outside of that block"
            )
        training = [(part, "training", part.training) for model in models for part in model.modules()]
        gradients = [(w, "requires_grad", w.requires_grad) for model in models for w in model.parameters()]
        self._borrowed, self._before = models, (*training, *gradients)
        for model in models:
            model.eval().requires_grad_(False)

    def release(self) -> None:
        """Give the models back as they were handed over: the modes of their parts, and which weights need gradients.

        The generator still works, and then sets and restores these for each call.
        """
        for part, flag, value in self._before or ():
            setattr(part, flag, value)
        vars(self).pop("_before", None)  # back to the class's None: a generator's own None would be a setting of it

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """For exchanging weights inside the block: what the generator remembers of old ones keeps them in memory."""
        self.release()
        try:
            yield
        finally:
            self._borrow(*self._borrowed)

    @contextmanager
    def borrowed(self) -> Iterator[Self]:
        """The models are the generator's inside the block, and the caller's again after it, whatever happens.

        Of nested blocks, and of those of several threads, the last to end gives them back.
        """
        with _lock:
            if self._before is None:
                self._borrow(*self._borrowed)
            _blocks[self] = _blocks.get(self, 0) + 1
        try:
            yield self
        finally:
            with _lock:
                _blocks[self] -= 1
                if not _blocks[self]:
                    self.release()
