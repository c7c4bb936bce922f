//! The left column while the server is on: which model, a request, traffic, an adapter.

use eframe::egui::{RichText, Ui};

use super::LivePage;
use crate::serving::traffic::{Latency, TrafficReport};
use crate::workbench::commands::{Command, tooltip};
use crate::workbench::format;
use crate::workbench::session::Session;
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::{
    Cell, Column, Tone, button, grid_table, page_scroll, primary, progress_bar, section,
    setting_row,
};

const TRAFFIC: [&str; 5] =
    ["traffic.pattern", "traffic.rate", "traffic.seconds", "traffic.concurrency", "traffic.seed"];

impl LivePage {
    pub(super) fn controls(&mut self, ui: &mut Ui, session: &mut Session) {
        page_scroll(ui, "live controls", |ui| {
            ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
            let title = RichText::new("Model").text_style(theme::card_title());
            ui.label(title.color(palette(ui).strong));
            if self.runs.ui(ui) {
                self.swap(session);
            }
            section(ui, "Request");
            let people = self.host.as_ref().map(|host| host.people.clone());
            let entered = self.composer.ui(ui, people.as_ref());
            let waiting = self.answering.is_running();
            let help = tooltip(ui.ctx(), &Command::SendRequest, "Send it through the engine");
            if primary(ui, "Send request", !waiting, &help).clicked() || (entered && !waiting) {
                session.ask(Command::SendRequest);
            }
            section(ui, "Traffic");
            self.traffic_controls(ui, session);
            self.adapter_controls(ui, session);
        });
    }

    fn traffic_controls(&mut self, ui: &mut Ui, session: &mut Session) {
        let on = self.traffic.is_some();
        ui.add_enabled_ui(!on, |ui| {
            for key in TRAFFIC {
                setting_row(ui, &mut session.config, key);
            }
        });
        let (label, help) = match on {
            true => ("Stop traffic", "Send no more requests"),
            false => ("Start traffic", "Send generated requests to this server"),
        };
        let help = tooltip(ui.ctx(), &Command::ToggleTraffic, help);
        if button(ui, label, Tone::Plain, true, &help).clicked() {
            session.ask(Command::ToggleTraffic);
        }
        if let Some(job) = &self.traffic {
            let progress = job.progress();
            progress_bar(ui, 240.0, progress.fraction, "Progress of the traffic");
            ui.label(RichText::new(progress.message).small().color(palette(ui).muted));
        }
        if let Some(report) = &self.report {
            traffic_report(ui, report);
        }
    }
}

/// What came of the last traffic, as its clients saw it.
fn traffic_report(ui: &mut Ui, report: &TrafficReport) {
    let latency = |quantile: fn(&Latency) -> f64| {
        let of = report.latency.as_ref().map(quantile);
        of.map_or_else(|| "–".to_owned(), |ms| format!("{} ms", format::number(ms)))
    };
    let hit_rate = report.hit_rate.map_or_else(|| "–".to_owned(), format::percent);
    let title = if report.stopped { "Last traffic, stopped" } else { "Last traffic" };
    let columns = [Column::text(title, 1.3), Column::figure("", 1.0)];
    let mut rows = vec![
        ("Sent", format::count(report.sent)),
        ("Answered", format::count(report.completed)),
        ("Rate", format!("{} /s", format::number(report.rate))),
        ("Cache hits", hit_rate),
        ("p50", latency(|latency| latency.p50_ms)),
        ("p99", latency(|latency| latency.p99_ms)),
    ];
    let failures: Vec<(&str, String)> = report
        .failures
        .iter()
        .map(|(code, &count)| (code.as_str(), format::count(count)))
        .collect();
    rows.extend(failures);
    let rows: Vec<Vec<Cell>> =
        rows.into_iter().map(|(name, value)| vec![Cell::text(name), Cell::figure(value)]).collect();
    grid_table(ui, &columns, &rows);
}
