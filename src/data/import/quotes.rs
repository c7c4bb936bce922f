//! Quotes around fields (RFC 4180), and quotes that are none.

/// Where a field lies in its text.
pub(super) type Span = std::ops::Range<usize>;

/// Fields of a record with quotes, copied without them (RFC 4180).
#[derive(Default)]
pub(super) struct Unquoted {
    pub text: Vec<u8>,
    pub spans: Vec<Span>,
    start: usize,
    state: State,
    /// Whether text came after the end of a quoted field.
    pub is_malformed: bool,
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
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.start = 0;
        self.state = State::FieldStart;
        self.is_malformed = false;
    }

    /// Take one more line; false when it ends within quotes.
    pub fn feed(&mut self, line: &[u8], separator: u8) -> bool {
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

/// Whether at least `least` of `lines`, and more than half, have as many fields as a record.
pub(super) fn look_like_records(
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
