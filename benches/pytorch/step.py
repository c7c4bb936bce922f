#!/usr/bin/env python3
"""The training step of `deepm3 bench step` in PyTorch, in turn with ours in one run.

    pip install torch; cargo build --release
    python3 benches/pytorch/step.py [--compile] [--rounds 5] [--deepm3 target/release/deepm3]
    python3 benches/pytorch/step.py --cuda [--batch 1024]      # on an NVIDIA GPU

19 events, H 128, 3,707 items, loss on the last target, Adam, clipping at norm 1. On the CPU both use
all cores. On a GPU both are given 20 steps before they are waited for; --compile captures CUDA graphs
there, and Adam is the fused one. A round takes the median of a few steps of each; what is printed are
the medians of the rounds, and of the rounds' ratios, since the machine's speed drifts.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from torch import nn

LENGTH, HIDDEN, ITEMS = 19, 128, 3707
QUEUED = 20
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


def workloads(solver, compiled, batch, device):
    """A training step, and on the CPU forward passes of 64 histories and of one."""
    print(f"PyTorch's {solver}, {'compiled' if compiled else 'eager'}", file=sys.stderr)
    torch.manual_seed(1)
    cuda = device == "cuda"
    items = torch.randint(1, ITEMS + 1, (batch, LENGTH), device=device)
    gaps = torch.rand(batch, LENGTH, device=device)
    targets = torch.randint(0, ITEMS, (batch,), device=device)
    model = System1(solver).to(device)
    mode = "reduce-overhead" if cuda else None
    run = torch.compile(model, dynamic=False, mode=mode) if compiled else model
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=cuda and compiled or None)

    def step():
        adam.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(run(items, gaps), targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    def steps():
        for _ in range(QUEUED):
            step()
        torch.cuda.synchronize()

    @torch.no_grad()
    def forward(rows):
        return run(items[:rows], gaps[:rows])

    if cuda:
        return {"step_ms": steps}
    return {"step_ms": step, "forward_ms": lambda: forward(64), "single_ms": lambda: forward(1)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--compile", action="store_true")
    arguments.add_argument("--cuda", action="store_true")
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--solvers", nargs="+", choices=SOLVERS, default=SOLVERS)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=15)
    arguments.add_argument("--deepm3", default="target/release/deepm3")
    options = arguments.parse_args()
    if options.compile:
        # Each solver, each number of histories, with and without gradients.
        torch._dynamo.config.recompile_limit = 32
    ways = {"eager": False} | ({"compiled": True} if options.compile else {})
    device, queued = ("cuda", QUEUED) if options.cuda else ("cpu", 1)
    theirs = {
        solver: {
            way: workloads(solver, compiled, options.batch, device) for way, compiled in ways.items()
        }
        for solver in options.solvers
    }
    command = [options.deepm3, "bench", "step", "--json", "--quiet"]
    command += ["--device", "gpu" if options.cuda else "cpu"]
    command += ["--repeats", str(options.steps), "--batch", str(options.batch)]
    command += [f"--solver={solver}" for solver in options.solvers]
    times, ceilings = {}, []
    for _ in range(options.rounds):
        ours = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        ceilings.append(ours["sgemm_gflops"])
        for row in ours["rows"]:
            for way, works in theirs.get(row["model"], {}).items():
                for what, work in works.items():
                    pair = (row[what], median_ms(work, options.steps) / queued)
                    times.setdefault((what, row["model"], way), []).append(pair)
    print(f"PyTorch {torch.__version__},", end=" ")
    if options.cuda:
        print(f"{torch.cuda.get_device_name()}; {ours['device']},", end=" ")
    else:
        print(f"{torch.get_num_threads()} threads; {ours['device']},", end=" ")
        print(f"large matrix products {statistics.median(ceilings):.0f} GFLOP/s,", end=" ")
    print(f"batch {options.batch}; medians of {options.rounds} rounds")
    print("                                 ours, ms  PyTorch, ms   ratio (least–most)")
    for (what, solver, way), pairs in times.items():
        ratios = [torch_ms / own for own, torch_ms in pairs]
        own, torch_ms = (statistics.median(column) for column in zip(*pairs))
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"
        print(f"{solver:6} {WHAT[what]:16} {way:8} {own:9.3f} {torch_ms:12.3f}   {spread}")


if __name__ == "__main__":
    main()
