//! The app: carries out commands, drains jobs, draws the shell and the page that is open.

use std::time::{Duration, Instant};

use eframe::egui::{
    self, CentralPanel, Frame, Id, Margin, RichText, ScrollArea, Vec2, ViewportCommand, ViewportId,
    vec2,
};

use super::Options;
use super::background::Running;
use super::commands::{self, Command, ExportFormat, PageId};
use super::dialogs::{Dialogs, Purpose};
use super::pages::{
    AttractorPage, ComparePage, DataPage, ExperimentsPage, LivePage, Page, RouterPage, TrainPage,
};
use super::palette::CommandPalette;
use super::session::{Kept, Session};
use super::shell;
use super::theme::{self, UNIT, palette};
use super::widgets::{Tone, button, dialog, primary};
use crate::dynamics::device::DeviceChoice;
use crate::runs::RunStore;

const STORAGE_KEY: &str = "session";
/// Least room that a page is laid out in, in points; where the window has less, it scrolls.
const LEAST: Vec2 = vec2(894.0, 634.0);

/// The window's state.
pub struct App {
    pub(super) session: Session,
    pub(super) data: DataPage,
    pub(super) train: TrainPage,
    compare: ComparePage,
    attractor: AttractorPage,
    router: RouterPage,
    live: LivePage,
    pub(super) experiments: ExperimentsPage,
    palette: CommandPalette,
    dialogs: Dialogs,
    /// A close was asked for while work runs.
    closing: Closing,
    /// When the process started; taken once the first frame is on screen.
    started: Option<Instant>,
    /// A frame was drawn.
    drawn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    Asking,
    Yes,
}

impl App {
    /// Set up fonts, themes and the last session, and start loading data.
    pub fn new(creation: &eframe::CreationContext<'_>, options: Options) -> Self {
        let kept = creation
            .storage
            .and_then(|storage| eframe::get_value(storage, STORAGE_KEY))
            .unwrap_or_default();
        Self::with(creation.egui_ctx.clone(), kept, options)
    }

    fn with(ctx: egui::Context, mut kept: Kept, options: Options) -> Self {
        theme::install(&ctx);
        ctx.set_theme(kept.theme);
        if options.device != DeviceChoice::Auto {
            kept.device = options.device.to_string();
        }
        let store = RunStore::open(options.runs.as_deref()).map_err(|error| error.to_string());
        let mut session = Session::new(ctx, kept, store);
        if let Err(message) = &session.store {
            let message = message.clone();
            session.toasts.error(message);
        }
        if let Some(source) = options.data {
            session.config.data.source = source;
        }
        session.ask(Command::Load(session.config.data.source.clone()));
        Self {
            session,
            data: DataPage::default(),
            train: TrainPage::default(),
            compare: ComparePage::default(),
            attractor: AttractorPage::default(),
            router: RouterPage::default(),
            live: LivePage::default(),
            experiments: ExperimentsPage::default(),
            palette: CommandPalette::default(),
            dialogs: Dialogs::default(),
            closing: Closing::No,
            started: options.started,
            drawn: false,
        }
    }

    fn page(&mut self) -> (&mut dyn Page, &mut Session) {
        let page: &mut dyn Page = match self.session.kept.page {
            PageId::Data => &mut self.data,
            PageId::Train => &mut self.train,
            PageId::Compare => &mut self.compare,
            PageId::Attractor => &mut self.attractor,
            PageId::Router => &mut self.router,
            PageId::Live => &mut self.live,
            PageId::Experiments => &mut self.experiments,
        };
        (page, &mut self.session)
    }

    /// What runs, and the command that stops it; a training before anything else.
    fn running(&self) -> Option<(Running, Command)> {
        let train = self.train.running().map(|running| (running, Command::Stop));
        train
            .or_else(|| {
                self.experiments.running().map(|running| (running, Command::StopExperiment))
            })
            .or_else(|| self.data.running().map(|running| (running, Command::StopLoading)))
            .or_else(|| self.attractor.running().map(|running| (running, Command::StopAnalysis)))
            .or_else(|| self.router.running().map(|running| (running, Command::StopReplay)))
            .or_else(|| self.live.running().map(|running| (running, Command::ToggleTraffic)))
    }

    fn carry_out(&mut self, command: Command) {
        let ctx = self.session.ctx.clone();
        let dialog = match &command {
            Command::ImportFile => Some(Purpose::Import),
            Command::OpenPreset => Some(Purpose::OpenPreset),
            Command::SavePreset => Some(Purpose::SavePreset),
            Command::OpenAdapter => Some(Purpose::OpenAdapter),
            Command::Export(format) => {
                let stem = match self.session.kept.page {
                    _ if *format == ExportFormat::Html => "deepm3-report",
                    PageId::Attractor => "deepm3-attractors",
                    PageId::Experiments => "deepm3-experiment",
                    _ => "deepm3-runs",
                };
                Some(Purpose::Export(*format, stem))
            }
            _ => None,
        };
        if let Some(purpose) = dialog {
            if let Err(message) = self.dialogs.open(&ctx, purpose) {
                self.session.toasts.error(message);
            }
            return;
        }
        match command {
            Command::Go(page) => self.session.kept.page = page,
            Command::Palette => self.palette.toggle(),
            Command::Theme(theme) => {
                self.session.kept.theme = theme;
                ctx.set_theme(theme);
            }
            Command::Quit => ctx.send_viewport_cmd(ViewportCommand::Close),
            Command::Undo => match self.session.toasts.take_undo() {
                Some(back) => self.session.ask(back),
                None if self.session.kept.page == PageId::Router => {
                    self.session.ask(Command::UndoRouter);
                }
                None => self.session.toasts.info("There is nothing to undo here."),
            },
            command => {
                if let Some(page) = home(&command) {
                    self.session.kept.page = page;
                }
                let pages: [&mut dyn Page; 7] = [
                    &mut self.data,
                    &mut self.train,
                    &mut self.compare,
                    &mut self.attractor,
                    &mut self.router,
                    &mut self.live,
                    &mut self.experiments,
                ];
                for page in pages {
                    page.command(&command, &mut self.session);
                }
            }
        }
    }

    /// A close while work runs is held back until it was confirmed.
    fn guard_closing(&mut self, ctx: &egui::Context) {
        let asked = ctx.input(|input| input.viewport().close_requested());
        if asked && self.closing != Closing::Yes && self.running().is_some() {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            self.closing = Closing::Asking;
        }
        if self.closing != Closing::Asking {
            return;
        }
        let Some((running, _)) = self.running() else {
            self.closing = Closing::Yes;
            ctx.send_viewport_cmd(ViewportCommand::Close);
            return;
        };
        let modal = dialog(ctx, "closing", 400.0, |ui| {
            ui.label(RichText::new("Close while work is running?").heading());
            ui.add_space(UNIT);
            ui.label(
                RichText::new(format!(
                    "“{}” is not done. A training is kept up to its last checkpoint and can be \
                     resumed on the Compare page; anything else starts anew.",
                    running.name
                ))
                .color(palette(ui).muted),
            );
            ui.add_space(3.0 * UNIT);
            ui.horizontal(|ui| {
                if primary(ui, "Keep working", true, "").clicked() {
                    self.closing = Closing::No;
                }
                if button(ui, "Stop and close", Tone::Danger, true, "").clicked() {
                    self.closing = Closing::Yes;
                }
            });
        });
        if modal.should_close() {
            self.closing = Closing::No;
        }
        if self.closing == Closing::Yes {
            self.train.stop();
            self.data.stop();
            self.attractor.stop();
            self.router.stop();
            self.live.stop();
            self.experiments.stop();
            ctx.send_viewport_cmd(ViewportCommand::Close);
        }
    }

    fn dropped_files(&mut self, ctx: &egui::Context) {
        let dropped = ctx.input(|input| {
            input.raw.dropped_files.first().map(|file| file.path().to_string_lossy().into_owned())
        });
        if let Some(path) = dropped {
            self.session.ask(Command::of_file(path));
        }
        if ctx.input(|input| input.raw.hovered_files.is_empty()) {
            return;
        }
        let painter = ctx
            .layer_painter(egui::LayerId::new(egui::Order::Foreground, Id::unique("drop overlay")));
        let rect = ctx.content_rect();
        painter.rect_filled(rect, 0.0, egui::Color32::from_black_alpha(170));
        let stroke = egui::Stroke::new(2.0, theme::DARK.accent);
        painter.rect_stroke(rect.shrink(6.0 * UNIT), 12.0, stroke, egui::StrokeKind::Inside);
        painter.text(
            rect.center(),
            egui::Align2::CENTER_CENTER,
            "Drop to import",
            theme::semibold(24.0),
            egui::Color32::WHITE,
        );
    }
}

/// The page on which the effect of a command shows.
fn home(command: &Command) -> Option<PageId> {
    match command {
        Command::OpenByPath | Command::EditMapping | Command::Download(_) => Some(PageId::Data),
        Command::Start | Command::ResumeRuns(_) | Command::ShowCurves(_) => Some(PageId::Train),
        Command::ShowNewestRuns => Some(PageId::Compare),
        Command::ToggleServer
        | Command::SendRequest
        | Command::ToggleTraffic
        | Command::PutAdapter(_)
        | Command::RemoveAdapter => Some(PageId::Live),
        Command::Analyse | Command::RandomUser => Some(PageId::Attractor),
        Command::UndoRouter => Some(PageId::Router),
        Command::RunExperiment | Command::NextExperiment | Command::Report => {
            Some(PageId::Experiments)
        }
        _ => None,
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        if self.drawn
            && let Some(started) = self.started.take()
        {
            tracing::info!("first frame after {} ms", started.elapsed().as_millis());
        }
        self.session.logic();
        self.data.logic(&mut self.session);
        self.train.logic(&mut self.session);
        self.compare.logic(&mut self.session);
        self.attractor.logic(&mut self.session);
        self.router.logic(&mut self.session);
        self.live.logic(&mut self.session);
        self.experiments.logic(&mut self.session);
        if let Some(command) = self.dialogs.poll(&mut self.session.toasts) {
            self.session.ask(command);
        }
        for command in std::mem::take(&mut self.session.asked) {
            self.carry_out(command);
        }
        // Jobs wake the window when they have news; this keeps clocks and moving bars going.
        if self.running().is_some_and(|(running, _)| !running.paused) {
            ctx.request_repaint_after_for(Duration::from_millis(200), ViewportId::ROOT);
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        if !self.drawn {
            self.drawn = true;
            // So that the next pass, which logs the time to the first frame, comes at once.
            ctx.request_repaint();
        }
        let pressed = commands::pressed(&ctx);
        self.session.asked.extend(pressed);

        let running = self.running();
        shell::rail(ui, &mut self.session);
        shell::status_bar(ui, &mut self.session, running.as_ref());
        let ground = palette(ui).ground;
        let frame = Frame::NONE.fill(ground).inner_margin(Margin {
            left: 20,
            right: 20,
            top: 16,
            bottom: 16,
        });
        CentralPanel::default().frame(frame).show(ui, |ui| {
            let (page, session) = self.page();
            let room = ui.available_size();
            if room.x >= LEAST.x && room.y >= LEAST.y {
                page.ui(ui, session);
                return;
            }
            // The window was enlarged beyond its size, with Ctrl and plus.
            ScrollArea::both().auto_shrink(false).show(ui, |ui| {
                ui.allocate_ui(room.max(LEAST), |ui| {
                    ui.set_min_size(room.max(LEAST));
                    page.ui(ui, session);
                });
            });
        });

        if let Some(command) = self.palette.show(&ctx) {
            self.session.ask(command);
        }
        let session = &mut self.session;
        session.toasts.show(&ctx, &mut session.asked);
        self.guard_closing(&ctx);
        self.dropped_files(&ctx);
        if !self.session.asked.is_empty() {
            ctx.request_repaint();
        }
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        self.session.kept.settings = self.session.config.to_toml();
        eframe::set_value(storage, STORAGE_KEY, &self.session.kept);
    }

    fn on_exit(&mut self) {
        // What a running server accepted is still answered, and its log is written out.
        self.live.stop();
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}
