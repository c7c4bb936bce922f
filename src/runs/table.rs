//! The table of an ablation: models beside baselines, and which differences are real.

use serde::{Deserialize, Serialize};

use super::model::{HR10, Metric, Model, NDCG10, Run, models};
use super::{BaselineRecord, DataRecord};
use crate::evaluation::{Estimate, holm};
use crate::settings::Solver;

/// What `ablation --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationTable {
    pub protocol: String,
    pub data: DataRecord,
    pub device: String,
    /// Models in the order of their runs, then baselines, then the ceiling where there is one.
    pub rows: Vec<TableRow>,
    /// All pairs of models, then every model with every baseline, on each metric.
    pub comparisons: Vec<ComparisonRow>,
}

/// One model over its seeds, one baseline, or the ceiling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// The solver's word, or the baseline's name. Where several rows have the same solver, with the
    /// settings that set them apart: `rk4 (model.hidden=64)`.
    pub model: String,
    /// `None` for what is no model.
    pub solver: Option<Solver>,
    /// Counted, not trained: no parameters, no latency.
    pub baseline: bool,
    /// What could be reached at best, by somebody who knows how the data was made: no rival.
    #[serde(default)]
    pub ceiling: bool,
    /// Its share of the ceiling, where there is one.
    #[serde(default)]
    pub ceiling_share: Option<CeilingShare>,
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
    /// On the validation queries, mean over seeds: what a model may be chosen by. `None` for a
    /// baseline, and where there were no such queries.
    pub valid_ndcg10: Option<f64>,
    /// Medians.
    pub latency_ms: Option<LatencyCell>,
    /// Mean over seeds.
    pub train_seconds: Option<f64>,
}

/// A row's metrics, divided by the ceiling's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CeilingShare {
    pub hr10: f64,
    pub ndcg10: f64,
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
    /// Two-sided, of this comparison alone.
    pub p: Option<f64>,
    /// `p` corrected for all comparisons of the table on the same metric (Holm 1979): of those
    /// below 0.05, the chance that even one is no difference at all is below 0.05.
    pub p_adjusted: Option<f64>,
    /// Whether the test pairs queries and seeds; if not, it finds less.
    pub paired: bool,
}

impl AblationTable {
    /// Compare finished runs: each with the ranks of the test queries, the same queries in the same
    /// order for all, or empty where they are gone. Runs that differ only in their seed are one
    /// model; of a seed that ran twice the newest run counts.
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
        rows.extend(baselines.iter().map(|record| counted_row(record, device)));
        let ceiling = runs.iter().find_map(|(summary, _)| summary.ceiling.as_ref());
        if let Some(record) = ceiling {
            rows.push(TableRow { baseline: false, ceiling: true, ..counted_row(record, device) });
            for row in &mut rows {
                row.ceiling_share = Some(CeilingShare {
                    hr10: row.hr10.mean / record.hr10.mean,
                    ndcg10: row.ndcg10.mean / record.ndcg10.mean,
                });
            }
        }

        let mut comparisons = Vec::new();
        for metric in [&NDCG10, &HR10] {
            for (index, a) in models.iter().enumerate() {
                comparisons.extend(models[index + 1..].iter().map(|b| a.compare(b, metric)));
            }
        }
        for metric in [&NDCG10, &HR10] {
            for model in &models {
                for baseline in baselines {
                    let ranks = baseline_ranks
                        .iter()
                        .find(|(name, _)| *name == baseline.name)
                        .map(|(_, ranks)| ranks.as_slice());
                    comparisons.push(model.compare_baseline(baseline, ranks, metric));
                }
            }
        }
        for metric in [&NDCG10, &HR10] {
            adjust(&mut comparisons, metric);
        }
        Self {
            protocol: protocol.to_owned(),
            data: data.clone(),
            device: device.to_owned(),
            rows,
            comparisons,
        }
    }

    /// The model with the best validation NDCG@10: chosen without a look at the test queries.
    pub fn best_by_validation(&self) -> Option<&TableRow> {
        let judged = self.rows.iter().filter_map(|row| Some((row, row.valid_ndcg10?)));
        judged.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(row, _)| row)
    }

    /// The baseline with the highest NDCG@10.
    pub fn strongest_baseline(&self) -> Option<&TableRow> {
        let baselines = self.rows.iter().filter(|row| row.baseline);
        baselines.max_by(|a, b| a.ndcg10.mean.total_cmp(&b.ndcg10.mean))
    }
}

/// Fill in `p_adjusted` of the comparisons on one metric; what could not be tested is no test.
fn adjust(comparisons: &mut [ComparisonRow], metric: &Metric) {
    let mut tested: Vec<(&mut ComparisonRow, f64)> = comparisons
        .iter_mut()
        .filter(|row| row.metric == metric.name)
        .filter_map(|row| row.p.map(|p| (row, p)))
        .collect();
    let adjusted = holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    for ((row, _), p) in tested.iter_mut().zip(adjusted) {
        row.p_adjusted = Some(p);
    }
}

/// A row without a training.
fn counted_row(record: &BaselineRecord, device: &str) -> TableRow {
    let cell = |estimate: &Estimate| MetricCell {
        mean: estimate.mean,
        ci95: estimate.ci95,
        per_seed: vec![estimate.mean],
    };
    TableRow {
        model: record.name.clone(),
        solver: None,
        baseline: true,
        ceiling: false,
        ceiling_share: None,
        seeds: 1,
        seed_values: Vec::new(),
        params: None,
        n: record.hr10.n,
        device: device.to_owned(),
        hr10: cell(&record.hr10),
        ndcg10: cell(&record.ndcg10),
        valid_ndcg10: None,
        latency_ms: None,
        train_seconds: None,
    }
}

/// A table of two models over two seeds, for tests.
#[cfg(test)]
pub(crate) fn sample_table(baseline_ranks: &[(String, Vec<u32>)]) -> AblationTable {
    use super::record::sample;
    use crate::evaluation::{hit, ndcg};

    let good: Vec<u32> = (0..100).map(|query| 1 + query % 20).collect();
    let poor: Vec<u32> = (0..100).map(|query| 5 + query % 40).collect();
    let run = |model: &str, seed: u64, ranks: &[u32]| {
        let mut summary = sample(&format!("{model}-{seed}"), model, seed);
        let mean = |metric: fn(u32, u32) -> f64| {
            ranks.iter().map(|&rank| metric(rank, 10)).sum::<f64>() / ranks.len() as f64
        };
        summary.hr10.mean = mean(hit);
        summary.ndcg10.mean = mean(ndcg);
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
    use crate::runs::record::sample;

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
    fn the_ceiling_comes_last_is_no_rival_and_measures_all_rows() {
        let mut summary = sample("gru-42", "gru", 42);
        summary.ceiling =
            Some(BaselineRecord { name: "ceiling".to_owned(), ..summary.baselines[0].clone() });
        let runs = [(summary, Vec::new())];
        let table = AblationTable::build("readme", &runs[0].0.data, "CPU", &runs, &[]);
        let last = table.rows.last().unwrap();
        assert!(last.ceiling && !last.baseline && last.model == "ceiling");
        assert_eq!(table.rows.iter().filter(|row| row.ceiling).count(), 1);
        assert_eq!(last.ceiling_share, Some(CeilingShare { hr10: 1.0, ndcg10: 1.0 }));
        // 0.1875 of 0.125, 0.09375 of 0.0625.
        assert_eq!(table.rows[0].ceiling_share, Some(CeilingShare { hr10: 1.5, ndcg10: 1.5 }));
        assert!(table.comparisons.iter().all(|row| row.a != "ceiling" && row.b != "ceiling"));
        assert_eq!(table.strongest_baseline().unwrap().model, "popularity");
        let text = table.to_text();
        assert!(text.contains("Ceiling (knows the generator)"), "{text}");
        assert!(text.contains("Of the ceiling") && text.contains("150.0 %"), "{text}");
    }

    #[test]
    fn comparisons_cover_all_pairs_and_every_baseline() {
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
                ("gru", "popularity", "ndcg10", false),
                ("rk4", "popularity", "ndcg10", false),
                ("gru", "popularity", "hr10", false),
                ("rk4", "popularity", "hr10", false),
            ]
        );
        assert!(table.comparisons[0].delta < 0.0);
        assert!(table.comparisons[0].p.unwrap() < 0.001);
    }

    #[test]
    fn p_values_are_adjusted_within_one_metric() {
        let table = sample_table(&[]);
        for metric in ["ndcg10", "hr10"] {
            let of = table.comparisons.iter().filter(|row| row.metric == metric);
            let (p, adjusted): (Vec<f64>, Vec<f64>) =
                of.map(|row| (row.p.unwrap(), row.p_adjusted.unwrap())).unzip();
            assert_eq!(adjusted, holm(&p));
            assert!(adjusted.iter().zip(&p).any(|(adjusted, p)| adjusted > p));
        }
    }

    #[test]
    fn runs_of_one_solver_with_other_settings_are_other_rows() {
        let run = |seed: u64, setting: &str, ranks: Vec<u32>| {
            let mut summary = sample(&format!("rk4-{seed}-{setting}"), "rk4", seed);
            summary.config.set_text(setting).unwrap();
            (summary, ranks)
        };
        let runs = [
            run(42, "model.hidden=64", vec![1; 50]),
            run(42, "model.hidden=128", vec![20; 50]),
            run(43, "model.hidden=64", vec![1; 50]),
            // The same again from another file is no other model.
            run(44, "data.source=/copy.csv", vec![20; 50]),
        ];
        let data = runs[0].0.data.clone();
        let table = AblationTable::build("readme", &data, "CPU", &runs, &[]);
        let rows: Vec<_> = table
            .rows
            .iter()
            .map(|row| (row.model.as_str(), row.solver, row.seeds, row.hr10.mean))
            .collect();
        assert_eq!(
            rows,
            [
                ("rk4 (model.hidden=64)", Some(Solver::Rk4), 2, 1.0),
                ("rk4 (model.hidden=128)", Some(Solver::Rk4), 2, 0.0),
                ("popularity", None, 1, 0.125),
            ]
        );
        assert_eq!(table.comparisons[0].a, "rk4 (model.hidden=64)");
        assert_eq!(table.comparisons[0].delta, 1.0);
        // No hit at all is no certainty.
        let [low, high] = table.rows[1].hr10.ci95.unwrap();
        assert!(low == 0.0 && high > 0.05, "{high}");
    }

    #[test]
    fn of_a_seed_that_ran_twice_the_newest_counts() {
        let (mut old, mut new) = (sample("a", "gru", 42), sample("b", "gru", 42));
        old.hr10.mean = 0.5;
        new.created = "2026-11-23T08:00:00Z".parse().unwrap();
        new.hr10.mean = 0.25;
        for runs in [[old.clone(), new.clone()], [new, old]] {
            let runs = runs.map(|summary| (summary, Vec::new()));
            let table = AblationTable::build("readme", &runs[0].0.data, "CPU", &runs, &[]);
            assert_eq!(table.rows[0].hr10.per_seed, [0.25]);
        }
    }

    #[test]
    fn the_best_model_is_chosen_on_validation() {
        let run = |model: &str, valid: f64, ranks: Vec<u32>| {
            let mut summary = sample(model, model, 42);
            summary.valid_ndcg10 = valid;
            (summary, ranks)
        };
        let runs = [
            run("gru", 0.3, vec![5; 20]),
            run("rk4", 0.2, vec![1; 20]),
            run("euler", f64::NAN, vec![1; 20]),
        ];
        let table = AblationTable::build("readme", &runs[0].0.data, "CPU", &runs, &[]);
        assert_eq!(table.best_by_validation().unwrap().model, "gru");
        assert_eq!(table.strongest_baseline().unwrap().model, "popularity");
    }

    #[test]
    fn a_baseline_with_ranks_is_paired() {
        let ranks = (0..100).map(|query| 8 + query % 10).collect();
        let table = sample_table(&[("popularity".to_owned(), ranks)]);
        assert!(table.comparisons[3].paired);
        // HR@10: 0.5 for the model, 3 of 10 for the baseline.
        assert!((table.comparisons[5].delta - 0.2).abs() < 1e-12);
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
        for key in ["a", "b", "delta", "ci95", "p", "p_adjusted"] {
            assert!(!json["comparisons"][0][key].is_null(), "{key}");
        }
        assert_eq!(serde_json::from_value::<AblationTable>(json).unwrap(), table);
    }

    #[test]
    fn nothing_finished_is_an_empty_table() {
        let data = sample("x", "gru", 1).data;
        let table = AblationTable::build("readme", &data, "CPU", &[], &[]);
        assert!(table.rows.is_empty() && table.comparisons.is_empty());
    }

    #[test]
    fn without_ranks_the_summaries_are_compared() {
        let run = |model: &str| (sample(model, model, 42), Vec::new());
        let runs = [run("gru"), run("rk4")];
        let table = AblationTable::build("readme", &runs[0].0.data, "CPU", &runs, &[]);
        assert!(!table.comparisons[0].paired);
        assert_eq!(table.comparisons[0].p, Some(1.0));
    }
}
