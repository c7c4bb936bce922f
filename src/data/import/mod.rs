//! Interaction files into a [`Dataset`]: streamed, in bounded memory, with a line number in every
//! complaint.
//!
//! The layers, from the disk up: `source` finds the files and opens them, gunzipping where needed;
//! `lines` cuts bytes into lines of bounded length; `delimited` cuts lines into fields, with
//! `quotes` where there are any; `probe` looks at the first lines to tell format, columns and
//! header; `mapping` says which column is what, by `names` where nobody did; `time` reads clocks;
//! `ids` numbers the ids; `rows` runs over the file and keeps account of bad rows; `items` adds
//! titles and genres.

mod delimited;
mod error;
mod ids;
mod items;
mod lines;
mod mapping;
mod names;
mod probe;
mod quotes;
mod rows;
mod source;
mod time;

use std::path::{Path, PathBuf};

pub use delimited::Format;
pub use error::ImportError;
pub use mapping::{Mapping, MappingError, Role};
pub use probe::{Preview, preview, preview_with};
pub use time::TimeKind;

use super::pace::Pace;
use super::{Dataset, ImportReport};
use crate::jobs::{Cancelled, Context};
use probe::Probe;

/// What a person decided about a file; the default leaves every decision to the importer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOptions {
    /// Which column is what; by name or position where `None`.
    pub mapping: Option<Mapping>,
    /// How fields are separated; told from the first lines where `None`.
    pub format: Option<Format>,
    /// Titles and genres; a known neighbour of the file (`movies.dat`, `u.item`, …) where `None`.
    pub items_path: Option<PathBuf>,
}

/// Read the interactions in `path`: a file, gzipped or not, or a folder that holds one.
///
/// Users and items are numbered in the order in which the file first names them; items that only
/// the items file names are left out. Rows that say the same twice are kept. Up to
/// [1 % bad rows](ImportReport::skipped) are skipped and counted.
///
/// # Errors
/// [`ImportError`] with the path, the line where there is one, and what to do about it; among them
/// [`ImportError::Cancelled`] when `context` was cancelled.
pub fn import<E>(
    path: &Path,
    options: &ImportOptions,
    context: &Context<E>,
) -> Result<Dataset, ImportError> {
    let ratings = source::find_ratings(path)?;
    context.progress(Some(0.0), format!("Looking at {}", source::file_name(&ratings)));
    let probe = Probe::read(&ratings, options.format)?;
    let given = options.mapping.clone();
    let mapping = given.unwrap_or_else(|| probe.guess());
    let roles = mapping::resolve(&mapping, &probe)?;
    let clock = probe.clock(roles.time)?;

    let rows::Read { mut columns, users, items, mut report } =
        rows::read(&probe, &roles, clock, context)?;
    if ratings != path {
        report.notes.push(format!("File: {}", source::file_name(&ratings)));
    }
    describe(&mut report, &probe, &roles, clock);
    if options.mapping.is_none() {
        let (has_header, columns) = (probe.has_header, &probe.columns);
        if !has_header {
            report.notes.push(
                "There are no names, so columns are taken by their place; map them where that is wrong".to_owned(),
            );
        }
        let named = mapping::guess(columns, has_header, &[]).rating.is_some();
        if named && mapping.rating.is_none() {
            report.notes.push("Ratings are left out: too many of them are no numbers".to_owned());
        }
    }

    let found = match &options.items_path {
        Some(given) => Some(given.clone()),
        None => source::find_items(&ratings),
    };
    let mut known = items::Known::default();
    if let Some(items_path) = found {
        context.progress(None, format!("Reading {}", source::file_name(&items_path)));
        match items::read(&items_path, &items, context) {
            Ok(read) => {
                report.notes.push(read.note(&items_path, items.len()));
                known = read;
            }
            Err(error @ ImportError::Cancelled(_)) => return Err(error),
            // A neighbour that nobody asked for must not stop the import.
            Err(error) if options.items_path.is_none() => {
                report.notes.push(format!("Titles are left out: {error}"));
            }
            Err(error) => return Err(error),
        }
    }

    context.progress(None, "Sorting events by user and time");
    context.checkpoint()?;
    let (users, items) = (users.into_names(), items.into_names());
    if columns.oldest_first(users.len()) {
        report.notes.push(
            "The newest events come first: those of one time are taken from below".to_owned(),
        );
    }
    let mut data = Dataset::from_columns(columns, users, items, || context.checkpoint())?;
    data.name = source::display_name(path, &ratings);
    data.source = path.to_string_lossy().into_owned();
    data.meta = known.meta;
    data.genres = known.genres;
    let repeated = repeated(&data, || context.checkpoint())?;
    if repeated > 0 {
        report.notes.push(format!(
            "{repeated} events repeat another of the same user, item and time, and count again; leave them \
             out of the file where they are no events of their own"
        ));
    }
    data.report = report;
    Ok(data)
}

/// Events that have the user, the item and the time of another.
fn repeated(
    data: &Dataset,
    go_on: impl FnMut() -> Result<(), Cancelled>,
) -> Result<usize, Cancelled> {
    let mut pace = Pace::new(go_on);
    let mut repeated = 0;
    let mut at_once: Vec<u32> = Vec::new();
    for user in 0..data.users() {
        let history = data.history(user);
        pace.step(history.len())?;
        let mut items = history.item.iter();
        for moment in history.time.chunk_by(|one, next| one == next) {
            at_once.clear();
            at_once.extend(items.by_ref().take(moment.len()));
            at_once.sort_unstable();
            repeated += at_once.windows(2).filter(|pair| pair[0] == pair[1]).count();
        }
    }
    Ok(repeated)
}

/// Say in the report how the file was read.
fn describe(report: &mut ImportReport, probe: &Probe, roles: &mapping::Roles, clock: TimeKind) {
    let name = |column: usize| probe.columns[column].as_str();
    let header = if probe.has_header { "with a header" } else { "without a header" };
    report.notes.push(format!("Format: {}, {header}", probe.format));
    let rating = roles.rating.map(|column| format!(", rating = {}", name(column)));
    report.notes.push(format!(
        "Columns: user = {}, item = {}, time = {}{}",
        name(roles.user),
        name(roles.item),
        name(roles.time),
        rating.unwrap_or_default(),
    ));
    if roles.rating.is_some() {
        report
            .notes
            .push("Ratings are shown and not learned from: every row is an event".to_owned());
    }
    report.notes.push(format!("Times: {clock}"));
}
