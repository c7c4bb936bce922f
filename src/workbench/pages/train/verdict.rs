//! What an ablation says, in plain words.

use crate::runs::{AblationTable, ComparisonRow};
use crate::settings::Solver;
use crate::workbench::format;

/// The level at which a difference counts as told.
const LEVEL: f64 = 0.05;

/// One finding, and whether a difference was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub text: String,
    pub told: bool,
}

/// The findings on NDCG@10: every pair of models, then the best model and the strongest baseline.
pub fn findings(table: &AblationTable) -> Vec<Finding> {
    table
        .comparisons
        .iter()
        .filter(|comparison| comparison.metric == "ndcg10")
        .map(|comparison| finding(table, comparison))
        .collect()
}

fn finding(table: &AblationTable, row: &ComparisonRow) -> Finding {
    // The better one is named first.
    let (better, other, delta, ci) = if row.delta >= 0.0 {
        (&row.a, &row.b, row.delta, row.ci95)
    } else {
        (&row.b, &row.a, -row.delta, row.ci95.map(|[low, high]| [-high, -low]))
    };
    let interval =
        ci.map_or_else(String::new, |[low, high]| format!("95 % CI {low:+.4} to {high:+.4}, "));
    let p = row.p.map_or_else(|| "not tested".to_owned(), format::p_value);
    let told = row.p.is_some_and(|p| p < LEVEL);
    let (better_title, other_title) = (title(better), title(other));
    let lost = is_baseline(table, better);
    let text = match (told, lost) {
        (true, true) => format!(
            "{better_title} alone beats {other_title} by {delta:.4} NDCG@10 ({interval}{p}): the \
             models have learned nothing that counting does not know"
        ),
        (true, false) => {
            format!("{better_title} beats {other_title} by {delta:.4} NDCG@10 ({interval}{p})")
        }
        (false, _) => format!(
            "No difference between {better_title} and {other_title} can be told \
             ({delta:.4} NDCG@10, {interval}{p})"
        ),
    };
    Finding { text, told }
}

fn is_baseline(table: &AblationTable, name: &str) -> bool {
    table.rows.iter().any(|row| row.baseline && row.model == name)
}

/// The best model, for a toast.
pub fn headline(table: &AblationTable) -> String {
    let best = table
        .rows
        .iter()
        .filter(|row| !row.baseline)
        .max_by(|a, b| a.ndcg10.mean.total_cmp(&b.ndcg10.mean));
    match best {
        Some(best) => {
            format!("Done. {} is best: NDCG@10 {:.4}", title(&best.model), best.ndcg10.mean)
        }
        None => "Done.".to_owned(),
    }
}

/// A model or baseline as people write it.
pub fn title(model: &str) -> String {
    match model.parse::<Solver>() {
        Ok(solver) => solver.title().to_owned(),
        Err(_) => {
            let mut letters = model.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string());
            first.unwrap_or_default() + letters.as_str()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::DataRecord;

    fn table(delta: f64, p: Option<f64>) -> AblationTable {
        AblationTable {
            protocol: "readme".to_owned(),
            data: DataRecord {
                name: "drift".to_owned(),
                users: 1,
                items: 1,
                events: 1,
                fingerprint: String::new(),
            },
            device: "CPU".to_owned(),
            rows: Vec::new(),
            comparisons: vec![ComparisonRow {
                a: "gru".to_owned(),
                b: "rk4".to_owned(),
                metric: "ndcg10".to_owned(),
                delta,
                ci95: Some([delta - 0.01, delta + 0.01]),
                p,
                paired: true,
            }],
        }
    }

    #[test]
    fn the_better_model_comes_first_with_its_interval_turned_round() {
        let finding = findings(&table(-0.031, Some(1e-6))).remove(0);
        assert!(finding.told);
        assert_eq!(
            finding.text,
            "RK4 beats GRU by 0.0310 NDCG@10 (95 % CI +0.0210 to +0.0410, p < 0.001)"
        );
    }

    #[test]
    fn a_difference_that_may_be_chance_is_not_claimed() {
        let finding = findings(&table(0.002, Some(0.4))).remove(0);
        assert!(!finding.told);
        assert!(finding.text.starts_with("No difference between GRU and RK4 can be told"));
        assert!(!findings(&table(0.2, None))[0].told);
    }
}
