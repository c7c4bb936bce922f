//! What an ablation says, in plain words.

use crate::runs::{AblationTable, ComparisonRow, TableRow, model_title};
use crate::workbench::format;

/// The level at which a difference counts as told, all of a table's comparisons together.
const LEVEL: f64 = 0.05;

/// One finding, and whether a difference was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub text: String,
    pub told: bool,
}

/// Models of which every pair is told of; of more, the pairs with the best one are.
const EVERY_PAIR: usize = 3;

/// The findings on NDCG@10: pairs of models, then the best model and the strongest baseline.
///
/// The best is chosen on validation, so that the test queries choose nothing that they then judge.
/// Where there was no validation, every model is set against the strongest baseline.
pub fn findings(table: &AblationTable) -> Vec<Finding> {
    let named = |row: &TableRow, name: &str| row.model == name;
    let best = table.best_by_validation();
    let strongest = table.strongest_baseline();
    let models = table.rows.iter().filter(|row| !row.baseline && !row.ceiling).count();
    let chosen = |row: &ComparisonRow| {
        if is_baseline(table, &row.b) {
            return best.is_none_or(|best| named(best, &row.a))
                && strongest.is_some_and(|strongest| named(strongest, &row.b));
        }
        models <= EVERY_PAIR || best.is_none_or(|best| named(best, &row.a) || named(best, &row.b))
    };
    table
        .comparisons
        .iter()
        .filter(|comparison| comparison.metric == "ndcg10" && chosen(comparison))
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
    let p = row.p_adjusted.map_or_else(|| "not tested".to_owned(), format::p_value);
    let told = row.p_adjusted.is_some_and(|p| p < LEVEL);
    let (better_title, other_title) = (model_title(better), model_title(other));
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
    match table.best_by_validation() {
        Some(best) => format!(
            "Done. {} is best on validation: test NDCG@10 {:.4}",
            model_title(&best.model),
            best.ndcg10.mean
        ),
        None => "Done.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{DataRecord, sample_table};

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
                // Alone it would be told.
                p: Some(1e-9),
                p_adjusted: p,
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

    #[test]
    fn only_the_model_that_validation_chose_meets_the_strongest_baseline() {
        let mut table = sample_table(&[]);
        // RK4 is better on the test.
        table.rows[0].valid_ndcg10 = Some(0.9);
        let texts: Vec<String> = findings(&table).into_iter().map(|found| found.text).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].starts_with("RK4 beats GRU"), "{texts:?}");
        assert!(texts[1].contains("GRU") && texts[1].contains("Popularity"), "{texts:?}");
        assert!(headline(&table).starts_with("Done. GRU is best on validation"));
        table.rows[0].valid_ndcg10 = None;
        table.rows[1].valid_ndcg10 = None;
        assert_eq!(findings(&table).len(), 3);
    }

    #[test]
    fn of_many_models_only_the_pairs_with_the_best_one_are_told_of() {
        let mut table = sample_table(&[]);
        table.rows[0].valid_ndcg10 = Some(0.9);
        let (row, pair) = (table.rows[0].clone(), table.comparisons[0].clone());
        for model in ["euler", "cfc"] {
            let (model, valid_ndcg10) = (model.to_owned(), Some(0.0));
            table.rows.push(TableRow { model, valid_ndcg10, ..row.clone() });
        }
        let pairs = [("gru", "euler"), ("euler", "cfc"), ("cfc", "gru"), ("euler", "rk4")];
        table.comparisons = pairs
            .iter()
            .map(|(a, b)| ComparisonRow {
                a: (*a).to_owned(),
                b: (*b).to_owned(),
                metric: "ndcg10".to_owned(),
                ..pair.clone()
            })
            .collect();
        let texts: Vec<String> = findings(&table).into_iter().map(|found| found.text).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts.iter().all(|text| text.contains("GRU")), "{texts:?}");
    }
}
