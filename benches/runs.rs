//! How long a list of 1,000 finished runs takes: the target is 100 ms.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use deepm3::evaluation::{Estimate, Latency, mean_over};
use deepm3::runs::{BaselineRecord, DataRecord, LatencyRecord, RunStore, RunSummary};
use deepm3::settings::Config;

const RUNS: usize = 1_000;

fn summary(run: &str) -> RunSummary {
    let estimate: Estimate = mean_over(&[vec![0.0, 1.0, 0.0, 0.5, 0.0]]);
    let latency = Latency { median_ms: 2.7, p95_ms: 3.1, n: 100 };
    let baseline =
        |name: &str| BaselineRecord { name: name.to_owned(), hr10: estimate, ndcg10: estimate };
    RunSummary {
        run: run.to_owned(),
        group: Some("20261122-080000-ablation-0000".to_owned()),
        created: jiff::Timestamp::now(),
        finished: jiff::Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: "rk4".to_owned(),
        seed: 42,
        config: Config::default(),
        data: DataRecord {
            name: "drift".to_owned(),
            users: 2_000,
            items: 500,
            events: 60_000,
            fingerprint: "0123456789abcdef".repeat(4),
        },
        device: "CPU".to_owned(),
        params: 1_000_000,
        hr10: estimate,
        ndcg10: estimate,
        mrr: 0.07,
        valid_ndcg10: 0.1,
        best_epoch: 3,
        epochs: 5,
        train_loss: 6.5,
        train_seconds: 12.0,
        step_halving_error: 0.0,
        latency: Some(LatencyRecord {
            device: "CPU".to_owned(),
            batch64: latency,
            single: latency,
        }),
        baselines: vec![baseline("popularity"), baseline("markov")],
        ceiling: None,
        time_scale_days: None,
        half_lives_days: None,
        origin: None,
    }
}

/// One run written through the store, and copies of it: a thousand synced writes would take longer
/// than the benchmark.
fn fill(store: &RunStore) -> Result<(), Box<dyn std::error::Error>> {
    let mut run = store.create("rk4-s42", &Config::default())?;
    run.write_config(&Config::default())?;
    run.write_model(&[0; 1024])?;
    run.write_summary(&summary(run.id()))?;
    for index in 1..RUNS {
        let copy = store.dir().join(format!("20261122-080000-copy-{index:04}"));
        copy_folder(run.path(), &copy)?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn list(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = RunStore::open(Some(dir.path())).expect("a run store");
    fill(&store).expect("a thousand runs");
    assert_eq!(store.list().len(), RUNS);
    criterion.bench_function("list 1,000 runs", |bencher| {
        bencher.iter(|| black_box(store.list()));
    });
}

criterion_group!(benches, list);
criterion_main!(benches);
