"""Matrix products in half precision, and nothing else: on a CPU they are what training spends its time on."""

from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class HalfProducts(TorchFunctionMode):
    """Within this context linear layers multiply in bfloat16 and give back what they were given.

    `torch.autocast` would run attention in bfloat16 as well, whose backward pass takes seven times as long there.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.linear:
            return func(*args, **(kwargs or {}))
        x, weight, *bias = args
        y = func(x.to(torch.bfloat16), weight.to(torch.bfloat16)).to(x.dtype)
        return y if not bias or bias[0] is None else y + bias[0]
