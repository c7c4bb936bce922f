//! The files of the log: a new one each day (UTC) and after 64 MiB.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Bytes in a file, at most, but for a single line that is longer.
pub const LIMIT: u64 = 64 << 20;

/// The file being written, and where the next one goes.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    limit: u64,
    file: File,
    path: PathBuf,
    /// Day (UTC) on which it was begun.
    day: Date,
    /// Bytes of whole lines in it.
    length: u64,
}

fn day(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

/// Make a file that is not there yet.
fn create(folder: &Path, now: Timestamp) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(folder)?;
    let stem = now.strftime("impressions-%Y%m%d-%H%M%S");
    let mut again = 0;
    loop {
        let name = match again {
            0 => format!("{stem}.jsonl"),
            _ => format!("{stem}-{again}.jsonl"),
        };
        let path = folder.join(name);
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => again += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Files {
    pub fn open(folder: &Path, limit: u64, now: Timestamp) -> io::Result<Self> {
        let (file, path) = create(folder, now)?;
        Ok(Self { folder: folder.to_owned(), limit, file, path, day: day(now), length: 0 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Write whole lines and take them off `lines`; those that are left after an error are not in
    /// any file, not even in part. The day is the moment's, so a line of the last tenth of a
    /// second of a day may be in the next day's file.
    pub fn write(&mut self, lines: &mut &[u8], now: Timestamp) -> io::Result<()> {
        // A file that somebody deleted would take lines and show them to nobody.
        if !lines.is_empty() && (day(now) != self.day || !self.path.exists()) {
            self.next(now)?;
        }
        while !lines.is_empty() {
            let chunk = match fitting(lines, self.limit.saturating_sub(self.length)) {
                0 if self.length > 0 => {
                    self.next(now)?;
                    continue;
                }
                0 => first(lines),
                fitting => fitting,
            };
            let (chunk, rest) = lines.split_at(chunk);
            if let Err(error) = self.file.write_all(chunk) {
                // Half a line would spoil the next one. Where it cannot be taken back, the next
                // one goes to another file.
                let whole = self.file.metadata().is_ok_and(|file| file.len() == self.length);
                if !whole && self.file.set_len(self.length).is_err() {
                    self.next(now)?;
                }
                return Err(error);
            }
            self.length += chunk.len() as u64;
            *lines = rest;
        }
        Ok(())
    }

    /// Go on in a new file.
    fn next(&mut self, now: Timestamp) -> io::Result<()> {
        let (file, path) = create(&self.folder, now)?;
        let before = std::mem::replace(&mut self.file, file);
        let length = std::mem::replace(&mut self.length, 0);
        let old = std::mem::replace(&mut self.path, path);
        self.day = day(now);
        // The same name means that the file before was deleted.
        if old == self.path { Ok(()) } else { end(&before, &old, length) }
    }

    /// Put everything safely on the disk.
    pub fn finish(self) -> io::Result<()> {
        end(&self.file, &self.path, self.length)
    }
}

#[cfg(all(test, target_os = "linux"))]
impl Files {
    /// From now on the disk is full: `/dev/full` refuses every write so. Returns the file that
    /// took them before.
    pub fn fill(&mut self) -> File {
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        std::mem::replace(&mut self.file, full)
    }
}

/// Sync a file that is over; one in which nothing was written goes.
fn end(file: &File, path: &Path, length: u64) -> io::Result<()> {
    if length > 0 {
        return file.sync_all();
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes of the whole lines at the beginning that fit into so many bytes.
fn fitting(lines: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(lines.len());
    lines[..room].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1)
}

/// Bytes of the first line.
fn first(lines: &[u8]) -> usize {
    lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn contents(folder: &Path) -> Vec<(String, String)> {
        let mut all: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        all.sort();
        all
    }

    fn expected(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn a_new_file_each_day_and_when_one_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let evening = at("2026-11-24T23:59:59Z");
        let mut files = Files::open(folder.path(), 8, evening).unwrap();
        files.write(&mut &b"ab\ncd\nef\n"[..], evening).unwrap();
        files.write(&mut &b"gh\n"[..], at("2026-11-25T00:00:00Z")).unwrap();
        files.write(&mut &b"a line too long\nij\n"[..], at("2026-11-25T00:00:01Z")).unwrap();
        files.finish().unwrap();
        assert_eq!(
            contents(folder.path()),
            expected(&[
                ("impressions-20261124-235959-1.jsonl", "ef\n"),
                ("impressions-20261124-235959.jsonl", "ab\ncd\n"),
                ("impressions-20261125-000000.jsonl", "gh\n"),
                ("impressions-20261125-000001-1.jsonl", "ij\n"),
                ("impressions-20261125-000001.jsonl", "a line too long\n"),
            ])
        );
    }

    #[test]
    fn no_file_without_lines() {
        let folder = tempfile::tempdir().unwrap();
        let noon = at("2026-11-24T12:00:00Z");
        let mut files = Files::open(folder.path(), LIMIT, noon).unwrap();
        assert_eq!(contents(folder.path()).len(), 1, "it shows at once that there can be one");
        files.write(&mut &b""[..], at("2026-11-25T12:00:00Z")).unwrap();
        files.finish().unwrap();
        assert_eq!(contents(folder.path()), []);
    }

    #[test]
    fn a_deleted_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("log");
        let noon = at("2026-11-24T12:00:00Z");
        let mut files = Files::open(&inner, LIMIT, noon).unwrap();
        files.write(&mut &b"a\n"[..], noon).unwrap();
        fs::remove_dir_all(&inner).unwrap();
        files.write(&mut &b"b\n"[..], at("2026-11-24T12:00:01Z")).unwrap();
        files.finish().unwrap();
        assert_eq!(contents(&inner), expected(&[("impressions-20261124-120001.jsonl", "b\n")]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lines_that_a_full_disk_refuses_are_still_there() {
        let folder = tempfile::tempdir().unwrap();
        let noon = at("2026-11-24T12:00:00Z");
        let mut files = Files::open(folder.path(), LIMIT, noon).unwrap();
        let good = files.fill();
        let mut lines = &b"a\nb\n"[..];
        let error = files.write(&mut lines, noon).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(lines, b"a\nb\n");
        files.file = good;
        files.write(&mut lines, noon).unwrap();
        assert_eq!(lines, b"");
        assert!(contents(folder.path()).iter().any(|(_, text)| text == "a\nb\n"));
    }
}
