//! The Data page: where events come from, what is kept of them, and what is in them.

mod contents;
mod dialogs;
mod mapping;
mod sources;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{self, Ui};

use super::Page;
use crate::data::catalog::{self, Entry};
use crate::data::download::download;
use crate::data::filter::filter;
use crate::data::import::{self, ImportOptions};
use crate::data::stats::stats;
use crate::data::{Dataset, load};
use crate::jobs::Context;
use crate::settings::{DataSettings, preset_for};
use crate::workbench::background::{Background, Failure, Running};
use crate::workbench::commands::{Command, tooltip};
use crate::workbench::format;
use crate::workbench::session::{Loaded, Session};
use crate::workbench::widgets::{
    Tone, button, card, page_header, page_scroll, primary, split_left,
};
use mapping::MappingEditor;

/// A set of the catalogue, and whether it is on this machine.
#[derive(Debug, Clone)]
struct Offer {
    entry: Entry,
    downloaded: bool,
}

/// State of the page.
#[derive(Default)]
pub struct DataPage {
    loading: Background<Loaded>,
    /// What `loading` is about, and how it is read.
    asked: Option<(String, ImportOptions)>,
    /// How the loaded source was read.
    options: ImportOptions,
    downloading: Background<PathBuf>,
    download_name: String,
    offers: Vec<Offer>,
    listing: Background<Vec<Offer>>,
    listed: bool,
    /// A licence to agree to before its set is downloaded.
    agreeing: Option<Entry>,
    /// What is typed into “Open by path”.
    typing: Option<String>,
    mapping: Option<MappingEditor>,
    previewing: Background<MappingEditor>,
    /// Why the last load failed; what was loaded before is still there.
    error: Option<String>,
}

impl DataPage {
    /// What runs here, for the status bar.
    pub fn running(&self) -> Option<Running> {
        self.downloading.running().or_else(|| self.loading.running())
    }

    /// Cancel everything.
    pub fn stop(&self) {
        self.downloading.cancel();
        self.loading.cancel();
        self.previewing.cancel();
    }

    fn load(&mut self, source: &str, options: ImportOptions, session: &mut Session) {
        self.error = None;
        self.asked = Some((source.to_owned(), options.clone()));
        let settings = session.config.data.clone();
        let source = source.to_owned();
        let work = move |context: &Context<()>| {
            let raw = load(&source, &options, context).map_err(|error| error.to_string())?;
            describe(Arc::new(raw), &settings, context)
        };
        if let Err(message) = self.loading.start(&session.ctx, "Loading data", work) {
            self.error = Some(message);
        }
    }

    fn refilter(&mut self, session: &mut Session) {
        let Some(loaded) = &session.loaded else { return };
        let (raw, settings) = (loaded.raw.clone(), session.config.data.clone());
        self.asked = None;
        let work = move |context: &Context<()>| describe(raw, &settings, context);
        if let Err(message) = self.loading.start(&session.ctx, "Filtering data", work) {
            self.error = Some(message);
        }
    }

    fn loaded(&mut self, loaded: Loaded, session: &mut Session) {
        if let Some((source, options)) = self.asked.take() {
            if Path::new(&source).exists() {
                session.remember(&source);
            }
            // Settings that nobody chose follow the kind of data.
            let (before, fits) = (preset_for(&session.config.data.source), preset_for(&source));
            if fits != before && session.kept.preset == before && !session.is_changed() {
                session.ask(Command::ReadPreset(fits.to_owned()));
            }
            let data = &mut session.config.data;
            data.source = source;
            // Kept with every run, so that it can be resumed and repeated.
            data.columns = options.mapping.as_ref().map(ToString::to_string).unwrap_or_default();
            data.items_file = options
                .items_path
                .as_ref()
                .map(|path| path.to_string_lossy().into_owned())
                .unwrap_or_default();
            self.options = options;
            self.mapping = None;
            let (events, name) = (loaded.raw.events() as u64, loaded.raw.name.clone());
            if session.loaded.is_some() {
                let text = format!("{name} loaded: {} events", format::count(events));
                session.toasts.done(text);
            }
        }
        session.loaded = Some(loaded);
    }

    fn failed(&mut self, failure: Failure, session: &mut Session) {
        let asked = self.asked.take();
        match failure {
            Failure::Message(message) => self.error = Some(message),
            Failure::Stopped => {
                session.toasts.info("Loading was stopped; what was loaded before is still there.");
                return;
            }
        }
        let Some((source, options)) = asked else { return };
        // Where the columns can be shown, they can be corrected.
        if Path::new(&source).exists() {
            self.preview(PathBuf::from(source), options, session);
        }
        // The window must not stay without data at the start.
        if session.loaded.is_none() {
            let error = self.error.take();
            self.load("drift", ImportOptions::default(), session);
            self.error = error;
        }
    }

    fn preview(&mut self, path: PathBuf, options: ImportOptions, session: &mut Session) {
        let work = move |_: &Context<()>| {
            let preview = import::preview_with(&path, &options).map_err(|e| e.to_string())?;
            Ok(MappingEditor::new(path, options, preview))
        };
        if let Err(message) = self.previewing.start(&session.ctx, "Reading the first lines", work) {
            session.toasts.error(message);
        }
    }

    fn list_offers(&mut self, session: &mut Session) {
        self.listed = true;
        let work = |_: &Context<()>| {
            let entries = catalog::catalog().map_err(|error| error.to_string())?;
            let folder = catalog::data_dir();
            let offer = |entry: Entry| {
                let downloaded = folder.as_deref().is_some_and(|dir| entry.is_downloaded(dir));
                Offer { entry, downloaded }
            };
            Ok(entries.into_iter().map(offer).collect())
        };
        if let Err(message) = self.listing.start(&session.ctx, "Reading the catalogue", work) {
            session.toasts.error(message);
        }
    }

    fn download(&mut self, name: &str, session: &mut Session) {
        let Some(offer) = self.offers.iter().find(|offer| offer.entry.name == name) else { return };
        let entry = offer.entry.clone();
        let Some(folder) = catalog::data_dir() else {
            let text = "This system names no folder for data; set HOME and start again.";
            session.toasts.error(text);
            return;
        };
        if !entry.agreed(&folder) {
            self.agreeing = Some(entry);
            return;
        }
        self.download_name = entry.name.clone();
        let title = format!("Downloading {}", entry.title);
        let work = move |context: &Context<()>| {
            download(&entry, &folder, context).map_err(|error| error.to_string())
        };
        if let Err(message) = self.downloading.start(&session.ctx, title, work) {
            session.toasts.error(message);
        }
    }
}

/// Filter and describe; the unfiltered set is kept for other filters.
fn describe(
    raw: Arc<Dataset>,
    settings: &DataSettings,
    context: &Context<()>,
) -> Result<Loaded, String> {
    context.progress(None, "Filtering");
    let (min_user, min_item) = (settings.min_user_events, settings.min_item_events);
    let kept = filter(&raw, min_user, min_item, settings.k_core, || context.checkpoint())
        .map_err(|stopped| stopped.to_string())?;
    context.progress(None, "Describing");
    let stats = Arc::new(stats(&kept));
    Ok(Loaded { raw, data: Arc::new(kept), stats })
}

impl Page for DataPage {
    fn logic(&mut self, session: &mut Session) {
        if !self.listed {
            self.list_offers(session);
        }
        match self.loading.poll() {
            Some(Ok(loaded)) => self.loaded(loaded, session),
            Some(Err(failure)) => self.failed(failure, session),
            None => {}
        }
        if let Some(offers) = self.listing.poll_or_tell(&mut session.toasts) {
            self.offers = offers;
        }
        match self.previewing.poll() {
            Some(Ok(editor)) => self.mapping = Some(editor),
            // The import said already what is wrong with the file.
            Some(Err(_)) => self.mapping = None,
            None => {}
        }
        match self.downloading.poll() {
            Some(Ok(_)) => {
                self.list_offers(session);
                session.ask(Command::Load(self.download_name.clone()));
            }
            Some(Err(Failure::Message(message))) => self.error = Some(message),
            Some(Err(Failure::Stopped)) => {
                session.toasts.info("The download was stopped; it goes on from there next time.");
            }
            None => {}
        }
    }

    fn ui(&mut self, ui: &mut Ui, session: &mut Session) {
        page_header(ui, "Data", &sentence(session), |ui| {
            let help =
                tooltip(ui.ctx(), &Command::ImportFile, "Ratings, CSV, TSV or RecBole files");
            if primary(ui, "Import file…", true, &help).clicked() {
                session.ask(Command::ImportFile);
            }
            let help = tooltip(ui.ctx(), &Command::OpenByPath, "Type a path or a name");
            if button(ui, "Open by path…", Tone::Plain, true, &help).clicked() {
                session.ask(Command::OpenByPath);
            }
            let mappable = Path::new(&session.config.data.source).exists();
            let help = tooltip(ui.ctx(), &Command::EditMapping, "Say which column is what");
            if button(ui, "Edit mapping…", Tone::Plain, mappable, &help).clicked() {
                session.ask(Command::EditMapping);
            }
        });
        let (left, right) = split_left(ui.available_rect_before_wrap(), 292.0);
        card(ui, left, "sources", None, |ui| {
            page_scroll(ui, "sources", |ui| self.sources_ui(ui, session));
        });
        let mut inner = ui.new_child(egui::UiBuilder::new().id_salt("contents").max_rect(right));
        match self.mapping.as_mut() {
            Some(editor) => {
                let answer = mapping::editor_ui(&mut inner, editor, self.error.as_deref());
                self.answer_mapping(answer, session);
            }
            None => contents::ui(&mut inner, session, &mut self.error, self.loading.is_running()),
        }
        self.licence_dialog(ui, session);
        self.path_dialog(ui, session);
    }

    fn command(&mut self, command: &Command, session: &mut Session) {
        match command {
            Command::Load(source) => {
                // The source of the last session is read as it was then.
                let known = *source == session.config.data.source;
                let options = known.then(|| ImportOptions::from_settings(&session.config.data));
                match options.transpose() {
                    Ok(options) => self.load(source, options.unwrap_or_default(), session),
                    Err(error) => self.error = Some(error.to_string()),
                }
            }
            Command::OpenByPath => self.typing = Some(String::new()),
            Command::ApplyFilters => self.refilter(session),
            Command::StopLoading => self.stop(),
            Command::Download(name) => self.download(name, session),
            Command::EditMapping => {
                let path = PathBuf::from(&session.config.data.source);
                if path.exists() {
                    self.preview(path, self.options.clone(), session);
                } else {
                    session.toasts.info("Only files have columns to map; import one first.");
                }
            }
            _ => {}
        }
    }
}

impl DataPage {
    fn answer_mapping(&mut self, answer: mapping::Answer, session: &mut Session) {
        match answer {
            mapping::Answer::Nothing => {}
            mapping::Answer::Close => {
                self.mapping = None;
                self.error = None;
            }
            mapping::Answer::Changed => {
                if let Some(editor) = &self.mapping {
                    let (path, options) = (editor.path.clone(), editor.options());
                    self.preview(path, options, session);
                }
            }
            mapping::Answer::Import => {
                if let Some(editor) = &self.mapping {
                    let source = editor.path.to_string_lossy().into_owned();
                    let options = editor.options();
                    self.load(&source, options, session);
                }
            }
        }
    }
}

fn sentence(session: &Session) -> String {
    let Some(loaded) = &session.loaded else {
        return "Loading the first set…".to_owned();
    };
    let (raw, data) = (&loaded.raw, &loaded.data);
    let all = format::count(raw.events() as u64);
    if raw.events() == data.events() {
        return format!("{}: all {all} events are kept", data.name);
    }
    let kept = format::count(data.events() as u64);
    format!("{}: the filters keep {kept} of {all} events", data.name)
}
