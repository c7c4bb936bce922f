//! Runs in the window: what was stopped goes on, several are selected, curves open again.

use super::*;

/// A plan of four small trainings, one after the other, that was stopped after the first.
fn stopped() -> Window {
    let mut window = Window::open();
    window.choose_tiny_training();
    let session = &mut window.harness.state_mut().session;
    session.config.ablation.seeds = 4;
    session.config.training.parallel = 1;
    session.config.training.epochs = 20;
    let store = session.store.clone().unwrap();
    window.ask(Command::Start);
    let done = |entry: &crate::runs::RunEntry| entry.state == RunState::Done;
    window.until("one is finished", move |_| store.list().iter().any(done));
    window.ask(Command::Stop);
    window.until("they are stopped", |app| app.train.running().is_none());
    window
}

#[test]
fn what_is_left_of_a_stopped_plan_goes_on_with_one_button() {
    let mut window = stopped();
    let store = window.harness.state().session.store.clone().unwrap();
    let states = store.list();
    let left = states.iter().filter(|entry| entry.state == RunState::Interrupted).count();
    assert!((1..4).contains(&left), "{left}");
    window.click(Role::Button, "Compare");
    window.until_shown(&format!("{left} to resume"));
    window.click(Role::Button, &format!("Resume {left} of 4 runs"));
    assert_eq!(window.harness.state().session.kept.page, PageId::Train);
    window.until("they go on", |app| app.train.running().is_some());
    window.until("they end", |app| app.train.running().is_none());
    for entry in store.list() {
        assert_eq!(entry.state, RunState::Done);
        assert!(entry.summary.unwrap().latency.is_some(), "{}", entry.id);
    }
    window.click(Role::Button, "Compare");
    window.until_shown("4 finished of 4 runs");
    assert!(!window.shows("to resume"));
}

#[test]
fn runs_are_selected_by_range_and_their_curves_open_again() {
    let mut window = stopped();
    window.click(Role::Button, "Compare");
    window.until_shown("of 4 runs");
    let row = |window: &Window, seed: usize, modifiers: Modifiers| {
        let name = format!("Run GRU seed {seed},");
        let rows = window.harness.query_all_by_label_contains(&name);
        let mut rows = rows.filter(|node| node.accesskit_node().role() == Role::Row);
        rows.next().unwrap().click_modifiers(modifiers);
    };
    row(&window, 1, Modifiers::NONE);
    window.until_shown("1 selected");
    row(&window, 3, Modifiers::SHIFT);
    window.until_shown("3 selected");
    // From the same end again.
    row(&window, 2, Modifiers::SHIFT);
    window.until_shown("2 selected");
    row(&window, 4, Modifiers::COMMAND);
    window.until_shown("3 selected");
    window.harness.key_press(Key::Escape);
    window.harness.run_steps(3);
    assert!(!window.shows("selected"));
    row(&window, 1, Modifiers::NONE);
    window.until_shown("1 selected");
    window.click(Role::Button, "Curves");
    assert_eq!(window.harness.state().session.kept.page, PageId::Train);
    // Those of the plan are replaced by the one that is finished.
    let rows = |window: &Window, state: &str| window.harness.query_all_by_label(state).count();
    for _ in 0..1000 {
        if rows(&window, "stopped") == 0 {
            break;
        }
        window.harness.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(window.shows("Training loss, chart"));
    assert_eq!((rows(&window, "stopped"), rows(&window, "done")), (0, 1));
}
