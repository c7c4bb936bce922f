//! What the files of a run hold.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::evaluation::{Estimate, Latency};
use crate::settings::Config;

/// `summary.json`: the final numbers of a finished run, and what they were measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Id, the name of its folder.
    pub run: String,
    /// Shared by the runs of one ablation.
    pub group: Option<String>,
    pub created: Timestamp,
    pub finished: Timestamp,
    /// Of the program that wrote it.
    pub version: String,
    /// The solver's word, as in `gru` or `rk4`.
    pub model: String,
    pub seed: u64,
    pub config: Config,
    pub data: DataRecord,
    /// What it was trained on.
    pub device: String,
    /// Trained numbers in the model.
    pub params: u64,
    /// On the test queries, as is all that does not say otherwise.
    pub hr10: Estimate,
    pub ndcg10: Estimate,
    pub mrr: f64,
    /// Of the epoch whose weights were kept.
    #[serde(deserialize_with = "null_is_nan")]
    pub valid_ndcg10: f64,
    /// The epoch whose weights were kept, from 1: the best on validation, or the last where
    /// `training.keep_best` is off.
    pub best_epoch: usize,
    /// Epochs trained.
    pub epochs: usize,
    /// Mean over the last epoch, in nats; NaN where the training diverged.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_loss: f64,
    pub train_seconds: f64,
    /// Largest relative change of the test states (of about a thousand, taken evenly) when every solver
    /// step is halved; 0 for `gru`.
    #[serde(default, deserialize_with = "null_is_nan")]
    pub step_halving_error: f64,
    pub latency: Option<LatencyRecord>,
    /// On the same queries.
    pub baselines: Vec<BaselineRecord>,
    /// On the same queries, of somebody who knows how the data was made; `None` where nobody does.
    #[serde(default)]
    pub ceiling: Option<BaselineRecord>,
    /// κ of the time warp in days, where it was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_scale_days: Option<f64>,
    /// Of the items' intensities, as learned from the events, in days; `None` without intensities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_lives_days: Option<Vec<f64>>,
    /// Where the weights come from, where it is not a training as `config` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Where weights come from that the settings of their run alone do not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Origin {
    /// An adapter was merged into those of another run.
    Merged {
        run: String,
        /// Name of the adapter's file.
        adapter: String,
        /// Of that file.
        fingerprint: String,
        /// What the adapter was trained for.
        domain: String,
    },
    /// An experiment trained them in a way of its own.
    Experiment {
        /// Its word, as in `dora`.
        experiment: String,
        /// What is special about them, for people.
        about: String,
    },
}

impl Origin {
    /// In a word or two. An adapter is of one run's weights, which its fingerprint knows.
    pub fn short(&self) -> String {
        match self {
            Self::Merged { adapter, fingerprint, .. } => format!("{adapter} {fingerprint}"),
            Self::Experiment { experiment, .. } => experiment.clone(),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Merged { run, adapter, fingerprint, domain } => {
                write!(f, "run {run} with the adapter {adapter} ({fingerprint}, for {domain})")
            }
            Self::Experiment { experiment, about } => {
                write!(f, "the experiment `{experiment}`: {about}")
            }
        }
    }
}

/// The data of a run, after filtering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    pub name: String,
    pub users: u64,
    pub items: u64,
    pub events: u64,
    /// Differs where any event differs.
    pub fingerprint: String,
}

/// How long answers take, after warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyRecord {
    pub device: String,
    /// A batch of 64 requests.
    pub batch64: Latency,
    /// One request alone.
    pub single: Latency,
}

/// What needs no training: the baselines `popularity` and `markov`, and the `ceiling`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineRecord {
    pub name: String,
    pub hr10: Estimate,
    pub ndcg10: Estimate,
}

/// One line of `metrics.jsonl`.
///
/// Losses and norms of a training that diverged are NaN, which JSON writes as null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum MetricRecord {
    /// Every few steps.
    Step {
        step: u64,
        /// With its fraction.
        epoch: f64,
        /// In nats.
        #[serde(deserialize_with = "null_is_nan")]
        loss: f64,
        learning_rate: f64,
        /// Before clipping.
        #[serde(deserialize_with = "null_is_nan")]
        grad_norm: f64,
        sequences_per_second: f64,
        /// Of training so far.
        seconds: f64,
    },
    /// After each epoch.
    Epoch {
        /// From 1.
        epoch: usize,
        step: u64,
        #[serde(deserialize_with = "null_is_nan")]
        train_loss: f64,
        #[serde(deserialize_with = "null_is_nan")]
        valid_hr10: f64,
        #[serde(deserialize_with = "null_is_nan")]
        valid_ndcg10: f64,
        seconds: f64,
    },
}

impl MetricRecord {
    /// Steps done by then.
    pub fn step(&self) -> u64 {
        match self {
            Self::Step { step, .. } | Self::Epoch { step, .. } => *step,
        }
    }
}

/// One line of `ranks.csv`: where one test query's target came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryRank {
    /// Ids as in the source file.
    pub user: String,
    pub item: String,
    /// From 1.
    pub rank: u32,
    /// Where popularity put it, from 1; `None` in files written before this was kept.
    pub popularity: Option<u32>,
    /// Where the Markov chain put it, from 1; `None` in files written before this was kept.
    pub markov: Option<u32>,
    /// Where recent popularity put it, likewise.
    pub recent: Option<u32>,
    /// Where the neighbours of the history's items put it, likewise.
    pub item_knn: Option<u32>,
}

/// serde_json writes NaN and infinities as null; read that back as NaN.
fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// A finished run for tests.
#[cfg(test)]
pub(super) fn sample(run: &str, model: &str, seed: u64) -> RunSummary {
    let estimate = |mean| Estimate {
        mean,
        se: Some(0.01),
        df: Some(99.0),
        ci95: Some([mean - 0.0625, mean + 0.0625]),
        n: 100,
    };
    let latency = Latency { median_ms: 2.7, p95_ms: 3.1, n: 100 };
    let mut config = Config::default();
    config.set_text(&format!("model.solver={model}")).unwrap();
    config.set_text(&format!("training.seed={seed}")).unwrap();
    RunSummary {
        run: run.to_owned(),
        group: Some("ablation-1".to_owned()),
        created: "2026-11-22T08:00:00Z".parse().unwrap(),
        finished: "2026-11-22T08:01:00Z".parse().unwrap(),
        version: "0.1.0".to_owned(),
        model: model.to_owned(),
        seed,
        config,
        data: DataRecord {
            name: "drift".to_owned(),
            users: 100,
            items: 50,
            events: 2000,
            fingerprint: "abc".to_owned(),
        },
        device: "CPU (flex)".to_owned(),
        params: 12_345,
        hr10: estimate(0.1875),
        ndcg10: estimate(0.09375),
        mrr: 0.07,
        valid_ndcg10: 0.1,
        best_epoch: 3,
        epochs: 5,
        train_loss: 6.5,
        step_halving_error: 0.0,
        train_seconds: 12.0,
        latency: Some(LatencyRecord {
            device: "CPU (flex)".to_owned(),
            batch64: latency,
            single: Latency { median_ms: 0.75, ..latency },
        }),
        baselines: vec![BaselineRecord {
            name: "popularity".to_owned(),
            hr10: estimate(0.125),
            ndcg10: estimate(0.0625),
        }],
        ceiling: None,
        time_scale_days: None,
        half_lives_days: None,
        origin: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_round_trips() {
        let summary = sample("20261122-080000-rk4-s42-0000", "rk4", 42);
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<RunSummary>(&json).unwrap(), summary);
    }

    #[test]
    fn a_diverged_run_can_be_read_back() {
        let mut summary = sample("20261122-080000-rk4-s42-0000", "rk4", 42);
        summary.train_loss = f64::NAN;
        let json = serde_json::to_string(&summary).unwrap();
        assert!(json.contains("\"train_loss\":null"));
        let read: RunSummary = serde_json::from_str(&json).unwrap();
        assert!(read.train_loss.is_nan());
    }

    #[test]
    fn metric_lines_say_their_kind() {
        let record = MetricRecord::Step {
            step: 10,
            epoch: 0.5,
            loss: f64::INFINITY,
            learning_rate: 1e-3,
            grad_norm: 1.0,
            sequences_per_second: 100.0,
            seconds: 2.0,
        };
        let json = serde_json::to_string(&record).unwrap();
        assert!(json.starts_with("{\"kind\":\"step\",\"step\":10,"), "{json}");
        match serde_json::from_str(&json).unwrap() {
            MetricRecord::Step { loss, .. } => assert!(loss.is_nan()),
            other => panic!("{other:?}"),
        }
    }
}
