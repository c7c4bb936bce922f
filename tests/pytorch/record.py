"""Record what PyTorch computes, for the tests that compare System 1 with it.

    pip install torch && python tests/pytorch/record.py

writes gru_cell.json and rk4_step.json beside this file. The files are committed, so the tests need
no Python.
"""

import json
import pathlib

import torch

HERE = pathlib.Path(__file__).parent


def flat(tensor):
    return [float(value) for value in tensor.detach().reshape(-1)]


def gru_cell():
    torch.manual_seed(1)
    batch, inputs, hidden = 3, 4, 5
    cell = torch.nn.GRUCell(inputs, hidden)
    x, h = torch.randn(batch, inputs), torch.randn(batch, hidden)
    return {
        "torch": torch.__version__,
        "batch": batch,
        "input": inputs,
        "hidden": hidden,
        "weight_ih": flat(cell.weight_ih),
        "weight_hh": flat(cell.weight_hh),
        "bias_ih": flat(cell.bias_ih),
        "bias_hh": flat(cell.bias_hh),
        "x": flat(x),
        "h": flat(h),
        "out": flat(cell(x, h)),
    }


def rk4_step():
    torch.manual_seed(2)
    batch, hidden = 3, 5
    field = torch.nn.Sequential(
        torch.nn.Linear(hidden, 2 * hidden),
        torch.nn.Tanh(),
        torch.nn.Linear(2 * hidden, hidden),
        torch.nn.Tanh(),
    )
    z = torch.randn(batch, hidden)
    dt = torch.tensor([[0.0], [0.3], [1.7]])
    k1 = field(z)
    k2 = field(z + 0.5 * dt * k1)
    k3 = field(z + 0.5 * dt * k2)
    k4 = field(z + dt * k3)
    out = z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return {
        "torch": torch.__version__,
        "batch": batch,
        "hidden": hidden,
        "w1": flat(field[0].weight),
        "b1": flat(field[0].bias),
        "w2": flat(field[2].weight),
        "b2": flat(field[2].bias),
        "z": flat(z),
        "dt": flat(dt),
        "out": flat(out),
    }


for name, record in [("gru_cell", gru_cell()), ("rk4_step", rk4_step())]:
    (HERE / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
