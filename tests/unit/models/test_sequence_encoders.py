"""SASRec and BERT4Rec against a dense, left-padded float64 reference; causality; layouts that must not matter."""

import math

import pytest
import torch
from support import DIMENSION, MAX_LENGTH, model_of, random_rows, training_data_of
from torch.nn import functional as F

from createrec.data.batch import QueryBatch, SequenceBatch
from createrec.errors import ConfigError
from createrec.ops.ragged import pack, sort_by_length
from createrec.randomness import Randomness
from createrec.training.batches import Streams

ITEMS, HEADS = 20, 2
VARIANTS = [
    ("sasrec", {"block_order": "query_norm"}),
    ("sasrec", {"block_order": "pre_norm", "feedforward_factor": 4}),
    ("sasrec", {"block_order": "query_norm", "positions": "oldest"}),
    ("bert4rec", {}),
    ("bert4rec", {"positions": "oldest"}),
]


def made_model(kind, overrides, rows, seed=0, **more):
    """A float64 model whose every parameter is random, biases and norms included, so that none can be forgotten."""
    overrides = {"dropout": 0.0} | overrides | more
    model = model_of(training_data_of(rows, ITEMS), kind, **overrides).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, dtype=torch.float64, generator=generator), alpha=0.3)
    return model


def layer_norm(x, parameters, name, epsilon):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (variance + epsilon) ** 0.5 * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]


def linear(x, parameters, name):
    return x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]


def attention(queries, keys, allowed, parameters, name):
    """Multi-head attention over padded rows [rows, columns, d]; allowed [rows, columns, columns]."""
    q, kv = linear(queries, parameters, f"{name}.query"), linear(keys, parameters, f"{name}.key_value")
    k, v = kv[..., :DIMENSION], kv[..., DIMENSION:]
    size = DIMENSION // HEADS
    mixed = []
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        logits = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(size)
        weights = logits.masked_fill(~allowed, -1e30).softmax(-1)
        mixed.append(weights @ v[..., part])
    return linear(torch.cat(mixed, -1), parameters, f"{name}.output")


def feedforward(x, parameters, name, activation):
    return linear(activation(linear(x, parameters, f"{name}.layers.0")), parameters, f"{name}.layers.3")


def reference(model, rows, table):
    """States [rows, columns, d] of rows padded on the left, and which cells are real.

    Item ITEMS stands for [MASK]. Written from the descriptions in the modules' docstrings and the papers.
    """
    parameters = {name.removeprefix("sequence."): p for name, p in model.named_parameters() if name != "item_table"}
    config, columns = model.sequence.config, max(map(len, rows))
    items = torch.tensor([[0] * (columns - len(row)) + list(row) for row in rows])
    real = torch.tensor([[False] * (columns - len(row)) + [True] * len(row) for row in rows])
    places = torch.arange(columns - 1, -1, -1).expand(len(rows), -1)
    if config.positions == "oldest":
        lengths = torch.tensor([len(row) for row in rows])
        places = (lengths[:, None] - 1 - places).clamp_min(0)  # whatever padding is given does not matter
    positions = parameters["positions"][places]
    order = torch.arange(columns)
    if config.kind == "sasrec":
        allowed = real[:, None, :] & (order[None, :] <= order[:, None])
        x = math.sqrt(DIMENSION) * table[items] + positions
        for block in range(config.blocks):
            name = f"blocks.{block}"
            normed = layer_norm(x, parameters, f"{name}.attention_norm", 1e-8)
            if config.block_order == "query_norm":
                x = normed + attention(normed, x, allowed, parameters, f"{name}.attention")
                x = layer_norm(x, parameters, f"{name}.feedforward_norm", 1e-8)
                x = x + feedforward(x, parameters, f"{name}.feedforward", torch.relu)
            else:
                x = x + attention(normed, normed, allowed, parameters, f"{name}.attention")
                normed = layer_norm(x, parameters, f"{name}.feedforward_norm", 1e-8)
                x = x + feedforward(normed, parameters, f"{name}.feedforward", torch.relu)
        return layer_norm(x, parameters, "norm", 1e-8), real
    allowed = real[:, None, :].expand(-1, columns, -1)
    vectors = torch.cat([table, parameters["mask_vector"]])[items]
    x = layer_norm(vectors + positions, parameters, "norm", 1e-12)
    for block in range(config.blocks):
        name = f"blocks.{block}"
        mixed = attention(x, x, allowed, parameters, f"{name}.attention")
        x = layer_norm(x + mixed, parameters, f"{name}.attention_norm", 1e-12)
        forward = feedforward(x, parameters, f"{name}.feedforward", F.gelu)
        x = layer_norm(x + forward, parameters, f"{name}.feedforward_norm", 1e-12)
    return x, real


def live_states(model, rows, max_length=50):
    """Our states of rows, [tokens, d], row after row."""
    sequences = training_data_of(rows, ITEMS + 1).sequences
    order = sort_by_length(sequences, torch.arange(len(rows)))
    packed = pack(sequences, order, max_length)
    states = model.sequence.encode(packed, model.item_table)
    split = dict(zip(order.tolist(), states.split(packed.lengths.tolist()), strict=True))
    return torch.cat([split[index] for index in range(len(rows))])


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize(
    ("kind", "overrides"), [*VARIANTS, ("gsau", {"max_length": MAX_LENGTH, "dimension": DIMENSION})]
)
def test_newest_states_are_the_newest_of_all_states(kind, overrides, static):
    """One query a row in the last block, values and gradients, with and without the fixed shapes of a GPU."""
    rows = random_rows(12, ITEMS, seed=8, shortest=1, longest=MAX_LENGTH)
    model = made_model(kind, overrides, rows)
    sequences = training_data_of(rows, ITEMS).sequences
    order = sort_by_length(sequences, torch.arange(len(rows)))
    packed = pack(sequences, order, MAX_LENGTH, capacity=len(rows) * MAX_LENGTH if static else None)
    weights = torch.randn(len(rows), DIMENSION, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    parameters = [model.item_table, *model.sequence.parameters()]
    found = []
    for states in (
        model.sequence.newest_states(packed, model.item_table),
        model.sequence.encode(packed, model.item_table)[packed.last],
    ):
        found.append([states, *torch.autograd.grad((states * weights).sum(), parameters, allow_unused=True)])
    for newest, whole in zip(*found, strict=True):
        torch.testing.assert_close(newest, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_states_and_gradients_equal_the_dense_reference(kind, overrides):
    rows = random_rows(9, ITEMS, seed=1, shortest=1, longest=MAX_LENGTH)
    if kind == "bert4rec":
        rows = [[ITEMS if place % 3 == 1 else item for place, item in enumerate(row)] for row in rows]
    model = made_model(kind, overrides, rows)
    ours = live_states(model, rows)
    padded, real = reference(model, rows, model.item_table)
    theirs = padded[real]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    probe = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    parameters = list(model.parameters())
    mine = torch.autograd.grad((ours * probe).sum(), parameters, allow_unused=True)
    other = torch.autograd.grad((theirs * probe).sum(), parameters, allow_unused=True)
    for (name, _), one, two in zip(model.named_parameters(), mine, other, strict=True):
        assert one is not None and two is not None, name
        torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-11, msg=name)


def test_sasrec_loss_is_the_mean_over_all_next_items():
    rows = random_rows(9, ITEMS, seed=2, shortest=2, longest=MAX_LENGTH + 4)
    model = made_model("sasrec", {}, rows)
    users = torch.tensor([3, 0, 7, 1])
    local = model.sequence.local_loss(model.data.sequences, SequenceBatch(users), model.item_table, True)
    kept = [rows[user][-MAX_LENGTH - 1 :] for user in users]
    padded, real = reference(model, [row[:-1] for row in kept], model.item_table)
    targets = torch.tensor([item for row in kept for item in row[1:]])
    theirs = F.cross_entropy(padded[real] @ model.item_table.T, targets)
    torch.testing.assert_close(local.loss, theirs, rtol=1e-12, atol=0)
    place = {user: index for index, user in enumerate(users.tolist())}
    expected = torch.stack([padded[place[user], -1] for user in local.users.tolist()])
    torch.testing.assert_close(local.states, expected, rtol=0, atol=1e-12)
    assert sorted(local.users.tolist()) == sorted(users.tolist())


def test_bert4rec_loss_when_everything_is_masked():
    """With every token masked the loss needs no knowledge of the draw, so the reference can compute it."""
    rows = random_rows(9, ITEMS, seed=3, shortest=2, longest=MAX_LENGTH + 4)
    model = made_model("bert4rec", {}, rows, mask_probability=1 - 1e-9)
    users = torch.tensor([3, 0, 7, 1])
    local = model.sequence.local_loss(model.data.sequences, SequenceBatch(users), model.item_table, True)
    kept = [rows[user][-MAX_LENGTH:] for user in users]
    padded, real = reference(model, [[ITEMS] * len(row) for row in kept], model.item_table)
    targets = torch.tensor([item for row in kept for item in row])
    torch.testing.assert_close(
        local.loss, F.cross_entropy(padded[real] @ model.item_table.T, targets), rtol=1e-12, atol=0
    )
    # The aligned state is read at a [MASK] behind the unmasked input, of which it takes one position.
    padded, _ = reference(model, [[*row[-(MAX_LENGTH - 1) :], ITEMS] for row in kept], model.item_table)
    place = {user: index for index, user in enumerate(users.tolist())}
    expected = torch.stack([padded[place[user], -1] for user in local.users.tolist()])
    torch.testing.assert_close(local.states, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_query_states_equal_the_reference(kind, overrides):
    rows = random_rows(9, ITEMS, seed=4, shortest=1, longest=MAX_LENGTH + 4)
    model = made_model(kind, overrides, rows)
    users = torch.arange(len(rows))
    found = model.user_states(QueryBatch(users, model.data.sequences))
    kept = [[*row[-(MAX_LENGTH - 1) :], ITEMS] if kind == "bert4rec" else row[-MAX_LENGTH:] for row in rows]
    padded, _ = reference(model, kept, model.item_table)
    torch.testing.assert_close(found, padded[:, -1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("blocks", "looked_up"), [(1, False), (2, True), (3, True)])
def test_sasrec_looks_its_first_block_up_where_queries_are_many(blocks, looked_up, monkeypatch):
    rows = random_rows(40, ITEMS, seed=13, longest=MAX_LENGTH + 4)
    model = made_model("sasrec", {}, rows, blocks=blocks)
    sequences, encoder = model.data.sequences, model.sequence
    embed, embedded = encoder.embed, []
    monkeypatch.setattr(encoder, "embed", lambda packed, table: embedded.append(packed) or embed(packed, table))
    found = model.user_states(QueryBatch(torch.arange(len(rows)), sequences))
    assert bool(embedded) != looked_up
    for user, row in enumerate(rows):
        if row:
            alone = encoder.newest_states(encoder.query_tokens(sequences, torch.tensor([user])), model.item_table)
            torch.testing.assert_close(found[user], alone[0], rtol=0, atol=1e-12)
        else:
            assert not found[user].any()


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS[:2])
def test_no_later_item_changes_a_state(kind, overrides):
    rows = random_rows(6, ITEMS, seed=5, shortest=MAX_LENGTH, longest=MAX_LENGTH)
    model = made_model(kind, overrides, rows)
    before = live_states(model, rows).view(6, MAX_LENGTH, DIMENSION)
    for place in range(MAX_LENGTH):
        changed = [[*row[:place], (row[place] + 1) % ITEMS, *row[place + 1 :]] for row in rows]
        after = live_states(model, changed).view(6, MAX_LENGTH, DIMENSION)
        assert torch.equal(after[:, :place], before[:, :place])
        assert ((after[:, place] - before[:, place]).abs().amax(-1) > 1e-6).all()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_no_later_item_changes_a_state_in_training(dropout):
    """The path that trains has its own attention; the draws of dropout are the same in both runs."""
    rows = random_rows(4, ITEMS, seed=6, shortest=MAX_LENGTH, longest=MAX_LENGTH)
    model = made_model("sasrec", {}, rows, dropout=dropout).train()

    def states(of):
        torch.manual_seed(0)
        return live_states(model, of).view(4, MAX_LENGTH, DIMENSION)

    changed = [[*row[:-1], (row[-1] + 1) % ITEMS] for row in rows]
    before, after = states(rows), states(changed)
    assert torch.equal(before[:, :-1], after[:, :-1])
    assert not torch.equal(before[:, -1], after[:, -1])


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_batch_composition_never_changes_a_state(kind, overrides):
    rows = random_rows(60, ITEMS, seed=7, shortest=1, longest=MAX_LENGTH)
    model = model_of(training_data_of(rows, ITEMS), kind, dropout=0.0, **overrides)
    with torch.no_grad():
        together = live_states(model, rows)
        alone = torch.cat([live_states(model, [row]) for row in rows])
        backwards = torch.cat(live_states(model, rows[::-1]).split([len(row) for row in rows[::-1]])[::-1])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(together, backwards, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_older_history_than_the_model_reads_changes_nothing(kind, overrides):
    rows = random_rows(5, ITEMS, seed=8, shortest=MAX_LENGTH, longest=MAX_LENGTH)
    model = made_model(kind, overrides, rows)
    longer = training_data_of([[1, 2, 3, *row] for row in rows], ITEMS).sequences
    users = torch.arange(5)
    first = model.user_states(QueryBatch(users, model.data.sequences))
    assert torch.equal(first, model.user_states(QueryBatch(users, longer)))


def test_bert4rec_training_never_sees_a_masked_item():
    """The items behind [MASK] change, the same chance masks the same places: the states stay."""
    rows = random_rows(8, ITEMS, seed=9, shortest=3, longest=MAX_LENGTH)
    model = made_model("bert4rec", {}, rows, mask_probability=0.4)
    users = torch.arange(8)
    seen, inputs = [], []
    encode = model.sequence.masked_states

    def spy(packed, table, read):
        inputs.append(packed.items)
        seen.append(encode(packed, table, read))
        return seen[-1]

    model.sequence.masked_states = spy
    generator = model.randomness.generator("masking")
    start = generator.get_state()
    sequences = model.data.sequences
    first_loss = model.sequence.local_loss(sequences, SequenceBatch(users), model.item_table, False).loss
    masked = inputs[0] == ITEMS
    assert 0 < masked.sum() < len(masked)
    # Which value each token of the batch came from: rows sorted by length, as in the batch.
    packed = pack(sequences, sort_by_length(sequences, users), MAX_LENGTH)
    values = sequences.values.clone()
    values[packed.source[masked]] = (values[packed.source[masked]] + 1) % ITEMS
    generator.set_state(start)
    changed = type(sequences)(values, sequences.offsets)
    second_loss = model.sequence.local_loss(changed, SequenceBatch(users), model.item_table, False).loss
    assert torch.equal(inputs[0], inputs[1])
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(first_loss, second_loss), "the targets did change"


def test_bert4rec_makes_the_states_that_are_read_as_it_makes_them_all():
    rows = random_rows(6, ITEMS, seed=3, shortest=3, longest=MAX_LENGTH)
    model = made_model("bert4rec", {}, rows).eval()
    sequences = model.data.sequences
    packed = pack(sequences, sort_by_length(sequences, torch.arange(6)), MAX_LENGTH)
    read = torch.tensor([1, 4, 5, len(packed.items) - 1])
    states = model.sequence.masked_states(packed, model.item_table, read)
    torch.testing.assert_close(states, model.sequence.encode(packed, model.item_table)[read])
    assert model.sequence.masked_states(packed, model.item_table, read[:0]).shape == (0, DIMENSION)


def test_bert4rec_masks_at_its_rate_and_anew_each_time():
    rows = [list(range(MAX_LENGTH))] * 400
    model = made_model("bert4rec", {}, rows, mask_probability=0.3)
    inputs = []
    model.sequence.masked_states = lambda packed, table, read: (
        inputs.append(packed.items) or torch.zeros(len(read), DIMENSION).double()
    )
    for _ in range(2):
        model.sequence.local_loss(model.data.sequences, SequenceBatch(torch.arange(400)), model.item_table, False)
    rates = [(items == ITEMS).double().mean() for items in inputs]
    deviation = (0.3 * 0.7 / (400 * MAX_LENGTH)) ** 0.5
    assert all(abs(rate - 0.3) < 5 * deviation for rate in rates)
    assert not torch.equal(*inputs)


@pytest.mark.parametrize("weight", ["barlow", "none"])
@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_the_static_layout_gives_the_same_losses_and_gradients(kind, overrides, weight):
    """What a GPU captures (fixed shapes, dead tokens, one rectangle), run on the CPU, against the exact layout."""
    rows = random_rows(37, ITEMS, seed=10, shortest=2, longest=MAX_LENGTH + 3)
    sequence = {"kind": kind, "dropout": 0.0, **overrides}
    if kind == "bert4rec":
        sequence["mask_probability"] = 1 - 1e-9  # which tokens are masked must not depend on their order
    results = []
    for static in (False, True):
        model = model_of(
            training_data_of(rows, ITEMS), "create", sequence=sequence, alignment={"kind": weight}, global_weight=0.3
        ).double()
        joint = model.phases()[1]
        streams = Streams(model, joint, model.config.training, Randomness(3), static=static)
        streams.shuffle()
        terms = [
            model.losses(streams.batch(torch.tensor([step]) if static else step), joint)
            for step in range(streams.steps)
        ]
        total = sum(joint.weights[name] * term for one in terms for name, term in one.items())
        grads = torch.autograd.grad(total, list(model.parameters()))
        results.append((terms, grads))
        assert (streams.batch(0).sequences.capacity is not None) == static
    (exact, exact_grads), (padded, padded_grads) = results
    for one, two in zip(exact, padded, strict=True):
        assert one.keys() == two.keys()
        for name in one:
            torch.testing.assert_close(one[name], two[name], rtol=1e-10, atol=1e-12, msg=name)
    for one, two in zip(exact_grads, padded_grads, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-10)


def test_dropout_keeps_the_mean_and_drops_its_share():
    from createrec.models.attention import Dropout

    layer, x = Dropout(0.3), torch.ones(100_003, requires_grad=True)
    torch.manual_seed(0)
    dropped = layer(x)
    kept = dropped != 0
    assert abs(float(kept.double().mean()) - 0.7) < 5 * (0.3 * 0.7 / 100_003) ** 0.5
    torch.testing.assert_close(dropped[kept], torch.full_like(dropped[kept], 1 / 0.7))
    (grad,) = torch.autograd.grad((3 * dropped).sum(), x)
    torch.testing.assert_close(grad, 3 * dropped)
    assert layer.eval()(x) is x
    torch.manual_seed(1)
    assert not torch.equal(layer.train()(x) != 0, kept)


def test_training_attention_equals_torchs_when_nothing_is_dropped():
    """The CPU's own lines for training with dropout, at a rate so small that no weight is dropped."""
    rows = random_rows(12, ITEMS, seed=11, shortest=2, longest=MAX_LENGTH)
    for kind, overrides in VARIANTS:
        model = made_model(kind, overrides, rows)
        expected = live_states(model, rows)
        model.train()
        for module in model.modules():
            if hasattr(module, "rate"):
                module.rate = 1e-9
        torch.testing.assert_close(live_states(model, rows), expected, rtol=0, atol=1e-7)


def test_heads_must_divide_the_dimension():
    with pytest.raises(ConfigError, match="multiple of heads"):
        model_of(training_data_of([[1, 2]], ITEMS), "sasrec", heads=3)


def test_the_start_does_not_depend_on_the_other_half_or_on_earlier_draws():
    data = training_data_of(random_rows(9, ITEMS, shortest=2), ITEMS)
    alone, again = model_of(data, "sasrec"), model_of(data, "sasrec")
    torch.rand(7)
    for (name, one), two in zip(alone.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two), name
    other = model_of(data, "sasrec", seed=1)
    assert not torch.equal(alone.item_table, other.item_table)
