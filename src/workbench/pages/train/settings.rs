//! The left column: what to train and how, and the presets above it.

use eframe::egui::{RichText, Ui};

use crate::dynamics::device::DeviceInfo;
use crate::settings::{Config, PRESETS, Protocol, Solver, Targets, Warp};
use crate::training::ablation::parse_models;
use crate::workbench::commands::{Command, PageId, tooltip};
use crate::workbench::format;
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Tone, button, combo, list_row, page_scroll, pill, section, setting_row,
};

const TIME_SCALE: &str = "model.time_scale";
const LEARN_TIME_SCALE: &str = "model.learn_time_scale";
const WHOLE_HISTORIES: &str = "data.whole_histories";
const NEGATIVES: &str = "training.negatives";
/// Items that are offered to be drawn at a step, to catalogues that have at least so many times as many.
const DRAWN: usize = 1024;
const TIMES: usize = 8;
const MODEL: [&str; 11] = [
    "model.hidden",
    "model.max_step",
    "model.max_substeps",
    "model.decay",
    "model.dropout",
    "model.targets",
    "model.warp",
    TIME_SCALE,
    LEARN_TIME_SCALE,
    "model.head",
    "model.query_gap",
];
/// Shown where one of the models is of the kind.
const ATTENTION: [&str; 2] = ["model.blocks", "model.heads"];
const INTERVALS: [&str; 2] = ["model.intervals", "model.interval_scale"];
const TRAINING: [&str; 12] = [
    "training.epochs",
    "training.batch_size",
    NEGATIVES,
    "training.learning_rate",
    "training.clip_norm",
    "training.weight_decay",
    "training.patience",
    "training.schedule",
    "training.embedding",
    "training.averaging",
    "training.keep_best",
    "training.parallel",
];
const EVALUATION: [&str; 5] = [
    "evaluation.protocol",
    "data.max_len",
    WHOLE_HISTORIES,
    "evaluation.mask_seen",
    "evaluation.batch_size",
];

/// Draw the column; nothing can be changed while a training runs.
pub fn ui(ui: &mut Ui, session: &mut Session, running: bool) {
    page_scroll(ui, "train settings", |ui| {
        if running {
            let text = "Of the next training: the one that runs keeps those it was started with.";
            ui.label(RichText::new(text).small().color(palette(ui).muted));
            ui.disable();
        }
        ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
        models(ui, session);
        for key in ["ablation.seeds", "training.seed"] {
            setting_row(ui, &mut session.config, key);
        }
        data(ui, session);
        let chosen = parse_models(&session.config.ablation.models).unwrap_or_default();
        let attention = chosen.iter().any(|solver| solver.is_attention());
        let intervals = chosen.contains(&Solver::TiSasRec);
        for (title, keys, shown) in [
            ("Model", &MODEL[..], true),
            ("Attention", &ATTENTION[..], attention),
            ("Time intervals", &INTERVALS[..], intervals),
            ("Training", &TRAINING[..], true),
            ("Evaluation", &EVALUATION[..], true),
        ] {
            if !shown {
                continue;
            }
            section(ui, title);
            for key in keys {
                if matters(key, &session.config) {
                    setting_row(ui, &mut session.config, key);
                    if *key == NEGATIVES {
                        advise_sampling(ui, session);
                    }
                }
            }
        }
        section(ui, "Device");
        device(ui, session);
        ui.add_space(2.0 * UNIT);
    });
}

/// Whether a setting changes anything beside the others.
fn matters(key: &str, config: &Config) -> bool {
    match key {
        TIME_SCALE | LEARN_TIME_SCALE => config.model.warp == Warp::Log1p,
        WHOLE_HISTORIES => {
            config.evaluation.protocol == Protocol::Readme && config.model.targets == Targets::All
        }
        // What does not go with it; where it is on all the same, it can be switched off.
        NEGATIVES => config.training.negatives > 0 || config.not_sampled_with().is_none(),
        _ => true,
    }
}

/// Offer drawn items where the whole catalogue costs many times as much.
pub fn advise_sampling(ui: &mut Ui, session: &mut Session) {
    let items = session.loaded.as_ref().map_or(0, |loaded| loaded.data.items());
    let on_cpu = session.chosen_device().is_some_and(DeviceInfo::is_cpu);
    let config = &session.config;
    let may = config.training.negatives == 0 && config.not_sampled_with().is_none();
    if items < TIMES * DRAWN || !on_cpu || !may {
        return;
    }
    let text = format!("{} items are scored at every step.", format::count(items as u64));
    ui.label(RichText::new(text).small().color(palette(ui).muted));
    let help = "Sampled softmax: on MovieTweetings 100K, with 9,674 items, models trained three to \
                five times faster on a CPU and ranked no worse";
    let label = format!("Score {} drawn ones instead", format::count(DRAWN as u64));
    if button(ui, &label, Tone::Plain, true, help).clicked() {
        session.config.training.negatives = DRAWN;
    }
}

fn models(ui: &mut Ui, session: &mut Session) {
    let text = RichText::new("Models").text_style(crate::workbench::theme::card_title());
    ui.label(text.color(palette(ui).strong));
    let chosen = parse_models(&session.config.ablation.models).unwrap_or_default();
    let mut wanted = chosen.clone();
    // More than fit side by side in a narrow column.
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = eframe::egui::Vec2::splat(1.5 * UNIT);
        for &solver in Solver::ALL {
            let on = chosen.contains(&solver);
            let color = Some(palette(ui).solver(solver));
            let help = "Train this model or not";
            if pill(ui, solver.title(), on, color, help).clicked() {
                wanted.retain(|other| *other != solver);
                if !on {
                    wanted.push(solver);
                }
            }
        }
    });
    if wanted != chosen {
        let words: Vec<_> = Solver::ALL
            .iter()
            .filter(|solver| wanted.contains(solver))
            .map(|solver| solver.word())
            .collect();
        session.config.ablation.models = words.join(",");
    }
}

fn data(ui: &mut Ui, session: &mut Session) {
    section(ui, "Data");
    let (name, detail) = match &session.loaded {
        Some(loaded) => (
            loaded.data.name.clone(),
            format!("{} events", format::count(loaded.data.events() as u64)),
        ),
        None => ("nothing loaded".to_owned(), String::new()),
    };
    if list_row(ui, &name, &detail, false, "Choose other data on the Data page").clicked() {
        session.ask(Command::Go(PageId::Data));
    }
}

fn device(ui: &mut Ui, session: &mut Session) {
    let mut chosen = session.kept.device.clone();
    let shown = match chosen.as_str() {
        "" | "auto" => format!("Best: {}", session.device_label()),
        "cpu" | "gpu" => session.device_label(),
        name => name.to_owned(),
    };
    let width = ui.available_width();
    let limit = (width / 7.5) as usize;
    let shown: String = if shown.chars().count() > limit {
        shown.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
    } else {
        shown
    };
    let devices = session.devices.clone();
    combo(ui, "Device", &shown, |ui| {
        ui.selectable_value(&mut chosen, String::new(), "Best there is");
        for device in &devices {
            let word = if device.is_cpu() { "cpu".to_owned() } else { device.label() };
            ui.selectable_value(&mut chosen, word, device.label());
        }
    });
    session.kept.device = chosen;
}

/// The preset combobox and its menu of files.
pub fn preset_menu(ui: &mut Ui, session: &mut Session, running: bool) {
    let name = if session.kept.preset.is_empty() { "none" } else { session.kept.preset.as_str() };
    let short = std::path::Path::new(name)
        .file_stem()
        .map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let shown = format!("Preset: {short}{}", if session.is_changed() { " (changed)" } else { "" });
    ui.add_enabled_ui(!running, |ui| {
        combo(ui, "Preset", &shown, |ui| {
            ui.set_min_width(320.0);
            for preset in PRESETS {
                let selected = preset.name == session.kept.preset;
                if list_row(ui, preset.name, "", selected, preset.about).clicked() {
                    session.ask(Command::ReadPreset(preset.name.to_owned()));
                    ui.close();
                }
            }
            ui.separator();
            for (label, command, help) in [
                ("Open preset…", Command::OpenPreset, "Read settings from a TOML file"),
                ("Save preset…", Command::SavePreset, "Write these settings to a TOML file"),
                ("Reset settings", Command::ResetSettings, "Every setting back to its default"),
            ] {
                let help = tooltip(ui.ctx(), &command, help);
                if list_row(ui, label, "", false, &help).clicked() {
                    session.ask(command);
                    ui.close();
                }
            }
        });
    });
}

/// Take the settings of a preset, but keep the data that is loaded.
pub fn read_preset(name: &str, session: &mut Session) {
    match Config::load(name) {
        Ok(preset) => {
            let filters = session.config.data.clone();
            session.preset = Some(preset.clone());
            session.config = preset.on_data_of(&session.config);
            session.kept.preset = name.to_owned();
            let data = &session.config.data;
            if (data.min_user_events, data.min_item_events, data.k_core)
                != (filters.min_user_events, filters.min_item_events, filters.k_core)
            {
                session.ask(Command::ApplyFilters);
            }
            session.toasts.done(format!("Settings of {name} taken over."));
        }
        Err(error) => session.toasts.error(error.to_string()),
    }
}
