//! The progress table: one row a run.

use eframe::egui::Ui;

use super::live::{Live, LiveRun, State};
use crate::workbench::format;
use crate::workbench::theme::palette;
use crate::workbench::widgets::{Cell, Column, grid_table, page_scroll};

/// Draw over the space that is left: what trains first, then what waits, then what is over.
pub fn ui(ui: &mut Ui, live: &Live, paused: bool) {
    let palette = palette(ui);
    let columns = [
        Column::text("Run", 1.1),
        Column::figure("Seed", 0.6),
        Column::figure("Epoch", 1.2),
        Column::figure("Loss", 0.8),
        Column::figure("NDCG@10 (val)", 1.35),
        Column::figure("Sequences/s", 1.1),
        Column::figure("Time left", 1.1),
        Column::figure("State", 1.25),
    ];
    let dash = || "–".to_owned();
    let mut runs: Vec<&LiveRun> = live.runs.iter().collect();
    runs.sort_by_key(|run| match run.state {
        State::Training => 0,
        State::Failed(_) => 1,
        State::Waiting => 2,
        State::Stopped => 3,
        State::Done => 4,
    });
    let rows: Vec<Vec<Cell>> = runs
        .into_iter()
        .map(|run| {
            let training = run.state == State::Training && !paused;
            let (state, color) = match &run.state {
                State::Waiting => ("waiting".to_owned(), palette.muted),
                State::Training if paused => ("paused".to_owned(), palette.warning),
                State::Training => ("training".to_owned(), palette.text),
                State::Done => ("done".to_owned(), palette.good),
                State::Failed(message) => (format!("failed: {message}"), palette.error),
                State::Stopped if run.step == 0 => ("not started".to_owned(), palette.muted),
                State::Stopped => ("stopped".to_owned(), palette.warning),
            };
            let left = live.seconds_left(run).filter(|_| training);
            let speed = run.sequences_per_second.filter(|_| training);
            // One epoch of a large set takes long.
            let epoch = match run.state {
                State::Training => format!("{:.2}", run.epoch),
                State::Done => run.epoch.round().to_string(),
                _ => run.epoch.floor().to_string(),
            };
            vec![
                Cell::text(run.key.solver.title()).dot(palette.solver(run.key.solver)),
                Cell::figure(run.key.seed.to_string()),
                Cell::figure(format!("{epoch} / {}", live.epochs)),
                Cell::figure(run.loss.map_or_else(dash, |loss| format!("{loss:.3}"))),
                Cell::figure(run.valid_ndcg10.map_or_else(dash, format::metric)),
                Cell::figure(speed.map_or_else(dash, format::number)),
                Cell::figure(left.map_or_else(dash, |left| format::duration(left.round()))),
                Cell::figure(state).color(color),
            ]
        })
        .collect();
    page_scroll(ui, "progress", |ui| grid_table(ui, &columns, &rows));
}
