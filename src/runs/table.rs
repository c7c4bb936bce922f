//! The table of an ablation: models beside baselines, and which differences are real.

use serde::{Deserialize, Serialize};

use super::groups::{middle_latency, values};
use super::{BaselineRecord, DataRecord, RunSummary};
use crate::evaluation::{Comparison, Estimate, compare, hit, mean_over, ndcg};

/// What `ablation --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationTable {
    pub protocol: String,
    pub data: DataRecord,
    pub device: String,
    /// Models in the order of their runs, then baselines.
    pub rows: Vec<TableRow>,
    /// All pairs of models, then the best model and the strongest baseline, on each metric.
    pub comparisons: Vec<ComparisonRow>,
}

/// One model over its seeds, or one baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// The solver's word, or the baseline's name.
    pub model: String,
    /// Counted, not trained: no parameters, no latency.
    pub baseline: bool,
    /// How many seeds; 1 for a baseline, which has none of its own.
    pub seeds: usize,
    /// In the order of `per_seed`; empty for a baseline.
    pub seed_values: Vec<u64>,
    pub params: Option<u64>,
    /// Test queries.
    pub n: usize,
    pub device: String,
    pub hr10: MetricCell,
    pub ndcg10: MetricCell,
    /// Medians.
    pub latency_ms: Option<LatencyCell>,
    /// Mean over seeds.
    pub train_seconds: Option<f64>,
}

/// A metric over seeds and queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricCell {
    pub mean: f64,
    /// `None` with fewer than two queries.
    pub ci95: Option<[f64; 2]>,
    pub per_seed: Vec<f64>,
}

/// Milliseconds, after warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyCell {
    /// Median of a batch of 64 requests.
    pub batch64: f64,
    pub batch64_p95: f64,
    /// Median of one request alone.
    pub single: f64,
    pub single_p95: f64,
    pub device: String,
}

/// The difference `a − b`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    pub a: String,
    pub b: String,
    /// `ndcg10` or `hr10`.
    pub metric: String,
    pub delta: f64,
    pub ci95: Option<[f64; 2]>,
    /// Two-sided.
    pub p: Option<f64>,
    /// Whether the test pairs queries and seeds; if not, it finds less.
    pub paired: bool,
}

/// A metric as the table needs it: its name, its value of a rank, and where summaries keep it.
struct Metric {
    name: &'static str,
    value: fn(u32, u32) -> f64,
    of_run: fn(&RunSummary) -> Estimate,
    of_baseline: fn(&BaselineRecord) -> Estimate,
}

const HR10: Metric = Metric {
    name: "hr10",
    value: hit,
    of_run: |summary| summary.hr10,
    of_baseline: |baseline| baseline.hr10,
};
const NDCG10: Metric = Metric {
    name: "ndcg10",
    value: ndcg,
    of_run: |summary| summary.ndcg10,
    of_baseline: |baseline| baseline.ndcg10,
};

/// A finished run and the ranks of its test queries.
type Run = (RunSummary, Vec<u32>);

/// The runs of one model, by rising seed, each seed once.
struct Model<'a> {
    name: &'a str,
    runs: Vec<&'a Run>,
}

impl AblationTable {
    /// Compare finished runs: each with the ranks of the test queries, the same queries in the same
    /// order for all, or empty where they are gone.
    ///
    /// `baseline_ranks` are those of baselines by name, on the same queries; the test against a
    /// baseline that is not among them is not paired.
    pub fn build(
        protocol: &str,
        data: &DataRecord,
        device: &str,
        runs: &[Run],
        baseline_ranks: &[(String, Vec<u32>)],
    ) -> Self {
        let models = models(runs);
        let baselines: &[BaselineRecord] =
            runs.first().map_or(&[], |(summary, _)| &summary.baselines);
        let mut rows: Vec<TableRow> = models.iter().map(Model::row).collect();
        rows.extend(baselines.iter().map(|record| baseline_row(record, device)));

        let mut comparisons = Vec::new();
        for metric in [&NDCG10, &HR10] {
            for (index, a) in models.iter().enumerate() {
                for b in &models[index + 1..] {
                    comparisons.push(a.compare(b, metric));
                }
            }
        }
        let best = models.iter().max_by(|a, b| {
            let ndcg10 = |model: &Model| model.estimate(&NDCG10).mean;
            ndcg10(a).total_cmp(&ndcg10(b))
        });
        let strongest = baselines.iter().max_by(|a, b| a.ndcg10.mean.total_cmp(&b.ndcg10.mean));
        if let Some((best, strongest)) = best.zip(strongest) {
            let ranks = baseline_ranks
                .iter()
                .find(|(name, _)| *name == strongest.name)
                .map(|(_, ranks)| ranks.as_slice());
            for metric in [&NDCG10, &HR10] {
                comparisons.push(best.compare_baseline(strongest, ranks, metric));
            }
        }
        Self {
            protocol: protocol.to_owned(),
            data: data.clone(),
            device: device.to_owned(),
            rows,
            comparisons,
        }
    }
}

fn models(runs: &[Run]) -> Vec<Model<'_>> {
    let mut models: Vec<Model> = Vec::new();
    for run in runs {
        let (name, seed) = (run.0.model.as_str(), run.0.seed);
        match models.iter_mut().find(|model| model.name == name) {
            Some(model) if model.runs.iter().any(|other| other.0.seed == seed) => {}
            Some(model) => model.runs.push(run),
            None => models.push(Model { name, runs: vec![run] }),
        }
    }
    for model in &mut models {
        model.runs.sort_by_key(|run| run.0.seed);
    }
    models
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
            Some(values) => mean_over(&values),
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

    fn row(&self) -> TableRow {
        let summaries = self.summaries();
        let seconds: f64 = summaries.iter().map(|summary| summary.train_seconds).sum();
        let first = summaries.first();
        TableRow {
            model: self.name.to_owned(),
            baseline: false,
            seeds: self.runs.len(),
            seed_values: self.seeds(),
            params: first.map(|summary| summary.params),
            n: self.estimate(&HR10).n,
            device: first.map(|summary| summary.device.clone()).unwrap_or_default(),
            hr10: self.cell(&HR10),
            ndcg10: self.cell(&NDCG10),
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
    fn compare(&self, other: &Self, metric: &Metric) -> ComparisonRow {
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
        comparison_row([self.name, other.name], metric, result, sides.is_some())
    }

    fn compare_baseline(
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
        comparison_row([self.name, &baseline.name], metric, result, sides.is_some())
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
        paired,
    }
}

fn baseline_row(record: &BaselineRecord, device: &str) -> TableRow {
    let cell = |estimate: &Estimate| MetricCell {
        mean: estimate.mean,
        ci95: estimate.ci95,
        per_seed: vec![estimate.mean],
    };
    TableRow {
        model: record.name.clone(),
        baseline: true,
        seeds: 1,
        seed_values: Vec::new(),
        params: None,
        n: record.hr10.n,
        device: device.to_owned(),
        hr10: cell(&record.hr10),
        ndcg10: cell(&record.ndcg10),
        latency_ms: None,
        train_seconds: None,
    }
}

/// A table of two models over two seeds, for tests.
#[cfg(test)]
pub(crate) fn sample_table(baseline_ranks: &[(String, Vec<u32>)]) -> AblationTable {
    use crate::evaluation::RankingSummary;

    let good: Vec<u32> = (0..100).map(|query| 1 + query % 20).collect();
    let poor: Vec<u32> = (0..100).map(|query| 5 + query % 40).collect();
    let run = |model: &str, seed: u64, ranks: &[u32]| {
        let mut summary = super::record::sample(&format!("{model}-{seed}"), model, seed);
        let numbers = RankingSummary::from_ranks(ranks);
        summary.hr10.mean = numbers.hr10;
        summary.ndcg10.mean = numbers.ndcg10;
        (summary, ranks.to_vec())
    };
    let runs = [
        run("gru", 42, &poor),
        run("rk4", 42, &good),
        run("gru", 43, &poor),
        run("rk4", 43, &good),
    ];
    let data = runs[0].0.data.clone();
    AblationTable::build("readme", &data, "CPU (flex)", &runs, baseline_ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_models_then_baselines() {
        let table = sample_table(&[]);
        let names: Vec<_> = table.rows.iter().map(|row| row.model.as_str()).collect();
        assert_eq!(names, ["gru", "rk4", "popularity"]);
        let rk4 = &table.rows[1];
        assert_eq!((rk4.seeds, rk4.n, rk4.hr10.mean), (2, 100, 0.5));
        assert_eq!(rk4.hr10.per_seed, [0.5, 0.5]);
        assert_eq!(rk4.seed_values, [42, 43]);
        assert!(table.rows[2].baseline);
    }

    #[test]
    fn comparisons_cover_all_pairs_and_the_strongest_baseline() {
        let table = sample_table(&[]);
        let pairs: Vec<_> = table
            .comparisons
            .iter()
            .map(|row| (row.a.as_str(), row.b.as_str(), row.metric.as_str(), row.paired))
            .collect();
        assert_eq!(
            pairs,
            [
                ("gru", "rk4", "ndcg10", true),
                ("gru", "rk4", "hr10", true),
                ("rk4", "popularity", "ndcg10", false),
                ("rk4", "popularity", "hr10", false),
            ]
        );
        assert!(table.comparisons[0].delta < 0.0);
        assert!(table.comparisons[0].p.unwrap() < 0.001);
    }

    #[test]
    fn a_baseline_with_ranks_is_paired() {
        let ranks = (0..100).map(|query| 8 + query % 10).collect();
        let table = sample_table(&[("popularity".to_owned(), ranks)]);
        assert!(table.comparisons[2].paired);
        // HR@10: 0.5 for the model, 3 of 10 for the baseline.
        assert!((table.comparisons[3].delta - 0.2).abs() < 1e-12);
    }

    #[test]
    fn json_has_the_promised_keys() {
        let table = sample_table(&[]);
        let json = serde_json::to_value(&table).unwrap();
        for key in ["protocol", "data", "device", "rows", "comparisons"] {
            assert!(!json[key].is_null(), "{key}");
        }
        let row = &json["rows"][0];
        for key in ["model", "seeds", "params", "hr10", "ndcg10", "train_seconds"] {
            assert!(!row[key].is_null(), "{key}");
        }
        assert_eq!(row["baseline"], false);
        assert_eq!(row["hr10"]["per_seed"].as_array().unwrap().len(), 2);
        assert_eq!(row["latency_ms"]["batch64"], 2.7);
        assert_eq!(row["latency_ms"]["single"], 0.75);
        for key in ["a", "b", "delta", "ci95", "p"] {
            assert!(!json["comparisons"][0][key].is_null(), "{key}");
        }
        assert_eq!(serde_json::from_value::<AblationTable>(json).unwrap(), table);
    }

    #[test]
    fn nothing_finished_is_an_empty_table() {
        let data = super::super::record::sample("x", "gru", 1).data;
        let table = AblationTable::build("readme", &data, "CPU", &[], &[]);
        assert!(table.rows.is_empty() && table.comparisons.is_empty());
    }

    #[test]
    fn without_ranks_the_summaries_are_compared() {
        let run = |model: &str| (super::super::record::sample(model, model, 42), Vec::new());
        let runs = [run("gru"), run("rk4")];
        let table = AblationTable::build("readme", &runs[0].0.data, "CPU", &runs, &[]);
        assert!(!table.comparisons[0].paired);
        assert_eq!(table.comparisons[0].p, Some(1.0));
    }
}
