//! The operating system's file dialogs, answered off the UI thread.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

use directories::UserDirs;
use rfd::{AsyncFileDialog, FileHandle};

use super::background::Background;
use super::commands::{Command, ExportFormat};
use super::toasts::Toasts;

/// What a dialog is open for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Import,
    OpenPreset,
    SavePreset,
    OpenAdapter,
    /// In this format, under a name that begins so.
    Export(ExportFormat, &'static str),
}

impl Purpose {
    /// The name offered for a file to be written; none where one is to be read.
    fn file_name(self) -> Option<String> {
        match self {
            Self::Import | Self::OpenPreset | Self::OpenAdapter => None,
            Self::SavePreset => Some("preset.toml".to_owned()),
            Self::Export(format, stem) => Some(format!("{stem}.{}", format.extension())),
        }
    }

    fn command(self, path: PathBuf) -> Command {
        match self {
            Self::Import => Command::Load(path.to_string_lossy().into_owned()),
            Self::OpenPreset => Command::ReadPreset(path.to_string_lossy().into_owned()),
            Self::SavePreset => Command::WritePreset(path),
            Self::OpenAdapter => Command::PutAdapter(path),
            Self::Export(format, _) => Command::WriteExport(format, path),
        }
    }
}

/// Nobody closes a dialog this fast: the system has none to open (on Linux it needs a desktop
/// portal), and says so only by answering at once.
const NEVER_OPENED: Duration = Duration::from_millis(400);

enum Reply {
    Chosen(PathBuf),
    Closed,
    Unavailable,
}

type Answer = Pin<Box<dyn Future<Output = Option<FileHandle>> + Send>>;

/// At most one dialog at a time.
#[derive(Default)]
pub struct Dialogs {
    purpose: Option<Purpose>,
    answer: Background<Reply>,
}

impl Dialogs {
    /// Open a dialog. Called on the main thread, where macOS wants dialogs to be made.
    ///
    /// # Errors
    /// A sentence for people where no thread could be started.
    pub fn open(&mut self, ctx: &eframe::egui::Context, purpose: Purpose) -> Result<(), String> {
        if self.answer.is_running() {
            return Ok(());
        }
        let mut dialog = AsyncFileDialog::new();
        if let Some(name) = purpose.file_name() {
            dialog = dialog.set_file_name(name);
        }
        let answer: Answer = match purpose {
            Purpose::Import => Box::pin(dialog.set_title("Import interactions").pick_file()),
            Purpose::OpenPreset => Box::pin(
                dialog.set_title("Open preset").add_filter("Preset", &["toml"]).pick_file(),
            ),
            Purpose::SavePreset => Box::pin(
                dialog.set_title("Save preset").add_filter("Preset", &["toml"]).save_file(),
            ),
            Purpose::OpenAdapter => Box::pin(
                dialog
                    .set_title("Load adapter")
                    .add_filter("Adapter", &["safetensors"])
                    .pick_file(),
            ),
            Purpose::Export(format, _) => Box::pin(
                dialog
                    .set_title("Export")
                    .add_filter(format.extension(), &[format.extension()])
                    .save_file(),
            ),
        };
        self.purpose = Some(purpose);
        let opened = Instant::now();
        self.answer.start(ctx, "File dialog", move |_| {
            Ok(match pollster::block_on(answer) {
                Some(file) => Reply::Chosen(file.path().to_owned()),
                None if opened.elapsed() < NEVER_OPENED => Reply::Unavailable,
                None => Reply::Closed,
            })
        })
    }

    /// What to do with the file that was chosen, once one was.
    pub fn poll(&mut self, toasts: &mut Toasts) -> Option<Command> {
        let reply = self.answer.poll_or_tell(toasts)?;
        let purpose = self.purpose.take()?;
        match reply {
            Reply::Chosen(path) => Some(purpose.command(path)),
            Reply::Closed => None,
            Reply::Unavailable => without_dialog(purpose, toasts),
        }
    }
}

/// On a system without file dialogs files are written to the downloads, under a name not yet
/// taken, and read by their path.
fn without_dialog(purpose: Purpose, toasts: &mut Toasts) -> Option<Command> {
    let Some(name) = purpose.file_name() else {
        toasts.error(match purpose {
            Purpose::OpenPreset => {
                "No file dialog could be opened here (Linux needs a desktop portal). Drop the \
                 preset file on the window instead."
            }
            Purpose::OpenAdapter => {
                "No file dialog could be opened here (Linux needs a desktop portal). Drop the \
                 adapter's file on the window, or open it by path with Ctrl+L."
            }
            _ => {
                "No file dialog could be opened here (Linux needs a desktop portal). Drop the file \
                 on the window, or open it by path with Ctrl+L."
            }
        });
        return None;
    };
    let folder = UserDirs::new()
        .map(|dirs| dirs.download_dir().unwrap_or(dirs.home_dir()).to_owned())
        .unwrap_or_default();
    let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
    let free = (1..)
        .map(|n| match n {
            1 => folder.join(&name),
            n => folder.join(format!("{stem}-{n}.{ending}")),
        })
        .find(|path| !path.exists())?;
    toasts.info(format!("No file dialog could be opened here; saving to {}", free.display()));
    Some(purpose.command(free))
}
