//! Which files hold the interactions and the titles, and how to open them.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use super::ImportError;
use super::mapping::listed;

/// Names of interaction files, the surest first; each may end in `.gz` as well.
const RATINGS: [&str; 4] = ["ratings.dat", "ratings.csv", "ratings.tsv", "u.data"];
/// Names of the files that MovieLens and its kin keep titles in.
const ITEMS: [&str; 2] = ["movies", "items"];
/// Endings of files that may hold interactions under any name.
const DATA: [&str; 5] = ["csv", "tsv", "dat", "data", "inter"];
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// How much of a file was read, shared with its reader.
pub(super) struct Meter {
    read: Rc<Cell<u64>>,
    /// Bytes on disk.
    pub size: u64,
    /// Whether the bytes are decompressed on the way.
    pub gzip: bool,
}

impl Meter {
    /// Bytes read from disk.
    pub fn read(&self) -> u64 {
        self.read.get()
    }

    /// Share of the file that was read, 0..=1.
    pub fn fraction(&self) -> f32 {
        (self.read() as f64 / self.size.max(1) as f64).min(1.0) as f32
    }
}

struct Metered {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

/// Open a file; gzip is told by its first bytes, not by its name.
pub(super) fn open(path: &Path) -> Result<(Box<dyn Read>, Meter), ImportError> {
    let failed = |source| ImportError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let gzip = magic(&mut file).map_err(failed)?.starts_with(&GZIP);
    let size = file.metadata().map_err(failed)?.len();
    let read = Rc::new(Cell::new(0));
    let meter = Meter { read: read.clone(), size, gzip };
    let metered = Metered { file, read };
    let reader: Box<dyn Read> = if gzip {
        let buffered = io::BufReader::with_capacity(128 << 10, metered);
        Box::new(MultiGzDecoder::new(buffered))
    } else {
        Box::new(metered)
    };
    Ok((reader, meter))
}

/// The first bytes of a file, which is then at its start again.
fn magic(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.by_ref().take(4).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(head)
}

/// What a file with NUL bytes in it is, and what to do with it.
pub(super) fn what_it_is(path: &Path) -> &'static str {
    let head = File::open(path).and_then(|mut file| magic(&mut file)).unwrap_or_default();
    match head.as_slice() {
        [b'P', b'K', ..] => "this is a zip or Excel file; unpack it, or save the table as CSV",
        [b'P', b'A', b'R', b'1'] => "this is a Parquet file; export it as CSV",
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "this is UTF-16 text; save it as UTF-8",
        [b'B', b'Z', b'h', ..]
        | [0xFD, b'7', b'z', b'X']
        | [0x28, 0xB5, 0x2F, 0xFD]
        | [b'7', b'z', 0xBC, 0xAF] => "this is a compressed file; unpack it first, or use gzip",
        _ => "there are NUL bytes, so this is not text, or it is damaged; choose a text file",
    }
}

/// What text a file that begins with `head` is, and what to do with it, where it is none with fields.
pub(super) fn what_text_it_is(head: &[u8]) -> Option<&'static str> {
    let begin = head.trim_ascii_start();
    let first = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let opens = |text: &[u8]| {
        let inside = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
        inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(b"\""))
    };
    let list = first.strip_prefix(b"[").map(<[u8]>::trim_ascii);
    if opens(first) || list.is_some_and(|inside| inside.is_empty() || opens(inside)) {
        return Some(
            "this is JSON; write it as CSV, in pandas for example with \
             pd.read_json(FILE, lines=True).to_csv(\"data.csv\", index=False)",
        );
    }
    let inner = first.strip_suffix(b"\r").unwrap_or(first);
    inner
        .contains(&b'\r')
        .then_some("its lines end in CR alone, as on old Macs; save it with LF or CRLF line breaks")
}

/// The interactions that `path` means: itself, or a file in it where it is a folder.
pub(super) fn find_ratings(path: &Path) -> Result<PathBuf, ImportError> {
    let failed = |source| ImportError::Open { path: path.to_owned(), source };
    if !path.metadata().map_err(failed)?.is_dir() {
        return Ok(path.to_owned());
    }
    let (files, folders) = entries(path).map_err(failed)?;
    if let Some(found) = pick_ratings(&files) {
        return Ok(found.clone());
    }
    // Archives often unpack into a folder of their own.
    for folder in folders {
        let (files, _) = entries(&folder).map_err(failed)?;
        if let Some(found) = pick_ratings(&files) {
            return Ok(found.clone());
        }
    }
    let names: Vec<String> = files.iter().map(|file| file_name(file)).collect();
    let found = match names.is_empty() {
        true => String::new(),
        false => format!(" (it has {})", listed(&names)),
    };
    Err(ImportError::NothingInFolder { path: path.to_owned(), found })
}

fn pick_ratings(files: &[PathBuf]) -> Option<&PathBuf> {
    let named = |name: &&str| files.iter().find(|file| plain_name(file) == *name);
    RATINGS.iter().find_map(named).or_else(|| {
        let only = |endings: &[&str]| {
            let mut fitting = files.iter().filter(|file| {
                let name = plain_name(file);
                let (stem, ending) = name.rsplit_once('.').unwrap_or_default();
                endings.contains(&ending) && !ITEMS.contains(&stem)
            });
            fitting.next().filter(|_| fitting.next().is_none())
        };
        only(&["inter"]).or_else(|| only(&DATA))
    })
}

/// The titles that belong to a file of interactions, by the names that public sets use.
///
/// Only known pairs count: the `movies.csv` beside an unrelated file is another set's.
pub(super) fn find_items(ratings: &Path) -> Option<PathBuf> {
    let folder = match ratings.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (files, _) = entries(folder).ok()?;
    let named = |name: &str| files.iter().find(|file| plain_name(file) == name).cloned();
    let name = plain_name(ratings);
    let (stem, ending) = name.rsplit_once('.')?;
    match ending {
        "inter" => named(&format!("{stem}.item")).or_else(|| {
            let mut items = files.iter().filter(|file| plain_name(file).ends_with(".item"));
            items.next().filter(|_| items.next().is_none()).cloned()
        }),
        // u.data, and the cuts u1.base, ua.test and so on of MovieLens 100K.
        "data" | "base" | "test" if stem.starts_with('u') && stem.len() <= 2 => named("u.item"),
        _ if stem.contains("rating") => {
            ITEMS.iter().find_map(|items| named(&format!("{items}.{ending}")))
        }
        _ => None,
    }
}

/// Files and folders in a folder, each by name.
fn entries(folder: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut all = Vec::new();
    for entry in folder.read_dir()? {
        all.push(entry?.path());
    }
    all.sort();
    let (folders, files) = all.into_iter().partition(|path| path.is_dir());
    Ok((files, folders))
}

/// The last part of a path, for people.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The file name in lower case, without `.gz`.
fn plain_name(path: &Path) -> String {
    let name = file_name(path).to_ascii_lowercase();
    name.strip_suffix(".gz").map(str::to_owned).unwrap_or(name)
}

/// A short name for the data: that of the folder or file that was asked for.
pub(super) fn display_name(asked: &Path, ratings: &Path) -> String {
    file_name(if asked.file_name().is_some() { asked } else { ratings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        folder
    }

    fn found(files: &[&str]) -> Option<(String, Option<String>)> {
        let folder = folder(files);
        let ratings = find_ratings(folder.path()).ok()?;
        let items = find_items(&ratings);
        Some((file_name(&ratings), items.as_deref().map(file_name)))
    }

    #[test]
    fn known_pairs_are_found() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), Some(b.to_owned())));
        let alone = |a: &str| Some((a.to_owned(), None));
        assert_eq!(
            found(&["movies.dat", "ratings.dat", "users.dat"]),
            pair("ratings.dat", "movies.dat")
        );
        assert_eq!(found(&["ratings.csv.gz", "movies.csv"]), pair("ratings.csv.gz", "movies.csv"));
        assert_eq!(found(&["u.data", "u.item", "u1.base"]), pair("u.data", "u.item"));
        assert_eq!(found(&["a.inter", "a.item", "b.item"]), pair("a.inter", "a.item"));
        assert_eq!(
            found(&["ml-1m/ratings.dat", "ml-1m/movies.dat"]),
            pair("ratings.dat", "movies.dat")
        );
        assert_eq!(found(&["log.csv", "movies.csv", "README.txt"]), alone("log.csv"));
        assert_eq!(found(&["a.csv", "b.csv"]), None);
        assert_eq!(found(&[]), None);
    }
}
