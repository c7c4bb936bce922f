#!/usr/bin/env python3
"""The training step of `deepm3 bench step` in PyTorch, in turn with ours in one run.

    pip install torch; cargo build --release
    python3 benches/pytorch/step.py [--compile] [--rounds 5] [--deepm3 target/release/deepm3]

Batch 64, 19 events, H 128, 3,707 items, loss on the last target, Adam, clipping at norm 1. Both use
all cores. A round takes the median of a few steps of each; what is printed are the medians of the
rounds, and of the rounds' ratios, since the machine's speed drifts from round to round.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from torch import nn

BATCH, LENGTH, HIDDEN, ITEMS = 64, 19, 128, 3707
SOLVERS = ("gru", "euler", "rk4")
WHAT = {"step_ms": "step", "forward_ms": "forward of 64", "single_ms": "forward of 1"}


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
    for _ in range(3):
        work()
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        work()
        took.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(took)


def workloads(solver, compiled):
    """A training step, and forward passes of 64 histories and of one."""
    print(f"PyTorch's {solver}, {'compiled' if compiled else 'eager'}", file=sys.stderr)
    torch.manual_seed(1)
    items = torch.randint(1, ITEMS + 1, (BATCH, LENGTH))
    gaps = torch.rand(BATCH, LENGTH)
    targets = torch.randint(0, ITEMS, (BATCH,))
    model = System1(solver)
    run = torch.compile(model, dynamic=False) if compiled else model
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        adam.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(run(items, gaps), targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    @torch.no_grad()
    def forward(rows):
        return run(items[:rows], gaps[:rows])

    return {"step_ms": step, "forward_ms": lambda: forward(64), "single_ms": lambda: forward(1)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--compile", action="store_true")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=15)
    arguments.add_argument("--deepm3", default="target/release/deepm3")
    options = arguments.parse_args()
    if options.compile:
        # Each solver, each number of histories, with and without gradients.
        torch._dynamo.config.recompile_limit = 32
    ways = {"eager": False} | ({"compiled": True} if options.compile else {})
    theirs = {
        solver: {way: workloads(solver, compiled) for way, compiled in ways.items()}
        for solver in SOLVERS
    }
    command = [options.deepm3, "bench", "step", "--device", "cpu", "--json", "--quiet"]
    command += ["--repeats", str(options.steps)]
    times, ceilings = {}, []
    for _ in range(options.rounds):
        ours = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        ceilings.append(ours["sgemm_gflops"])
        for row in ours["rows"]:
            for way, works in theirs.get(row["model"], {}).items():
                for what, work in works.items():
                    pair = (row[what], median_ms(work, options.steps))
                    times.setdefault((what, row["model"], way), []).append(pair)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads;", end=" ")
    print(f"{ours['device']}, large matrix products {statistics.median(ceilings):.0f} GFLOP/s;", end=" ")
    print(f"medians of {options.rounds} rounds")
    print("                                 ours, ms  PyTorch, ms   ratio (least–most)")
    for (what, solver, way), pairs in times.items():
        ratios = [torch_ms / own for own, torch_ms in pairs]
        own, torch_ms = (statistics.median(column) for column in zip(*pairs))
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"
        print(f"{solver:6} {WHAT[what]:16} {way:8} {own:9.2f} {torch_ms:12.2f}   {spread}")


if __name__ == "__main__":
    main()
