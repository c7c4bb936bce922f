//! The left column: run, thresholds, budget, System 2.

use eframe::egui::{RichText, Ui};

use crate::settings::{LimitMode, ReasonerKind};
use crate::workbench::run_choice::RunChoice;
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{page_scroll, pill, section, setting_row};

/// Settings of each reasoner that are shown.
const MOCK: [&str; 6] = [
    "reasoner.candidates",
    "reasoner.mock_latency",
    "reasoner.latency_mean",
    "reasoner.latency_sd",
    "reasoner.input_price",
    "reasoner.output_price",
];
const LLM: [&str; 10] = [
    "reasoner.base_url",
    "reasoner.model",
    "reasoner.key_variable",
    "reasoner.candidates",
    "reasoner.timeout",
    "reasoner.retries",
    "reasoner.breaker_failures",
    "reasoner.breaker_seconds",
    "reasoner.input_price",
    "reasoner.output_price",
];

const LOCAL: [&str; 2] = ["reasoner.candidates", "reasoner.local_folder"];

/// Draw the column.
pub fn ui(ui: &mut Ui, session: &mut Session, runs: &mut RunChoice, has_conflict: bool) {
    page_scroll(ui, "router settings", |ui| {
        ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
        runs.ui(ui);
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
        setting_row(ui, &mut session.config, "reasoner.kind");
        let (rows, text): (&[&str], &str) = match session.config.reasoner.kind {
            ReasonerKind::Mock => {
                (&MOCK, "The mock's ranking is real; its latency and tokens are simulated.")
            }
            ReasonerKind::Llm => (
                &LLM,
                "This page replays the mock, so that looking costs nothing; the server asks the LLM.",
            ),
            ReasonerKind::Local => {
                (&LOCAL, "This page replays the mock; the server asks the local model.")
            }
        };
        ui.label(RichText::new(text).small().color(palette(ui).warning));
        for key in rows {
            setting_row(ui, &mut session.config, key);
        }
    });
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
