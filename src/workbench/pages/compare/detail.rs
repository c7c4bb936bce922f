//! Beside the plot: what sets the selected lines apart, and whether one is better.

use eframe::egui::{RichText, Ui};

use super::columns;
use super::rows::{Row, all_judged_alike};
use crate::runs::AblationTable;
use crate::settings::{Config, Setting};
use crate::workbench::pages::train::result;
use crate::workbench::theme::palette;
use crate::workbench::widgets::{Cell, Column, grid_table};

/// Metrics shown above the settings of a difference.
const METRICS: [(&str, &str); 4] = [
    ("ndcg10", "NDCG@10"),
    ("hr10", "HR@10"),
    ("single", "One request (ms)"),
    ("time", "Training"),
];

/// The settings in which `rows` differ, with their values; only those.
pub fn differences(rows: &[&Row]) -> Vec<(String, Vec<String>)> {
    Config::settings()
        .into_iter()
        .filter(Setting::is_of_a_run)
        .filter_map(|setting| {
            let values: Vec<String> =
                rows.iter().map(|row| columns::value(row, setting.key).text).collect();
            let differ = values.windows(2).any(|pair| pair[0] != pair[1]);
            let unit = if setting.unit.is_empty() {
                String::new()
            } else {
                format!(" ({})", setting.unit)
            };
            differ.then(|| (format!("{}{unit}", setting.label), values))
        })
        .collect()
}

/// Draw the differences of two or more lines.
pub fn differences_ui(ui: &mut Ui, rows: &[&Row]) {
    let palette = palette(ui);
    let titles: Vec<String> =
        rows.iter().map(|row| format!("{} · seed {}", row.title(), row.seed_text())).collect();
    let mut table = vec![Column::text("Setting", 1.4)];
    table.extend(titles.iter().map(|title| Column::figure(title, 1.0)));
    let mut lines: Vec<Vec<Cell>> = METRICS
        .iter()
        .map(|(id, title)| {
            let mut line = vec![Cell::text(*title).color(palette.muted)];
            line.extend(rows.iter().map(|row| Cell::figure(columns::value(row, id).text)));
            line
        })
        .collect();
    let differences = differences(rows);
    let none = differences.is_empty();
    for (label, values) in differences {
        let mut line = vec![Cell::text(label)];
        line.extend(values.into_iter().map(|value| Cell::figure(value).color(palette.strong)));
        lines.push(line);
    }
    grid_table(ui, &table, &lines);
    if none {
        ui.add_space(8.0);
        ui.label(RichText::new("Every setting is the same.").color(palette.muted));
    }
}

/// Draw what can be told of `rows` against each other: from their `table`, once it is made; until then
/// it is being made, where nothing went wrong.
pub fn told_ui(ui: &mut Ui, rows: &[&Row], table: Option<&AblationTable>, making: bool) {
    let note = |ui: &mut Ui, text: &str| {
        ui.label(RichText::new(text).small().color(palette(ui).muted));
    };
    if !all_judged_alike(rows) {
        let text = "They are not all done, or were judged on other data or in another way, so that \
                    they cannot be set against each other.";
        return note(ui, text);
    }
    let Some(table) = table else {
        let text =
            if making { "Comparing…" } else { "They could not be set against each other." };
        return note(ui, text);
    };
    result::findings_ui(ui, table);
    let text = "Lines that differ in nothing but their seed count as one model. Over the same requests, \
                and the seeds that both have; p-values are adjusted (Holm).";
    note(ui, text);
    result::caution_ui(ui, table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Solver;
    use crate::workbench::pages::compare::rows::sample;

    #[test]
    fn what_sets_runs_apart_is_how_they_were_trained() {
        let mut other = sample("b", Solver::Gru);
        if let Some(config) = &mut other.config {
            config.router.entropy = 0.1;
            config.traffic.rate = 5.0;
        }
        let found = differences(&[&sample("a", Solver::Rk4), &other]);
        assert_eq!(found, [("Solver".to_owned(), vec!["rk4".to_owned(), "gru".to_owned()])]);
    }
}
