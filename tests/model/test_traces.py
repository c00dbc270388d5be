"""What a pass without values leaves in caches does not come back in the next pass."""

from __future__ import annotations

import copy
import gc
from functools import cache, lru_cache

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from mritk.model.without_values import follow

pytestmark = pytest.mark.slow  # whoever holds a tensor is looked for among all that is there

SHARED: dict[str, object] = {}
FOUND: torch.Tensor | None = None


def places() -> torch.Tensor:
    return torch.arange(4.0) * 2


@lru_cache(maxsize=8)
def remembered() -> torch.Tensor:
    return places()


@cache
def both(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return places(), -places()


class Finder:
    """Keeps what it has found."""

    found: torch.Tensor | None = None


def finder():
    """Keep what is found in a variable of a function around."""
    found = None

    def find():
        nonlocal found
        if found is None:
            found = places()
        return found

    return find


class Keeping(nn.Module):
    """Computes the places of its features once, and keeps them somewhere."""

    def __init__(self, where):
        super().__init__()
        self.layer, self.where = nn.Linear(3, 4), where
        self.named, self.listed, self.slots = {}, [], [None]
        self.finder, self.find = Finder(), finder()

    def places(self):  # noqa: PLR0911, PLR0912 - the ways to keep something
        global FOUND  # noqa: PLW0603
        if self.where == "a dictionary of its own":
            if "places" not in self.named:
                self.named["places"] = places()
            return self.named["places"]
        if self.where == "a list of its own":
            if not self.listed:
                self.listed.append(places())
            return self.listed[0]
        if self.where == "a dictionary of its file":
            if "places" not in SHARED:
                SHARED["places"] = places()
            return SHARED["places"]
        if self.where == "a list in a dictionary of its file":
            if "places" not in SHARED:
                SHARED["places"] = [places(), -places()]
            return sum(SHARED["places"], places())
        if self.where == "a dictionary in a dictionary of its file":
            if "places" not in SHARED:
                SHARED["places"] = {"size": 4, "places": places()}
            return SHARED["places"]["places"]
        if self.where == "a list with a place for it":
            if self.slots[0] is None:
                self.slots[0] = places()
            return self.slots[0]
        if self.where == "a variable of its file":
            if FOUND is None:
                FOUND = places()
            return FOUND
        if self.where in ("an object", "a class"):
            keeper = self.finder if self.where == "an object" else Finder
            if keeper.found is None:
                keeper.found = places()
            return keeper.found
        if self.where == "a variable of a function around":
            return self.find()
        return remembered() if self.where == "lru_cache" else both("places")[0]

    def forward(self, batch):
        return self.layer(batch) + self.places()


class ByValue(Keeping):
    """Looks at its outputs, so that its pass cannot be followed without values."""

    def forward(self, batch):
        outputs = super().forward(batch)
        return outputs if outputs.sum().item() > 0 else -outputs


@pytest.fixture(autouse=True)
def empty():
    """Let every test begin with empty caches."""
    global FOUND  # noqa: PLW0603
    FOUND = Finder.found = None
    SHARED.clear()
    remembered.cache_clear()
    both.cache_clear()


WHERE = [
    "a dictionary of its own",
    "a list of its own",
    "a dictionary of its file",
    "a list in a dictionary of its file",
    "a dictionary in a dictionary of its file",
    "a list with a place for it",
    "a variable of its file",
    "an object",
    "a class",
    "a variable of a function around",
    "lru_cache",
    "tuples in a cache",
]


@pytest.mark.parametrize(
    ("kind", "where"),
    [*((Keeping, where) for where in WHERE), (ByValue, "lru_cache"), (ByValue, WHERE[0])],
)
def test_the_next_pass_is_that_of_a_network_that_nobody_followed(kind, where):
    network, batch = kind(where), torch.rand(2, 3)
    seen = []

    def work(call):
        seen.append(type(call(batch)))

    twin = copy.deepcopy(network)
    follow(network, network, work, compute=False)
    assert seen == ([FakeTensor] if kind is Keeping else [torch.Tensor])
    found = network(batch)
    assert type(found) is torch.Tensor
    torch.testing.assert_close(found, twin(batch))


def test_what_caches_hold_beside_it_stays():
    network = Keeping("a dictionary of its own")
    network.named["scale"] = kept = torch.ones(1)
    follow(network, network, lambda call: call(torch.rand(2, 3)), compute=False)
    assert list(network.named) == ["scale"]
    assert network.named["scale"] is kept


class Circular(nn.Linear):
    """Leaves a circle behind, which nobody can reach."""

    def forward(self, batch):
        circle = [places()]
        circle.append(circle)
        return super().forward(batch) + circle[0]


def test_what_is_frozen_stays_so_if_no_cache_holds_anything():
    """Or each later search for garbage looks at all that the program imported."""
    gc.freeze()
    try:
        network = Circular(3, 4)
        follow(network, network, lambda call: call(torch.rand(2, 3)).shape, compute=False)
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
