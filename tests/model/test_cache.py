"""Keys and values in slots, and those of a head that rows share."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig

from magma_ros.model.cache import KeyValueCache, SharedHead, whole_steps

LIKE = torch.zeros(1, dtype=torch.float64)


def config(**changes) -> LlamaConfig:
    """Three layers, heads of 16 / 4 = 4 numbers, keys and values in two of them."""
    return LlamaConfig(
        **{"hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3, **changes}
    )


def cache(*, batch_size=2, num_slots=65, like=LIKE, **changes) -> KeyValueCache:
    return KeyValueCache(config(**changes), batch_size=batch_size, num_slots=num_slots, like=like)


def numbers(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("needed", "allocated"), [(0, 0), (1, 64), (63, 64), (64, 64), (65, 128), (128, 128), (1000, 1024)]
)
def test_slots_come_in_steps_of_64(needed, allocated):
    """The next multiple that is enough, and no more."""
    assert allocated == whole_steps(needed)


def test_every_layer_has_its_own_empty_slots():
    """Keys and values of the grouped heads, in the number type that was asked for; no two share memory."""
    made = cache()
    assert (128, 3, 3) == (made.num_slots, len(made.keys), len(made.values))
    tensors = [*made.keys, *made.values]
    assert {(2, 2, 128, 4)} == {tuple(tensor.shape) for tensor in tensors}
    assert {torch.float64} == {tensor.dtype for tensor in tensors}
    assert not any(tensor.any() for tensor in tensors)
    assert 6 == len({tensor.data_ptr() for tensor in tensors})


def test_the_heads_width_may_be_named():
    """A `head_dim` in the configuration goes before the share of the hidden size."""
    assert (2, 2, 128, 24) == tuple(cache(head_dim=24).keys[0].shape)


@pytest.mark.parametrize(
    ("batch_size", "num_slots", "like", "fits"),
    [
        (2, 1, LIKE, True),
        (2, 128, LIKE, True),
        (2, 129, LIKE, False),
        (1, 65, LIKE, False),
        (3, 65, LIKE, False),
        (2, 65, torch.zeros(1, dtype=torch.float32), False),
        (2, 65, torch.zeros(1, dtype=torch.float64, device="meta"), False),
    ],
)
def test_an_allocation_serves_its_own_batches(batch_size, num_slots, like, fits):
    """As many rows, of its number type and on its device, with no more slots than there are."""
    assert fits is cache().fits(batch_size=batch_size, num_slots=num_slots, like=like)


def test_new_keys_and_values_are_written_where_they_belong():
    """One layer's slots change, in the order that was named; the writer gives back all of them, not a copy."""
    made = cache()
    keys, values = numbers(2, 2, 3, 4), numbers(2, 2, 3, 4, seed=1)
    all_keys, all_values = made.at(torch.tensor([5, 0, 127])).update(keys, values, 1)
    assert all_keys is made.keys[1]
    assert all_values is made.values[1]
    torch.testing.assert_close(made.keys[1][:, :, [5, 0, 127]], keys, rtol=0, atol=0)
    torch.testing.assert_close(made.values[1][:, :, [5, 0, 127]], values, rtol=0, atol=0)
    untouched = [slot for slot in range(128) if slot not in (0, 5, 127)]
    assert not made.keys[1][:, :, untouched].any()
    assert not any(tensor.any() for layer in (0, 2) for tensor in (made.keys[layer], made.values[layer]))


def test_what_is_written_later_joins_what_was_there():
    """A slot that is written again has the new numbers, its neighbour keeps the old; no memory moves."""
    made = cache()
    place = made.keys[0].data_ptr()
    old, new = numbers(2, 2, 2, 4), numbers(2, 2, 1, 4, seed=1)
    made.at(torch.tensor([0, 1])).update(old, old, 0)
    made.at(torch.tensor([1])).update(new, -new, 0)
    torch.testing.assert_close(made.keys[0][:, :, :2], torch.cat([old[:, :, :1], new], dim=2), rtol=0, atol=0)
    torch.testing.assert_close(made.values[0][:, :, :2], torch.cat([old[:, :, :1], -new], dim=2), rtol=0, atol=0)
    assert place == made.keys[0].data_ptr()


def test_a_shared_head_stands_before_each_row():
    """The first pass gets back what it brought; later ones the head and their own, each layer's apart."""
    head = SharedHead()
    first = [(numbers(1, 2, 3, 4, seed=seed), numbers(1, 2, 3, 4, seed=seed + 10)) for seed in (0, 1)]
    for layer, (keys, values) in enumerate(first):
        given = head.update(keys, values, layer)
        assert given[0] is keys
        assert given[1] is values
    for seed in (5, 6):  # the head stays the head: the second pass does not see the first one's rows
        keys, values = numbers(4, 2, 1, 4, seed=seed), numbers(4, 2, 1, 4, seed=seed + 10)
        for layer in (1, 0):
            seen_keys, seen_values = head.update(keys, values, layer)
            assert (4, 2, 4, 4) == tuple(seen_keys.shape) == tuple(seen_values.shape)
            for row in range(4):
                assert torch.equal(seen_keys[row], torch.cat([first[layer][0][0], keys[row]], dim=1))
                assert torch.equal(seen_values[row], torch.cat([first[layer][1][0], values[row]], dim=1))


def test_the_gradient_of_all_rows_reaches_the_head():
    """Keys and twice as large values, summed over three rows: 3 + 6 for the head, 1 + 1 for what a row brought."""
    head, kept = SharedHead(), numbers(1, 2, 3, 4).requires_grad_()
    own = numbers(3, 2, 1, 4, seed=1).requires_grad_()
    head.update(kept, 2 * kept, 0)
    keys, values = head.update(own, own, 0)
    (keys.sum() + values.sum()).backward()
    assert torch.equal(kept.grad, torch.full_like(kept, 3.0 + 2.0 * 3.0))
    assert torch.equal(own.grad, torch.full_like(own, 2.0))
