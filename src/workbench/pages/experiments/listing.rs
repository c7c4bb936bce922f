//! The left column: the experiments and how far each is, and what the chosen one runs on.

use eframe::egui::{self, CornerRadius, RichText, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::ExperimentsPage;
use crate::experiments::{About, Experiment, INGREDIENTS, asked_ingredients};
use crate::runs::RunEntry;
use crate::settings::{Config, ReasonerKind, Space};
use crate::workbench::session::Session;
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::{page_scroll, pill, section, setting_row};

/// Settings of an experiment that trains adapters.
const ADAPTER: [&str; 7] = [
    "adapter.shift",
    "adapter.parts",
    "adapter.rank",
    "adapter.alpha",
    "adapter.epochs",
    "adapter.learning_rate",
    "adapter.seeds",
];

/// Settings of a search.
const TUNING: [&str; 5] =
    ["tuning.method", "tuning.trials", "tuning.reduction", "tuning.least_epochs", "tuning.seed"];

/// Settings of the language model's.
const ALIGNMENT: [&str; 6] = [
    "alignment.sft_steps",
    "alignment.pair_prompts",
    "alignment.dpo_steps",
    "alignment.dpo_rate",
    "alignment.beta",
    "alignment.cut_rejected",
];

impl ExperimentsPage {
    pub(super) fn listing_ui(&mut self, ui: &mut Ui, session: &mut Session) {
        page_scroll(ui, "experiments", |ui| {
            ui.spacing_mut().item_spacing.y = UNIT;
            for (place, experiment) in Experiment::ALL.into_iter().enumerate() {
                let of_the_readme =
                    |place: usize| Experiment::ALL[place].about().is_of_the_readme();
                if place > 0 && of_the_readme(place - 1) && !of_the_readme(place) {
                    section(ui, "Studies beyond it");
                }
                let (state, color) = self.state(ui, experiment);
                let selected = experiment == self.chosen;
                if entry(ui, experiment.about(), &state, color, selected) {
                    self.chosen = experiment;
                }
            }
            self.runs_on(ui, session);
        });
    }

    fn state(&self, ui: &Ui, experiment: Experiment) -> (String, egui::Color32) {
        let palette = palette(ui);
        if self.is_at_work(experiment) {
            return ("Running".to_owned(), palette.accent);
        }
        if self.failed.as_ref().is_some_and(|(one, _)| *one == experiment) {
            return ("Failed".to_owned(), palette.error);
        }
        match self.result_of(experiment) {
            Some(result) => {
                let when = result.finished.to_zoned(jiff::tz::TimeZone::system());
                (format!("Result of {}", when.strftime("%Y-%m-%d %H:%M")), palette.good)
            }
            None => ("Not run".to_owned(), palette.muted),
        }
    }

    /// Whether a study looks at the chosen run alone or at all of its group.
    fn group(&mut self, ui: &mut Ui) {
        let group = self.runs.run().and_then(group_of);
        ui.horizontal_wrapped(|ui| {
            let name = group.as_deref().unwrap_or("it has none");
            let help = format!("Every model and seed of the run's group: {name}");
            ui.add_enabled_ui(group.is_some(), |ui| {
                let on = self.whole_group && group.is_some();
                if pill(ui, "Whole group", on, None, &help).clicked() {
                    self.whole_group = true;
                }
            });
            let alone = !self.whole_group || group.is_none();
            if pill(ui, "This run alone", alone, None, "The chosen run and no other").clicked() {
                self.whole_group = false;
            }
        });
    }

    /// What the chosen experiment looks at.
    fn runs_on(&mut self, ui: &mut Ui, session: &mut Session) {
        let about = self.chosen.about();
        let quiet = |ui: &mut Ui, text: &str| {
            ui.label(RichText::new(text).small().color(palette(ui).muted));
        };
        ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
        section(ui, "Runs on");
        if about.needs_run {
            if self.runs.is_empty() {
                quiet(ui, "No finished run yet: a small one is trained first.");
            } else {
                self.runs.ui(ui);
            }
            if !about.is_of_the_readme() {
                self.group(ui);
                return;
            }
            setting_row(ui, &mut session.config, "experiment.requests");
            match session.config.reasoner.kind {
                ReasonerKind::Mock => {
                    quiet(ui, "System 2 is the mock: its latency and tokens are simulated.");
                }
                _ => quiet(
                    ui,
                    "System 2 is not the mock: it is asked for every request, in real time and at \
                     its real price. Choose it on the Router page.",
                ),
            }
            return;
        }
        if self.chosen == Experiment::Alignment {
            quiet(ui, "Prompts and answers are generated; no data set is needed.");
            for key in ALIGNMENT {
                setting_row(ui, &mut session.config, key);
            }
            return;
        }
        let loaded = session.loaded.as_ref().map(|loaded| loaded.data.name.clone());
        ui.horizontal_wrapped(|ui| {
            let help = format!("The data that the preset `{}` names", about.preset);
            if pill(ui, "Preset data", !self.own_data, None, &help).clicked() {
                self.own_data = false;
            }
            let name = loaded.as_deref().unwrap_or("nothing");
            let help = format!("The data of the Data page: {name}");
            let enabled = loaded.is_some();
            ui.add_enabled_ui(enabled, |ui| {
                if pill(ui, "Loaded data", self.own_data, None, &help).clicked() {
                    self.own_data = true;
                }
            });
        });
        if self.chosen == Experiment::Tuning {
            let text = if self.own_data {
                "What is not searched is as on the Train page.".to_owned()
            } else {
                format!("What is not searched is as in the preset “{}”.", about.preset)
            };
            quiet(ui, &text);
            space(ui, &mut session.config);
            for key in TUNING {
                setting_row(ui, &mut session.config, key);
            }
            return;
        }
        if self.chosen == Experiment::Ingredients {
            let text = if self.own_data {
                "The full model is the one of the Train page.".to_owned()
            } else {
                format!("The full model is as in the preset “{}”.", about.preset)
            };
            quiet(ui, &text);
            ingredients(ui, &mut session.config.study.ingredients);
            return;
        }
        quiet(ui, &format!("Everything else is as in the preset “{}”.", about.preset));
        if about.preset == "experiment-dora" {
            for key in ADAPTER {
                setting_row(ui, &mut session.config, key);
            }
        }
    }
}

/// The group of a run, where it has one.
pub(super) fn group_of(entry: &RunEntry) -> Option<String> {
    let group = entry.settings()?.ablation.group.clone();
    (!group.is_empty()).then_some(group)
}

/// The space as text of several lines, and why it cannot be searched, where it cannot.
fn space(ui: &mut Ui, config: &mut Config) {
    let text = &mut config.tuning.space;
    ui.label(RichText::new("Space").color(palette(ui).text));
    let field = egui::TextEdit::multiline(text)
        .desired_width(f32::INFINITY)
        .desired_rows(5)
        .margin(egui::Margin::symmetric(8, 6))
        .font(egui::FontId::proportional(theme::SMALL));
    let help = "Settings of model.* and training.*, separated by commas: values a|b|c, or a range \
                low..high, with log where it is even in the logarithm";
    ui.add(field).accessible_name("Space").on_hover_text(help);
    if let Err(error) = Space::parse(text) {
        ui.label(RichText::new(error.to_string()).small().color(palette(ui).error));
    }
}

/// A pill for each ingredient; all of them where `text` names none.
fn ingredients(ui: &mut Ui, text: &mut String) {
    ui.label(RichText::new("Taken away or exchanged").color(palette(ui).text));
    let asked = match asked_ingredients(text) {
        Ok(asked) => asked,
        Err(error) => {
            ui.label(RichText::new(error.to_string()).small().color(palette(ui).error));
            Vec::new()
        }
    };
    let mut words: Vec<&str> = asked.iter().map(|one| one.word).collect();
    ui.horizontal_wrapped(|ui| {
        for one in &INGREDIENTS {
            let on = words.contains(&one.word);
            if pill(ui, one.word, on, None, one.about).clicked() {
                match on {
                    true => words.retain(|word| *word != one.word),
                    false => words.push(one.word),
                }
                let all = INGREDIENTS.iter().all(|one| words.contains(&one.word));
                *text = if all { String::new() } else { words.join(",") };
            }
        }
    });
}

/// Title and state; of the one that is selected its question and claim as well. Returns whether it was clicked.
fn entry(ui: &mut Ui, about: &About, state: &str, color: egui::Color32, selected: bool) -> bool {
    let palette = palette(ui);
    let width = ui.available_width();
    let inner = width - 5.0 * UNIT;
    let body = |ui: &Ui, text: &str, font: egui::FontId, color| {
        let mut job = egui::text::LayoutJob::simple(text.to_owned(), font, color, inner);
        job.wrap.max_rows = 2;
        ui.painter().layout_job(job)
    };
    let title_color = if selected { palette.strong } else { palette.text };
    let title = body(ui, about.title, theme::semibold(theme::BODY), title_color);
    let small = egui::FontId::proportional(theme::SMALL);
    let mut parts = vec![title];
    if selected {
        parts.push(body(ui, about.asks, small.clone(), palette.muted));
        if about.is_of_the_readme() {
            let claim = format!("Claim: {}", about.claim);
            parts.push(body(ui, &claim, small.clone(), palette.muted));
        }
    }
    let state_text = ui.painter().layout_no_wrap(state.to_owned(), small, color);
    let gap = UNIT / 2.0;
    let written: f32 = parts.iter().map(|part| part.size().y + gap).sum();
    let height = written + state_text.size().y + gap + 3.0 * UNIT;
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::click());
    let fill = match (selected, response.hovered() || response.has_focus()) {
        (true, _) => palette.selected,
        (false, true) => palette.control,
        (false, false) => egui::Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, CornerRadius::same(theme::CONTROL_RADIUS), fill);
    let mut at = pos2(rect.left() + 2.5 * UNIT, rect.top() + 1.5 * UNIT);
    for (place, part) in parts.into_iter().enumerate() {
        let height = part.size().y;
        let color = if place == 0 { title_color } else { palette.muted };
        ui.painter().galley(at, part, color);
        at.y += height + gap;
    }
    let dot = pos2(at.x + UNIT, at.y + state_text.size().y / 2.0);
    ui.painter().circle_filled(dot, 0.75 * UNIT, color);
    ui.painter().galley(pos2(at.x + 3.0 * UNIT, at.y), state_text, color);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, about.title));
    let claim = if about.is_of_the_readme() {
        format!("\nOriginal: {}", about.claim)
    } else {
        String::new()
    };
    let help = format!("{}{claim}\n{state}", about.asks);
    response.on_hover_text(help).clicked()
}
