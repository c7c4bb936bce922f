//! The Live API page: the switch, a composer, the answer explained, traffic, plots, a log.

mod adapter;
mod charts;
mod composer;
mod controls;
mod host;
mod log;
mod off;
mod response;

use std::time::Duration;

use eframe::egui::{Rect, Ui, ViewportId};

use self::composer::Composer;
use self::host::{Host, Refused};
use super::Page;
use crate::jobs::{Job, Outcome};
use crate::routing::{Force, Path, Reason};
use crate::serving::traffic::{self, TrafficError, TrafficPlan, TrafficReport, TrafficTick};
use crate::serving::wire::{RecommendRequest, RecommendResponse};
use crate::serving::{RequestError, ServedModel};
use crate::workbench::background::{Background, Running};
use crate::workbench::commands::{Command, PageId, tooltip};
use crate::workbench::run_choice::RunChoice;
use crate::workbench::session::Session;
use crate::workbench::theme::palette;
use crate::workbench::widgets::{
    Tone, button, card, empty_state, notice, page_header, split_left, split_rows,
};

/// How often the plots move while the server is on.
const FRAME: Duration = Duration::from_millis(500);

type Traffic = Job<TrafficTick, TrafficReport, TrafficError>;
type Answer = Result<RecommendResponse, RequestError>;

/// The page's state.
#[derive(Default)]
pub struct LivePage {
    host: Option<Host>,
    runs: RunChoice,
    starting: Background<Result<Host, Refused>>,
    stopping: Background<usize>,
    /// Another model or other settings being put in place; what to say when they are.
    changing: Background<String>,
    /// Why the server did not start.
    refused: Option<Refused>,
    composer: Composer,
    answering: Background<Answer>,
    answer: Option<Answer>,
    /// What the answer shown was asked with.
    asked: Option<(RecommendRequest, Force)>,
    traffic: Option<Traffic>,
    report: Option<TrafficReport>,
    charts: charts::Choice,
    log: log::Filter,
}

impl LivePage {
    /// What runs here, for the status bar. A server that is on is no job: it has its own place.
    pub fn running(&self) -> Option<Running> {
        let traffic = self.traffic.as_ref().map(|job| Running {
            name: job.name.clone(),
            progress: job.progress(),
            seconds: job.started.elapsed().as_secs_f64(),
            paused: false,
        });
        traffic.or_else(|| self.starting.running()).or_else(|| self.changing.running())
    }

    /// Stop everything, the server included; blocks until what it accepted is answered.
    pub fn stop(&mut self) {
        if let Some(traffic) = &self.traffic {
            traffic.control().cancel();
        }
        self.starting.cancel();
        if let Some(host) = self.host.take() {
            host.stop();
        }
    }

    fn switch_on(&mut self, session: &mut Session) {
        let (Ok(store), Some(entry)) = (session.store.clone(), self.runs.run().cloned()) else {
            session.toasts.error("There is no finished run to serve; train one first.".to_owned());
            return;
        };
        let config = session.config.clone();
        self.refused = None;
        let work = move |context: &crate::jobs::Context<()>| {
            Ok(Host::start(&store, &entry, &config, context))
        };
        if let Err(message) = self.starting.start(&session.ctx, "Starting the server", work) {
            session.toasts.error(message);
        }
    }

    /// Serve the chosen run instead, without dropping a request.
    fn swap(&mut self, session: &mut Session) {
        let (Some(host), Ok(store), Some(entry)) =
            (&self.host, session.store.clone(), self.runs.run().cloned())
        else {
            return;
        };
        let (engine, config) = (host.engine.clone(), session.config.clone());
        let work = move |context: &crate::jobs::Context<()>| {
            let model =
                ServedModel::load(&store, &entry, context).map_err(|error| error.to_string())?;
            let model = std::sync::Arc::new(model);
            engine.replace(model, &config).map_err(|error| error.to_string())?;
            Ok(format!("The server answers with {} now.", entry.id))
        };
        if let Err(message) = self.changing.start(&session.ctx, "Changing the model", work) {
            session.toasts.error(message);
        }
    }

    /// Hand the settings of router and reasoner to the running server.
    fn apply(&mut self, session: &mut Session) {
        let Some(host) = &self.host else {
            session.toasts.error("No server is on; switch it on, page 6.".to_owned());
            return;
        };
        let (engine, config) = (host.engine.clone(), session.config.clone());
        let work = move |_: &crate::jobs::Context<()>| {
            engine.configure(&config).map_err(|error| error.to_string())?;
            Ok("The running server takes these settings from now on.".to_owned())
        };
        if let Err(message) = self.changing.start(&session.ctx, "Applying settings", work) {
            session.toasts.error(message);
        }
    }

    fn switch_off(&mut self, session: &mut Session) {
        if let Some(traffic) = &self.traffic {
            traffic.control().cancel();
        }
        let Some(host) = self.host.take() else { return };
        session.api = None;
        let work = move |_: &crate::jobs::Context<()>| Ok(host.stop());
        if let Err(message) = self.stopping.start(&session.ctx, "Stopping the server", work) {
            session.toasts.error(message);
        }
    }

    fn send(&mut self, session: &mut Session) {
        match self.composer.request() {
            Ok((request, force)) => self.ask(request, force, session),
            Err(message) => session.toasts.error(message),
        }
    }

    fn ask(&mut self, request: RecommendRequest, force: Force, session: &mut Session) {
        let Some(host) = &self.host else {
            session.toasts.error("Switch the server on first.".to_owned());
            return;
        };
        self.asked = Some((request.clone(), force));
        let (engine, runtime) = (host.engine.clone(), host.runtime.clone());
        let work = move |_: &crate::jobs::Context<()>| {
            Ok(runtime.block_on(engine.recommend(request, force)))
        };
        if let Err(message) = self.answering.start(&session.ctx, "Answering", work) {
            session.toasts.error(message);
        }
    }

    fn start_traffic(&mut self, session: &mut Session) {
        let Some(host) = &self.host else {
            session.toasts.error("Switch the server on first.".to_owned());
            return;
        };
        let plan = TrafficPlan {
            target: host.address.clone(),
            settings: session.config.traffic.clone(),
            people: host.people.clone(),
            token: host.token.clone(),
            allow_remote: false,
        };
        let runtime = host.runtime.clone();
        let wake = session.ctx.clone();
        let job = Job::spawn(
            "Sending traffic",
            move || wake.request_repaint_after(Duration::from_millis(100)),
            move |context| runtime.block_on(traffic::run(&plan, context)),
        );
        match job {
            Ok(job) => {
                self.report = None;
                self.traffic = Some(job);
            }
            Err(error) => session.toasts.error(format!("No thread could be started: {error}")),
        }
    }

    fn header(&mut self, ui: &mut Ui, session: &mut Session) {
        let sentence = match &self.host {
            Some(host) => {
                let model = host.engine.model();
                format!(
                    "Serving {} ({}, {} items) on {}, System 2 is the {}",
                    model.run,
                    model.data.name,
                    crate::workbench::format::count(model.data.items() as u64),
                    host.address,
                    host.engine.health().reasoner.word()
                )
            }
            None => "The trained model, the router and System 2 behind a local API".to_owned(),
        };
        page_header(ui, "Live API", &sentence, |ui| {
            let Some(host) = &self.host else { return };
            let help = tooltip(ui.ctx(), &Command::ToggleServer, "Stop serving");
            if button(ui, "Switch off", Tone::Plain, true, &help).clicked() {
                session.ask(Command::ToggleServer);
            }
            let help = "Copy the composed request as a curl line";
            if button(ui, "Copy as curl", Tone::Plain, true, help).clicked() {
                match self.composer.curl(&host.address, host.token.as_deref()) {
                    Ok(line) => {
                        ui.ctx().copy_text(line);
                        session.toasts.done("The request was copied as a curl line.");
                    }
                    Err(message) => session.toasts.error(message),
                }
            }
            if let Some(token) = &host.token {
                let help = "Copy the token that requests need";
                if button(ui, "Copy token", Tone::Plain, true, help).clicked() {
                    ui.ctx().copy_text(token.clone());
                }
            }
            charts::windows(ui, &mut self.charts);
        });
    }

    fn log_and_answer(&mut self, ui: &mut Ui, rect: Rect, session: &mut Session) {
        let Some(host) = &self.host else { return };
        let (left, right) = split_left(rect, rect.width() * 0.58);
        card(ui, left, "requests", None, |ui| {
            if let Some(one) = log::ui(ui, host.engine.telemetry(), &mut self.log) {
                self.composer.load(&one.request);
                let force = match (one.reason, one.response.data.meta.routing_decision) {
                    (Reason::Forced, Path::FastPath) => Force::Fast,
                    (Reason::Forced, Path::SlowPath) => Force::Slow,
                    _ => Force::No,
                };
                self.asked = Some((one.request.as_ref().clone(), force));
                self.answer = Some(Ok(one.response.as_ref().clone()));
            }
        });
        let mut again = false;
        card(ui, right, "answer", None, |ui| {
            let waiting = self.answering.is_running();
            again = response::title(ui, self.asked.is_some() && !waiting);
            match &self.answer {
                _ if waiting => {
                    empty_state(ui, "Answering", "System 2 takes a moment.", |_| ());
                }
                Some(Ok(answer)) => response::ui(ui, answer),
                Some(Err(error)) => {
                    let text = format!("{} {}: {}", error.status, error.code, error.message);
                    notice(ui, palette(ui).error, &text);
                }
                None => {
                    let hint = "Compose a request at the left, or click one of the recent ones.";
                    empty_state(ui, "No request sent yet", hint, |_| ());
                }
            }
        });
        if again && let Some((request, force)) = self.asked.clone() {
            self.ask(request, force, session);
        }
    }
}

impl Page for LivePage {
    fn logic(&mut self, session: &mut Session) {
        if session.kept.page == PageId::Live {
            self.runs.logic(session);
        }
        if let Some(message) = self.changing.poll_or_tell(&mut session.toasts) {
            session.toasts.done(message);
        }
        match self.starting.poll_or_tell(&mut session.toasts) {
            Some(Ok(host)) => {
                session.api = Some(host.address.clone());
                self.composer.begin(&host.people);
                self.host = Some(host);
            }
            Some(Err(refused)) => self.refused = Some(refused),
            None => {}
        }
        if let Some(aborted) = self.stopping.poll_or_tell(&mut session.toasts) {
            let message = match aborted {
                0 => "The server is off; every accepted request was answered.".to_owned(),
                count => format!("The server is off; {count} requests were cut off."),
            };
            session.toasts.done(message);
        }
        if let Some(answer) = self.answering.poll_or_tell(&mut session.toasts) {
            self.answer = Some(answer);
        }
        if let Some(job) = &mut self.traffic {
            job.drain().for_each(drop);
            if let Some(outcome) = job.finish() {
                self.traffic = None;
                match outcome {
                    Outcome::Done(report) => self.report = Some(report),
                    Outcome::Failed(error) => session.toasts.error(error.to_string()),
                    Outcome::Panicked(message) => session.toasts.error(message),
                }
            }
        }
        if self.host.is_some() && session.kept.page == PageId::Live {
            session.ctx.request_repaint_after_for(FRAME, ViewportId::ROOT);
        }
    }

    fn ui(&mut self, ui: &mut Ui, session: &mut Session) {
        self.header(ui, session);
        if self.host.is_none() {
            self.off(ui, session);
            return;
        }
        let rect = ui.available_rect_before_wrap();
        let (left, rest) = split_left(rect, 288.0);
        card(ui, left, "live controls", None, |ui| self.controls(ui, session));
        let (plots, lower) = split_rows(rest, rest.height() * 0.6);
        if let Some(host) = &self.host {
            charts::ui(ui, plots, &host.engine, &mut self.charts);
        }
        self.log_and_answer(ui, lower, session);
        ui.advance_cursor_after_rect(rect);
    }

    fn command(&mut self, command: &Command, session: &mut Session) {
        match command {
            Command::ToggleServer if self.host.is_some() => self.switch_off(session),
            Command::ToggleServer if !self.starting.is_running() => self.switch_on(session),
            Command::SendRequest if !self.answering.is_running() => self.send(session),
            Command::ToggleTraffic => match &self.traffic {
                Some(traffic) => traffic.control().cancel(),
                None => self.start_traffic(session),
            },
            Command::ApplyRouter => self.apply(session),
            Command::PutAdapter(file) => self.adapt(Some(file.clone()), session),
            Command::RemoveAdapter => self.adapt(None, session),
            Command::RefreshRuns => self.runs.refresh(),
            _ => {}
        }
    }
}
