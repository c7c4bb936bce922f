//! The left column: run, thresholds, budget, System 2.

use eframe::egui::{RichText, Ui};

use crate::runs::RunEntry;
use crate::settings::LimitMode;
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{combo, page_scroll, pill, section, setting_row};

/// Draw the column; returns the run that was chosen, where one was.
pub fn ui(
    ui: &mut Ui,
    session: &mut Session,
    runs: &[RunEntry],
    chosen: &str,
    has_conflict: bool,
) -> Option<String> {
    page_scroll(ui, "router settings", |ui| {
        ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
        let picked = run(ui, runs, chosen);
        section(ui, "Uncertainty");
        setting_row(ui, &mut session.config, "router.entropy");
        if has_conflict {
            setting_row(ui, &mut session.config, "router.conflict");
            setting_row(ui, &mut session.config, "router.half_life");
        } else {
            let text = "Conflict is not available: the data has no genres.";
            ui.label(RichText::new(text).small().color(palette(ui).muted));
        }
        section(ui, "Budget");
        setting_row(ui, &mut session.config, "router.rate");
        setting_row(ui, &mut session.config, "router.capacity");
        limit(ui, session, "router.rate_limit", "Token bucket");
        setting_row(ui, &mut session.config, "router.share");
        limit(ui, session, "router.share_limit", "Share cap");
        setting_row(ui, &mut session.config, "router.cost_per_hour");
        limit(ui, session, "router.cost_limit", "Cost cap");
        section(ui, "Assumed traffic");
        setting_row(ui, &mut session.config, "traffic.rate");
        section(ui, "System 2");
        let text = "The mock: its ranking is real, its latency and tokens are simulated.";
        ui.label(RichText::new(text).small().color(palette(ui).warning));
        setting_row(ui, &mut session.config, "reasoner.candidates");
        setting_row(ui, &mut session.config, "reasoner.latency_mean");
        setting_row(ui, &mut session.config, "reasoner.input_price");
        setting_row(ui, &mut session.config, "reasoner.output_price");
        picked
    })
}

fn run(ui: &mut Ui, runs: &[RunEntry], chosen: &str) -> Option<String> {
    let mut picked = None;
    let title = |entry: &RunEntry| match &entry.summary {
        Some(summary) => format!("{} · {}", summary.data.name, entry.id),
        None => entry.id.clone(),
    };
    let shown: String = chosen.chars().take(34).collect();
    combo(ui, "Run", &shown, |ui| {
        ui.set_min_width(380.0);
        for entry in runs {
            if ui.selectable_label(entry.id == chosen, title(entry)).clicked() {
                picked = Some(entry.id.clone());
                ui.close();
            }
        }
    });
    picked
}

/// Whether a limit denies or only counts.
fn limit(ui: &mut Ui, session: &mut Session, key: &str, name: &str) {
    let router = &mut session.config.router;
    let mode = match key {
        "router.rate_limit" => &mut router.rate_limit,
        "router.share_limit" => &mut router.share_limit,
        _ => &mut router.cost_limit,
    };
    ui.horizontal(|ui| {
        ui.label(RichText::new(name).small().color(palette(ui).muted));
        for &choice in LimitMode::ALL {
            let help = match choice {
                LimitMode::Enforced => "Requests over this limit are answered by System 1",
                LimitMode::Observed => "Requests over this limit are only counted",
            };
            let label = format!("{name}: {}", choice.word());
            let response = pill(ui, choice.word(), *mode == choice, None, help);
            response.widget_info(|| {
                eframe::egui::WidgetInfo::selected(
                    eframe::egui::Role::Button,
                    true,
                    *mode == choice,
                    &label,
                )
            });
            if response.clicked() {
                *mode = choice;
            }
        }
    });
}
