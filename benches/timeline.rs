//! Item dynamics at the size of MovieTweetings 100K: what all events say at a moment, alone and within
//! a training step.
//! `cargo bench --bench timeline`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use deepm3::dynamics::batch::Batch;
use deepm3::dynamics::excitation::{FEATURES, Moment, Timeline};
use deepm3::dynamics::fused::{Fused, Surroundings};
use deepm3::dynamics::parameters;
use deepm3::dynamics::warp::TimeWarp;
use deepm3::settings::{Head, ItemDynamics, ModelSettings, Solver, Targets};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const USERS: usize = 4_692;
const ITEMS: usize = 9_674;
const EVENTS: usize = 18;
const DAY: i64 = 86_400_000;
/// Users of a batch.
const ROWS: usize = 32;

/// Every user's items, a few of them popular, and times over half a year.
fn histories() -> Vec<(Vec<u32>, Vec<i64>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..USERS)
        .map(|_| {
            let mut times: Vec<i64> = (0..EVENTS).map(|_| rng.random_range(0..185 * DAY)).collect();
            times.sort_unstable();
            let items =
                (0..EVENTS).map(|_| (ITEMS as f64 * rng.random::<f64>().powi(3)) as u32).collect();
            (items, times)
        })
        .collect()
}

fn timeline(criterion: &mut Criterion) {
    let histories = histories();
    let users = histories.iter().map(|(items, times)| (items.as_slice(), times.as_slice()));
    let timeline = Timeline::new(ITEMS, users);
    let mut scores = vec![0.0; ITEMS];
    let mut group = criterion.benchmark_group("timeline");
    let mut place = 0;
    group.bench_function("scores-at-a-moment", |bencher| {
        bencher.iter(|| {
            place = (place + 1) % USERS;
            let (items, times) = &histories[place];
            let last = EVENTS - 1;
            let moment = Moment::at(&items[..last], &times[..last], times[last]);
            let look = timeline.look(&moment, ItemDynamics::Both);
            timeline.add(&look, black_box(&[0.1; FEATURES]), &mut scores);
        });
    });
    let settings = ModelSettings {
        solver: Solver::Gru,
        hidden: 128,
        targets: Targets::All,
        head: Head::Tied,
        item_dynamics: ItemDynamics::Both,
        ..Default::default()
    };
    let weights: Vec<Vec<f32>> =
        parameters::initial(&settings, ITEMS, 1).into_iter().map(|matrix| matrix.values).collect();
    let mut gradients = weights.clone();
    let mut batch = Batch::empty(ROWS, EVENTS - 1);
    for (row, (items, times)) in histories.iter().take(ROWS).enumerate() {
        let last = EVENTS - 1;
        let target = Some(items[last]);
        batch.put(row, &items[..last], &times[..last], times[last], target, TimeWarp::LINEAR);
    }
    let around = Surroundings { timeline: Some(&timeline), behind: &[], mask_seen: false };
    let mut fused = Fused::new(&settings, ITEMS, 0);
    group.sample_size(20);
    group.bench_function("gradients-of-32-users", |bencher| {
        bencher.iter(|| fused.loss_beside(&weights, &batch, None, around, &mut gradients));
    });
    group.finish();
}

criterion_group!(benches, timeline);
criterion_main!(benches);
