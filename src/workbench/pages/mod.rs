//! The pages of the window.

mod attractor;
mod compare;
mod data;
mod experiments;
mod live;
mod router;
mod train;

use eframe::egui::Ui;

use super::commands::Command;
use super::session::Session;

pub use attractor::AttractorPage;
pub use compare::{ColumnChoice, ComparePage};
pub use data::DataPage;
pub use experiments::ExperimentsPage;
pub use live::LivePage;
pub use router::RouterPage;
pub use train::{Charts, TrainPage};

/// A page: state that is kept while another one is open.
pub trait Page {
    /// Drain jobs. Called before each frame, whichever page is open.
    fn logic(&mut self, session: &mut Session);

    /// Draw over the whole place.
    fn ui(&mut self, ui: &mut Ui, session: &mut Session);

    /// Carry out `command` where it is this page's; every page is told of every command.
    fn command(&mut self, command: &Command, session: &mut Session);
}
