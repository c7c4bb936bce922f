//! One model of a table: the runs that differ only in their seed, and what they say together.

use super::groups::{essence, middle_latency, values};
use super::table::{ComparisonRow, LatencyCell, MetricCell, TableRow};
use super::{BaselineRecord, Origin, RunSummary};
use crate::evaluation::{Comparison, Estimate, compare, hit, mean_metric, ndcg};
use crate::settings::Config;

/// A metric as the table needs it: its name, its value of a rank, and where summaries keep it.
pub(super) struct Metric {
    pub name: &'static str,
    value: fn(u32, u32) -> f64,
    of_run: fn(&RunSummary) -> Estimate,
    of_baseline: fn(&BaselineRecord) -> Estimate,
}

pub(super) const HR10: Metric = Metric {
    name: "hr10",
    value: hit,
    of_run: |summary| summary.hr10,
    of_baseline: |baseline| baseline.hr10,
};
pub(super) const NDCG10: Metric = Metric {
    name: "ndcg10",
    value: ndcg,
    of_run: |summary| summary.ndcg10,
    of_baseline: |baseline| baseline.ndcg10,
};

/// A finished run and the ranks of its test queries.
pub(super) type Run = (RunSummary, Vec<u32>);

/// The runs of one model, by rising seed, each seed once.
pub(super) struct Model<'a> {
    /// Unlike any other's of the table.
    label: String,
    /// Without seed and paths.
    essence: Config,
    origin: Option<Origin>,
    runs: Vec<&'a Run>,
}

/// Put runs together that differ only in their seed, in the order in which they come. Of a seed
/// that ran twice the newest run counts.
pub(super) fn models(runs: &[Run]) -> Vec<Model<'_>> {
    let mut models: Vec<Model> = Vec::new();
    for run in runs {
        let essence = essence(&run.0.config);
        let origin = &run.0.origin;
        let same = |model: &&mut Model<'_>| model.essence == essence && model.origin == *origin;
        let Some(model) = models.iter_mut().find(same) else {
            let origin = origin.clone();
            models.push(Model { label: String::new(), essence, origin, runs: vec![run] });
            continue;
        };
        match model.runs.iter_mut().find(|other| other.0.seed == run.0.seed) {
            Some(other) if other.0.created < run.0.created => *other = run,
            Some(_) => {}
            None => model.runs.push(run),
        }
    }
    for model in &mut models {
        model.runs.sort_by_key(|run| run.0.seed);
    }
    let labels: Vec<String> = models.iter().map(|model| label(model, &models)).collect();
    for (model, label) in models.iter_mut().zip(labels) {
        model.label = label;
    }
    models
}

/// The solver's word, with where its weights come from and the settings in which the model differs from
/// others of that solver.
fn label(model: &Model<'_>, all: &[Model<'_>]) -> String {
    let solver = model.essence.model.solver;
    let differences: Vec<_> = all
        .iter()
        .filter(|other| other.essence.model.solver == solver)
        .flat_map(|other| model.essence.differences(&other.essence))
        .collect();
    let settings = Config::settings();
    let settings = settings
        .iter()
        .filter_map(|setting| differences.iter().find(|(key, ..)| *key == setting.key))
        .map(|(key, ours, _)| format!("{key}={ours}"));
    let special: Vec<String> = model.origin.iter().map(Origin::short).chain(settings).collect();
    if special.is_empty() {
        solver.word().to_owned()
    } else {
        format!("{} ({})", solver.word(), special.join(", "))
    }
}

impl Model<'_> {
    fn summaries(&self) -> Vec<&RunSummary> {
        self.runs.iter().map(|run| &run.0).collect()
    }

    /// Values `[seed][query]` of the given seeds; `None` where some have no ranks or others'.
    fn values(&self, metric: &Metric, seeds: &[u64]) -> Option<Vec<Vec<f64>>> {
        let ranks: Vec<&Vec<u32>> =
            self.runs.iter().filter(|run| seeds.contains(&run.0.seed)).map(|run| &run.1).collect();
        let n = ranks.first()?.len();
        let whole = n > 0 && ranks.iter().all(|ranks| ranks.len() == n);
        whole.then(|| values(&ranks, |rank| (metric.value)(rank, 10)))
    }

    fn seeds(&self) -> Vec<u64> {
        self.runs.iter().map(|run| run.0.seed).collect()
    }

    fn estimate(&self, metric: &Metric) -> Estimate {
        match self.values(metric, &self.seeds()) {
            Some(values) => mean_metric(&values),
            None => {
                let own: Vec<_> = self.runs.iter().map(|run| (metric.of_run)(&run.0)).collect();
                Estimate::pooled(&own)
            }
        }
    }

    fn cell(&self, metric: &Metric) -> MetricCell {
        let estimate = self.estimate(metric);
        MetricCell {
            mean: estimate.mean,
            ci95: estimate.ci95,
            per_seed: self.runs.iter().map(|run| (metric.of_run)(&run.0).mean).collect(),
        }
    }

    /// As a row of the table.
    pub fn row(&self) -> TableRow {
        let summaries = self.summaries();
        let seconds: f64 = summaries.iter().map(|summary| summary.train_seconds).sum();
        let valid: f64 = summaries.iter().map(|summary| summary.valid_ndcg10).sum();
        let first = summaries.first();
        TableRow {
            model: self.label.clone(),
            solver: Some(self.essence.model.solver),
            baseline: false,
            ceiling: false,
            ceiling_share: None,
            seeds: self.runs.len(),
            seed_values: self.seeds(),
            params: first.map(|summary| summary.params),
            n: self.estimate(&HR10).n,
            device: first.map(|summary| summary.device.clone()).unwrap_or_default(),
            hr10: self.cell(&HR10),
            ndcg10: self.cell(&NDCG10),
            valid_ndcg10: Some(valid / self.runs.len() as f64).filter(|valid| valid.is_finite()),
            latency_ms: middle_latency(&summaries).map(|latency| LatencyCell {
                batch64: latency.batch64.median_ms,
                batch64_p95: latency.batch64.p95_ms,
                single: latency.single.median_ms,
                single_p95: latency.single.p95_ms,
                device: latency.device.clone(),
            }),
            train_seconds: Some(seconds / self.runs.len() as f64),
        }
    }

    /// Paired over queries and the seeds that both have.
    pub fn compare(&self, other: &Self, metric: &Metric) -> ComparisonRow {
        let theirs = other.seeds();
        let mut common = self.seeds();
        common.retain(|seed| theirs.contains(seed));
        let sides = self
            .values(metric, &common)
            .zip(other.values(metric, &common))
            .filter(|(a, b)| a[0].len() == b[0].len());
        let result = match &sides {
            Some((a, b)) => compare(a, b),
            None => Comparison::unpaired(&self.estimate(metric), &other.estimate(metric)),
        };
        comparison_row([&self.label, &other.label], metric, result, sides.is_some())
    }

    /// Paired over queries where `ranks`, the baseline's, are known.
    pub fn compare_baseline(
        &self,
        baseline: &BaselineRecord,
        ranks: Option<&[u32]>,
        metric: &Metric,
    ) -> ComparisonRow {
        let sides = self
            .values(metric, &self.seeds())
            .zip(ranks.map(|ranks| values(&[ranks], |rank| (metric.value)(rank, 10))))
            .filter(|(a, b)| a[0].len() == b[0].len());
        let result = match &sides {
            Some((a, b)) => compare(a, b),
            None => Comparison::unpaired(&self.estimate(metric), &(metric.of_baseline)(baseline)),
        };
        comparison_row([&self.label, &baseline.name], metric, result, sides.is_some())
    }
}

fn comparison_row(
    [a, b]: [&str; 2],
    metric: &Metric,
    result: Comparison,
    paired: bool,
) -> ComparisonRow {
    ComparisonRow {
        a: a.to_owned(),
        b: b.to_owned(),
        metric: metric.name.to_owned(),
        delta: result.delta,
        ci95: result.ci95,
        p: result.p,
        p_adjusted: None,
        paired,
    }
}
