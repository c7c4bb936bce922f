//! The run over a file: rows into columns of numbers, and the account of bad rows.

use std::path::Path;
use std::time::{Duration, Instant};

use super::delimited::{Record, Records};
use super::ids::Ids;
use super::mapping::{Role, Roles};
use super::probe::Probe;
use super::source::{self, Meter};
use super::time::{BadTime, Clock, TimeKind};
use super::{ImportError, ImportReport};
use crate::data::Columns;
use crate::jobs::Context;

/// Bad rows are skipped while they are at most one in this many, rounded up: one bad row is
/// forgiven in any file.
const ROWS_A_BAD_ROW: u64 = 100;
/// After this many rows a file with more bad rows than good ones is refused at once.
const EARLY_ROWS: u64 = 100;
/// Bad rows that are kept as examples.
const EXAMPLES: usize = 5;
/// Most rows: events are numbered by u32.
const MAX_ROWS: u64 = u32::MAX as u64 - 1;
/// Bytes of the shortest good row, `1,1,20130401` and its line break: bounds the rows to come.
const SHORTEST_ROW: u64 = 13;
/// Rows between two looks at the clock and the cancel switch.
const ROWS_A_LOOK: u64 = 1 << 14;
const PROGRESS_EVERY: Duration = Duration::from_millis(150);
/// Characters of a bad field that are quoted.
const QUOTED_CHARS: usize = 40;

/// What a file holds.
pub(super) struct Read {
    pub columns: Columns,
    pub users: Ids,
    pub items: Ids,
    /// Without notes.
    pub report: ImportReport,
}

/// Read all rows of a file that was looked at.
pub(super) fn read<E>(
    probe: &Probe,
    roles: &Roles,
    kind: TimeKind,
    context: &Context<E>,
) -> Result<Read, ImportError> {
    let (reader, meter) = source::open(&probe.path)?;
    let mut records = Records::new(reader, probe.format);
    let parser = Parser { fields: probe.columns.len(), roles: *roles, clock: Clock::new(kind) };
    let (mut columns, mut users, mut items) = (Columns::default(), Ids::default(), Ids::default());
    let mut account = Account::new(&probe.path);
    let mut header_ahead = probe.has_header;
    let mut reported = Instant::now();
    loop {
        let more = records.advance();
        let line = records.number();
        if !more.map_err(|fault| ImportError::at(&probe.path, line, meter.gzip, fault))? {
            break;
        }
        if header_ahead {
            header_ahead = false;
            continue;
        }
        account.report.rows += 1;
        let record = records.record();
        match parser.parse(&record) {
            Ok(row) => {
                columns.user.push(users.intern(row.user));
                columns.item.push(items.intern(row.item));
                columns.time.push(row.time);
                columns.rating.extend(row.rating);
            }
            Err(bad) => account.skip(line, || parser.describe(bad, &record)),
        }
        let rows = account.report.rows;
        if rows == EARLY_ROWS {
            account.judge_early()?;
        }
        if rows.is_multiple_of(ROWS_A_LOOK) {
            if rows > MAX_ROWS {
                let path = probe.path.clone();
                return Err(ImportError::TooManyRows { path, line, limit: MAX_ROWS });
            }
            account.judge_with_rows_left(&meter, records.ahead())?;
            context.checkpoint()?;
            if reported.elapsed() >= PROGRESS_EVERY {
                reported = Instant::now();
                let read = format!("Read {:.1} M rows", rows as f64 / 1e6);
                context.progress(Some(meter.fraction()), read);
            }
        }
    }
    account.judge(account.report.rows)?;
    if columns.user.is_empty() {
        return Err(account.refusal());
    }
    Ok(Read { columns, users, items, report: account.report })
}

/// How many of `rows` may be bad.
pub(super) fn most_bad(rows: u64) -> u64 {
    rows.div_ceil(ROWS_A_BAD_ROW)
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq)]
enum BadRow {
    Fields,
    Empty(Role),
    NotUtf8(Role),
    Rating,
    Time(BadTime),
}

/// A good row.
struct Row<'a> {
    user: &'a str,
    item: &'a str,
    time: i64,
    rating: Option<f32>,
}

struct Parser {
    /// Fields that a row must have.
    fields: usize,
    roles: Roles,
    clock: Clock,
}

impl Parser {
    fn parse<'a>(&self, record: &Record<'a>) -> Result<Row<'a>, BadRow> {
        // A separator too many at the end says nothing.
        let surplus = || (self.fields..record.len()).all(|column| record.get(column).is_empty());
        if record.len() < self.fields || record.len() > self.fields && !surplus() {
            return Err(BadRow::Fields);
        }
        Ok(Row {
            user: id(record.get(self.roles.user), Role::User)?,
            item: id(record.get(self.roles.item), Role::Item)?,
            time: self.clock.read(record.get(self.roles.time)).map_err(BadRow::Time)?,
            rating: match self.roles.rating {
                Some(column) => Some(rating(record.get(column)).ok_or(BadRow::Rating)?),
                None => None,
            },
        })
    }

    /// Say what is wrong, with the field that is.
    fn describe(&self, bad: BadRow, record: &Record<'_>) -> String {
        let quote = |column: usize| {
            let text = String::from_utf8_lossy(record.get(column));
            let clipped: String = text.chars().take(QUOTED_CHARS).collect();
            let more = if clipped.len() < text.len() { "…" } else { "" };
            format!("`{}{more}`", clipped.escape_debug())
        };
        let time = || quote(self.roles.time);
        match bad {
            BadRow::Fields => format!("{} fields instead of {}", record.len(), self.fields),
            BadRow::Empty(role) => {
                let column = match role {
                    Role::User => self.roles.user,
                    _ => self.roles.item,
                };
                match record.get(column) {
                    b"" => format!("the {role} is empty"),
                    _ => format!("the {role} is {}, which says that there is none", quote(column)),
                }
            }
            BadRow::NotUtf8(role) => {
                format!("the {role} is not UTF-8 text; save the file as UTF-8")
            }
            BadRow::Rating => {
                let rating = self.roles.rating.map(quote).unwrap_or_default();
                format!("the rating {rating} is not a number")
            }
            BadRow::Time(BadTime::NotANumber) => format!("the time {} is not a number", time()),
            BadRow::Time(BadTime::NotADate) => format!("the time {} is not a date", time()),
            BadRow::Time(BadTime::OutOfRange) => {
                format!("the time {} is not between 1970 and a year from now", time())
            }
            BadRow::Time(BadTime::OtherUnit) => {
                let unit = self.clock.kind;
                format!("the time {} is too small for {unit}, which others are in", time())
            }
        }
    }
}

fn id(field: &[u8], role: Role) -> Result<&str, BadRow> {
    if field.is_empty() || is_null(field) {
        return Err(BadRow::Empty(role));
    }
    std::str::from_utf8(field).map_err(|_| BadRow::NotUtf8(role))
}

/// What databases, pandas and R write where there is nothing.
fn is_null(field: &[u8]) -> bool {
    // Few ids begin like that, and none that is a number.
    matches!(field[0], b'N' | b'n' | b'\\' | b'<')
        && (field == b"\\N"
            || field == b"<NA>"
            || [&b"na"[..], b"n/a", b"nan", b"null", b"none"]
                .iter()
                .any(|null| field.eq_ignore_ascii_case(null)))
}

/// A finite number; a comma may stand for its point.
pub(super) fn rating(field: &[u8]) -> Option<f32> {
    // Whole stars are most of what there is.
    if let [digit @ b'0'..=b'9'] = field {
        return Some(f32::from(digit - b'0'));
    }
    let text = std::str::from_utf8(field).ok()?;
    let rating = text.parse::<f32>().or_else(|_| text.replacen(',', ".", 1).parse::<f32>());
    rating.ok().filter(|rating| rating.is_finite())
}

/// Counts bad rows and says when they are too many.
struct Account<'a> {
    path: &'a Path,
    report: ImportReport,
}

impl<'a> Account<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, report: ImportReport::default() }
    }

    fn skip(&mut self, line: u64, why: impl FnOnce() -> String) {
        self.report.skipped += 1;
        if self.report.examples.len() < EXAMPLES {
            self.report.examples.push((line, why()));
        }
    }

    /// Refuse where more rows are bad than may be among `rows`.
    fn judge(&self, rows: u64) -> Result<(), ImportError> {
        if self.report.skipped > most_bad(rows) { Err(self.refusal()) } else { Ok(()) }
    }

    fn judge_early(&self) -> Result<(), ImportError> {
        if 2 * self.report.skipped > self.report.rows { Err(self.refusal()) } else { Ok(()) }
    }

    /// Refuse where it is too late for the rest of the file to make up for the bad rows; `ahead` bytes of
    /// it are read already.
    fn judge_with_rows_left(&self, meter: &Meter, ahead: usize) -> Result<(), ImportError> {
        if meter.gzip {
            // Compressed bytes do not bound the rows to come.
            return Ok(());
        }
        let left = (meter.size.saturating_sub(meter.read()) + ahead as u64) / SHORTEST_ROW;
        self.judge(self.report.rows.saturating_add(left))
    }

    fn refusal(&self) -> ImportError {
        let (line, why) = self.report.examples.first().cloned().unwrap_or_default();
        ImportError::TooManyBadRows {
            path: self.path.to_owned(),
            skipped: self.report.skipped,
            rows: self.report.rows,
            line,
            why,
        }
    }
}
