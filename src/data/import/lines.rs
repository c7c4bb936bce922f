//! Bytes into lines, never holding more than [`MAX_LINE`] of one.

use std::io::{self, Read};

use memchr::memchr;

/// Longest line that is read, in bytes; a longer one is a [`Fault::TooLong`].
pub(super) const MAX_LINE: usize = 1 << 20;
/// Bytes asked of the reader at once.
const CHUNK: usize = 256 << 10;
const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// Why no further line (or record) could be read.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    /// Longer than [`MAX_LINE`].
    TooLong,
    /// A NUL byte: no text.
    Nul,
    /// A quote that is not closed within [`MAX_LINE`].
    OpenQuote,
}

/// A cursor over the lines of a reader.
pub(super) struct Lines<R> {
    reader: R,
    /// `MAX_LINE + CHUNK` bytes; those in `start..end` are read and not yet passed.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The current line, without its line break.
    line: std::ops::Range<usize>,
    number: u64,
    at_end: bool,
    /// Whether a NUL was seen, so that lines need a closer look.
    suspect: bool,
}

impl<R: Read> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: vec![0; MAX_LINE + CHUNK],
            start: 0,
            end: 0,
            line: 0..0,
            number: 0,
            at_end: false,
            suspect: false,
        }
    }

    /// Go to the next line; false at the end of the file.
    pub fn advance(&mut self) -> Result<bool, Fault> {
        self.number += 1;
        let mut scanned = self.start;
        let (end, next) = loop {
            if let Some(found) = memchr(b'\n', &self.buffer[scanned..self.end]) {
                break (scanned + found, scanned + found + 1);
            }
            let pending = self.end - self.start;
            if pending > MAX_LINE || self.at_end {
                break (self.end, self.end);
            }
            self.fill()?;
            scanned = self.start + pending;
        };
        let mut line = self.start..end;
        if line.is_empty() && next == end {
            return Ok(false);
        }
        if self.suspect && memchr(0, &self.buffer[line.clone()]).is_some() {
            return Err(Fault::Nul);
        }
        if line.len() > MAX_LINE {
            return Err(Fault::TooLong);
        }
        if self.number == 1 && self.buffer[line.clone()].starts_with(UTF8_BOM) {
            line.start += UTF8_BOM.len();
        }
        if self.buffer[line.clone()].ends_with(b"\r") {
            line.end -= 1;
        }
        self.line = line;
        self.start = next;
        Ok(true)
    }

    /// The line that [`Lines::advance`] went to.
    pub fn line(&self) -> &[u8] {
        &self.buffer[self.line.clone()]
    }

    /// Number of the line that [`Lines::advance`] went to or failed on, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Bytes that are read already, behind the line that [`Lines::advance`] went to.
    pub fn ahead(&self) -> usize {
        self.end - self.start
    }

    fn fill(&mut self) -> Result<(), Fault> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // At most MAX_LINE bytes are pending here, so there is room for a chunk.
        let room = self.end..self.end + CHUNK;
        let read = loop {
            match self.reader.read(&mut self.buffer[room.clone()]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(Fault::Io)?,
            }
        };
        self.at_end = read == 0;
        self.suspect |= memchr(0, &self.buffer[self.end..self.end + read]).is_some();
        self.end += read;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(bytes);
        let mut seen = Vec::new();
        while lines.advance().unwrap() {
            seen.push(String::from_utf8(lines.line().to_vec()).unwrap());
        }
        seen
    }

    #[test]
    fn line_breaks_bom_and_a_missing_last_break() {
        assert_eq!(all(b"\xEF\xBB\xBFa\r\nb\n\nc"), ["a", "b", "", "c"]);
        assert_eq!(all(b"a\n"), ["a"]);
        assert!(all(b"").is_empty());
    }

    #[test]
    fn lines_across_chunks_are_whole() {
        let text: String = (0..200_000).map(|i| format!("{i}\n")).collect();
        let lines = all(text.as_bytes());
        assert_eq!(lines.len(), 200_000);
        assert!(lines.iter().enumerate().all(|(i, line)| *line == i.to_string()));
    }

    /// Two gigabytes of one letter, counting what is asked for.
    struct Endless {
        left: u64,
        given: u64,
    }

    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = out.len().min(usize::try_from(self.left).unwrap());
            out[..n].fill(b'x');
            self.left -= n as u64;
            self.given += n as u64;
            Ok(n)
        }
    }

    #[test]
    fn a_line_of_two_gigabytes_fails_after_a_little_more_than_the_limit() {
        let mut lines = Lines::new(Endless { left: 2 << 30, given: 0 });
        assert!(matches!(lines.advance(), Err(Fault::TooLong)));
        assert_eq!(lines.number(), 1);
        assert!(lines.reader.given <= (MAX_LINE + 2 * CHUNK) as u64);
        assert_eq!(lines.buffer.len(), MAX_LINE + CHUNK);
    }

    #[test]
    fn the_longest_line_is_read() {
        let mut text = vec![b'x'; MAX_LINE];
        text.extend(b"\ny\n");
        let lines = all(&text);
        assert_eq!((lines[0].len(), lines[1].as_str()), (MAX_LINE, "y"));
        text.insert(0, b'x');
        assert!(matches!(Lines::new(&text[..]).advance(), Err(Fault::TooLong)));
    }

    #[test]
    fn a_nul_byte_is_told_with_its_line() {
        let mut lines = Lines::new(&b"a\nb\0\nc\n"[..]);
        assert!(lines.advance().unwrap());
        assert!(matches!(lines.advance(), Err(Fault::Nul)));
        assert_eq!(lines.number(), 2);
    }
}
