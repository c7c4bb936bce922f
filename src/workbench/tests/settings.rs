//! The settings of a training: by their labels, and as they follow the data.

use eframe::egui::{Key, Role};
use egui_kittest::kittest::Queryable;

use super::{Command, PageId, Window};
use crate::settings::{Protocol, Targets};

#[test]
fn settings_are_changed_by_their_labels() {
    let mut window = Window::open();
    window.click(Role::Button, "Train");
    window.click(Role::CheckBox, "Euler");
    assert_eq!(window.harness.state().session.config.ablation.models, "gru,rk4,decay,cfc,gru-ode");
    let before = window.harness.state().session.config.model.hidden;
    window.slide("Hidden size", Key::ArrowRight);
    assert!(window.harness.state().session.config.model.hidden > before);
}

#[test]
fn settings_that_would_change_nothing_are_not_shown() {
    let mut window = Window::open();
    window.click(Role::Button, "Train");
    for (targets, protocol, shown) in [
        (Targets::Last, Protocol::Readme, false),
        (Targets::All, Protocol::Readme, true),
        (Targets::All, Protocol::LeaveOneOut, false),
    ] {
        let config = &mut window.harness.state_mut().session.config;
        (config.model.targets, config.evaluation.protocol) = (targets, protocol);
        window.harness.run_steps(2);
        assert_eq!(window.shows("Train on whole histories"), shown, "{targets:?} {protocol:?}");
    }
}

/// 2,048 users with five events each, over 8,192 items.
fn own_data(window: &Window) -> String {
    let path = window.folder.path().join("own.csv");
    let events =
        (0..2048 * 5).map(|n| format!("u{},i{},{}\n", n / 5, n % 8192, 1_600_000_000 + 3600 * n));
    let text = "user,item,time\n".to_owned() + &events.collect::<String>();
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

impl Window {
    fn load(&mut self, source: &str) {
        self.ask(Command::Load(source.to_owned()));
        self.until("it is loaded", |app| {
            let session = &app.session;
            session.config.data.source == source && app.data.running().is_none()
        });
    }

    fn preset(&self) -> &str {
        &self.harness.state().session.kept.preset
    }
}

#[test]
fn settings_that_nobody_chose_follow_the_kind_of_data() {
    let mut window = Window::open();
    let own = own_data(&window);
    assert_eq!(window.preset(), "drift");
    window.load(&own);
    assert_eq!(window.preset(), "leave-one-out");
    let config = &window.harness.state().session.config;
    assert_eq!((config.model.hidden, config.data.source.as_str()), (64, own.as_str()));
    window.load("drift");
    assert_eq!(window.preset(), "drift");
    // What somebody chose stays.
    window.harness.state_mut().session.config.model.hidden = 48;
    window.load(&own);
    assert_eq!(window.preset(), "drift");
    assert_eq!(window.harness.state().session.config.model.hidden, 48);
}

#[test]
fn a_large_catalogue_is_offered_drawn_items_on_the_cpu() {
    let mut window = Window::open();
    window.ask(Command::Go(PageId::Train));
    window.harness.state_mut().session.kept.device = "cpu".to_owned();
    window.until("devices are found", |app| !app.session.devices.is_empty());
    assert!(
        window.shows("Sampled items") && !window.shows("Score 1,024 drawn ones instead"),
        "300 items"
    );
    let own = own_data(&window);
    window.load(&own);
    // Below the setting, and where nothing is training yet.
    let offers: Vec<_> = window
        .harness
        .query_all_by_role_and_label(Role::Button, "Score 1,024 drawn ones instead")
        .collect();
    assert_eq!(offers.len(), 2);
    offers[0].click_accesskit();
    window.harness.run_steps(3);
    assert_eq!(window.harness.state().session.config.training.negatives, 1024);
    assert!(!window.shows("Score 1,024 drawn ones instead"), "it is taken");
    // Averaged weights need every score: the setting stays as long as it is on.
    let training = &mut window.harness.state_mut().session.config.training;
    training.averaging = 10.0;
    window.harness.run_steps(2);
    assert!(window.shows("Sampled items"));
    window.harness.state_mut().session.config.training.negatives = 0;
    window.harness.run_steps(2);
    assert!(!window.shows("Sampled items"));
}
