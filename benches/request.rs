//! One request to System 1 at the size of a film catalogue: history of 10, H 128, N 10,506, one
//! thread; alone and in micro-batches, and the router's softmax over its scores.
//! `cargo bench --bench request`

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use deepm3::dynamics::packed::{PackedSystem1, Step};
use deepm3::dynamics::parameters;
use deepm3::routing::softmax;
use deepm3::settings::{ModelSettings, Solver};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ITEMS: usize = 10_506;
const HISTORY: usize = 10;

/// Histories of new users, with gaps of up to 15 days.
fn histories(rows: usize) -> Vec<Vec<Step>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut step = |place| Step {
        dt: if place == 0 { 0.0 } else { rng.random_range(0.0..1.5) },
        item: rng.random_range(0..ITEMS as u32),
    };
    (0..rows).map(|_| (0..HISTORY).map(&mut step).collect()).collect()
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    for &solver in Solver::WITH_STATE {
        let settings = ModelSettings { solver, hidden: 128, ..Default::default() };
        let weights = parameters::initial(&settings, ITEMS, 1);
        let model = PackedSystem1::new(&settings, ITEMS, &weights);
        let mut workspace = model.workspace();
        for rows in [1, 16, 32] {
            let histories = histories(rows);
            let steps: Vec<&[Step]> = histories.iter().map(Vec::as_slice).collect();
            let mut states = vec![0.0; rows * model.hidden()];
            let mut scores = vec![0.0; rows * model.items()];
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(format!("cold-{rows}/{}", solver.word()), |bencher| {
                bencher.iter(|| {
                    states.fill(0.0);
                    model.advance(&mut workspace, &mut states, black_box(&steps));
                    model.scores(&mut workspace, &states, &mut scores);
                    black_box(&scores);
                });
            });
        }
    }
    group.finish();
}

fn uncertainty(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let scores: Vec<f32> = (0..ITEMS).map(|_| rng.random_range(-6.0..6.0)).collect();
    criterion.bench_function("softmax", |bencher| {
        bencher.iter(|| softmax(black_box(&scores), 1.3));
    });
}

criterion_group!(benches, requests, uncertainty);
criterion_main!(benches);
