//! The run store on disk: write, list, compare, export.
//!
//! A run is a folder. [`RunStore`] creates, finds and lists them; [`RunDir`] is the one being
//! written, locked while it lives; `record` says what its files hold; [`groups`] and
//! [`AblationTable`] compare several of them.

mod entry;
mod error;
mod files;
mod folder;
mod groups;
mod judged;
mod model;
mod record;
mod render;
mod store;
mod stored;
mod table;
mod trash;

pub use entry::{RunEntry, RunState};
pub use error::RunError;
pub use files::write_atomic;
pub use folder::RunDir;
pub use groups::{Group, groups};
pub use judged::Judged;
pub use record::{
    BaselineRecord, DataRecord, LatencyRecord, MetricRecord, Origin, QueryRank, RunSummary,
};
pub use render::{latency_text, metric_text, model_title, p_text, share_text};
pub use store::RunStore;
pub use table::{AblationTable, CeilingShare, ComparisonRow, LatencyCell, MetricCell, TableRow};
pub use trash::TRASH_DAYS;

#[cfg(test)]
pub(crate) use table::sample_table;
