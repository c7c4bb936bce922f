//! What can be wrong with a file, said so that a person can act on it.

use std::io;
use std::path::{Path, PathBuf};

use super::lines::{Fault, MAX_LINE};
use super::mapping::Role;
use super::source;
use crate::jobs::Cancelled;

/// How to say which column is what.
const HOW_TO_MAP: &str = "say which column is what in the column fields of the Data page, or with \
    `--columns user=NAME,item=NAME,time=NAME` (`#1` is the first column)";

/// Why a file was not imported. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(
        "{} cannot be opened: {source}; check that it is there and that \
         you may read it",
        path.display()
    )]
    Open { path: PathBuf, source: io::Error },

    #[error(
        "{}: reading failed at line {line}: {source}; check the disk or the \
         network folder and try again",
        path.display()
    )]
    Io { path: PathBuf, line: u64, source: io::Error },

    #[error(
        "{}: no interactions in this folder{found}; it should hold ratings.dat, ratings.csv, u.data, a \
         single .inter file or a single data file (each also as .gz), or give the path of the \
         file itself",
        path.display()
    )]
    NothingInFolder {
        path: PathBuf,
        /// ` (it has a.csv, b.csv)`; empty where it has no files.
        found: String,
    },

    #[error("{}: the file is empty; choose a file with one interaction a line", path.display())]
    Empty { path: PathBuf },

    #[error(
        "{}: there is a header on line 1 and nothing below it; choose a file with one interaction \
         a line",
        path.display()
    )]
    OnlyHeader { path: PathBuf },

    #[error("{}: line {line}: {what}", path.display())]
    NotText { path: PathBuf, line: u64, what: &'static str },

    #[error(
        "{}: line {line} is longer than {} MiB; this is not a file with one interaction a line, or \
         its line breaks were lost: export it again as CSV",
        path.display(),
        MAX_LINE >> 20
    )]
    LineTooLong { path: PathBuf, line: u64 },

    #[error(
        "{}: a quote opens on line {line} and is not closed; close it, remove it, or double it \
         where it is part of the text",
        path.display()
    )]
    OpenQuote { path: PathBuf, line: u64 },

    #[error(
        "{}: the gzip data break off or are damaged at line {line} ({source}); download or \
         compress the file again",
        path.display()
    )]
    DamagedGzip { path: PathBuf, line: u64, source: io::Error },

    #[error(
        "{}: line {line} has one field only: no `::`, comma, tab, semicolon or `|` separates user, \
         item and time; export the file as CSV with a header",
        path.display()
    )]
    OneColumn { path: PathBuf, line: u64 },

    #[error(
        "{}: line {line}: no column was found for the {role}; the columns are {columns}; \
         {HOW_TO_MAP}",
        path.display()
    )]
    MissingColumn { path: PathBuf, line: u64, role: Role, columns: String },

    #[error(
        "{}: line {line}: there is no column `{name}` for the {role}; the columns are {columns}; \
         {HOW_TO_MAP}",
        path.display()
    )]
    UnknownColumn { path: PathBuf, line: u64, role: Role, name: String, columns: String },

    #[error(
        "{}: line {line}: column `{name}` cannot be both the {first} and the {second}; \
         {HOW_TO_MAP}",
        path.display()
    )]
    SameColumn { path: PathBuf, line: u64, name: String, first: Role, second: Role },

    #[error(
        "{}: line {line}: column `{column}` does not hold times: {problem}; {HOW_TO_MAP}",
        path.display()
    )]
    NoTimes { path: PathBuf, line: u64, column: String, problem: String },

    #[error(
        "{}: {skipped} of the {rows} rows read are bad, more than the 1 % that may be skipped; \
         the first is line {line}: {why}; check the separator and the columns (mapped without a rating, \
         none is read), or repair the file",
        path.display()
    )]
    TooManyBadRows { path: PathBuf, skipped: u64, rows: u64, line: u64, why: String },

    #[error(
        "{}: line {line}: more than {limit} rows; split the file or keep fewer of the old events",
        path.display()
    )]
    TooManyRows { path: PathBuf, line: u64, limit: u64 },

    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ImportError {
    /// A fault of the reader at `line` of `path`; `gzip` says that the bytes came out of gzip.
    pub(super) fn at(path: &Path, line: u64, gzip: bool, fault: Fault) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::TooLong => Self::LineTooLong { path, line },
            Fault::OpenQuote => Self::OpenQuote { path, line },
            Fault::Nul => {
                let what = source::what_it_is(&path);
                Self::NotText { path, line, what }
            }
            Fault::Io(source) if gzip && is_damage(source.kind()) => {
                Self::DamagedGzip { path, line, source }
            }
            Fault::Io(source) => Self::Io { path, line, source },
        }
    }
}

/// How flate2 reports a stream that ends early or does not decode.
fn is_damage(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(kind, UnexpectedEof | InvalidData | InvalidInput)
}
