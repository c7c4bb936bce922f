//! Events and where they come from. Knows nothing of models or windows.
//!
//! [`load`] turns a source (a path, a catalogue name or `drift`) into a [`Dataset`];
//! [`filter`](filter::filter) leaves out short users and rare items; [`split`] cuts it into
//! training sequences and held-out queries under a protocol; [`stats`] describes it.

pub mod catalog;
pub mod download;
pub mod drift;
mod events;
pub mod filter;
mod fingerprint;
pub mod import;
mod load;
mod pace;
pub mod split;
pub mod stats;

pub use events::{Columns, Dataset, History, ImportReport, ItemMeta};
pub use load::{LoadError, load};
