//! Everything a user can do, once: its words, its shortcut, and where it belongs.

use std::path::PathBuf;

use eframe::egui::{Context, Key, KeyboardShortcut, Modifiers, ThemePreference};

/// The pages, in the order of the rail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PageId {
    #[default]
    Data,
    Train,
    Compare,
    Attractor,
    Router,
    Live,
    Experiments,
}

impl PageId {
    pub const ALL: [Self; 7] = [
        Self::Data,
        Self::Train,
        Self::Compare,
        Self::Attractor,
        Self::Router,
        Self::Live,
        Self::Experiments,
    ];

    /// The number of its key.
    pub fn number(self) -> usize {
        match self {
            Self::Data => 1,
            Self::Train => 2,
            Self::Compare => 3,
            Self::Attractor => 4,
            Self::Router => 5,
            Self::Live => 6,
            Self::Experiments => 7,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Data => "Data",
            Self::Train => "Train",
            Self::Compare => "Compare",
            Self::Attractor => "Attractor",
            Self::Router => "Router",
            Self::Live => "Live API",
            Self::Experiments => "Experiments",
        }
    }
}

/// A file format that pages write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    Csv,
    Markdown,
    Png,
    Svg,
    Json,
    /// The report of all experiments, with a Markdown file beside it.
    Html,
}

impl ExportFormat {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Markdown => "md",
            Self::Png => "png",
            Self::Svg => "svg",
            Self::Json => "json",
            Self::Html => "html",
        }
    }
}

/// Something a user asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Go(PageId),
    Palette,
    Theme(ThemePreference),
    Quit,
    /// Ask for a file and import it.
    ImportFile,
    /// Type a path or name and load it.
    OpenByPath,
    /// Load a path, a name of the catalogue or `drift`.
    Load(String),
    EditMapping,
    ApplyFilters,
    Download(String),
    StopLoading,
    Start,
    PauseOrResume,
    Stop,
    SavePreset,
    OpenPreset,
    WritePreset(PathBuf),
    /// A preset by name or path.
    ReadPreset(String),
    ResetSettings,
    RefreshRuns,
    /// On the Compare page, those of the newest plan.
    ShowNewestRuns,
    ResumeRuns(Vec<String>),
    /// Show the curves of runs that are over, on the Train page.
    ShowCurves(Vec<String>),
    ArchiveRuns,
    DeleteRuns,
    /// Bring deleted runs back.
    RestoreRuns(Vec<String>),
    /// Take runs out of the archive.
    UnarchiveRuns(Vec<String>),
    PinBaseline,
    /// Hand the router's settings to the running server.
    ApplyRouter,
    /// Ask for an adapter's file and put it on the model of the running server.
    OpenAdapter,
    PutAdapter(PathBuf),
    RemoveAdapter,
    /// Take back what the newest message offers to, else the last router setting.
    Undo,
    UndoRouter,
    StopReplay,
    /// Analyse the chosen run's dynamics again.
    Analyse,
    StopAnalysis,
    /// Let the state of the Attractor page move, or hold it.
    PlayOrPause,
    /// Show another user on the Attractor page.
    RandomUser,
    /// Switch the server on or off.
    ToggleServer,
    SendRequest,
    /// Start or stop generated traffic.
    ToggleTraffic,
    /// Run the experiment that is chosen.
    RunExperiment,
    StopExperiment,
    /// Choose the next one.
    NextExperiment,
    /// Take over the settings that the chosen experiment found.
    UseFound,
    /// Write up all results.
    Report,
    Export(ExportFormat),
    WriteExport(ExportFormat, PathBuf),
}

impl Command {
    /// What a file that is dropped or named asks for: a preset, an adapter, or data.
    pub fn of_file(path: String) -> Self {
        let lower = path.to_lowercase();
        if lower.ends_with(".toml") {
            Self::ReadPreset(path)
        } else if lower.ends_with(".safetensors") {
            Self::PutAdapter(path.into())
        } else {
            Self::Load(path)
        }
    }
}

/// A command of the palette.
#[derive(Debug, Clone)]
pub struct Action {
    pub command: Command,
    pub title: &'static str,
    pub shortcut: Option<KeyboardShortcut>,
}

const fn ctrl(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::COMMAND, key))
}

const fn plain(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::NONE, key))
}

/// Every action that can be found in the palette.
pub fn actions() -> Vec<Action> {
    let action = |title, command, shortcut| Action { command, title, shortcut };
    use ThemePreference as Theme;
    vec![
        action("Go to Data", Command::Go(PageId::Data), plain(Key::Num1)),
        action("Go to Train", Command::Go(PageId::Train), plain(Key::Num2)),
        action("Go to Compare", Command::Go(PageId::Compare), plain(Key::Num3)),
        action("Go to Attractor", Command::Go(PageId::Attractor), plain(Key::Num4)),
        action("Go to Router", Command::Go(PageId::Router), plain(Key::Num5)),
        action("Go to Live API", Command::Go(PageId::Live), plain(Key::Num6)),
        action("Go to Experiments", Command::Go(PageId::Experiments), plain(Key::Num7)),
        action("Import file…", Command::ImportFile, ctrl(Key::I)),
        action("Open by path…", Command::OpenByPath, ctrl(Key::L)),
        action("Load the built-in drift set", Command::Load("drift".to_owned()), None),
        action("Edit mapping…", Command::EditMapping, ctrl(Key::M)),
        action("Apply filters", Command::ApplyFilters, None),
        action("Stop loading", Command::StopLoading, None),
        action("Start training", Command::Start, ctrl(Key::Enter)),
        action("Pause or resume training", Command::PauseOrResume, ctrl(Key::P)),
        action("Stop training", Command::Stop, ctrl(Key::Period)),
        action("Save preset…", Command::SavePreset, ctrl(Key::S)),
        action("Open preset…", Command::OpenPreset, ctrl(Key::O)),
        action("Reset settings", Command::ResetSettings, None),
        action("Refresh runs", Command::RefreshRuns, plain(Key::F5)),
        action("Pin selected run as baseline", Command::PinBaseline, ctrl(Key::B)),
        action("Archive selected runs", Command::ArchiveRuns, ctrl(Key::E)),
        action("Delete selected runs", Command::DeleteRuns, plain(Key::Delete)),
        action("Apply router settings to the live server", Command::ApplyRouter, None),
        action("Put an adapter on the live server…", Command::OpenAdapter, None),
        action("Take the adapter off the live server", Command::RemoveAdapter, None),
        action("Undo", Command::Undo, ctrl(Key::Z)),
        action("Undo the last router setting", Command::UndoRouter, None),
        action("Stop the replay", Command::StopReplay, None),
        action("Analyse the run's dynamics again", Command::Analyse, None),
        action("Stop the analysis", Command::StopAnalysis, None),
        action("Play or pause a user's way", Command::PlayOrPause, plain(Key::Space)),
        action("Show a random user", Command::RandomUser, ctrl(Key::J)),
        action("Switch the server on or off", Command::ToggleServer, ctrl(Key::U)),
        action("Send the request", Command::SendRequest, ctrl(Key::R)),
        action("Start or stop traffic", Command::ToggleTraffic, ctrl(Key::T)),
        action("Run the chosen experiment", Command::RunExperiment, ctrl(Key::G)),
        action("Stop the experiment", Command::StopExperiment, None),
        action("Show the next experiment", Command::NextExperiment, ctrl(Key::D)),
        action("Use the settings that were found", Command::UseFound, None),
        action("Write the report of all experiments…", Command::Report, None),
        action("Export as CSV…", Command::Export(ExportFormat::Csv), None),
        action("Export as Markdown…", Command::Export(ExportFormat::Markdown), None),
        action("Export as PNG…", Command::Export(ExportFormat::Png), None),
        action("Export as SVG…", Command::Export(ExportFormat::Svg), None),
        action("Export as JSON…", Command::Export(ExportFormat::Json), None),
        action("Use the dark theme", Command::Theme(Theme::Dark), None),
        action("Use the light theme", Command::Theme(Theme::Light), None),
        action("Follow the system's theme", Command::Theme(Theme::System), None),
        action("Command palette", Command::Palette, ctrl(Key::K)),
        action("Quit", Command::Quit, ctrl(Key::Q)),
    ]
}

/// A tooltip for `command`: `help`, and the shortcut where it has one.
pub fn tooltip(ctx: &Context, command: &Command, help: &str) -> String {
    let shortcut = actions()
        .into_iter()
        .find(|action| action.command == *command)
        .and_then(|action| action.shortcut);
    match shortcut {
        Some(shortcut) => format!("{help} ({})", ctx.format_shortcut(&shortcut)),
        None => help.to_owned(),
    }
}

/// The commands whose shortcuts were pressed. Keys without Ctrl or Cmd are left to text fields
/// while one is being typed into.
pub fn pressed(ctx: &Context) -> Vec<Command> {
    let typing = ctx.egui_wants_keyboard_input();
    let mut pressed = Vec::new();
    for action in actions() {
        let Some(shortcut) = action.shortcut else { continue };
        if typing && shortcut.modifiers.is_none() {
            continue;
        }
        if ctx.input_mut(|input| input.consume_shortcut(&shortcut)) {
            pressed.push(action.command);
        }
    }
    pressed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_ending() {
        assert_eq!(Command::of_file("a.TOML".to_owned()), Command::ReadPreset("a.TOML".to_owned()));
        let adapter = Command::of_file("x/a.safetensors".to_owned());
        assert_eq!(adapter, Command::PutAdapter("x/a.safetensors".into()));
        assert_eq!(Command::of_file("drift".to_owned()), Command::Load("drift".to_owned()));
    }

    #[test]
    fn no_shortcut_and_no_title_is_taken_twice() {
        let actions = actions();
        for (index, action) in actions.iter().enumerate() {
            for other in &actions[..index] {
                assert_ne!(action.title, other.title);
                assert!(
                    action.shortcut.is_none() || action.shortcut != other.shortcut,
                    "{} and {}",
                    action.title,
                    other.title
                );
            }
        }
    }
}
