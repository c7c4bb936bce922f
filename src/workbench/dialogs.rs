//! The operating system's file dialogs, answered off the UI thread.

use std::path::PathBuf;
use std::pin::Pin;

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
    Export(ExportFormat),
}

type Answer = Pin<Box<dyn Future<Output = Option<FileHandle>> + Send>>;

/// At most one dialog at a time.
#[derive(Default)]
pub struct Dialogs {
    purpose: Option<Purpose>,
    answer: Background<Option<PathBuf>>,
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
        let dialog = AsyncFileDialog::new();
        let answer: Answer = match purpose {
            Purpose::Import => Box::pin(dialog.set_title("Import interactions").pick_file()),
            Purpose::OpenPreset => Box::pin(
                dialog.set_title("Open preset").add_filter("Preset", &["toml"]).pick_file(),
            ),
            Purpose::SavePreset => Box::pin(
                dialog
                    .set_title("Save preset")
                    .add_filter("Preset", &["toml"])
                    .set_file_name("preset.toml")
                    .save_file(),
            ),
            Purpose::Export(format) => Box::pin(
                dialog
                    .set_title("Export")
                    .add_filter(format.extension(), &[format.extension()])
                    .set_file_name(format!("deepm3-runs.{}", format.extension()))
                    .save_file(),
            ),
        };
        self.purpose = Some(purpose);
        self.answer.start(ctx, "File dialog", move |_| {
            Ok(pollster::block_on(answer).map(|file| file.path().to_owned()))
        })
    }

    /// What to do with the file that was chosen, once one was.
    pub fn poll(&mut self, toasts: &mut Toasts) -> Option<Command> {
        // `None` inside: closed without a choice.
        let path = self.answer.poll_or_tell(toasts)??;
        let text = path.to_string_lossy().into_owned();
        Some(match self.purpose.take()? {
            Purpose::Import => Command::Load(text),
            Purpose::OpenPreset => Command::ReadPreset(text),
            Purpose::SavePreset => Command::WritePreset(path),
            Purpose::Export(format) => Command::WriteExport(format, path),
        })
    }
}
