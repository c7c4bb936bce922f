//! The public sets that can be downloaded: where each is, under which licence, how it is read.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::download::{Manifest, is_sha256};
use super::import::Mapping;

const CATALOG: &str = include_str!("../../datasets/catalog.toml");

/// Why the catalogue, or one of its sets, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("datasets/catalog.toml cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("set `{set}` of the catalogue is wrong: {problem}; correct datasets/catalog.toml")]
    Invalid { set: String, problem: String },
    #[error("there is no set `{given}` in the catalogue; the nearest is `{nearest}`")]
    Unknown { given: String, nearest: String },
    #[error(
        "cannot record that the licence was agreed in {}: {source}; \
         free some space or allow writing there, then agree again", path.display()
    )]
    Agreement { path: PathBuf, source: io::Error },
}

/// How a set's files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `user::item::rating::time`, with an optional `movies.dat`.
    Movielens,
    Csv,
    Tsv,
    /// `.inter` and `.item` with typed headers.
    Recbole,
}

/// Under which terms a set may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    pub name: String,
    pub url: String,
    /// One sentence: what it allows.
    pub summary: String,
}

/// One download: a file kept as it is, or a zip of which some members are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The publisher's address first, then mirrors of the same bytes.
    pub urls: Vec<String>,
    /// File name on disk.
    pub save_as: String,
    /// Size of the download in bytes, where known.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// SHA-256 of the download in lower-case hex, where known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// What to keep of a zip; empty for a plain file.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// A file inside a zip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Path inside the archive.
    pub path: String,
    /// File name on disk.
    pub save_as: String,
    /// Largest size unpacked, in bytes.
    #[serde(default = "default_member_limit")]
    pub max_bytes: u64,
}

/// 20 GB: more than any set here, less than what a decompression bomb wants.
fn default_member_limit() -> u64 {
    20_000_000_000
}

/// Which column is which: a name from the header, or `#N` (from 1) where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnNames {
    pub user: String,
    pub item: String,
    pub time: String,
    #[serde(default)]
    pub rating: Option<String>,
}

/// A public set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What a user types: lower-case letters, digits and dashes.
    pub name: String,
    /// What people read.
    pub title: String,
    pub homepage: String,
    pub citation: String,
    /// One sentence: how good its timestamps are.
    pub clock: String,
    pub format: Format,
    /// Users, about.
    pub users: u64,
    /// Items, about.
    pub items: u64,
    /// Events, about.
    pub events: u64,
    pub licence: Licence,
    pub files: Vec<Source>,
    /// Set where the columns cannot be guessed.
    #[serde(default)]
    pub columns: Option<ColumnNames>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    set: Vec<Entry>,
}

/// The agreement as written to disk: the terms as they were shown.
#[derive(Serialize, Deserialize)]
struct Agreement {
    agreed_at: jiff::Timestamp,
    licence: Licence,
}

/// Every set, in the order of the file.
///
/// # Errors
/// The catalogue compiled into this build has a mistake.
pub fn catalog() -> Result<Vec<Entry>, CatalogError> {
    parse(CATALOG)
}

fn parse(text: &str) -> Result<Vec<Entry>, CatalogError> {
    let catalog: Catalog = toml::from_str(text)?;
    let mut names = BTreeSet::new();
    for entry in &catalog.set {
        entry.check()?;
        if !names.insert(&entry.name) {
            return Err(entry.invalid("its name is used twice"));
        }
    }
    Ok(catalog.set)
}

/// The set called `name`.
///
/// # Errors
/// [`CatalogError::Unknown`] with the nearest name.
pub fn find(name: &str) -> Result<Entry, CatalogError> {
    let mut entries = catalog()?;
    if let Some(at) = entries.iter().position(|entry| entry.name == name) {
        return Ok(entries.swap_remove(at));
    }
    let likeness = |entry: &Entry| strsim::jaro_winkler(&entry.name, &name.to_lowercase());
    let nearest = entries
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .map(|entry| entry.name.clone())
        .unwrap_or_default();
    Err(CatalogError::Unknown { given: name.to_owned(), nearest })
}

/// Where downloads are kept: `datasets` in this program's folder of the operating system's data
/// directory; `None` where the system names no home directory.
pub fn data_dir() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "deepm3").map(|dirs| dirs.data_dir().join("datasets"))
}

impl Entry {
    /// Where this set is kept: the folder to import once it is downloaded.
    pub fn folder(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(&self.name)
    }

    /// Which column is which; `None` where the importer can tell.
    pub fn mapping(&self) -> Option<Mapping> {
        let ColumnNames { user, item, time, rating } = self.columns.clone()?;
        Some(Mapping { user, item, time, rating })
    }

    /// Size of the whole download in bytes, where every part of it is known.
    pub fn download_bytes(&self) -> Option<u64> {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Whether every file of this set is there, with the size it was recorded with. Contents are
    /// checked by [`super::download::verify`].
    pub fn is_downloaded(&self, data_dir: &Path) -> bool {
        let folder = self.folder(data_dir);
        Manifest::read(&folder)
            .is_some_and(|manifest| manifest.matches(self) && manifest.sizes_hold(&folder))
    }

    /// Whether the licence, as the catalogue words it now, was agreed to.
    pub fn agreed(&self, data_dir: &Path) -> bool {
        std::fs::read_to_string(self.agreement(data_dir))
            .ok()
            .and_then(|text| toml::from_str::<Agreement>(&text).ok())
            .is_some_and(|agreement| agreement.licence == self.licence)
    }

    /// Record that the licence was agreed to.
    ///
    /// # Errors
    /// The record could not be written.
    pub fn agree(&self, data_dir: &Path) -> Result<(), CatalogError> {
        self.check()?;
        let path = self.agreement(data_dir);
        let agreement =
            Agreement { agreed_at: jiff::Timestamp::now(), licence: self.licence.clone() };
        let write = || -> io::Result<()> {
            let text = toml::to_string(&agreement).map_err(io::Error::other)?;
            std::fs::create_dir_all(data_dir)?;
            let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| CatalogError::Agreement { path: path.clone(), source })
    }

    fn agreement(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(format!("{}.licence.toml", self.name))
    }

    /// Names of the files that are kept once everything is unpacked.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.files.iter().flat_map(|file| {
            let whole = file.members.is_empty().then_some(file.save_as.as_str());
            whole.into_iter().chain(file.members.iter().map(|member| member.save_as.as_str()))
        })
    }

    /// That nothing in this entry can lead outside its folder or leave it empty.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`], saying what to correct.
    pub fn check(&self) -> Result<(), CatalogError> {
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.starts_with('-') || !self.name.chars().all(kebab) {
            return Err(self.invalid("`name` may hold lower-case letters, digits and dashes"));
        }
        if self.files.is_empty() {
            return Err(self.invalid("it has no `files`"));
        }
        for file in &self.files {
            let web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
            if file.urls.is_empty() || !file.urls.iter().all(web) {
                return Err(self.invalid("`urls` must hold http or https addresses"));
            }
            if file.urls.len() > 1 && file.sha256.is_none() {
                return Err(self.invalid("mirrors need a `sha256` to be held to"));
            }
            if file.sha256.as_deref().is_some_and(|sum| !is_sha256(sum)) {
                return Err(self.invalid("`sha256` must be 64 lower-case hexadecimal digits"));
            }
        }
        let downloads = self.files.iter().map(|file| file.save_as.as_str());
        if let Some(name) = downloads.chain(self.kept()).find(|name| !is_plain_name(name)) {
            return Err(self.invalid(&format!("`save_as = \"{name}\"` is not a plain file name")));
        }
        let repeated = repeated(self.kept())
            .or_else(|| repeated(self.files.iter().map(|file| file.save_as.as_str())));
        match repeated {
            Some(name) => Err(self.invalid(&format!("two files are saved as `{name}`"))),
            None => Ok(()),
        }
    }

    fn invalid(&self, problem: &str) -> CatalogError {
        CatalogError::Invalid { set: self.name.clone(), problem: problem.to_owned() }
    }
}

fn repeated<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name))
}

/// A name that stays in its folder on every system, and is not one of our own.
fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain) && name != Manifest::FILE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_holds_the_promised_sets() {
        let names: Vec<_> = catalog().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(
            names,
            [
                "movietweetings-100k",
                "movielens-100k",
                "movielens-1m",
                "movielens-20m",
                "gowalla",
                "brightkite",
                "amazon-video-games",
            ]
        );
    }

    #[test]
    fn every_address_is_encrypted_and_every_sentence_ends() {
        for entry in catalog().unwrap() {
            let urls = entry.files.iter().flat_map(|file| &file.urls);
            for url in urls.chain([&entry.homepage, &entry.licence.url]) {
                assert!(url.starts_with("https://"), "{}: {url}", entry.name);
            }
            for sentence in [&entry.clock, &entry.licence.summary, &entry.citation] {
                assert!(sentence.ends_with('.'), "{}: {sentence}", entry.name);
            }
        }
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let error = find("MovieLens-10m").unwrap_err().to_string();
        assert!(error.contains("nearest is `movielens-1m`"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = CATALOG.replacen("clock =", "cloak =", 1);
        assert!(matches!(parse(&text), Err(CatalogError::Syntax(_))));
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in ["../ratings.dat", "a/b", "a\\b", "c:x", ".hidden", "", "checksums.toml"] {
            let mut entry = find("movielens-1m").unwrap();
            entry.files[0].members[0].save_as = name.to_owned();
            assert!(entry.check().is_err(), "{name:?} was accepted");
        }
        let mut entry = find("movielens-1m").unwrap();
        entry.name = "..".to_owned();
        assert!(entry.check().is_err());
    }

    #[test]
    fn an_agreement_lasts_until_the_terms_change() {
        let folder = tempfile::tempdir().unwrap();
        let mut entry = find("movielens-1m").unwrap();
        assert!(!entry.agreed(folder.path()));
        entry.agree(folder.path()).unwrap();
        assert!(entry.agreed(folder.path()));
        entry.licence.summary = "Other terms.".to_owned();
        assert!(!entry.agreed(folder.path()));
    }
}
