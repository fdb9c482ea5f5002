"""Keys and values of a stream in memory that is taken ahead, so that a step copies its own alone."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer


class GrowingLayer(DynamicLayer):
    """As `DynamicLayer`, which makes new tensors of all keys and values at every step.

    That copies all earlier steps at each step, and asks a GPU's driver for memory thousands of times, each time for
    another size. Here, room for `STEPS` more is taken where it is used up: little of it is ever left over.
    (`StaticLayer` of transformers hands out all of its room, unused steps too, which a mask would have to hide.)
    """

    STEPS = 128

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._rooms = [key_states[..., :0, :], value_states[..., :0, :]]
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        if after > self._rooms[0].shape[-2]:
            self._rooms = [_larger(room, before, after + self.STEPS) for room in self._rooms]
        for room, new in zip(self._rooms, (key_states, value_states), strict=True):
            room[..., before:after, :] = new
        self.keys, self.values = (room[..., :after, :] for room in self._rooms)
        return self.keys, self.values


def _larger(room: torch.Tensor, used: int, size: int) -> torch.Tensor:
    larger = room.new_empty((*room.shape[:-2], size, room.shape[-1]))
    larger[..., :used, :] = room[..., :used, :]
    return larger
