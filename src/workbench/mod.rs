//! The window: an egui app over the same engine as the command line.
//!
//! [`run`] opens it. [`App`] holds a [`session`](Session) (settings, data, runs, devices: what the
//! pages share) and one [`Page`](pages::Page) each for Data, Train, Compare, Attractor, Router,
//! Live API and Experiments. Everything a user can do is a [`Command`](commands::Command): buttons, shortcuts and the palette ask for commands,
//! and `App` carries them out. Long work is a [`Job`](crate::jobs::Job) that `App::logic` drains.

mod app;
mod background;
pub mod charts;
mod commands;
mod dialogs;
pub mod format;
mod pages;
mod palette;
mod run_choice;
mod session;
mod shell;
#[cfg(test)]
mod tests;
pub mod theme;
mod toasts;
mod unfinished;
pub mod widgets;

use std::path::PathBuf;

use eframe::egui::{self, vec2};

pub use app::App;
pub use commands::{Command, PageId};
pub use pages::{AttractorPage, Charts};

use crate::dynamics::device::DeviceChoice;

/// What the command line decides about the window.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The runs directory; the operating system's data directory where `None`.
    pub runs: Option<PathBuf>,
    /// What to load at the start; what was loaded last, or `drift`, where `None`.
    pub data: Option<String>,
    pub device: DeviceChoice,
    /// When the process started, to log the time to the first frame (`DEEPM3_LOG=deepm3=info`).
    pub started: Option<std::time::Instant>,
}

/// Open the window and stay in it until it is closed.
///
/// # Errors
/// No window could be opened: no display, or no graphics driver that works.
pub fn run(options: Options) -> eframe::Result {
    let viewport = egui::ViewportBuilder::default()
        .with_title("DeepM3 Workbench")
        .with_app_id("deepm3")
        .with_inner_size(vec2(1440.0, 900.0))
        .with_min_inner_size(vec2(1100.0, 700.0))
        .with_drag_and_drop(true);
    let native = eframe::NativeOptions { viewport, ..Default::default() };
    eframe::run_native(
        "DeepM3 Workbench",
        native,
        Box::new(|creation| Ok(Box::new(App::new(creation, options)))),
    )
}
