//! The last requests: filtered, opened, sent again.

use std::sync::Arc;

use eframe::egui::{Align, Layout, RichText, TextEdit, Ui, vec2};
use uuid::Uuid;

use super::charts::{path_color, path_name, reason_name};
use crate::serving::telemetry::{Observation, Served, Telemetry};
use crate::workbench::format;
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::{Cell, Column, pick_table, pill};

/// Answers that are listed, at most.
const MOST: usize = 500;

/// Which answers are listed, and the one that is open.
#[derive(Default)]
pub struct Filter {
    /// Only this path.
    path: Option<Served>,
    /// Only where the budget or the breaker denied System 2, or System 2 failed.
    denied: bool,
    /// Part of the user's id or of the reason.
    text: String,
    /// The answers of the last frame in which nobody pointed at them.
    shown: Vec<Arc<Observation>>,
    open: Option<Uuid>,
}

impl Filter {
    fn passes(&self, one: &Observation) -> bool {
        let failed = one.reasoner.as_ref().is_some_and(|used| used.error.is_some());
        let denied = one.denied_by.is_some() || failed || one.reason.as_str() == "breaker_open";
        let text = self.text.trim();
        self.path.is_none_or(|path| one.served == path)
            && (!self.denied || denied)
            && [&one.user_id, one.reason.as_str(), reason_name(one.reason)]
                .iter()
                .any(|told| told.contains(text))
    }
}

/// Draw over the space that is left; returns the answer that was clicked.
pub fn ui(ui: &mut Ui, telemetry: &Telemetry, filter: &mut Filter) -> Option<Arc<Observation>> {
    let area = ui.available_rect_before_wrap();
    let pointed = ui.input(|input| input.pointer.hover_pos()).is_some_and(|at| area.contains(at));
    let size = vec2(ui.available_width(), 7.0 * UNIT);
    ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
        let title = RichText::new("Recent requests").text_style(theme::card_title());
        ui.label(title.color(palette(ui).strong));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let field = TextEdit::singleline(&mut filter.text)
                .hint_text("user or reason")
                .desired_width(ui.available_width().min(160.0));
            if ui.add(field).accessible_name("Filter requests").changed() {
                filter.shown.clear();
            }
        });
    });
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = UNIT;
        for served in Served::ALL {
            let on = filter.path == Some(served);
            let color = Some(path_color(palette(ui), served));
            let help = "List only what this path answered";
            if pill(ui, path_name(served), on, color, help).clicked() {
                filter.path = (!on).then_some(served);
                filter.shown.clear();
            }
        }
        let help = "List only where System 2 was wanted and did not answer";
        if pill(ui, "Denied", filter.denied, None, help).clicked() {
            filter.denied = !filter.denied;
            filter.shown.clear();
        }
    });
    // Rows that move away under the pointer cannot be clicked, so they wait while it is there.
    if !pointed || filter.shown.is_empty() {
        let recent = telemetry.recent(MOST);
        filter.shown = recent.into_iter().filter(|one| filter.passes(one)).collect();
    }
    if filter.shown.is_empty() {
        ui.add_space(2.0 * UNIT);
        let text = match telemetry.totals().requests() {
            0 => "No request yet: send one, or start traffic at the left.",
            _ => "None of the last 500 requests is like this.",
        };
        ui.label(RichText::new(text).color(palette(ui).muted));
        return None;
    }
    let columns = [
        Column::text("UTC", 1.5),
        Column::text("User", 1.25),
        Column::text("By", 1.3),
        Column::text("Reason", 1.5),
        Column::figure("Entropy", 1.2),
        Column::figure("ms", 1.15),
    ];
    let selected = filter.shown.iter().position(|one| Some(one.impression) == filter.open);
    let palette = palette(ui);
    let clicked = pick_table(ui, "request log", &columns, filter.shown.len(), selected, |row| {
        let one = &filter.shown[row];
        let time = format::time(one.at.as_millisecond());
        let time = time.split_whitespace().next_back().unwrap_or_default();
        vec![
            Cell::figure(time),
            Cell::text(one.user_id.clone()),
            Cell::text(path_name(one.served)).color(path_color(palette, one.served)),
            Cell::text(reason_name(one.reason)).color(palette.muted),
            Cell::figure(format!("{:.3}", one.entropy)),
            Cell::figure(format::number(one.latency.as_secs_f64() * 1e3)),
        ]
    });
    let one = filter.shown[clicked?].clone();
    filter.open = Some(one.impression);
    Some(one)
}
