//! The Attractor page: a user's way through the learned field, its attractors, and what they mean.

mod export;
mod header;
mod marks;
mod plot;
mod side;
mod time;
mod user;
mod work;

use eframe::egui::Ui;

use self::time::Clock;
use self::user::Edits;
use self::work::{Drawn, Opened};
use super::Page;
use crate::analysis::{Journey, Landscape, Subject, View};
use crate::dynamics::attractor::Slice;
use crate::settings::Solver;
use crate::workbench::background::{Background, Running};
use crate::workbench::commands::{Command, PageId};
use crate::workbench::run_choice::RunChoice;
use crate::workbench::session::Session;
use crate::workbench::theme::UNIT;
use crate::workbench::widgets::{
    card, empty_state, primary, progress_bar, split_left, split_right, split_rows,
};

/// What is drawn over the field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlays {
    pub field: bool,
    pub shading: bool,
    pub others: bool,
    pub basins: bool,
    pub solvers: bool,
    /// Arrows along x.
    pub density: usize,
}

impl Default for Overlays {
    fn default() -> Self {
        Self { field: true, shading: true, others: true, basins: true, solvers: false, density: 26 }
    }
}

/// The page's state.
#[derive(Default)]
pub struct AttractorPage {
    runs: RunChoice,
    opening: Background<Opened>,
    opened: Option<Opened>,
    /// The run whose analysis failed or was stopped, so that it is not begun again by itself.
    given_up: Option<(String, String)>,
    /// The user whose way is shown, and what is typed to find one.
    user: Option<usize>,
    search: String,
    edits: Edits,
    tracing: Background<Drawn>,
    drawn: Option<Drawn>,
    overlays: Overlays,
    /// Principal components on x and y.
    axes: [usize; 2],
    /// Zoomed to; everything if `None`.
    zoom: Option<[[f64; 2]; 2]>,
    slicing: Background<(View, Option<Slice>)>,
    sliced: Option<(View, Option<Slice>)>,
    clock: Clock,
    side: side::Side,
    writing: Background<String>,
}

impl AttractorPage {
    /// The page of an analysed run with one of its users, everything worked out.
    pub fn showing(subject: Subject, landscape: Landscape, user: usize) -> Self {
        let journey = Journey::of(&subject, &landscape.pca, landscape.solver, user);
        let opened = Opened::new(landscape.run.clone(), subject, landscape);
        let mut page = Self { opened: Some(opened.clone()), user: Some(user), ..Self::default() };
        page.drawn = journey.map(|journey| Drawn::alone(&opened.run, user, journey));
        page.sliced =
            page.view().map(|view| (view, view.slice(&opened.subject, &opened.landscape)));
        page
    }

    /// Draw the portrait with the state at this share of the user's way, 0 to 1.
    pub fn portrait(&mut self, ui: &mut Ui, share: f64) {
        self.clock.days = share * self.drawn.as_ref().map_or(0.0, Drawn::span);
        if let Some(opened) = self.opened.clone() {
            self.plot(ui, &opened);
        }
    }

    /// What runs here, for the status bar.
    pub fn running(&self) -> Option<Running> {
        self.opening.running()
    }

    pub fn stop(&self) {
        self.opening.cancel();
    }

    /// The journeys to draw: the user's own first.
    fn journeys(&self) -> &[Journey] {
        self.drawn.as_ref().map_or(&[], |drawn| &drawn.journeys)
    }

    /// The view that is wanted now.
    fn view(&self) -> Option<View> {
        let opened = self.opened.as_ref()?;
        let whole = View::whole(&opened.landscape, self.axes()).with_ways(self.journeys());
        Some(View {
            extent: self.zoom.unwrap_or(whole.extent),
            density: self.overlays.density,
            ..whole
        })
    }

    fn axes(&self) -> [usize; 2] {
        if self.axes == [0, 0] { [0, 1] } else { self.axes }
    }

    fn solvers(&self, own: Solver) -> Vec<Solver> {
        let mut solvers = vec![own];
        if self.overlays.solvers {
            solvers.extend(Solver::WITH_STATE.iter().copied().filter(|&solver| solver != own));
        }
        solvers
    }

    fn empty(&mut self, ui: &mut Ui, session: &mut Session) {
        let rect = ui.available_rect_before_wrap();
        card(ui, rect, "attractor empty", None, |ui| {
            if self.runs.is_empty() {
                let hint = "The page shows the dynamics that a run has learned. Train one first: \
                            RK4 on the built-in set takes about a minute, and its true attractors \
                            are known.";
                empty_state(ui, "No finished run yet", hint, |ui| {
                    if primary(ui, "Go to Train", true, "").clicked() {
                        session.ask(Command::Go(PageId::Train));
                    }
                });
                return;
            }
            if let Some((_, why)) = &self.given_up {
                empty_state(ui, "The run was not analysed", why, |ui| {
                    if primary(ui, "Analyse", true, "").clicked() {
                        session.ask(Command::Analyse);
                    }
                });
                return;
            }
            let running = self.opening.running();
            let (message, fraction) = match &running {
                Some(running) => (running.progress.message.as_str(), running.progress.fraction),
                None => ("Waiting for the list of runs", None),
            };
            empty_state(ui, "Analysing the run", message, |ui| {
                progress_bar(ui, 240.0, fraction, "Progress of the analysis");
            });
        });
        ui.advance_cursor_after_rect(rect);
    }
}

impl Page for AttractorPage {
    fn logic(&mut self, session: &mut Session) {
        self.collect(session);
        if session.kept.page == PageId::Attractor {
            self.runs.with_flow = true;
            self.runs.logic(session);
            self.start_what_is_missing(session);
            self.clock.advance(&session.ctx, self.drawn.as_ref().map_or(0.0, Drawn::span));
        }
    }

    fn ui(&mut self, ui: &mut Ui, session: &mut Session) {
        self.header(ui, session);
        let chosen = self.runs.run().map(|entry| entry.id.clone());
        let Some(opened) =
            self.opened.clone().filter(|opened| Some(&opened.run) == chosen.as_ref())
        else {
            self.empty(ui, session);
            return;
        };
        let rect = ui.available_rect_before_wrap();
        let (upper, bar) = split_rows(rect, rect.height() - 17.0 * UNIT);
        let (middle, right) = split_right(upper, (upper.width() * 0.28).clamp(300.0, 380.0));
        card(ui, middle, "portrait", None, |ui| self.plot(ui, &opened));
        let (user, rest) = split_rows(right, 50.0 * UNIT);
        let (points, now) = split_rows(rest, (rest.height() * 0.5).min(84.0 * UNIT));
        card(ui, user, "user", None, |ui| self.user_card(ui, &opened, session));
        card(ui, points, "fixed points", Some("Fixed points"), |ui| {
            side::fixed_points(ui, &opened.landscape, &mut self.side);
        });
        card(ui, now, "at this moment", None, |ui| self.moment(ui, &opened));
        let (bar, _) = split_left(bar, bar.width());
        card(ui, bar, "time", None, |ui| self.time_bar(ui));
        ui.advance_cursor_after_rect(rect);
    }

    fn command(&mut self, command: &Command, session: &mut Session) {
        match command {
            Command::Analyse => {
                self.given_up = None;
                self.opened = None;
            }
            Command::StopAnalysis => self.stop(),
            Command::PlayOrPause if session.kept.page == PageId::Attractor => {
                self.clock.toggle(self.drawn.as_ref().map_or(0.0, Drawn::span));
            }
            Command::RandomUser => self.random_user(session),
            Command::RefreshRuns => self.runs.refresh(),
            Command::WriteExport(format, path) if session.kept.page == PageId::Attractor => {
                self.export(*format, path, session);
            }
            _ => {}
        }
    }
}

impl AttractorPage {
    fn collect(&mut self, session: &mut Session) {
        if let Some(result) = self.opening.poll() {
            self.opened_or_not(result, session);
        }
        if let Some(drawn) = self.tracing.poll_or_tell(&mut session.toasts) {
            self.drawn = Some(drawn);
        }
        if let Some(sliced) = self.slicing.poll_or_tell(&mut session.toasts) {
            self.sliced = Some(sliced);
        }
        if let Some(message) = self.writing.poll_or_tell(&mut session.toasts) {
            session.toasts.done(message);
        }
    }

    fn start_what_is_missing(&mut self, session: &mut Session) {
        let Some(run) = self.runs.run().cloned() else { return };
        if self.opened.as_ref().is_none_or(|opened| opened.run != run.id) {
            let tried = self.given_up.as_ref().is_some_and(|(id, _)| *id == run.id);
            if !tried && !self.opening.is_running() && !self.runs.is_listing() {
                self.open(run, session);
            }
            return;
        }
        let Some(opened) = self.opened.clone() else { return };
        if let Some(user) = self.user {
            self.trace(&opened, user, session);
        }
        self.slice(&opened, session);
    }

    fn opened_or_not(
        &mut self,
        result: Result<Opened, crate::workbench::background::Failure>,
        session: &mut Session,
    ) {
        use crate::workbench::background::Failure;
        match result {
            Ok(opened) => {
                self.user = opened.most_irregular.or(opened.users.first().copied());
                self.edits = Edits::default();
                (self.drawn, self.sliced, self.zoom) = (None, None, None);
                self.axes = [0, 1];
                self.given_up = None;
                self.clock = Clock::default();
                self.opened = Some(opened);
            }
            Err(failure) => {
                let run = self.runs.run().map(|entry| entry.id.clone()).unwrap_or_default();
                let why = match failure {
                    Failure::Stopped => "It was stopped.".to_owned(),
                    Failure::Message(message) => message,
                };
                self.given_up = Some((run, why));
                session.ctx.request_repaint();
            }
        }
    }

    fn random_user(&mut self, session: &Session) {
        let Some(opened) = &self.opened else { return };
        if opened.users.is_empty() {
            return;
        }
        // Nothing hangs on how random it is; it must only differ from click to click.
        let moment = session.ctx.input(|input| input.time.to_bits());
        let at = (moment.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % opened.users.len();
        self.choose(opened.users[at]);
    }

    fn choose(&mut self, user: usize) {
        self.user = Some(user);
        self.edits = Edits::default();
        self.clock = Clock::default();
    }
}
