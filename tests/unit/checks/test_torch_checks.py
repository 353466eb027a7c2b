"""The checks on torch modules: loud on a fault, silent on traps, and no trace of a look."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from pytest_kepler import checks
from pytest_kepler.adapters.torch import probe as benches
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig
from pytest_kepler.errors import KeplerUsageError

torch = pytest.importorskip(
    "torch", reason="no part of dev, because its wheel is gigabytes on Linux"
)
nn, F = torch.nn, torch.nn.functional
data = torch.utils.data

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
DIABETES = load_diabetes(return_X_y=True)
DIABETES_X = torch.tensor(DIABETES[0] / DIABETES[0].std(), dtype=torch.float32)
TARGET = torch.tensor((DIABETES[1] - DIABETES[1].mean()) / DIABETES[1].std(), dtype=torch.float32)
CANCER_X, CANCER_y = load_breast_cancer(return_X_y=True)
CANCER_X = torch.tensor((CANCER_X - CANCER_X.mean(0)) / CANCER_X.std(0), dtype=torch.float32)
CANCER_y = torch.tensor(CANCER_y, dtype=torch.float32)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(7)


def mlp(*ends, width=64, units=10, activation=nn.ReLU, depth=2):
    parts = [nn.Linear(width, 32), activation()]
    for _ in range(depth - 1):
        parts += [nn.Linear(32, 32), activation()]
    return nn.Sequential(*parts, nn.Linear(32, units), *ends)


def adam(model, lr=1e-3):
    return torch.optim.Adam(model.parameters(), lr=lr)


def outcome(model, X=X, y=y, loss=None, **given):
    given["loss"] = nn.CrossEntropyLoss() if loss is None else loss
    return families.examine_model(model, X, y, given, CheckConfig(notes=True))


def codes(model, X=X, y=y, loss=None, **given):
    found = outcome(model, X, y, loss, **given).findings
    assert "check-crashed" not in {one.name for one in found}
    return {one.code for one in found if one.severity != "note"}


def trained(model, n_steps=60):
    optimizer = adam(model, 1e-2)
    for _ in range(n_steps):
        optimizer.zero_grad()
        F.cross_entropy(model(X), y).backward()
        optimizer.step()
    return model, optimizer


# --- Faults -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "loss", "code"),
    [
        ([nn.Softmax(dim=1)], nn.CrossEntropyLoss(), "K406"),
        ([nn.Softmax(dim=1)], F.cross_entropy, "K406"),
        ([nn.Softmax(dim=1)], nn.NLLLoss(), "K406"),
        ([], nn.NLLLoss(), "K406"),
        ([nn.ReLU()], nn.CrossEntropyLoss(), "K411"),
        ([nn.Sigmoid(), nn.Softmax(dim=1)], nn.CrossEntropyLoss(), "K411"),
        ([nn.Dropout(0.5)], nn.CrossEntropyLoss(), "K414"),
    ],
)
def test_an_output_that_the_loss_does_not_expect_is_an_error(ends, loss, code):
    assert code in codes(mlp(*ends), loss=loss)


@pytest.mark.parametrize(
    ("end", "loss", "expected"),
    [
        (nn.Sigmoid(), nn.BCEWithLogitsLoss(), {"K406"}),
        (nn.Identity(), nn.BCELoss(), {"K406"}),
        (nn.Softmax(dim=1), nn.BCELoss(), {"K407"}),
        (nn.Sigmoid(), nn.BCELoss(), set()),
        (nn.Identity(), nn.BCEWithLogitsLoss(), set()),
    ],
)
def test_one_output_for_two_classes_is_judged_by_its_loss(end, loss, expected):
    assert codes(mlp(end, width=30, units=1), CANCER_X, CANCER_y[:, None], loss) == expected


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        (y.float(), "K404"),
        (y[:, None], "K404"),
        (torch.eye(10, dtype=torch.int64)[y], "K404"),
        (y + 1, "K312"),
        (y.numpy() + 1, "K312"),
    ],
)
def test_labels_that_a_crossentropy_cannot_take_are_an_error(labels, code):
    assert codes(mlp(), y=labels) == {code}


@pytest.mark.parametrize("labels", [torch.eye(10)[y], y.numpy().astype(float), y.numpy()[:, None]])
def test_labels_that_can_be_meant_are_left_alone(labels):
    assert codes(mlp(), y=labels) == set()


def test_too_few_units_are_an_error():
    assert codes(mlp(units=9)) == {"K405"}


@pytest.mark.parametrize(
    "loss", [nn.MSELoss(), nn.HuberLoss(), F.l1_loss, nn.MSELoss(reduction="sum")]
)
def test_labels_of_another_shape_than_the_outputs_are_an_error(loss):
    assert codes(mlp(width=10, units=1), DIABETES_X, TARGET, loss) == {"K418"}
    assert codes(mlp(nn.Flatten(0), width=10, units=1), DIABETES_X, TARGET[:, None], loss) == {
        "K418"
    }
    assert codes(mlp(width=10, units=1), DIABETES_X, TARGET[:, None], loss) == set()


def test_a_loss_of_the_users_own_that_pairs_all_rows_by_accident_is_an_error():
    def squares(outputs, labels):
        return ((outputs - labels) ** 2).mean()

    model = mlp(width=10, units=1)
    assert codes(model, DIABETES_X, TARGET, squares) == {"K418"}
    assert codes(model, DIABETES_X, TARGET[:, None], squares) == set()


def test_a_loss_that_means_to_pair_rows_is_left_alone():
    def ranking(scores, labels):
        order = torch.sign(labels[:, None] - labels[None, :])
        return F.softplus(-order * (scores - scores.T)).mean()

    assert codes(mlp(width=10, units=1), DIABETES_X, TARGET, ranking) == set()


def test_an_array_may_still_get_the_shape_of_the_outputs():
    found = outcome(mlp(width=10, units=1), DIABETES_X, TARGET.numpy(), nn.MSELoss()).findings
    assert [(one.code, one.severity) for one in found] == [("K418", "note")]


@pytest.mark.parametrize(
    ("lr", "code"), [(10.0, "K507"), (1e-9, "K508"), (1e-3, None), (1e-2, None)]
)
def test_the_users_optimizer_is_tried(lr, code):
    model = mlp()
    assert codes(model, optimizer=adam(model, lr)) == ({code} if code else set())


def test_a_clipped_gradient_is_clipped_in_the_probe_too():
    model = mlp(width=10, units=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = {"X": DIABETES_X, "y": 70 * TARGET[:, None], "loss": nn.MSELoss()}
    assert "K507" in codes(model, **given, optimizer=optimizer)
    assert codes(model, **given, optimizer=optimizer, clip_norm=1.0) == set()


def test_a_summed_loss_is_as_large_as_on_a_batch_of_the_users():
    model = mlp(width=10, units=1)
    given = {"X": DIABETES_X, "y": TARGET[:, None], "loss": nn.MSELoss(reduction="sum")}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    assert codes(model, **given, optimizer=optimizer, batch_size=4) == set()
    assert "K507" in codes(model, **given, optimizer=optimizer)


def test_weights_that_no_optimizer_holds_are_told():
    model = mlp()
    assert codes(model, optimizer=adam(mlp())) == {"K415"}
    last = torch.optim.Adam(model[-1].parameters())
    assert "K415" in codes(model, optimizer=last)
    both = [last, torch.optim.SGD(model[:-1].parameters(), lr=0.1)]
    assert codes(model, optimizer=both) == set()


def test_a_trained_base_may_be_left_to_itself():
    model, _ = trained(mlp(depth=1))
    model[-1] = nn.Linear(32, 10)
    assert codes(model, optimizer=torch.optim.Adam(model[-1].parameters())) == set()


def test_a_frozen_model_is_an_error():
    model = mlp().requires_grad_(requires_grad=False)
    assert codes(model) == {"K415"}


def test_six_sigmoid_layers_are_told():
    model = mlp(activation=nn.Sigmoid, depth=6)
    assert {"K401"} <= codes(model, optimizer=adam(model))


def test_dead_units_are_an_error():
    model = mlp()
    nn.init.constant_(model[0].bias, -10.0)
    assert "K206" in codes(model)


def test_equal_units_that_stay_equal_are_an_error():
    model = mlp()
    for layer in (model[0], model[2], model[4]):
        nn.init.constant_(layer.weight, 0.05)
        nn.init.zeros_(layer.bias)
    assert "K205" in codes(model)


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


def test_a_detached_body_is_an_error():
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), Cut(), nn.Linear(32, 10))
    assert codes(model, optimizer=adam(model)) == {"K506"}


def test_raw_inputs_are_told():
    assert "K204" in codes(mlp(), X * 255 * 4)
    normed = nn.Sequential(nn.BatchNorm1d(64), mlp())
    assert "K204" not in codes(normed, X * 255 * 4)


def test_two_linear_layers_in_a_row_are_told_also_through_functions():
    class Forgetful(nn.Module):
        def __init__(self, bend):
            super().__init__()
            self.first, self.second, self.bend = nn.Linear(64, 64), nn.Linear(64, 10), bend

        def forward(self, x):
            return self.second(self.bend(self.first(x)))

    assert codes(Forgetful(lambda x: x)) == {"K412"}
    assert codes(Forgetful(lambda x: x.view(len(x), -1).contiguous())) == {"K412"}
    for bend in (F.relu, torch.tanh, F.gelu, lambda x: x.clamp(min=0), lambda x: x * x.sigmoid()):
        assert codes(Forgetful(bend)) == set()


def test_rows_sorted_by_label_in_a_loader_that_keeps_the_order_are_told():
    order = torch.argsort(y)
    rows = data.TensorDataset(X[order], y[order])
    model = mlp()
    given = {"y": None, "optimizer": adam(model)}
    assert codes(model, data.DataLoader(rows, batch_size=32), **given) == {"K102"}
    assert codes(model, data.DataLoader(rows, batch_size=32, shuffle=True), **given) == set()


def test_class_weights_are_no_fault():
    model = mlp()
    loss = nn.CrossEntropyLoss(weight=torch.linspace(0.1, 20, 10))
    assert codes(model, loss=loss, optimizer=adam(model)) == set()


# --- Sound modules of other kinds ---------------------------------------------------------


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.joined, self.head = nn.Conv2d(16, 8, 1), nn.Linear(8 * 64, 10)

    def forward(self, x):
        first = F.relu(self.first(x.view(-1, 1, 8, 8)))
        second = F.relu(self.second(first))
        return self.head(F.relu(self.joined(torch.cat([first, second], 1))).flatten(1))


class Excite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(16, 10)
        self.squeeze, self.excite = nn.Linear(16, 4), nn.Linear(4, 16)

    def forward(self, x):
        x = F.relu(self.conv(x.view(-1, 1, 8, 8)))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))
        return self.head((x * gate[:, :, None, None]).mean((2, 3)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.head = nn.Linear(8, 32), nn.LayerNorm(32), nn.Linear(32, 10)
        self.parts = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        x = self.embed(x.view(-1, 8, 8))
        query, key, value = (part(x) for part in self.parts[:3])
        shares = torch.softmax(query @ key.transpose(1, 2) / 32**0.5, dim=-1)
        return self.head(self.norm(x + self.parts[3](shares @ value)).mean(1))


class Repeated(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.again, self.head = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)
        self.bend = nn.ReLU(inplace=True)
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        x = self.bend(self.first(x))
        for _ in range(3):
            x = self.bend(self.again(x))
        return self.head(x)


def normed():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(64, 32)), *mlp(width=32))


@pytest.mark.parametrize(
    "make",
    [Skip, Excite, Attention, Repeated, normed, lambda: nn.DataParallel(mlp())],
)
def test_a_sound_module_of_whatever_kind_has_no_finding(make):
    model = make()
    found = outcome(model, optimizer=adam(model))
    assert [one.code for one in found.findings if one.severity != "note"] == []
    assert "K506" in found.passed
    assert getattr(model, "n_calls", 0) == 0


def test_a_network_that_has_just_begun_to_learn_is_not_judged_by_its_few_steps():
    assert "K701" in outcome(mlp()).passed
    assert "begun to fall" in outcome(Excite()).not_applicable["K701"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_floating_point_types_are_looked_at_as_well(dtype):
    model = mlp().to(dtype)
    assert codes(model, X.to(dtype), optimizer=adam(model)) == set()


# --- What cannot be judged ----------------------------------------------------------------


def test_without_a_loss_the_checks_of_losses_do_not_apply():
    found = families.examine_model(mlp(), X, y, {}, CheckConfig())
    assert found.findings == []
    assert found.not_applicable["K406"]
    assert found.not_applicable["K701"] == "no loss was given"


def test_without_an_optimizer_its_checks_do_not_apply():
    assert outcome(mlp()).not_applicable["K507"] == "no optimizer was given"


def test_a_large_module_is_not_probed():
    found = families.examine_model(
        mlp(), X, y, {"loss": nn.CrossEntropyLoss()}, CheckConfig(probe_parameters=1000)
    )
    assert "parameters are more than 1,000" in found.not_applicable["K506"]


def test_a_full_gpu_is_left_alone(monkeypatch):
    monkeypatch.setattr(benches, "memory_left", lambda _: 1000.0)
    assert "memory is nearly full" in outcome(mlp()).not_applicable["K506"]


def test_hooks_of_the_users_are_not_called():
    calls = []
    model = mlp()
    model[0].register_forward_hook(lambda *_: calls.append(1))
    assert "hooks of your own" in outcome(model).not_applicable["K506"]
    assert calls == []


class Endless(data.IterableDataset):
    def __iter__(self):
        raise AssertionError("a stream was read")


@pytest.mark.parametrize(
    "rows",
    [
        iter([(X, y)]),
        data.DataLoader(Endless()),
        X[:5],
    ],
)
def test_rows_that_cannot_be_looked_at_are_a_reason(rows):
    labels = y[:5] if rows is not None and hasattr(rows, "shape") else None
    found = outcome(mlp(), rows, labels)
    assert found.not_applicable["K506"]
    assert found.findings == []


def test_an_unknown_argument_is_refused_with_the_nearest():
    with pytest.raises(KeplerUsageError, match=r"'optimiser'.*did you mean 'optimizer'"):
        checks.model(mlp(), X, y, loss=nn.CrossEntropyLoss(), optimiser=None)


def test_several_inputs_and_several_outputs_are_called_as_they_are():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(64, 10), nn.Linear(64, 10)

        def forward(self, left, right):
            return self.first(left), self.second(right)

    found = outcome(Two(), (X, X), y, loss=lambda *_: None)
    assert [one for one in found.findings if one.severity == "error"] == []


def test_lazy_layers_are_built_on_the_copy_alone():
    model = nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(10))
    assert codes(model) == set()
    assert "Uninitialized" in type(model[0].weight).__name__


# --- Leaving no trace ---------------------------------------------------------------------


def numpy_state():
    return np.random.get_state()[1].copy()  # noqa: NPY002 - the user's state


def test_nothing_of_the_users_is_changed():
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3))
    model.append(nn.Linear(32, 10))
    model, optimizer = trained(model, 3)
    model[1].eval()
    before = copy.deepcopy([model.state_dict(), optimizer.state_dict()])
    gradients = [one.grad.clone() for one in model.parameters()]
    modes = [one.training for one in model.modules()]
    states = random.getstate(), numpy_state(), torch.get_rng_state()
    rows = X.clone(), y.clone()
    outcome(model, optimizer=optimizer)
    assert all(torch.equal(a, b) for a, b in zip(rows, (X, y), strict=True))
    assert random.getstate() == states[0]
    assert (numpy_state() == states[1]).all()
    assert torch.equal(torch.get_rng_state(), states[2])
    assert [one.training for one in model.modules()] == modes
    for old, one in zip(gradients, model.parameters(), strict=True):
        assert torch.equal(old, one.grad)
    after = [model.state_dict(), optimizer.state_dict()]
    assert repr(before) == repr(after)
    for name, value in before[0].items():
        assert torch.equal(value, after[0][name])


@pytest.mark.parametrize("seed", [0, 1])
def test_trained_weights_are_not_taken_for_fresh(seed):
    torch.manual_seed(seed)
    model, _ = trained(mlp(), 200)
    assert not families.view_model(model, X).is_fresh


@pytest.mark.parametrize(
    "init",
    [
        lambda _: None,
        nn.init.kaiming_normal_,
        nn.init.kaiming_uniform_,
        nn.init.xavier_uniform_,
        nn.init.xavier_normal_,
        nn.init.zeros_,
        lambda w: nn.init.normal_(w, std=0.02),
        lambda w: nn.init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04),
        lambda w: nn.init.normal_(w, std=1e-5),
    ],
)
def test_what_an_initializer_gives_is_fresh(init):
    model = mlp()
    for layer in (model[0], model[2], model[4]):
        init(layer.weight)
    assert families.view_model(model, X).is_fresh


def test_a_trained_module_is_asked_for_its_answers():
    model, _ = trained(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), 200)
    assert [one.code for one in checks.behaviour(model, X, y)] == []
    constant = nn.Sequential(nn.Linear(64, 10))
    nn.init.zeros_(constant[0].weight)
    assert "K711" in {one.code for one in checks.behaviour(constant, X, y)}


def test_behaviour_takes_the_rows_of_a_loader_and_says_what_it_cannot_take():
    rows = np.random.default_rng(0).normal(size=(256, 8)).astype(np.float32)
    labels = (rows[:, 0] > 0).astype(np.int64)
    model = nn.Sequential(nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2, 8).flip(0))
    held_out = data.TensorDataset(torch.from_numpy(rows), torch.from_numpy(labels))
    by_loader = checks.behaviour(model, data.DataLoader(held_out, batch_size=32))
    assert by_loader == checks.behaviour(model, rows, labels)
    without = data.DataLoader(data.TensorDataset(torch.from_numpy(rows)), batch_size=32)
    with pytest.raises(KeplerUsageError, match="Hand over the rows and their target as arrays"):
        checks.behaviour(model, without)
