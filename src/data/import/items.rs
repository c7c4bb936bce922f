//! Titles and genres of the items that have events.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::ImportError;
use super::delimited::{Format, Record, Records};
use super::ids::Ids;
use super::mapping::listed;
use super::names::{ITEM, by_name};
use super::probe::Probe;
use super::source;
use crate::data::ItemMeta;
use crate::jobs::Context;

const TITLE: &[&str] = &[
    "title",
    "movietitle",
    "itemtitle",
    "producttitle",
    "booktitle",
    "tracktitle",
    "name",
    "itemname",
    "productname",
    "moviename",
    "artistname",
    "trackname",
    "songname",
    "businessname",
    "gamename",
    "description",
];
const GENRES: &[&str] = &[
    "genres",
    "genre",
    "class",
    "categories",
    "category",
    "categoryname",
    "maincategory",
    "tags",
    "tag",
    "style",
    "type",
];
/// What MovieLens writes for an item without genres.
const NO_GENRES: [&str; 3] = ["(no genres listed)", "unknown", ""];
/// The genres that the last columns of `u.item` are flags for, from its `u.genre`.
const U_ITEM_GENRES: [&str; 19] = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];
/// Number, title, two dates and a link come before the flags.
const U_ITEM_COLUMNS: usize = 5 + U_ITEM_GENRES.len();
/// Rows between two looks at the cancel switch.
const ROWS_A_LOOK: usize = 1 << 14;

/// What is known of the items of a data set.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// One per item; empty where the file names none of them.
    pub meta: Vec<ItemMeta>,
    pub genres: Vec<String>,
    /// How many items the file names.
    matched: usize,
}

impl Known {
    /// What to tell of the file.
    pub fn note(&self, path: &Path, items: usize) -> String {
        let file = source::file_name(path);
        match self.matched {
            0 => format!("Titles: none of the {items} items is named in {file}"),
            matched => format!("Titles: {matched} of {items} items from {file}"),
        }
    }
}

/// Read the titles and genres of the items in `ids` from `path`.
pub(super) fn read<E>(path: &Path, ids: &Ids, context: &Context<E>) -> Result<Known, ImportError> {
    let probe = Probe::read(path, None)?;
    let layout = Layout::of(&probe)?;
    let (reader, meter) = source::open(path)?;
    let mut records = Records::new(reader, probe.format);
    let mut meta = vec![ItemMeta::default(); ids.len()];
    let mut genres = Genres::default();
    let mut matched = 0;
    let mut header_ahead = probe.has_header;
    for row in 0usize.. {
        let more = records.advance();
        if !more.map_err(|fault| ImportError::at(path, records.number(), meter.gzip, fault))? {
            break;
        }
        if row.is_multiple_of(ROWS_A_LOOK) {
            context.checkpoint()?;
        }
        if std::mem::take(&mut header_ahead) {
            continue;
        }
        let record = records.record();
        let known = layout.id(&record).and_then(|id| find(ids, &text(id)));
        let Some(known) = known else { continue };
        let meta = &mut meta[known as usize];
        matched += usize::from(*meta == ItemMeta::default());
        *meta = layout.meta(&record, &mut genres);
    }
    if matched == 0 {
        return Ok(Known::default());
    }
    Ok(Known { meta, genres: genres.names, matched })
}

/// The item of that id, or of that number: what one file has as 7 another may have as 7.0.
fn find(ids: &Ids, id: &str) -> Option<u32> {
    let whole = || match id.strip_suffix(".0") {
        Some(number) => ids.get(number),
        None if id.bytes().all(|byte| byte.is_ascii_digit()) => ids.get(&format!("{id}.0")),
        None => None,
    };
    ids.get(id).or_else(whole)
}

/// Where an items file keeps what.
enum Layout {
    /// `id::title::genres`; a title may hold `::`.
    MovieLens,
    /// MovieLens 100K: `|` between 24 fields, the last 19 being flags.
    UItem,
    Named {
        id: usize,
        title: Option<usize>,
        genres: Option<usize>,
        separator: char,
    },
}

impl Layout {
    fn of(probe: &Probe) -> Result<Self, ImportError> {
        let columns = &probe.columns;
        if !probe.has_header {
            return Ok(match (probe.format, columns.len()) {
                (Format::MovieLens, _) => Self::MovieLens,
                (Format::Delimited(b'|'), U_ITEM_COLUMNS) => Self::UItem,
                (_, len) => Self::Named {
                    id: 0,
                    title: Some(1),
                    genres: (len > 2).then_some(2),
                    separator: '|',
                },
            });
        }
        let named = |names| {
            let name = by_name(columns, names)?;
            columns.iter().position(|column| column == name)
        };
        let id =
            named(ITEM).or_else(|| named(&["id"])).ok_or_else(|| ImportError::MissingColumn {
                path: probe.path.clone(),
                line: probe.first_line,
                role: super::Role::Item,
                columns: listed(columns),
            })?;
        let genres = named(GENRES);
        // RecBole's sequences are words between blanks.
        let words = genres.is_some_and(|column| columns[column].ends_with(":token_seq"));
        let separator = match genres {
            Some(_) if words => ' ',
            Some(column) => separator(&probe.rows, column),
            None => '|',
        };
        Ok(Self::Named { id, title: named(TITLE), genres, separator })
    }

    fn id<'a>(&self, record: &Record<'a>) -> Option<&'a [u8]> {
        let column = if let Self::Named { id, .. } = self { *id } else { 0 };
        (column < record.len()).then(|| record.get(column))
    }

    fn meta(&self, record: &Record<'_>, genres: &mut Genres) -> ItemMeta {
        let get = |column: usize| (column < record.len()).then(|| text(record.get(column)));
        match *self {
            Self::MovieLens => {
                let last = record.len() - 1;
                let title = (last >= 1).then(|| text(record.between(1, (last - 1).max(1))));
                let listed = if last >= 2 { text(record.get(last)) } else { Cow::Borrowed("") };
                ItemMeta {
                    title: title.and_then(filled),
                    genres: genres.numbers(listed.split('|')),
                }
            }
            Self::UItem => {
                let flags = U_ITEM_GENRES.iter().enumerate().filter(|(flag, _)| {
                    let column = U_ITEM_COLUMNS - U_ITEM_GENRES.len() + flag;
                    get(column).is_some_and(|flag| flag == "1")
                });
                let numbers = genres.numbers(flags.map(|(_, genre)| *genre));
                ItemMeta { title: get(1).and_then(filled), genres: numbers }
            }
            Self::Named { title, genres: column, separator, .. } => {
                let listed = column.and_then(get).unwrap_or_default();
                ItemMeta {
                    title: title.and_then(get).and_then(filled),
                    genres: genres.numbers(listed.split(separator)),
                }
            }
        }
    }
}

/// What separates the genres in `column`: MovieLens' `|`, or else what most of `rows` have.
fn separator(rows: &[Vec<Vec<u8>>], column: usize) -> char {
    let count = |separator: u8| {
        rows.iter().filter(|row| row.get(column).is_some_and(|v| v.contains(&separator))).count()
    };
    let (bars, commas, semicolons) = (count(b'|'), count(b','), count(b';'));
    match () {
        () if bars > 0 || commas + semicolons == 0 => '|',
        () if semicolons > commas => ';',
        () => ',',
    }
}

fn filled(text: Cow<'_, str>) -> Option<String> {
    (!text.is_empty()).then(|| text.into_owned())
}

/// UTF-8, or else Latin-1, which MovieLens 100K and 1M are written in.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Genre names, numbered in the order in which they are first met.
#[derive(Default)]
struct Genres {
    names: Vec<String>,
    numbers: HashMap<String, u16>,
}

impl Genres {
    /// Numbers of the genres listed, each once. Genres beyond the 65,535th are left out.
    fn numbers<'a>(&mut self, listed: impl Iterator<Item = &'a str>) -> Vec<u16> {
        let mut numbers = Vec::new();
        // Lists as Python and JSON write them have brackets and quotes.
        let bare = |name: &'a str| {
            name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '\'' | '"'))
        };
        for name in listed.map(bare).filter(|name| !NO_GENRES.contains(name)) {
            let known = self.numbers.get(name).copied();
            let Some(number) = known.or_else(|| self.add(name)) else {
                continue;
            };
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        numbers
    }

    fn add(&mut self, name: &str) -> Option<u16> {
        let number = u16::try_from(self.names.len()).ok()?;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{Control, detached};

    fn known(file: &str, bytes: &[u8], items: &[&str]) -> Known {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, bytes).unwrap();
        let mut ids = Ids::default();
        for item in items {
            ids.intern(item);
        }
        read(&path, &ids, &detached::<()>(Control::default(), |_, _| ())).unwrap()
    }

    fn titles(known: &Known) -> Vec<&str> {
        known.meta.iter().map(|meta| meta.title.as_deref().unwrap_or("-")).collect()
    }

    fn genres(known: &Known, item: usize) -> Vec<&str> {
        known.meta[item]
            .genres
            .iter()
            .map(|genre| known.genres[usize::from(*genre)].as_str())
            .collect()
    }

    #[test]
    fn movielens_titles_may_be_latin_1_and_hold_colons() {
        let bytes = b"0001::Caf\xE9 (1999)::Drama|Comedy\n0002::A::B::Comedy\n\
            0003::C::\n0004::D\n9::N::War\n";
        let known = known("movies.dat", bytes, &["0002", "0001", "0003", "0004", "1"]);
        assert_eq!(titles(&known), ["A::B", "Café (1999)", "C", "D", "-"]);
        assert_eq!(genres(&known, 1), ["Drama", "Comedy"]);
        assert_eq!(genres(&known, 0), ["Comedy"]);
        assert!(genres(&known, 2).is_empty() && genres(&known, 3).is_empty());
        assert_eq!(known.genres.len(), 2, "genres of items without events are left out");
        assert_eq!(known.matched, 4);
    }

    #[test]
    fn csv_with_quotes_and_no_genres_listed() {
        let bytes =
            b"movieId,title,genres\n1,\"President, The\",Drama|Drama\n2,X,(no genres listed)\n";
        let known = known("movies.csv", bytes, &["1", "2"]);
        assert_eq!(titles(&known), ["President, The", "X"]);
        assert_eq!((genres(&known, 0), genres(&known, 1)), (vec!["Drama"], vec![]));
    }

    #[test]
    fn genres_may_be_between_commas_and_in_lists_and_numbers_may_have_a_point() {
        for genres_of in ["\"Action, Comedy\"", "\"['Action', 'Comedy']\"", "Action|Comedy"] {
            let text = format!("anime_id,name,genre\n1.0,A,{genres_of}\n2.0,B,Comedy\n");
            let known = known("anime.csv", text.as_bytes(), &["1", "2"]);
            assert_eq!(known.matched, 2, "{genres_of}");
            assert_eq!(genres(&known, 0), ["Action", "Comedy"], "{genres_of}");
        }
    }

    #[test]
    fn recbole_genres_are_words() {
        let bytes = b"item_id:token\tmovie_title:token_seq\tclass:token_seq\n\
            7\tToy Story\tAnimation Comedy\n";
        let known = known("ml.item", bytes, &["7"]);
        assert_eq!(titles(&known), ["Toy Story"]);
        assert_eq!(genres(&known, 0), ["Animation", "Comedy"]);
    }

    #[test]
    fn u_item_has_flags() {
        let mut row = b"1|Les Mis\xE9rables (1995)|01-Jan-1995||http://x".to_vec();
        for flag in 0..19 {
            row.extend(if flag == 8 || flag == 15 { b"|1" } else { b"|0" });
        }
        let known = known("u.item", &row, &["1"]);
        assert_eq!(titles(&known), ["Les Misérables (1995)"]);
        assert_eq!(genres(&known, 0), ["Drama", "Sci-Fi"]);
    }

    #[test]
    fn a_file_about_other_items_says_nothing() {
        let known = known("movies.dat", b"1::A::B\n", &["2"]);
        assert!(known.meta.is_empty() && known.genres.is_empty());
        assert!(known.note(Path::new("movies.dat"), 1).contains("none of the 1 items"));
    }
}
