//! The jobs: analyse a run, trace a history, cut a slice of the field.

use std::sync::Arc;

use super::AttractorPage;
use crate::analysis::{Journey, Landscape, Subject, SurveyOptions, survey};
use crate::jobs::Context;
use crate::runs::RunEntry;
use crate::settings::Solver;
use crate::workbench::session::Session;

/// A run that is analysed.
#[derive(Clone)]
pub struct Opened {
    pub run: String,
    pub subject: Arc<Subject>,
    pub landscape: Arc<Landscape>,
    /// Held-out users.
    pub users: Arc<Vec<usize>>,
    /// Of those who stay for long, the one with the most irregular gaps.
    pub most_irregular: Option<usize>,
}

/// Events that a user must have to be called irregular.
const ENOUGH_EVENTS: usize = 8;

impl Opened {
    pub fn new(run: String, subject: Subject, landscape: Landscape) -> Self {
        let model = &subject.model;
        let mut users: Vec<usize> = model.split.test.iter().map(|query| query.user).collect();
        users.dedup();
        // A burst within an hour is irregular too, and shows nothing of the flow.
        let lasting = |&user: &usize| subject.span_days(user) >= landscape.median_span_days;
        let irregularity = |&user: &usize| Journey::irregularity(model.data.history(user).time);
        let most_irregular = users
            .iter()
            .copied()
            .filter(|&user| model.data.history(user).len() >= ENOUGH_EVENTS)
            .filter(lasting)
            .max_by(|a, b| irregularity(a).total_cmp(&irregularity(b)));
        Self {
            run,
            subject: Arc::new(subject),
            landscape: Arc::new(landscape),
            users: Arc::new(users),
            most_irregular,
        }
    }
}

/// Ways that are drawn, and what they were traced from.
pub struct Drawn {
    pub key: Key,
    /// The run's own solver first.
    pub journeys: Vec<Journey>,
    /// The way without the edits, where there are any.
    pub unedited: Option<Journey>,
}

/// What ways depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub run: String,
    pub user: usize,
    pub solvers: Vec<Solver>,
    pub items: Vec<u32>,
    pub times: Vec<i64>,
}

impl Drawn {
    /// One way by the run's own solver, as it happened.
    pub fn alone(run: &str, user: usize, journey: Journey) -> Self {
        let key = Key {
            run: run.to_owned(),
            user,
            solvers: vec![journey.solver],
            items: journey.items.clone(),
            times: journey.times.clone(),
        };
        Self { key, journeys: vec![journey], unedited: None }
    }

    /// Days from the first event to the last.
    pub fn span(&self) -> f64 {
        self.journeys.first().map_or(0.0, Journey::span)
    }
}

impl AttractorPage {
    pub(super) fn open(&mut self, entry: RunEntry, session: &mut Session) {
        let Ok(store) = session.store.clone() else { return };
        let name = format!("Analysing {}", entry.id);
        let work = move |context: &Context<()>| {
            let told = |error: crate::analysis::AnalysisError| error.to_string();
            let subject = Subject::load(&store, &entry, context).map_err(told)?;
            let options = SurveyOptions::default();
            let landscape = match Landscape::kept(&store, &entry.id, options) {
                Some(landscape) => landscape,
                None => {
                    let landscape = survey(&subject, options, context).map_err(told)?;
                    landscape.keep(&store).map_err(|error| error.to_string())?;
                    landscape
                }
            };
            Ok(Opened::new(entry.id, subject, landscape))
        };
        if let Err(message) = self.opening.start(&session.ctx, name, work) {
            session.toasts.error(message);
        }
    }

    /// Trace the user's way, unless it is drawn or under way.
    pub(super) fn trace(&mut self, opened: &Opened, user: usize, session: &mut Session) {
        let history = opened.subject.model.data.history(user);
        let from = history.len().saturating_sub(opened.subject.model.split.input_len);
        let own = (history.item[from..].to_vec(), history.time[from..].to_vec());
        let (items, times) = self.edits.apply(&own.0, &own.1);
        let solvers = self.solvers(opened.landscape.solver);
        let key = Key { run: opened.run.clone(), user, solvers, items, times };
        if self.drawn.as_ref().is_some_and(|drawn| drawn.key == key) || self.tracing.is_running() {
            return;
        }
        let (subject, landscape) = (opened.subject.clone(), opened.landscape.clone());
        let edited = !self.edits.is_empty();
        let work = move |_: &Context<()>| {
            let id = &subject.model.data.user_ids[key.user];
            let trace = |solver: Solver, items: &[u32], times: &[i64]| {
                Journey::through(&subject, &landscape.pca, solver, id, items, times)
            };
            let journeys = key.solvers.iter();
            let journeys =
                journeys.filter_map(|&solver| trace(solver, &key.items, &key.times)).collect();
            let unedited = edited.then(|| trace(landscape.solver, &own.0, &own.1)).flatten();
            Ok(Drawn { journeys, unedited, key })
        };
        if let Err(message) = self.tracing.start(&session.ctx, "Tracing a user", work) {
            session.toasts.error(message);
        }
    }

    /// Cut the field for the view, unless it is cut or under way.
    pub(super) fn slice(&mut self, opened: &Opened, session: &mut Session) {
        let Some(view) = self.view() else { return };
        let done = self.sliced.as_ref().is_some_and(|(of, _)| *of == view);
        // While the view moves, the last slice is shown.
        let moving = session.ctx.input(|input| input.pointer.any_down());
        if done || self.slicing.is_running() || (moving && self.sliced.is_some()) {
            return;
        }
        let (subject, landscape) = (opened.subject.clone(), opened.landscape.clone());
        let work = move |_: &Context<()>| Ok((view, view.slice(&subject, &landscape)));
        if let Err(message) = self.slicing.start(&session.ctx, "Cutting the field", work) {
            session.toasts.error(message);
        }
    }
}
