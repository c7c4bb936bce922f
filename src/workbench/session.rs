//! What the pages share: settings, data, devices, the run store, messages.

use std::sync::Arc;

use eframe::egui::{self, ThemePreference};

use super::background::Background;
use super::charts::lines::LineOptions;
use super::commands::{Command, PageId};
use super::pages::ColumnChoice;
use super::toasts::Toasts;
use super::unfinished::Unfinished;
use crate::data::Dataset;
use crate::data::stats::Stats;
use crate::dynamics::device::{self, DeviceChoice, DeviceInfo};
use crate::runs::RunStore;
use crate::settings::Config;

/// What is kept from one start to the next.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Kept {
    pub page: PageId,
    pub theme: ThemePreference,
    /// As TOML, so that a setting that no longer exists spoils nothing but itself.
    pub settings: String,
    /// Name or path of the preset the settings came from.
    pub preset: String,
    /// `auto`, `cpu`, `gpu` or part of a name.
    pub device: String,
    /// Paths imported, newest first.
    pub recent: Vec<String>,
    pub chart: LineOptions,
    pub columns: ColumnChoice,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            page: PageId::Data,
            theme: ThemePreference::System,
            settings: String::new(),
            preset: "drift".to_owned(),
            device: String::new(),
            recent: Vec::new(),
            chart: LineOptions::default(),
            columns: ColumnChoice::default(),
        }
    }
}

/// Data that is loaded: as it was read, and as the filters leave it.
#[derive(Clone)]
pub struct Loaded {
    pub raw: Arc<Dataset>,
    pub data: Arc<Dataset>,
    pub stats: Arc<Stats>,
}

/// The state that every page may read and change.
pub struct Session {
    pub ctx: egui::Context,
    pub kept: Kept,
    pub config: Config,
    /// What the settings came from, to tell whether they were changed since.
    pub preset: Option<Config>,
    pub loaded: Option<Loaded>,
    /// The store, or why there is none.
    pub store: Result<RunStore, String>,
    pub devices: Vec<DeviceInfo>,
    finding_devices: Background<Vec<DeviceInfo>>,
    pub toasts: Toasts,
    /// What widgets asked for in this frame.
    pub asked: Vec<Command>,
    /// Counts changes to the run store, so that the Compare page knows when to read it again.
    pub runs_changed: u64,
    /// The trainings that were stopped last, as the Compare page found them.
    pub unfinished: Option<Unfinished>,
    /// Address of the running server.
    pub api: Option<String>,
}

impl Session {
    pub fn new(ctx: egui::Context, kept: Kept, store: Result<RunStore, String>) -> Self {
        let config = if kept.settings.is_empty() {
            Config::load(&kept.preset).unwrap_or_default()
        } else {
            Config::from_toml(&kept.settings, "the last session").unwrap_or_default()
        };
        let preset = Config::load(&kept.preset).ok();
        let mut session = Self {
            ctx,
            kept,
            preset,
            config,
            loaded: None,
            store,
            devices: Vec::new(),
            finding_devices: Background::default(),
            toasts: Toasts::default(),
            asked: Vec::new(),
            runs_changed: 0,
            unfinished: None,
            api: None,
        };
        // Asking the graphics drivers takes long enough to be seen.
        let ctx = session.ctx.clone();
        if let Err(message) =
            session.finding_devices.start(&ctx, "Finding devices", |_| Ok(device::devices()))
        {
            session.toasts.error(message);
        }
        session
    }

    pub fn logic(&mut self) {
        if let Some(devices) = self.finding_devices.poll_or_tell(&mut self.toasts) {
            self.devices = devices;
        }
    }

    pub fn ask(&mut self, command: Command) {
        self.asked.push(command);
    }

    pub fn device(&self) -> DeviceChoice {
        // Every text is a choice.
        self.kept.device.parse().unwrap_or_default()
    }

    /// The device that a training would use; none while they are looked for.
    pub fn chosen_device(&self) -> Option<&DeviceInfo> {
        match self.device() {
            DeviceChoice::Cpu => self.devices.iter().find(|device| device.is_cpu()),
            DeviceChoice::Named(name) => {
                self.devices.iter().find(|device| device.name.contains(&name))
            }
            DeviceChoice::Auto | DeviceChoice::Gpu => {
                self.devices.iter().find(|device| device.default)
            }
        }
    }

    /// Its name.
    pub fn device_label(&self) -> String {
        self.chosen_device().map_or_else(|| "finding devices…".to_owned(), DeviceInfo::label)
    }

    /// Whether the settings of a training are not those of the preset they came from.
    pub fn is_changed(&self) -> bool {
        let Some(preset) = self.preset.clone() else { return false };
        let preset = preset.on_data_of(&self.config);
        // Asked in every frame, and most often nothing differs.
        preset != self.config
            && Config::settings()
                .iter()
                .filter(|setting| setting.is_of_a_run())
                .any(|setting| preset.get(setting.key).ok() != self.config.get(setting.key).ok())
    }

    /// Remember a path that was imported.
    pub fn remember(&mut self, source: &str) {
        self.kept.recent.retain(|known| known != source);
        self.kept.recent.insert(0, source.to_owned());
        self.kept.recent.truncate(8);
    }
}
