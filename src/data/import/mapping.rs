//! Which column is what: guessed by name or position, or as a person says.

use std::fmt;
use std::str::FromStr;

use super::ImportError;
use super::names::{ITEM, RATING, TIME, USER, by_name, without_type};
use super::probe::Probe;
use super::rows::{most_bad, rating};
use super::time::iso;

/// What a column can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    User,
    Item,
    Time,
    Rating,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Item => "item",
            Self::Time => "time",
            Self::Rating => "rating",
        })
    }
}

/// Columns by name (any case) or position (`#1` is the first).
///
/// An empty `user`, `item` or `time` is guessed by the importer; without `rating` no ratings are
/// read. Reads from text such as `user=visitorid,item=itemid,time=#1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    pub user: String,
    pub item: String,
    pub time: String,
    pub rating: Option<String>,
}

/// The text that [`Mapping::from_str`] reads.
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rating = self.rating.as_deref().unwrap_or_default();
        let parts = [
            (Role::User, self.user.as_str()),
            (Role::Item, self.item.as_str()),
            (Role::Time, self.time.as_str()),
            (Role::Rating, rating),
        ];
        let mut separator = "";
        for (role, name) in parts.into_iter().filter(|(_, name)| !name.is_empty()) {
            write!(f, "{separator}{role}={name}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// Text that is no [`Mapping`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not map a column; write user=NAME,item=NAME,time=NAME[,rating=NAME]")]
pub struct MappingError(String);

impl FromStr for Mapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        let mut mapping = Self::default();
        for part in text.split(',') {
            let wrong = || MappingError(part.trim().to_owned());
            let (role, name) = part.split_once('=').ok_or_else(wrong)?;
            let name = name.trim().to_owned();
            if name.is_empty() {
                return Err(wrong());
            }
            match role.trim() {
                "user" => mapping.user = name,
                "item" => mapping.item = name,
                "time" => mapping.time = name,
                "rating" => mapping.rating = Some(name),
                _ => return Err(wrong()),
            }
        }
        Ok(mapping)
    }
}

/// Column numbers, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    pub user: usize,
    pub item: usize,
    pub time: usize,
    pub rating: Option<usize>,
}

/// What the columns are by name, or by position where there are no names; unknown ones are empty.
/// Ratings that are no numbers in more of `rows` than may be bad are none.
pub(super) fn guess(columns: &[String], has_header: bool, rows: &[Vec<Vec<u8>>]) -> Mapping {
    let mapping = match (has_header, columns.len()) {
        (true, _) => {
            let named = |names| by_name(columns, names).map(str::to_owned);
            Mapping {
                user: named(USER).unwrap_or_default(),
                item: named(ITEM).unwrap_or_default(),
                time: named(TIME).unwrap_or_default(),
                rating: named(RATING),
            }
        }
        (false, count @ 3..=4) => {
            // Last, or wherever the only dates are.
            let dates = |column: &usize| {
                let written =
                    |row: &&Vec<Vec<u8>>| row.get(*column).is_some_and(|v| iso(v).is_some());
                !rows.is_empty() && 2 * rows.iter().filter(written).count() > rows.len()
            };
            let mut dated = (0..count).filter(dates);
            let time = match (dated.next(), dated.next()) {
                (Some(only), None) => only,
                _ => count - 1,
            };
            let mut others = (0..count).filter(|column| *column != time);
            let mut next = || others.next().map(|column| format!("#{}", column + 1));
            let (user, item) = (next().unwrap_or_default(), next().unwrap_or_default());
            Mapping { user, item, time: format!("#{}", time + 1), rating: next() }
        }
        (false, _) => Mapping::default(),
    };
    let rating = mapping.rating.filter(|name| {
        let column = find(columns, name).unwrap_or(usize::MAX);
        let bad = |row: &&Vec<Vec<u8>>| row.get(column).is_some_and(|v| rating(v).is_none());
        rows.iter().filter(bad).count() as u64 <= most_bad(rows.len() as u64)
    });
    Mapping { rating, ..mapping }
}

/// `columns` for people: not all of hundreds, and none in full that is long.
pub(super) fn listed(columns: &[String]) -> String {
    const SHOWN: usize = 20;
    const CHARS: usize = 40;
    let clipped = columns.iter().take(SHOWN).map(|name| match name.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.clone(),
    });
    let mut text = clipped.collect::<Vec<_>>().join(", ");
    if columns.len() > SHOWN {
        text.push_str(&format!(" and {} more", columns.len() - SHOWN));
    }
    text
}

/// Column numbers for a mapping.
///
/// # Errors
/// A column that is not there, could not be guessed, or is taken for two things.
pub(super) fn resolve(mapping: &Mapping, probe: &Probe) -> Result<Roles, ImportError> {
    let guessed = probe.guess();
    let column = |role: Role, given: &str, guessed: &str| {
        let (path, line) = (probe.path.clone(), probe.first_line);
        let columns = listed(&probe.columns);
        match if given.trim().is_empty() { guessed } else { given.trim() } {
            "" => Err(ImportError::MissingColumn { path, line, role, columns }),
            name => find(&probe.columns, name).ok_or_else(|| {
                let name = name.to_owned();
                ImportError::UnknownColumn { path, line, role, name, columns }
            }),
        }
    };
    let rating = mapping.rating.as_deref();
    let roles = Roles {
        user: column(Role::User, &mapping.user, &guessed.user)?,
        item: column(Role::Item, &mapping.item, &guessed.item)?,
        time: column(Role::Time, &mapping.time, &guessed.time)?,
        rating: rating.map(|name| column(Role::Rating, name, "")).transpose()?,
    };
    let mut taken =
        vec![(Role::User, roles.user), (Role::Item, roles.item), (Role::Time, roles.time)];
    taken.extend(roles.rating.map(|column| (Role::Rating, column)));
    for (place, &(second, column)) in taken.iter().enumerate() {
        if let Some(&(first, _)) = taken[..place].iter().find(|(_, other)| *other == column) {
            let (path, line) = (probe.path.clone(), probe.first_line);
            let name = probe.columns[column].clone();
            return Err(ImportError::SameColumn { path, line, name, first, second });
        }
    }
    Ok(roles)
}

/// The column of that exact name, else of that name in another case, else at that position.
fn find(columns: &[String], name: &str) -> Option<usize> {
    let exactly = columns.iter().position(|column| column == name);
    let alike = || {
        let alike = |column: &str| column.eq_ignore_ascii_case(name);
        columns.iter().position(|column| alike(column) || alike(without_type(column)))
    };
    let numbered = || {
        let number: usize = name.strip_prefix('#')?.parse().ok()?;
        number.checked_sub(1).filter(|column| *column < columns.len())
    };
    exactly.or_else(alike).or_else(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_guessed_by_name() {
        let is = |names: &str, user: &str, item: &str, time: &str, rating: Option<&str>| {
            let mapping = guess(&columns(names), true, &[]);
            let rating = rating.map(str::to_owned);
            let (user, item, time) = (user.to_owned(), item.to_owned(), time.to_owned());
            assert_eq!(mapping, Mapping { user, item, time, rating }, "{names}");
        };
        is("userId movieId rating timestamp", "userId", "movieId", "timestamp", Some("rating"));
        is("timestamp visitorid event itemid", "visitorid", "itemid", "timestamp", None);
        is(
            "user_id:token item_id:token timestamp:float",
            "user_id:token",
            "item_id:token",
            "timestamp:float",
            None,
        );
        is(
            "reviewerID asin overall unixReviewTime",
            "reviewerID",
            "asin",
            "unixReviewTime",
            Some("overall"),
        );
        is(
            "event_time product_id price user_id user_session",
            "user_id",
            "product_id",
            "event_time",
            None,
        );
        is("session_id Artist Created-At", "session_id", "Artist", "Created-At", None);
        is("a b c", "", "", "", None);
        // Ids before the names that people read.
        is("user user_id item item_id timestamp", "user_id", "item_id", "timestamp", None);
        is("user_id movie movie_id timestamp", "user_id", "movie_id", "timestamp", None);
        is("userName content score at", "userName", "", "", Some("score"));
    }

    #[test]
    fn columns_without_names_go_by_position() {
        assert_eq!(guess(&columns("#1 #2 #3"), false, &[]).time, "#3");
        let four = guess(&columns("#1 #2 #3 #4"), false, &[]);
        assert_eq!((four.time.as_str(), four.rating.as_deref()), ("#4", Some("#3")));
        assert_eq!(guess(&columns("#1 #2 #3 #4 #5"), false, &[]), Mapping::default());
        let guessed = |line: &str| {
            let row: Vec<Vec<u8>> =
                line.split(',').map(|field| field.as_bytes().to_vec()).collect();
            let columns: Vec<String> = (1..=row.len()).map(|at| format!("#{at}")).collect();
            guess(&columns, false, &[row.clone(), row.clone(), row]).to_string()
        };
        // Dates are no items, wherever they stand.
        assert_eq!(guessed("1,2014-04-07T10:51:09.277Z,214536502"), "user=#1,item=#3,time=#2");
        assert_eq!(guessed("2014-04-07 10:51:09,1,2"), "user=#2,item=#3,time=#1");
        assert_eq!(guessed("1,2,4.5,2014-04-07"), "user=#1,item=#2,time=#4,rating=#3");
        // What is no rating is none.
        assert_eq!(guessed("1,2,view,1400000000"), "user=#1,item=#2,time=#4");
    }

    #[test]
    fn many_columns_are_listed_shortly() {
        let many: Vec<String> = (0..100_000).map(|at| format!("{at}{}", "x".repeat(100))).collect();
        assert!(listed(&many).len() < 1100 && listed(&many).ends_with("and 99980 more"));
        assert_eq!(listed(&columns("a b")), "a, b");
    }

    #[test]
    fn names_positions_and_types() {
        let columns = columns("User item_id:token #2");
        assert_eq!(find(&columns, "user"), Some(0));
        assert_eq!(find(&columns, "ITEM_ID"), Some(1));
        assert_eq!(find(&columns, "#3"), Some(2));
        assert_eq!(find(&columns, "#2"), Some(2), "a column of that very name");
        assert_eq!(find(&columns, "#0"), None);
        assert_eq!(find(&columns, "#4"), None);
    }

    #[test]
    fn mappings_are_read_from_text() {
        let mapping: Mapping = "user=a, time=#4,rating=r".parse().unwrap();
        assert_eq!((mapping.user.as_str(), mapping.item.as_str()), ("a", ""));
        assert_eq!((mapping.time.as_str(), mapping.rating.as_deref()), ("#4", Some("r")));
        assert_eq!(mapping.to_string(), "user=a,time=#4,rating=r");
        for wrong in ["", "user", "user=", "who=a"] {
            assert!(wrong.parse::<Mapping>().is_err(), "{wrong}");
        }
    }
}
