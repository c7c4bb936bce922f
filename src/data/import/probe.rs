//! A look at the first lines: format, columns, header, clock; before anything is read in full.

use std::path::{Path, PathBuf};

use super::delimited::{Format, Records, detect};
use super::lines::{Fault, Lines};
use super::mapping::{Mapping, guess, resolve};
use super::names::{ITEM, by_name};
use super::time::{TimeKind, iso, number, recognise};
use super::{ImportError, ImportOptions, source};

/// The look ends after this many lines …
const HEAD_LINES: usize = 1000;
/// … or this many bytes.
const HEAD_BYTES: usize = 1 << 20;
/// Rows and characters a field that a [`Preview`] shows.
const PREVIEW_ROWS: usize = 20;
const PREVIEW_CHARS: usize = 200;

/// What a file looks like before it is imported.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The file with the interactions.
    pub ratings: PathBuf,
    /// The file with titles that was found beside it.
    pub items: Option<PathBuf>,
    pub format: Format,
    pub has_header: bool,
    /// Names in the header, or `#1`, `#2`, … without one.
    pub columns: Vec<String>,
    /// The first rows, at most 20, without the header.
    pub rows: Vec<Vec<String>>,
    /// The given mapping, or else the guess; what could not be guessed is empty.
    pub mapping: Mapping,
    /// How the mapped times are written, where they are times.
    pub time: Option<TimeKind>,
    /// Why this mapping cannot be imported, where that is known already.
    pub problem: Option<String>,
}

/// First lines, format, columns and the guessed mapping of a file or folder.
///
/// # Errors
/// [`ImportError`] where not even that can be told: no such file, no text, one column.
pub fn preview(path: &Path) -> Result<Preview, ImportError> {
    preview_with(path, &ImportOptions::default())
}

/// As [`preview`], with what a person decided already.
///
/// # Errors
/// As [`preview`]; a mapping that does not fit is a [`Preview::problem`], so that it can be edited.
pub fn preview_with(path: &Path, options: &ImportOptions) -> Result<Preview, ImportError> {
    let ratings = source::find_ratings(path)?;
    let probe = Probe::read(&ratings, options.format)?;
    let mapping = options.mapping.clone();
    let mapping = mapping.unwrap_or_else(|| probe.guess());
    let time = resolve(&mapping, &probe).and_then(|roles| probe.clock(roles.time));
    let show = |field: &Vec<u8>| lossy(field).chars().take(PREVIEW_CHARS).collect::<String>();
    let rows = probe.rows.iter().take(PREVIEW_ROWS);
    Ok(Preview {
        items: options.items_path.clone().or_else(|| source::find_items(&ratings)),
        format: probe.format,
        has_header: probe.has_header,
        rows: rows.map(|row| row.iter().map(show).collect()).collect(),
        mapping,
        problem: time.as_ref().err().map(ToString::to_string),
        time: time.ok(),
        columns: probe.columns,
        ratings,
    })
}

/// The first records of a file.
pub(super) struct Probe {
    pub path: PathBuf,
    pub format: Format,
    pub has_header: bool,
    /// Names in the header, or `#1`, `#2`, … without one.
    pub columns: Vec<String>,
    /// Line of the first record, from 1.
    pub first_line: u64,
    /// The first records without the header: fields without quotes.
    pub rows: Vec<Vec<Vec<u8>>>,
}

impl Probe {
    /// Look at `path`; `format` is told from the lines where `None`.
    pub fn read(path: &Path, format: Option<Format>) -> Result<Self, ImportError> {
        let (head, whole) = read_head(path)?;
        if head.trim_ascii().is_empty() {
            return Err(ImportError::Empty { path: path.to_owned() });
        }
        if let Some(what) = source::what_text_it_is(&head) {
            return Err(ImportError::NotText { path: path.to_owned(), line: 1, what });
        }
        let one_column = |line| ImportError::OneColumn { path: path.to_owned(), line };
        let format = format.or_else(|| detect(&head)).ok_or_else(|| one_column(1))?;

        let mut records = Records::new(head.as_slice(), format);
        let mut rows: Vec<Vec<Vec<u8>>> = Vec::new();
        let mut first_line = 1;
        loop {
            match records.advance() {
                Ok(true) => {}
                Ok(false) => break,
                // The record goes on beyond the head.
                Err(Fault::OpenQuote) if !whole && rows.len() >= 2 => break,
                Err(fault) => return Err(ImportError::at(path, records.number(), false, fault)),
            }
            if rows.is_empty() {
                first_line = records.number();
            }
            let record = records.record();
            rows.push((0..record.len()).map(|column| record.get(column).to_vec()).collect());
        }
        let first = rows.first().filter(|first| first.len() > 1);
        let first = first.ok_or_else(|| one_column(first_line))?;
        let has_header = is_header(first, format);
        let columns = if has_header {
            first.iter().map(|name| lossy(name)).collect()
        } else {
            (1..=first.len()).map(|position| format!("#{position}")).collect()
        };
        if has_header {
            rows.remove(0);
            if rows.is_empty() {
                return Err(ImportError::OnlyHeader { path: path.to_owned() });
            }
        }
        Ok(Self { path: path.to_owned(), format, has_header, columns, first_line, rows })
    }

    /// The columns by name, by what they hold, or by their place.
    pub fn guess(&self) -> Mapping {
        guess(&self.columns, self.has_header, &self.rows)
    }

    /// How column `time` writes times.
    pub fn clock(&self, time: usize) -> Result<TimeKind, ImportError> {
        let samples = self.rows.iter().filter_map(|row| row.get(time));
        recognise(samples.map(Vec::as_slice)).map_err(|problem| ImportError::NoTimes {
            path: self.path.clone(),
            line: self.first_line + u64::from(self.has_header),
            column: self.columns[time].clone(),
            problem,
        })
    }
}

/// Names are no numbers and no dates; data rows have at least one of these.
fn is_header(first: &[Vec<u8>], format: Format) -> bool {
    match format {
        Format::RecBole => true,
        // Such files have no header as a rule, and titles may be all text.
        Format::MovieLens => {
            let names: Vec<String> = first.iter().map(|name| lossy(name)).collect();
            by_name(&names, ITEM).is_some()
        }
        Format::Delimited(_) => {
            !first.iter().any(|field| number(field).is_some() || iso(field).is_some())
        }
    }
}

fn lossy(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// The first lines, with their line breaks, and whether they are all there are.
fn read_head(path: &Path) -> Result<(Vec<u8>, bool), ImportError> {
    let (reader, meter) = source::open(path)?;
    let mut lines = Lines::new(reader);
    let mut head = Vec::new();
    for _ in 0..HEAD_LINES {
        match lines.advance() {
            Ok(true) => {}
            Ok(false) => return Ok((head, true)),
            Err(fault) => return Err(ImportError::at(path, lines.number(), meter.gzip, fault)),
        }
        head.extend_from_slice(lines.line());
        head.push(b'\n');
        if head.len() >= HEAD_BYTES {
            break;
        }
    }
    Ok((head, false))
}
