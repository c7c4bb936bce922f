//! The window, driven by the names of its controls.

use std::time::{Duration, Instant};

use eframe::egui::{self, Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::commands::{Command, ExportFormat, PageId};
use super::{App, Options};
use crate::runs::RunState;
use crate::training::trainer::lost::lose_device;

mod runs;
mod settings;

struct Window {
    harness: Harness<'static, App>,
    folder: tempfile::TempDir,
}

impl Window {
    /// A window on the built-in data and an empty run store.
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            runs: Some(folder.path().join("runs")),
            data: Some("drift".to_owned()),
            ..Options::default()
        };
        let harness = Harness::builder()
            .with_size(egui::vec2(1440.0, 900.0))
            .build_eframe(move |creation| App::new(creation, options));
        let mut window = Self { harness, folder };
        window.until("the data is loaded", |app| app.session.loaded.is_some());
        window
    }

    /// Let frames go by until `ready`.
    fn until(&mut self, what: &str, ready: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !ready(self.harness.state()) {
            assert!(start.elapsed() < Duration::from_secs(60), "never came: {what}");
            self.harness.step();
            std::thread::sleep(Duration::from_millis(5));
        }
        self.harness.run_steps(3);
    }

    fn click(&mut self, role: Role, label: &str) {
        self.harness.get_by_role_and_label(role, label).click();
        self.harness.run_steps(3);
    }

    /// Move a slider by a key.
    fn slide(&mut self, slider: &str, key: Key) {
        self.harness.get_by_role_and_label(Role::Slider, slider).focus();
        self.harness.run_steps(2);
        self.harness.key_press(key);
        self.harness.run_steps(2);
    }

    fn ask(&mut self, command: Command) {
        self.harness.state_mut().session.ask(command);
        self.harness.run_steps(2);
    }

    /// One small GRU for one epoch on the CPU.
    fn choose_tiny_training(&mut self) {
        let session = &mut self.harness.state_mut().session;
        session.kept.device = "cpu".to_owned();
        session.config.model.hidden = 4;
        session.config.training.epochs = 1;
        session.config.ablation.models = "gru".to_owned();
        session.config.ablation.seeds = 1;
    }

    /// Let frames go by until `text` shows.
    fn until_shown(&mut self, text: &str) {
        let start = Instant::now();
        while !self.shows(text) {
            assert!(start.elapsed() < Duration::from_secs(60), "never shown: {text}");
            self.harness.step();
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn shows(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }
}

#[test]
fn every_page_is_reached_by_its_name_and_by_its_number() {
    let mut window = Window::open();
    let loaded = window.harness.state().session.loaded.clone().unwrap();
    let events = super::format::count(loaded.data.events() as u64);
    assert!(window.shows(&events), "the numbers of the built-in set");
    let keys = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7];
    for (page, key) in PageId::ALL.into_iter().zip(keys) {
        window.click(Role::Button, page.title());
        assert_eq!(window.harness.state().session.kept.page, page);
        window.ask(Command::Go(PageId::Data));
        window.harness.key_press(key);
        window.harness.run_steps(3);
        assert_eq!(window.harness.state().session.kept.page, page);
    }
}

#[test]
fn the_palette_finds_and_runs_a_command() {
    let mut window = Window::open();
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.harness.run_steps(3);
    let field = window.harness.get_by_label("Find a command");
    assert_eq!(field.accesskit_node().placeholder(), Some("Type a command…"));
    field.type_text("light theme");
    window.harness.run_steps(3);
    window.harness.key_press(Key::Enter);
    window.harness.run_steps(4);
    assert_eq!(window.harness.state().session.kept.theme, egui::ThemePreference::Light);
}

#[test]
fn a_file_that_cannot_be_read_says_where_and_keeps_what_was_loaded() {
    let mut window = Window::open();
    let path = window.folder.path().join("bad.csv");
    std::fs::write(&path, "user,item,time\nu1,i1,5\nu1,i2,yesterday\nu2,i1,tomorrow\n").unwrap();
    window.ask(Command::Load(path.to_string_lossy().into_owned()));
    window.until_shown("line ");
    let loaded = window.harness.state().session.loaded.as_ref().unwrap();
    assert_eq!(loaded.data.name, "drift");
}

#[test]
fn a_licence_is_shown_before_a_download() {
    let mut window = Window::open();
    window.until("the catalogue is read", |_| true);
    window.harness.run_steps(20);
    window.click(Role::Button, "MovieLens 1M");
    assert!(window.shows("Agree and download"));
    window.click(Role::Button, "Cancel");
    assert!(!window.shows("Agree and download"));
}

#[test]
fn a_training_is_started_shown_and_listed() {
    let mut window = Window::open();
    window.choose_tiny_training();
    window.click(Role::Button, "Train");
    window.click(Role::Button, "Start ▶");
    window.until("the training starts", |app| app.train.running().is_some());
    window.until("the training ends", |app| app.train.running().is_none());
    assert!(window.shows("Result"), "the table follows the training");
    window.click(Role::Button, "Compare");
    window.until_shown("1 finished of 1 runs");
}

#[test]
fn a_lost_device_offers_the_cpu_which_finishes_the_run() {
    let mut window = Window::open();
    let group = "lost in the window";
    window.choose_tiny_training();
    let session = &mut window.harness.state_mut().session;
    session.config.training.checkpoint_seconds = 0.0;
    session.config.ablation.group = group.to_owned();
    let store = session.store.clone().unwrap();
    lose_device(group, 3);
    window.click(Role::Button, "Train");
    window.click(Role::Button, "Start ▶");
    window.until("the training starts", |app| app.train.running().is_some());
    window.until("the device is lost", |app| app.train.running().is_none());
    assert!(window.shows("the device failed while training"));
    // This machine trains on the CPU anyway: as if a GPU had been chosen.
    window.harness.state_mut().session.kept.device = "gpu".to_owned();
    window.click(Role::Button, "Use the CPU");
    assert_eq!(window.harness.state().session.kept.device, "cpu");
    assert!(!window.shows("Use the CPU"), "the offer was taken");

    let lost = store.list();
    assert_eq!((lost.len(), &lost[0].state), (1, &RunState::Interrupted));
    window.ask(Command::ResumeRuns(vec![lost[0].id.clone()]));
    window.until("the run is resumed", |app| app.train.running().is_some());
    window.until("the run ends", |app| app.train.running().is_none());
    assert_eq!(store.find(&lost[0].id).unwrap().state, RunState::Done);
    assert!(window.shows("The resumed run is finished"));
}

#[test]
fn the_router_page_says_what_to_do_without_a_run_and_answers_with_one() {
    let mut window = Window::open();
    window.click(Role::Button, "Router");
    window.until_shown("No finished run yet");
    window.choose_tiny_training();
    window.ask(Command::Start);
    window.until("the training starts", |app| app.train.running().is_some());
    window.until("the training ends", |app| app.train.running().is_none());
    window.click(Role::Button, "Router");
    window.until_shown("Denied by budget");
    assert!(window.shows("held-out requests of"));
    let before = window.harness.state().session.config.router.entropy;
    window.slide("Entropy threshold", Key::ArrowRight);
    assert!(window.harness.state().session.config.router.entropy > before);
    window.click(Role::Button, "Token bucket: observed");
    let router = &window.harness.state().session.config.router;
    assert_eq!(router.rate_limit, crate::settings::LimitMode::Observed);
}

#[test]
fn the_live_page_serves_answers_and_switches_off() {
    let mut window = Window::open();
    window.click(Role::Button, "Live API");
    window.until_shown("No finished run yet");
    window.choose_tiny_training();
    let config = &mut window.harness.state_mut().session.config;
    config.server.port = 0;
    config.reasoner.mock_latency = false;
    window.ask(Command::Start);
    window.until("the training starts", |app| app.train.running().is_some());
    window.until("the training ends", |app| app.train.running().is_none());
    window.click(Role::Button, "Live API");
    window.until_shown("The server is off");
    window.click(Role::Button, "Switch on the server");
    window.until("the server is on", |app| app.session.api.is_some());
    assert!(window.shows("Serving"));
    window.click(Role::Button, "Next real user");
    window.click(Role::CheckBox, "Force slow");
    window.click(Role::Button, "Send request");
    window.until_shown("System 2 (mock)");
    assert!(window.shows("forced"));
    window.click(Role::Button, "Send again");
    window.until_shown("from the cache");
    // The log has both; a click opens one.
    window.until_shown("cache");
    window.harness.state_mut().session.config.traffic.seconds = 0.5;
    window.click(Role::Button, "Start traffic");
    window.until_shown("Cache hits");
    window.ask(Command::Go(PageId::Router));
    window.until_shown("Denied by budget");
    window.harness.state_mut().session.config.router.entropy = 0.11;
    window.click(Role::Button, "Apply to live server");
    window.until_shown("takes these settings");
    window.ask(Command::ToggleServer);
    window.until("the server is off", |app| app.session.api.is_none());
    window.until_shown("every accepted request was answered");
}

#[test]
fn the_attractor_page_analyses_plays_and_asks_what_if() {
    let mut window = Window::open();
    window.click(Role::Button, "Attractor");
    window.until_shown("No finished run yet");
    window.choose_tiny_training();
    window.harness.state_mut().session.config.ablation.models = "rk4".to_owned();
    window.ask(Command::Start);
    window.until("the training starts", |app| app.train.running().is_some());
    window.until("the training ends", |app| app.train.running().is_none());
    window.click(Role::Button, "Attractor");
    window.until_shown("At day");
    assert!(window.shows("Phase portrait"));
    assert!(window.shows("events over"));
    // The analysis is kept with the run.
    let store = window.harness.state().session.store.clone().unwrap();
    let run = store.list()[0].id.clone();
    assert!(store.analysis(&run).unwrap().is_some());
    window.slide("Time", Key::ArrowLeft);
    window.until_shown("At day");
    window.click(Role::Button, "Random");
    window.until_shown("At day");
    window.click(Role::Button, "›");
    window.until_shown("What if, at event 2");
    window.slide("Gap before it", Key::ArrowRight);
    window.until_shown("At day");
    window.click(Role::Button, "Reset");
    window.click(Role::CheckBox, "Solvers");
    window.click(Role::Button, "Play ▶");
    window.until_shown("Pause");
    window.click(Role::Button, "Pause");
    window.until_shown("Play ▶");
    for (format, begins) in [
        (ExportFormat::Png, &b"\x89PNG"[..]),
        (ExportFormat::Svg, b"<svg"),
        (ExportFormat::Csv, b"days,event,item,pc1"),
        (ExportFormat::Json, b"{"),
    ] {
        let path = window.folder.path().join(format!("exported.{}", format.extension()));
        window.ask(Command::WriteExport(format, path.clone()));
        window.until_shown(&format!("exported.{}", format.extension()));
        assert!(std::fs::read(&path).unwrap().starts_with(begins), "{format:?}");
    }
}

#[test]
fn an_experiment_says_what_it_will_do_is_run_and_shows_its_result_beside_the_claim() {
    let mut window = Window::open();
    window.click(Role::Button, "Experiments");
    window.until_shown("Not run yet");
    assert!(window.shows("What the original's README claims, measured: 0 of"));
    window.until_shown("a small one is trained first");
    window.choose_tiny_training();
    window.ask(Command::Start);
    window.until("the training starts", |app| app.train.running().is_some());
    window.until("the training ends", |app| app.train.running().is_none());

    window.harness.key_press(Key::Num7);
    window.harness.run_steps(3);
    window.click(Role::Button, "Efficiency");
    window.click(Role::Button, "Run ▶");
    window.until("it runs", |app| app.experiments.running().is_some());
    window.until("it is done", |app| app.experiments.running().is_none());
    window.until_shown("System 2 always");
    assert!(window.shows("original's claim All-L3: 2000 ms, $5.00"));
    assert!(window.shows("Simulated: System 2 is the mock"));
    assert!(window.shows("Quality against latency"));
    assert!(window.shows("How it was measured"));
    for (format, begins) in [
        (ExportFormat::Markdown, &b"Router"[..]),
        (ExportFormat::Csv, b"name,escalated"),
        (ExportFormat::Json, b"{"),
        (ExportFormat::Svg, b"<svg"),
        (ExportFormat::Png, b"\x89PNG"),
        (ExportFormat::Html, b"<!doctype html>"),
    ] {
        let path = window.folder.path().join(format!("exported.{}", format.extension()));
        window.ask(Command::WriteExport(format, path.clone()));
        window.until_shown(&format!("exported.{}", format.extension()));
        assert!(std::fs::read(&path).unwrap().starts_with(begins), "{format:?}");
    }
    window.click(Role::Button, "Routing accuracy");
    assert!(window.shows("Not run yet"));
    window.ask(Command::NextExperiment);
    assert!(window.shows("Does preferring its own good answers"));
}

#[test]
fn an_experiment_is_cancelled_by_its_button_and_says_that_it_goes_on_later() {
    let mut window = Window::open();
    window.click(Role::Button, "Experiments");
    window.click(Role::Button, "DoRA fine-tuning");
    window.click(Role::Button, "Run this experiment");
    window.until("it runs", |app| app.experiments.running().is_some());
    window.click(Role::Button, "Cancel");
    window.until("it stops", |app| app.experiments.running().is_none());
    window.until_shown("Run it again to go on");
    assert!(window.shows("Not run yet"));
}

#[test]
fn a_search_is_run_shown_in_parallel_coordinates_and_its_settings_are_taken_over() {
    let mut window = Window::open();
    window.click(Role::Button, "Experiments");
    window.click(Role::Button, "Tuning");
    let session = &mut window.harness.state_mut().session;
    session.kept.device = "cpu".to_owned();
    session.config.tuning.trials = 3;
    session.config.tuning.least_epochs = 9;
    session.config.tuning.space = "model.hiden=4|6".to_owned();
    window.harness.run_steps(2);
    assert!(window.shows("the nearest is `model.hidden`"), "a bad space says what is wrong");
    let session = &mut window.harness.state_mut().session;
    session.config.tuning.space = "model.hidden=4|6, model.max_substeps=1|2".to_owned();
    window.click(Role::Button, "Run ▶");
    window.until("it runs", |app| app.experiments.running().is_some());
    window.until("it is done", |app| app.experiments.running().is_none());
    window.until_shown("parallel coordinates of 3 trials");
    assert!(window.shows("no test query was scored before the choice was made"));
    window.click(Role::Button, "Use these settings");
    let session = &window.harness.state().session;
    assert_eq!(session.kept.page, PageId::Train);
    assert!(matches!(session.config.model.hidden, 4 | 6));
    assert_eq!(session.config.training.epochs, 9);
    // The next time it looks for the same, it finds it done.
    assert!(session.config.ablation.group.is_empty());
}
