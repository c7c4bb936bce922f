//! Lines into fields: `a::b::c`, one separating byte with or without quotes, RecBole.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;

use memchr::{memchr, memmem};

use super::lines::{Fault, Lines, MAX_LINE};
use super::quotes::{Span, Unquoted, look_like_records};

/// How the fields of a line are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `user::item::rating::time`, as in MovieLens 1M and MovieTweetings.
    MovieLens,
    /// One byte between fields: `,`, `;`, `|` with double quotes around fields where needed
    /// (RFC 4180), or a tab, where quotes mean nothing.
    Delimited(u8),
    /// Tabs, with a header of `name:type` (RecBole's atomic files).
    RecBole,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MovieLens => f.write_str("fields separated by ::"),
            Self::Delimited(b'\t') => f.write_str("fields separated by tabs"),
            Self::Delimited(b',') => f.write_str("fields separated by commas"),
            Self::Delimited(b';') => f.write_str("fields separated by semicolons"),
            Self::Delimited(byte) => {
                write!(f, "fields separated by {}", byte.escape_ascii())
            }
            Self::RecBole => f.write_str("RecBole, fields separated by tabs"),
        }
    }
}

/// A cursor over the records of a reader. Blank lines are passed over.
pub(super) struct Records<R> {
    lines: Lines<R>,
    format: Format,
    spans: Vec<Span>,
    unquoted: Unquoted,
    /// Where the fields of the record lie.
    held: Held,
    number: u64,
    /// Fields of the first record; 0 before it.
    expected: usize,
    /// Lines with their numbers that a stray quote seemed to hold, to be read once more.
    again: VecDeque<(u64, Vec<u8>)>,
    /// Quotes that do not end on their line are text up to this one.
    text_until: u64,
}

/// What the spans of a record point into.
enum Held {
    /// The line that was read last.
    Line,
    /// [`Records::unquoted`].
    Unquoted,
    /// A line that is read once more.
    Again(Vec<u8>),
}

impl Held {
    /// The line that the record begins with, where `lines` are at the one that was read last.
    fn line<'a, R: Read>(&'a self, lines: &'a Lines<R>) -> &'a [u8] {
        match self {
            Self::Again(line) => line,
            Self::Line | Self::Unquoted => lines.line(),
        }
    }
}

/// One record, borrowed from [`Records`].
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    text: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Record<'a> {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Field `column`, which must be below [`Record::len`], without blanks and quotes around it.
    pub fn get(&self, column: usize) -> &'a [u8] {
        bare(&self.text[self.spans[column].clone()])
    }

    /// Everything from field `first` through field `last`, separators included.
    pub fn between(&self, first: usize, last: usize) -> &'a [u8] {
        bare(&self.text[self.spans[first].start..self.spans[last].end])
    }
}

fn bare(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    match field {
        [b'"', inner @ .., b'"'] => inner.trim_ascii(),
        _ => field,
    }
}

impl<R: Read> Records<R> {
    pub fn new(reader: R, format: Format) -> Self {
        Self {
            lines: Lines::new(reader),
            format,
            spans: Vec::new(),
            unquoted: Unquoted::default(),
            held: Held::Line,
            number: 0,
            expected: 0,
            again: VecDeque::new(),
            text_until: 0,
        }
    }

    /// Go to the next record; false at the end of the file.
    pub fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            if !self.next_line()? {
                return Ok(false);
            }
            let line = self.line();
            // Excel's word for its separator is no record.
            if !(line.trim_ascii().is_empty() || self.number == 1 && is_separator_line(line)) {
                break;
            }
        }
        let line = self.held.line(&self.lines);
        match self.format {
            Format::MovieLens => split_double_colon(line, &mut self.spans),
            Format::RecBole | Format::Delimited(b'\t') => {
                split_byte(line, b'\t', &mut self.spans);
            }
            Format::Delimited(byte) if memchr(b'"', line).is_none() => {
                split_byte(line, byte, &mut self.spans);
            }
            Format::Delimited(byte) => self.unquote(byte)?,
        }
        if self.expected == 0 {
            self.expected = self.record().len();
        }
        Ok(true)
    }

    /// Go to the next line, one of those that are read once more before any other.
    fn next_line(&mut self) -> Result<bool, Fault> {
        if let Some((number, line)) = self.again.pop_front() {
            (self.number, self.held) = (number, Held::Again(line));
            return Ok(true);
        }
        self.held = Held::Line;
        let more = self.lines.advance();
        self.number = self.lines.number();
        more
    }

    fn line(&self) -> &[u8] {
        self.held.line(&self.lines)
    }

    /// The record that [`Records::advance`] went to.
    pub fn record(&self) -> Record<'_> {
        match &self.held {
            Held::Unquoted => Record { text: &self.unquoted.text, spans: &self.unquoted.spans },
            Held::Line | Held::Again(_) => Record { text: self.line(), spans: &self.spans },
        }
    }

    /// Bytes that are read already, behind the record; see [`Lines::ahead`].
    pub fn ahead(&self) -> usize {
        let again: usize = self.again.iter().map(|(_, line)| line.len() + 1).sum();
        again + self.lines.ahead()
    }

    /// First line of the record that [`Records::advance`] went to or failed on, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The current line has quotes; a quoted field may go on over further lines. Where they are no
    /// quotes around fields (`"Weird al`, `"Vinyl 12\""`), they are part of the text, and the line is a
    /// record by itself.
    fn unquote(&mut self, separator: u8) -> Result<(), Fault> {
        self.unquoted.clear();
        let whole = self.unquoted.feed(self.held.line(&self.lines), separator);
        if whole && !self.unquoted.is_malformed {
            self.held = Held::Unquoted;
            return Ok(());
        }
        let (number, first) = (self.number, self.line().to_vec());
        let fields = memchr::memchr_iter(separator, &first).count() + 1;
        let expected = if self.expected == 0 { fields } else { self.expected };
        // As Spark and MySQL escape a quote: the field has ended, or no line below ends it.
        let escaped = memmem::find(&first, b"\\\"").is_some() && fields == expected;
        // A line that was given back is not the start of another search.
        if whole || escaped || number <= self.text_until {
            self.as_text(first, Vec::new(), separator);
            return Ok(());
        }
        let mut further = Vec::new();
        let ended = self.read_on(&mut further, separator)?;
        self.number = number;
        let stray = if !ended {
            look_like_records(&further, separator, expected, 2)
        } else if self.unquoted.is_malformed {
            true
        } else {
            // The last one has the end of the quote. Text may look like rows for a few lines.
            let between = &further[..further.len() - 1];
            let fits = self.unquoted.spans.len() == expected;
            let least = if fits { between.len().max(10) } else { 2 };
            look_like_records(between, separator, expected, least)
        };
        if stray {
            self.text_until = further.last().map_or(0, |(last, _)| *last - u64::from(ended));
            self.as_text(first, further, separator);
            return Ok(());
        }
        if !ended {
            return Err(Fault::OpenQuote);
        }
        self.held = Held::Unquoted;
        Ok(())
    }

    /// Read lines into `further` until the quoted field ends, or cannot be one; false where it does
    /// neither within [`MAX_LINE`] or before the end of the file.
    fn read_on(&mut self, further: &mut Vec<(u64, Vec<u8>)>, separator: u8) -> Result<bool, Fault> {
        let mut whole = false;
        while !whole && !self.unquoted.is_malformed {
            if self.unquoted.text.len() > MAX_LINE || !self.next_line()? {
                return Ok(false);
            }
            let line = self.line().to_vec();
            whole = self.unquoted.feed(&line, separator);
            further.push((self.number, line));
        }
        Ok(true)
    }

    /// The record is `line` with its quotes; `further` are read once more.
    fn as_text(&mut self, line: Vec<u8>, further: Vec<(u64, Vec<u8>)>, separator: u8) {
        for line in further.into_iter().rev() {
            self.again.push_front(line);
        }
        split_byte(&line, separator, &mut self.spans);
        self.held = Held::Again(line);
    }
}

/// `sep=;`
fn is_separator_line(line: &[u8]) -> bool {
    line.len() <= 5 && line.starts_with(b"sep=")
}

fn split_byte(line: &[u8], separator: u8, spans: &mut Vec<Span>) {
    spans.clear();
    let mut start = 0;
    for (end, _) in line.iter().enumerate().filter(|(_, byte)| **byte == separator) {
        spans.push(start..end);
        start = end + 1;
    }
    spans.push(start..line.len());
}

fn split_double_colon(line: &[u8], spans: &mut Vec<Span>) {
    spans.clear();
    let mut start = 0;
    let mut from = 0;
    // Fields are a few bytes long: a byte loop beats a substring search.
    while let Some(colon) = line[from..].iter().position(|byte| *byte == b':') {
        let colon = from + colon;
        if line.get(colon + 1) == Some(&b':') {
            spans.push(start..colon);
            start = colon + 2;
            from = start;
        } else {
            from = colon + 1;
        }
    }
    spans.push(start..line.len());
}

/// The format of a file that begins with `head`; `None` where nothing separates fields.
pub(super) fn detect(head: &[u8]) -> Option<Format> {
    let mut lines = head.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let first = lines.find(|line| !is_separator_line(line.trim_ascii()))?;
    if is_recbole_header(first) {
        return Some(Format::RecBole);
    }
    if memmem::find_iter(first, b"::").count() >= 2 {
        return Some(Format::MovieLens);
    }
    let candidates = [b'\t', b',', b';', b'|'];
    let scored = candidates.iter().filter_map(|byte| {
        let format = Format::Delimited(*byte);
        Some((score(head, format)?, format))
    });
    // The first of equals, so that tabs win over commas.
    scored.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, format)| format)
}

/// How well a format explains the first lines: enough fields, as many in each line, many.
fn score(head: &[u8], format: Format) -> Option<(bool, usize, usize)> {
    let mut records = Records::new(head, format);
    let (mut fields, mut agree, mut total) = (0, 0, 0);
    // A fault here is met again, with its line, when the file is read in the format chosen.
    while let Ok(true) = records.advance() {
        let len = records.record().len();
        if total == 0 {
            fields = len;
        }
        agree += usize::from(len == fields);
        total += 1;
    }
    (fields >= 2).then(|| (fields >= 3, agree * 100 / total, fields))
}

fn is_recbole_header(line: &[u8]) -> bool {
    line.trim_ascii().split(|byte| *byte == b'\t').all(|field| {
        let kind = field.rsplit(|byte| *byte == b':').next();
        let kinds: [&[u8]; 4] = [b"token", b"token_seq", b"float", b"float_seq"];
        field.contains(&b':') && kind.is_some_and(|kind| kinds.contains(&kind))
    })
}

#[cfg(test)]
mod tests;
