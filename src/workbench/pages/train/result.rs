//! The result card: the ablation table and what it says.

use eframe::egui::{Label, RichText, Ui};

use super::verdict;
use crate::runs::{AblationTable, MetricCell, latency_text, metric_text, model_title};
use crate::workbench::format;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{Cell, Column, grid_table, legend_dot, page_scroll};

/// What to know before the comparisons are believed, where there is something.
pub fn caution_ui(ui: &mut Ui, table: &AblationTable) {
    if let Some(caution) = table.caution() {
        ui.label(RichText::new(caution).small().color(palette(ui).muted));
    }
}

/// Draw over the space that is left.
pub fn ui(ui: &mut Ui, table: &AblationTable) {
    page_scroll(ui, "result", |ui| {
        findings_ui(ui, table);
        table_ui(ui, table);
        ui.add_space(UNIT);
        let text = format!(
            "Protocol {}, {} test queries; {} on {}: {} users, {} items, {} events. Latency is the \
             median for a batch of 64 and for one request. Intervals are 95 %, over queries and \
             seeds; p-values are two-sided and adjusted for the number of comparisons (Holm).",
            table.protocol,
            format::count(table.rows.first().map_or(0, |row| row.n) as u64),
            table.data.name,
            table.device,
            format::count(table.data.users),
            format::count(table.data.items),
            format::count(table.data.events),
        );
        ui.label(RichText::new(text).small().color(palette(ui).muted));
        caution_ui(ui, table);
    });
}

/// One line a finding.
pub fn findings_ui(ui: &mut Ui, table: &AblationTable) {
    let palette = palette(ui);
    for finding in verdict::findings(table) {
        ui.horizontal_top(|ui| {
            let (dot, text) = if finding.told {
                (palette.good, palette.strong)
            } else {
                (palette.muted, palette.text)
            };
            legend_dot(ui, dot, finding.told);
            ui.add(Label::new(RichText::new(&finding.text).color(text)).wrap());
        });
    }
    ui.add_space(UNIT);
}

/// The table in the README's shape.
pub fn table_ui(ui: &mut Ui, table: &AblationTable) {
    let palette = palette(ui);
    let mut columns = vec![
        Column::text("Model", 1.6),
        Column::figure("HR@10", 1.7),
        Column::figure("NDCG@10", 1.7),
        Column::figure("Request (ms)", 1.2),
    ];
    // The figures with their intervals must be readable in a small window too.
    if ui.available_width() > 720.0 {
        columns.extend([
            Column::figure("Batch (ms)", 1.1),
            Column::figure("Training", 1.1),
            Column::figure("Seeds", 0.65),
        ]);
    }
    let dash = || "–".to_owned();
    let rows: Vec<Vec<Cell>> = table
        .rows
        .iter()
        .map(|row| {
            let name = match row.solver {
                Some(solver) => Cell::text(row.title()).dot(palette.solver(solver)),
                // Muted says what the title would add in brackets, which a narrow column cuts off.
                None => Cell::text(model_title(&row.model)).color(palette.muted),
            };
            let latency = row.latency_ms.as_ref();
            let seeds = if row.solver.is_none() { dash() } else { row.seeds.to_string() };
            vec![
                name,
                Cell::figure(metric(&row.hr10)),
                Cell::figure(metric(&row.ndcg10)),
                Cell::figure(latency.map_or_else(dash, |ms| latency_text(ms.single))),
                Cell::figure(latency.map_or_else(dash, |ms| latency_text(ms.batch64))),
                Cell::figure(row.train_seconds.map_or_else(dash, format::duration)),
                Cell::figure(seeds),
            ]
        })
        .collect();
    grid_table(ui, &columns, &rows);
}

fn metric(cell: &MetricCell) -> String {
    metric_text(cell.mean, cell.ci95)
}
