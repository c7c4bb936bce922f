#!/usr/bin/env python3
"""The training step of `cargo bench --bench step` in PyTorch on the CPU.

    pip install torch; python3 benches/pytorch/step.py [--compile] [--steps 30]

Batch 64, 19 events, H 128, 3,707 items, loss on the last target, Adam, clipping at norm 1. Prints
the median time of a training step, of a forward pass for 64 histories and for one, in ms.
"""

import argparse
import statistics
import time

import torch
from torch import nn

BATCH, LENGTH, HIDDEN, ITEMS = 64, 19, 128, 3707


class System1(nn.Module):
    """Embedding, a GRU cell at each event, a flow over each gap but the last, a linear head."""

    def __init__(self, solver):
        super().__init__()
        self.solver = solver
        self.embedding = nn.Embedding(ITEMS + 1, HIDDEN, padding_idx=0)
        self.cell = nn.GRUCell(HIDDEN, HIDDEN)
        self.field = nn.Sequential(
            nn.Linear(HIDDEN, 2 * HIDDEN), nn.Tanh(), nn.Linear(2 * HIDDEN, HIDDEN), nn.Tanh()
        )
        self.head = nn.Linear(HIDDEN, ITEMS)

    def flow(self, z, h):
        if self.solver == "euler":
            return z + h * self.field(z)
        k1 = self.field(z)
        k2 = self.field(z + 0.5 * h * k1)
        k3 = self.field(z + 0.5 * h * k2)
        k4 = self.field(z + h * k3)
        return z + h / 6 * (k1 + 2 * (k2 + k3) + k4)

    def forward(self, items, gaps):
        embedded = self.embedding(items)
        state = embedded.new_zeros(items.shape[0], HIDDEN)
        for place in range(items.shape[1]):
            state = self.cell(embedded[:, place], state)
            if self.solver != "gru" and place + 1 < items.shape[1]:
                state = self.flow(state, gaps[:, place : place + 1])
        return self.head(state)


def median_ms(work, count):
    for _ in range(5):
        work()
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        work()
        took.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(took)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--compile", action="store_true")
    arguments.add_argument("--steps", type=int, default=30)
    options = arguments.parse_args()
    torch.manual_seed(1)
    items = torch.randint(1, ITEMS + 1, (BATCH, LENGTH))
    gaps = torch.rand(BATCH, LENGTH)
    targets = torch.randint(0, ITEMS, (BATCH,))
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for solver in ("gru", "euler", "rk4"):
        model = System1(solver)
        run = torch.compile(model) if options.compile else model
        adam = torch.optim.Adam(model.parameters(), lr=1e-3)

        def step():
            adam.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(run(items, gaps), targets).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()

        @torch.no_grad()
        def forward(rows):
            return run(items[:rows], gaps[:rows])

        times = [median_ms(step, options.steps)]
        times += [median_ms(lambda rows=rows: forward(rows), options.steps) for rows in (64, 1)]
        print(f"{solver:6} step {times[0]:7.2f}  forward of 64 {times[1]:7.2f}  of 1 {times[2]:6.2f} ms")


if __name__ == "__main__":
    main()
