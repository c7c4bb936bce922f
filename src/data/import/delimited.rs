//! Lines into fields: `a::b::c`, one separating byte with or without quotes, RecBole.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;

use memchr::{memchr, memmem};

use super::lines::{Fault, Lines, MAX_LINE};

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

/// Where a field lies in its text.
type Span = std::ops::Range<usize>;

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
        let line = match &self.held {
            Held::Again(line) => line.as_slice(),
            Held::Line | Held::Unquoted => self.lines.line(),
        };
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
        match &self.held {
            Held::Again(line) => line,
            Held::Line | Held::Unquoted => self.lines.line(),
        }
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
        let mut unquoted = std::mem::take(&mut self.unquoted);
        unquoted.clear();
        let whole = unquoted.feed(self.line(), separator);
        self.unquoted = unquoted;
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
            return self.as_text(first, Vec::new(), separator);
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
            return self.as_text(first, further, separator);
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
    fn as_text(
        &mut self,
        line: Vec<u8>,
        further: Vec<(u64, Vec<u8>)>,
        separator: u8,
    ) -> Result<(), Fault> {
        for line in further.into_iter().rev() {
            self.again.push_front(line);
        }
        split_byte(&line, separator, &mut self.spans);
        self.held = Held::Again(line);
        Ok(())
    }
}

/// Whether at least `least` of `lines`, and more than half, have as many fields as a record.
fn look_like_records(
    lines: &[(u64, Vec<u8>)],
    separator: u8,
    expected: usize,
    least: usize,
) -> bool {
    let like =
        |line: &[u8]| expected >= 2 && memchr::memchr_iter(separator, line).count() + 1 == expected;
    let alike = lines.iter().filter(|(_, line)| like(line)).count();
    alike >= least && 2 * alike > lines.len()
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

/// Fields of a record with quotes, copied without them (RFC 4180).
#[derive(Default)]
struct Unquoted {
    text: Vec<u8>,
    spans: Vec<Span>,
    start: usize,
    state: State,
    /// Whether text came after the end of a quoted field.
    is_malformed: bool,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    FieldStart,
    Plain,
    Quoted,
    /// After a quote within quotes: the end of the field, or the first half of a doubled quote.
    QuoteInQuoted,
}

impl Unquoted {
    fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.start = 0;
        self.state = State::FieldStart;
        self.is_malformed = false;
    }

    /// Take one more line; false when it ends within quotes.
    fn feed(&mut self, line: &[u8], separator: u8) -> bool {
        for &byte in line {
            self.state = match (self.state, byte) {
                (State::Quoted, b'"') => State::QuoteInQuoted,
                (State::Quoted, _) => self.keep(byte, State::Quoted),
                (State::QuoteInQuoted, b'"') => self.keep(byte, State::Quoted),
                (_, _) if byte == separator => self.end_field(),
                (State::FieldStart, b'"') => State::Quoted,
                (State::FieldStart, b' ') => State::FieldStart,
                (State::QuoteInQuoted, byte) if byte != b' ' => {
                    self.is_malformed = true;
                    self.keep(byte, State::Plain)
                }
                (State::QuoteInQuoted, _) => State::QuoteInQuoted,
                (_, _) => self.keep(byte, State::Plain),
            };
        }
        if self.state == State::Quoted {
            self.text.push(b'\n');
            return false;
        }
        self.end_field();
        true
    }

    fn keep(&mut self, byte: u8, state: State) -> State {
        self.text.push(byte);
        state
    }

    fn end_field(&mut self) -> State {
        self.spans.push(self.start..self.text.len());
        self.start = self.text.len();
        State::FieldStart
    }
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
mod tests {
    use super::*;

    fn fields(text: &str, format: Format) -> Vec<Vec<String>> {
        let mut records = Records::new(text.as_bytes(), format);
        let mut all = Vec::new();
        while records.advance().unwrap() {
            let record = records.record();
            let text = |i| String::from_utf8(record.get(i).to_vec()).unwrap();
            all.push((0..record.len()).map(text).collect());
        }
        all
    }

    #[test]
    fn double_colons() {
        let rows = fields("1::2::3::4\n\n a : b ::c::\n", Format::MovieLens);
        assert_eq!(rows[0], ["1", "2", "3", "4"]);
        assert_eq!(rows[1], ["a : b", "c", ""]);
    }

    #[test]
    fn quotes_may_hold_separators_quotes_and_line_breaks() {
        let text = "a,\"b, \"\"c\"\"\",d\n\"x\ny\", \"z\" ,\n1,2\" disc,3\n";
        let rows = fields(text, Format::Delimited(b','));
        assert_eq!(rows[0], ["a", "b, \"c\"", "d"]);
        assert_eq!(rows[1], ["x\ny", "z", ""]);
        assert_eq!(rows[2], ["1", "2\" disc", "3"]);
    }

    #[test]
    fn a_record_over_lines_has_the_number_of_its_first() {
        let text = "a,b\n\"x\ny\",1\nc,d\n";
        let mut records = Records::new(text.as_bytes(), Format::Delimited(b','));
        let mut numbers = Vec::new();
        while records.advance().unwrap() {
            numbers.push(records.number());
        }
        assert_eq!(numbers, [1, 2, 4]);
    }

    #[test]
    fn quotes_mean_nothing_between_tabs_but_are_dropped_around_a_field() {
        let rows = fields("\"open\t\"shut\"\n", Format::Delimited(b'\t'));
        assert_eq!(rows[0], ["\"open", "shut"]);
    }

    #[test]
    fn a_stray_quote_is_text_and_swallows_no_rows() {
        let rows = |text: &str| fields(text, Format::Delimited(b','));
        let filler = "7,x,3\n".repeat(40);
        // Two stray ones, far apart; and as Spark and MySQL escape a quote.
        let text = format!(
            "u,t,r\n1,\"Weird al,5\n{filler}2,\"Heroes\" album,4\n3,\"Vinyl 12\\\"\",2\n4,y,1\n"
        );
        let all = rows(&text);
        assert_eq!(all.len(), 45);
        assert_eq!(all[1], ["1", "\"Weird al", "5"]);
        assert_eq!(all[42], ["2", "\"Heroes\" album", "4"]);
        assert_eq!(all[43], ["3", "Vinyl 12\\\"", "2"]);
        assert_eq!(all[44], ["4", "y", "1"]);
        assert_eq!(rows("u,t,r\n3,\"Vinyl 12\\\"\",2\n4,y,1\n").len(), 3);
        // Closed as it should be, far below: rows between are still rows.
        let closed = format!("u,t,r\n1,\"open,5\n{filler}2,shut\",4\n");
        assert_eq!(rows(&closed).len(), 43);
        // A text of several lines, some of them with commas.
        let review = "u,t,r\n1,\"Good, but\nlong, slow, dark\nand loud\nat times\",5\n2,x,4\n";
        let all = rows(review);
        assert_eq!(all.len(), 3);
        assert_eq!(all[1][1], "Good, but\nlong, slow, dark\nand loud\nat times");
        // The last one is closed by nothing.
        assert_eq!(rows(&format!("u,t,r\n1,\"Weird al,5\n{filler}")).len(), 42);
        // In the first record, where nothing is known of others.
        assert_eq!(rows(&format!("1,\"Weird al,5\n{filler}2,y\",4\n")).len(), 42);
        // Reviews whose lines look like rows, for a few lines.
        let review = "u,t,r\n1,\"Good, but\nlong, slow, dark\nand, so, loud\nend\",5\n2,x,4\n";
        assert_eq!(rows(review).len(), 3);
        // Lines that end one quote and open another are looked at once.
        let reopening = "7,x\",\"3\n".repeat(20_000);
        assert_eq!(rows(&format!("u,t,r\n1,\"a,5\n{reopening}")).len(), 20_002);
        // Numbers are those of the lines.
        let mut records = Records::new(text.as_bytes(), Format::Delimited(b','));
        let mut numbers = Vec::new();
        while records.advance().unwrap() {
            numbers.push(records.number());
        }
        assert_eq!(numbers, (1..=45).collect::<Vec<u64>>());
    }

    #[test]
    fn the_separator_that_excel_names_is_no_record() {
        let text = "sep=;\na;b;c\n1;2;3\n";
        assert_eq!(detect(text.as_bytes()), Some(Format::Delimited(b';')));
        assert_eq!(fields(text, Format::Delimited(b';'))[0], ["a", "b", "c"]);
    }

    #[test]
    fn an_open_quote_is_a_fault_at_the_line_it_opens_and_in_linear_time() {
        let text = format!("a,b\n\"c,d\n{}", "words\n".repeat(1_000_000));
        let mut records = Records::new(text.as_bytes(), Format::Delimited(b','));
        assert!(records.advance().unwrap());
        assert!(matches!(records.advance(), Err(Fault::OpenQuote)));
        assert_eq!(records.number(), 2);
    }

    #[test]
    fn formats_are_told_from_the_first_lines() {
        let is = |head: &str, format| assert_eq!(detect(head.as_bytes()), format, "{head}");
        is("1::2::3::4\n", Some(Format::MovieLens));
        is("user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n", Some(Format::RecBole));
        is("196\t242\t3\t881250949\n", Some(Format::Delimited(b'\t')));
        is("user;item;rating;time\n1;2;3,5;4\n2;2;4,5;4\n", Some(Format::Delimited(b';')));
        is("1;2;3,5;4\n2;2;4,5;4\n", Some(Format::Delimited(b';')));
        is("movieId,title,genres\n1,\"A, B\",X|Y\n", Some(Format::Delimited(b',')));
        is("1|Toy, A|01-Jan-1995||0|1\n2|Eye|01-Jan-1995||0|1\n", Some(Format::Delimited(b'|')));
        is("2013-04-01 12:30:00,1,2\n", Some(Format::Delimited(b',')));
        is("just words\n", None);
    }
}
