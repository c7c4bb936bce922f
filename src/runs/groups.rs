//! Runs that differ only in their seed, taken together.

use super::store::read_ranks;
use super::stored::same_queries;
use super::{DataRecord, LatencyRecord, RunEntry, RunSummary};
use crate::evaluation::{Estimate, hit, mean_metric, ndcg};
use crate::settings::{Config, DataSettings, EvaluationSettings, TrainingSettings};

/// Finished runs of one ablation, model, config and data, over seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Id of the ablation, where there was one.
    pub group: Option<String>,
    /// The solver's word.
    pub model: String,
    /// Of the first run; the others have it with their own seeds.
    pub config: Config,
    pub data: DataRecord,
    pub device: String,
    pub params: u64,
    /// Ids, in the order of `seeds`. A seed that ran twice is there once, with its newest run.
    pub runs: Vec<String>,
    /// Rising.
    pub seeds: Vec<u64>,
    /// Over seeds and queries.
    pub hr10: Estimate,
    /// Over seeds and queries.
    pub ndcg10: Estimate,
    /// Mean over seeds.
    pub mrr: f64,
    /// Mean over seeds.
    pub train_seconds: f64,
    /// Of the run with the middle median for a batch.
    pub latency: Option<LatencyRecord>,
}

/// Put finished runs together that share ablation, model, data, origin and every setting that matters but
/// the seed, in the order in which they come (newest first, as listed).
///
/// Reads `ranks.csv` of each run, for intervals over queries and seeds; where that cannot be done
/// the interval comes from the summaries, and is wider.
pub fn groups(entries: &[RunEntry]) -> Vec<Group> {
    let mut gathered: Vec<(Config, Vec<(&RunEntry, &RunSummary)>)> = Vec::new();
    for entry in entries {
        let Some(summary) = &entry.summary else {
            continue;
        };
        let config = essence(&summary.config);
        let home = gathered.iter_mut().find(|(other, members)| {
            let first = members[0].1;
            first.group == summary.group
                && first.model == summary.model
                && first.data.fingerprint == summary.data.fingerprint
                && first.origin == summary.origin
                && *other == config
        });
        match home {
            Some((_, members)) => {
                if members.iter().all(|(_, other)| other.seed != summary.seed) {
                    members.push((entry, summary));
                }
            }
            None => gathered.push((config, vec![(entry, summary)])),
        }
    }
    gathered
        .into_iter()
        .map(|(_, mut members)| {
            members.sort_by_key(|(_, summary)| summary.seed);
            group_of(&members)
        })
        .collect()
}

/// The settings that make a run what it is, but for its seed: of the data, the model, the training
/// and the evaluation. Every other section is at its default, as is what changes neither what is
/// learned nor how it is judged: where files lie and how the work is cut up. The data is known by
/// its fingerprint.
pub(super) fn essence(config: &Config) -> Config {
    let defaults = Config::default();
    let config = config.clone();
    Config {
        data: DataSettings {
            source: defaults.data.source,
            columns: defaults.data.columns,
            items_file: defaults.data.items_file,
            ..config.data
        },
        model: config.model,
        training: TrainingSettings {
            seed: defaults.training.seed,
            checkpoint_seconds: defaults.training.checkpoint_seconds,
            parallel: defaults.training.parallel,
            ..config.training
        },
        evaluation: EvaluationSettings {
            batch_size: defaults.evaluation.batch_size,
            ..config.evaluation
        },
        ..Config::default()
    }
}

/// `members` has at least one run.
fn group_of(members: &[(&RunEntry, &RunSummary)]) -> Group {
    let summaries: Vec<&RunSummary> = members.iter().map(|(_, summary)| *summary).collect();
    let first = summaries[0];
    let ranks = ranks_of(members);
    let estimate = |metric: fn(u32, u32) -> f64, of: fn(&RunSummary) -> Estimate| match &ranks {
        Some(ranks) => mean_metric(&values(ranks, |rank| metric(rank, 10))),
        None => Estimate::pooled(&summaries.iter().map(|s| of(s)).collect::<Vec<_>>()),
    };
    let mean = |of: fn(&RunSummary) -> f64| {
        summaries.iter().map(|s| of(s)).sum::<f64>() / summaries.len() as f64
    };
    Group {
        group: first.group.clone(),
        model: first.model.clone(),
        config: first.config.clone(),
        data: first.data.clone(),
        device: first.device.clone(),
        params: first.params,
        runs: members.iter().map(|(entry, _)| entry.id.clone()).collect(),
        seeds: summaries.iter().map(|summary| summary.seed).collect(),
        hr10: estimate(hit, |summary| summary.hr10),
        ndcg10: estimate(ndcg, |summary| summary.ndcg10),
        mrr: mean(|summary| summary.mrr),
        train_seconds: mean(|summary| summary.train_seconds),
        latency: middle_latency(&summaries).cloned(),
    }
}

/// The ranks of each run, where every run has them for the same queries in the same order.
fn ranks_of(members: &[(&RunEntry, &RunSummary)]) -> Option<Vec<Vec<u32>>> {
    let files = members
        .iter()
        .map(|(entry, _)| read_ranks(&entry.path).ok())
        .collect::<Option<Vec<_>>>()?;
    let first = files.first().filter(|first| !first.is_empty())?;
    let same = files.iter().all(|file| same_queries(file, first));
    same.then(|| files.iter().map(|file| file.iter().map(|query| query.rank).collect()).collect())
}

/// A metric of every rank, `[seed][query]`.
pub(super) fn values<R: AsRef<[u32]>>(ranks: &[R], metric: impl Fn(u32) -> f64) -> Vec<Vec<f64>> {
    ranks.iter().map(|seed| seed.as_ref().iter().map(|&rank| metric(rank)).collect()).collect()
}

/// The latency of the run with the middle median for a batch, so that its figures belong together.
pub(super) fn middle_latency<'a>(summaries: &[&'a RunSummary]) -> Option<&'a LatencyRecord> {
    let mut measured: Vec<&LatencyRecord> =
        summaries.iter().filter_map(|summary| summary.latency.as_ref()).collect();
    measured.sort_by(|a, b| a.batch64.median_ms.total_cmp(&b.batch64.median_ms));
    measured.get(measured.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::record::sample;
    use crate::runs::{QueryRank, RunStore};
    use crate::settings::{Kind, Setting, Value};

    fn add(store: &RunStore, model: &str, seed: u64, ranks: &[u32]) {
        let mut run = store.create(&format!("{model}-s{seed}"), &Config::default()).unwrap();
        let mut summary = sample(run.id(), model, seed);
        summary.created = jiff::Timestamp::now();
        let queries: Vec<QueryRank> = ranks
            .iter()
            .enumerate()
            .map(|(user, &rank)| QueryRank {
                user: user.to_string(),
                item: "7".to_owned(),
                rank,
                ..Default::default()
            })
            .collect();
        run.write_ranks(&queries).unwrap();
        run.write_summary(&summary).unwrap();
    }

    #[test]
    fn seeds_are_taken_together_and_models_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = RunStore::open(Some(dir.path())).unwrap();
        add(&store, "gru", 43, &[1, 20, 1, 20]);
        add(&store, "gru", 42, &[1, 1, 20, 20]);
        add(&store, "rk4", 42, &[1, 1, 1, 20]);
        let mut found = groups(&store.list());
        found.sort_by(|a, b| a.model.cmp(&b.model));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].seeds, [42, 43]);
        assert_eq!(found[0].hr10.mean, 0.5);
        assert_eq!(found[0].hr10.n, 4);
        assert_eq!(found[1].hr10.mean, 0.75);
    }

    /// Another value that the setting could have.
    fn another(setting: &Setting, value: Value) -> Value {
        let or = |first: Value, second: Value| if value == first { second } else { first };
        match setting.kind {
            Kind::Integer { min, max, .. } => or(Value::Integer(min), Value::Integer(max)),
            Kind::Number { min, max, .. } => or(Value::Number(min), Value::Number(max)),
            Kind::Switch => or(Value::Switch(true), Value::Switch(false)),
            Kind::Choice(words) => or(Value::Text(words[0].into()), Value::Text(words[1].into())),
            Kind::Text => Value::Text("another".to_owned()),
        }
    }

    #[test]
    fn only_what_is_learned_and_how_it_is_judged_makes_a_run_another() {
        let neither = [
            "data.source",
            "data.columns",
            "data.items_file",
            "training.seed",
            "training.checkpoint_seconds",
            "training.parallel",
            "evaluation.batch_size",
        ];
        let sections = ["data", "model", "training", "evaluation"];
        for setting in Config::settings() {
            let mut config = Config::default();
            let value = another(&setting, config.get(setting.key).unwrap());
            config.set(setting.key, value).unwrap();
            let section = setting.key.split('.').next().unwrap();
            let matters = sections.contains(&section) && !neither.contains(&setting.key);
            assert_eq!(essence(&config) != Config::default(), matters, "{}", setting.key);
        }
    }

    #[test]
    fn without_common_queries_the_summaries_speak() {
        let dir = tempfile::tempdir().unwrap();
        let store = RunStore::open(Some(dir.path())).unwrap();
        add(&store, "gru", 42, &[1, 1, 20, 20]);
        add(&store, "gru", 43, &[1, 20]);
        let found = groups(&store.list());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].hr10.mean, 0.1875);
        assert_eq!(found[0].hr10.n, 100);
    }

    #[test]
    fn a_seed_that_ran_twice_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = RunStore::open(Some(dir.path())).unwrap();
        add(&store, "gru", 42, &[1, 1]);
        add(&store, "gru", 42, &[20, 20]);
        let entries = store.list();
        let found = groups(&entries);
        assert_eq!(found[0].runs, std::slice::from_ref(&entries[0].id));
        assert_eq!(found[0].hr10.mean, 0.0);
    }
}
