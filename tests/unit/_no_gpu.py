"""A GPU where there is none: what PyTorch would tell of one, as made up."""

from argparse import Namespace
from typing import Any


class Gpu:
    """In the place of `torch.cuda`; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        mib = {"memory_allocated": 97, "max_memory_allocated": 130, "max_memory_reserved": 160}

        def ask(*arguments: Any) -> Any:
            self.asked.append(name)
            if name == "get_device_properties":
                return Namespace(total_memory=2**33)
            return "A GPU" if name == "get_device_name" else 2**20 * mib.get(name, 0)

        return ask
