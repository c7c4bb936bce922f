//! Files as people have them, through the importer's public face.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use deepm3::data::filter::filter;
use deepm3::data::import::{
    Format, ImportError, ImportOptions, Mapping, TimeKind, import, preview, preview_with,
};
use deepm3::data::stats::stats;
use deepm3::data::{Dataset, ItemMeta};
use deepm3::jobs::{Context, Control, detached};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

fn context() -> Context<()> {
    detached(Control::default(), |_, _| ())
}

fn load(path: &Path) -> Result<Dataset, ImportError> {
    import(path, &ImportOptions::default(), &context())
}

fn load_mapped(path: &Path, mapping: &str) -> Result<Dataset, ImportError> {
    let mapping = Some(mapping.parse::<Mapping>().unwrap());
    import(path, &ImportOptions { mapping, ..ImportOptions::default() }, &context())
}

/// A folder with one file in it; the folder lives as long as it is held.
fn file(name: &str, bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn load_text(name: &str, text: impl AsRef<[u8]>) -> Result<Dataset, ImportError> {
    let (_folder, path) = file(name, text);
    load(&path)
}

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Good `::` rows; row `i` is user `i % 50`, item `i % 97`, at 2013-04-03 and `i` minutes.
fn good_rows(rows: usize) -> Vec<String> {
    let time = |i| 1_365_000_000 + 60 * i;
    (0..rows).map(|i| format!("{}::{}::{}::{}", i % 50, i % 97, 1 + i % 5, time(i))).collect()
}

/// Events as (user id, item id, milliseconds), by user.
fn events(data: &Dataset) -> Vec<(&str, &str, i64)> {
    let of = |user: usize| {
        let history = data.history(user);
        let pairs = history.item.iter().zip(history.time);
        pairs.map(move |(item, time)| {
            (data.user_ids[user].as_str(), data.item_ids[*item as usize].as_str(), *time)
        })
    };
    (0..data.users()).flat_map(of).collect()
}

#[track_caller]
fn says(error: &ImportError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn movielens_folder_with_titles() {
    let (folder, _) = file(
        "ratings.dat",
        "1::0074638::8::1365029107\n2::0104257::7::1364690142\n1::0104257::9::1365029000\n",
    );
    let movies = b"0104257::Caf\xE9 (1992)::Drama|War\n0000001::Unseen::Comedy\n";
    std::fs::write(folder.path().join("movies.dat"), movies).unwrap();
    let data = load(folder.path()).unwrap();
    assert_eq!(
        events(&data),
        [
            ("1", "0104257", 1_365_029_000_000),
            ("1", "0074638", 1_365_029_107_000),
            ("2", "0104257", 1_364_690_142_000),
        ]
    );
    assert_eq!(data.rating, [9.0, 8.0, 7.0]);
    assert_eq!(data.genres, ["Drama", "War"]);
    assert_eq!(data.items(), 2, "items without events are left out");
    assert_eq!(data.meta[0], ItemMeta::default());
    assert_eq!(data.item_title(1), "Café (1992)");
    assert_eq!(data.meta[1].genres, [0, 1]);
    assert_eq!(data.name, folder.path().file_name().unwrap().to_str().unwrap());
    assert!(data.report.notes.iter().any(|note| note == "Times: Unix seconds"));
    assert!(data.report.notes.iter().any(|note| note == "Titles: 1 of 2 items from movies.dat"));
}

#[test]
fn csv_tsv_and_recbole_give_the_same_events() {
    let csv = "userId,movieId,rating,timestamp\nu1,7,4.5,1365029107\nu2,8,3.0,1365029108\n";
    let same = [
        load_text("a.csv", csv).unwrap(),
        load_text("a.csv", format!("\u{FEFF}{}", csv.replace('\n', "\r\n"))).unwrap(),
        load_text("a.csv.gz", gzip(csv)).unwrap(),
        load_text("gzip under another name.csv", gzip(csv)).unwrap(),
        load_text("a.txt", csv.replace(',', ";")).unwrap(),
        load_text("a.tsv", csv.replace(',', "\t")).unwrap(),
        load_text("a.csv", csv.replace("u1,7", " \"u1\" , \"7\"")).unwrap(),
        load_text("u.data", "u1\t7\t4.5\t1365029107\nu2\t8\t3.0\t1365029108\n").unwrap(),
        load_text(
            "a.inter",
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\n\
             u1\t7\t4.5\t1365029107.0\nu2\t8\t3.0\t1365029108.0\n",
        )
        .unwrap(),
    ];
    for data in &same {
        assert_eq!(events(data), events(&same[0]), "{}", data.name);
        assert_eq!(data.rating, [4.5, 3.0], "{}", data.name);
        let fingerprint = |data: &Dataset| data.fingerprint(|| Ok(())).unwrap();
        assert_eq!(fingerprint(data), fingerprint(&same[0]));
    }
}

#[test]
fn a_kept_row_is_never_merged_with_its_double() {
    let data = load_text("a.csv", "user,item,time\n1,2,1365029107\n1,2,1365029107\n").unwrap();
    assert_eq!(data.events(), 2);
    let told =
        |data: &Dataset| data.report.notes.iter().any(|note| note.contains("repeat another"));
    assert!(told(&data), "{:?}", data.report.notes);
    let others = "user,item,time\n1,2,1365029107\n1,3,1365029107\n2,2,1365029107\n1,2,1365029108\n";
    assert!(!told(&load_text("a.csv", others).unwrap()));
}

/// Dates alone do not say which of a day's events came first; the order of the rows does.
#[test]
fn a_file_with_the_newest_first_is_the_same_history() {
    let rows: Vec<String> = (0..60)
        .map(|event| format!("u{},i{event},2024-03-{:02}", event % 2, 1 + event / 12))
        .collect();
    let text = |rows: Vec<String>| format!("user,item,date\n{}\n", rows.join("\n"));
    let ascending = load_text("a.csv", text(rows.clone())).unwrap();
    let descending = load_text("a.csv", text(rows.into_iter().rev().collect())).unwrap();
    let of = |data: &Dataset| -> Vec<(String, String, i64)> {
        let mut all: Vec<_> = events(data)
            .into_iter()
            .map(|(user, item, time)| (user.to_owned(), item.to_owned(), time))
            .collect();
        // Users are numbered as they come.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    assert_eq!(of(&ascending), of(&descending));
    let told = |data: &Dataset| data.report.notes.iter().any(|note| note.contains("newest"));
    assert!(!told(&ascending) && told(&descending));
}

#[test]
fn iso_dates_and_milliseconds() {
    for (time, kind) in [
        ("2013-04-03 22:45:07", TimeKind::Iso),
        ("2013-04-03T22:45:07Z", TimeKind::Iso),
        ("1365029107000", TimeKind::Milliseconds),
        ("1365029107000000", TimeKind::Microseconds),
    ] {
        let (_folder, path) = file("log.csv", format!("ts,session_id,artist\n{time},a,b\n"));
        assert_eq!(events(&load(&path).unwrap()), [("a", "b", 1_365_029_107_000)], "{time}");
        assert_eq!(preview(&path).unwrap().time, Some(kind), "{time}");
    }
}

#[test]
fn a_preview_shows_what_would_be_read() {
    let (_folder, path) = file("log.csv", "who,what,when\nann,\"a, b\",2013-04-01\n");
    let seen = preview(&path).unwrap();
    assert_eq!((seen.format, seen.has_header), (Format::Delimited(b','), true));
    assert_eq!(seen.columns, ["who", "what", "when"]);
    assert_eq!(seen.rows, [["ann", "a, b", "2013-04-01"]]);
    assert_eq!((seen.mapping, seen.time), (Mapping::default(), None));
    assert!(seen.problem.unwrap().contains("no column was found for the user"));

    let mapping: Mapping = "user=who,item=WHAT,time=#3".parse().unwrap();
    let options = ImportOptions { mapping: Some(mapping), ..ImportOptions::default() };
    let seen = preview_with(&path, &options).unwrap();
    assert_eq!((seen.time, seen.problem), (Some(TimeKind::Iso), None));
    let data = import(&path, &options, &context()).unwrap();
    assert_eq!(events(&data), [("ann", "a, b", 1_364_774_400_000)]);
}

#[test]
fn a_partial_mapping_leaves_the_rest_to_the_guess() {
    let (_folder, path) = file("a.csv", "user,item,time,seen\n1,2,5,2013-04-01\n");
    says(&load(&path).unwrap_err(), &["line 2", "`time` does not hold times", "--columns"]);
    assert_eq!(events(&load_mapped(&path, "time=seen").unwrap()), [("1", "2", 1_364_774_400_000)]);
}

#[test]
fn missing_and_wrong_columns_name_those_there_are() {
    let (_folder, path) = file("a.csv", "user,item,stars\n1,2,5\n");
    let error = load(&path).unwrap_err();
    says(&error, &["a.csv: line 1", "for the time", "user, item, stars", "--columns user=NAME"]);
    says(&load_mapped(&path, "time=tme").unwrap_err(), &["no column `tme`", "user, item, stars"]);
    says(&load_mapped(&path, "time=user").unwrap_err(), &["`user`", "both the user and the time"]);
    let five = load_text("a.csv", "1,2,3,1365029107,9\n").unwrap_err();
    says(&five, &["for the user", "#1, #2, #3, #4, #5"]);
}

#[test]
fn relative_times_are_refused_with_what_to_do() {
    let error = load_text("a.csv", "user,item,time\n1,2,0\n1,3,17\n1,4,10000\n").unwrap_err();
    says(&error, &["line 2", "too small for Unix times", "add a start"]);
}

#[test]
fn a_few_bad_rows_are_skipped_and_shown() {
    let mut rows = good_rows(2000);
    rows[10] = "1::2::5::yesterday".into();
    rows[500] = "1::2::5::-1365000000".into();
    rows[501] = "1::2::5".into();
    rows[502] = "::2::5::1365000000".into();
    rows[503] = "1::2::five::1365000000".into();
    rows[504] = "1::2::5::99999999999999".into();
    let mut bytes = rows.join("\n").into_bytes();
    bytes.extend(b"\n\xFF::2::5::1365000000\n1::2::5::13");
    let data = load_text("ratings.dat", bytes).unwrap();
    // The last row, broken off, has a time that is too small to be one.
    assert_eq!((data.report.rows, data.report.skipped, data.events()), (2002, 8, 1994));
    let examples: Vec<(u64, &str)> =
        data.report.examples.iter().map(|(line, why)| (*line, why.as_str())).collect();
    assert_eq!(
        examples,
        [
            (11, "the time `yesterday` is not a number"),
            (501, "the time `-1365000000` is not between 1970 and a year from now"),
            (502, "3 fields instead of 4"),
            (503, "the user is empty"),
            (504, "the rating `five` is not a number"),
        ]
    );
    assert!(!data.user_ids.iter().any(String::is_empty));
}

#[test]
fn bad_rows_beyond_one_per_cent_are_refused() {
    let mut rows = good_rows(1000);
    for row in rows.iter_mut().rev().take(10) {
        *row = "x".into();
    }
    assert_eq!(load_text("ratings.dat", rows.join("\n")).unwrap().report.skipped, 10);
    rows[300] = "1::2::3::soon".into();
    let error = load_text("ratings.dat", rows.join("\n")).unwrap_err();
    says(&error, &["11 of the 1000 rows", "line 301", "`soon` is not a number", "1 %"]);
}

/// Rows that are read from the disk already may make up for bad ones as well.
#[test]
fn bad_rows_below_one_per_cent_are_skipped_wherever_they_stand() {
    for first in [1_000, 16_000, 29_000] {
        let mut rows = good_rows(30_000);
        rows[first..first + 250].fill("1::2::5::yesterday".into());
        let data = load_text("ratings.dat", rows.join("\n")).unwrap();
        assert_eq!((data.report.rows, data.report.skipped), (30_000, 250), "{first}");
    }
}

#[test]
fn times_in_two_units_are_refused() {
    let mut text = String::from("user,item,time\n");
    for row in 0..200u64 {
        let unit = if row % 2 == 0 { 1 } else { 1000 };
        text.push_str(&format!("{},{},{}\n", row / 10, row % 10, (1_600_000_000 + row) * unit));
    }
    let error = load_text("a.csv", text).unwrap_err();
    says(&error, &["too small for Unix milliseconds", "100 of the 200 rows"]);
}

#[test]
fn a_file_of_mostly_bad_rows_is_refused_early() {
    let mut text = good_rows(20).join("\n");
    for _ in 0..500_000 {
        text.push_str("\n1::2::3::x");
    }
    let error = load_text("ratings.dat", text).unwrap_err();
    says(&error, &["rows read are bad", "line 21"]);
    assert!(matches!(error, ImportError::TooManyBadRows { rows: 100, .. }));
}

#[test]
fn a_lost_cause_is_given_up_before_its_end() {
    let mut text = good_rows(20_000).join("\n");
    for _ in 0..200_000 {
        text.push_str("\n1::2::3::x");
    }
    let error = load_text("ratings.dat", text).unwrap_err();
    assert!(matches!(error, ImportError::TooManyBadRows { rows, .. } if rows < 100_000), "{error}");
}

#[test]
fn empty_header_only_and_binary_files() {
    says(&load_text("a.csv", "").unwrap_err(), &["the file is empty"]);
    says(&load_text("a.csv", "\n \n").unwrap_err(), &["the file is empty"]);
    says(&load_text("a.csv", "user,item,time\n").unwrap_err(), &["nothing below it"]);
    says(&load_text("a.csv", "just\nwords\n").unwrap_err(), &["line 1", "one field only"]);
    says(&load_text("a.csv", b"PK\x03\x04\0\0").unwrap_err(), &["line 1", "zip or Excel"]);
    let utf16: Vec<u8> = "\u{FEFF}user,item\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    says(&load_text("a.csv", utf16).unwrap_err(), &["UTF-16"]);
    let mut damaged = good_rows(5000).join("\n").into_bytes();
    damaged.extend(b"\n1::2::\0\0\n");
    says(&load_text("ratings.dat", damaged).unwrap_err(), &["line 5001", "NUL"]);
    let noise: Vec<u8> = (1u32..400_000).map(|i| (i.wrapping_mul(i) >> 7) as u8 | 1).collect();
    assert!(load_text("noise.csv", noise).is_err());
}

#[test]
fn nothing_there() {
    let folder = tempfile::tempdir().unwrap();
    says(&load(folder.path()).unwrap_err(), &["no interactions in this folder", "ratings.dat"]);
    let missing = folder.path().join("none.csv");
    says(&load(&missing).unwrap_err(), &["none.csv cannot be opened", "check that it is there"]);
}

#[test]
fn a_truncated_gzip_says_so_with_its_line() {
    let whole = gzip(good_rows(20_000).join("\n"));
    let error = load_text("ratings.dat.gz", &whole[..whole.len() * 3 / 4]).unwrap_err();
    says(&error, &["ratings.dat.gz", "gzip data break off", "download"]);
    assert!(matches!(error, ImportError::DamagedGzip { line, .. } if line > 1000));
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 200].fill(0);
    assert!(load_text("ratings.dat.gz", flipped).is_err());
}

#[test]
fn an_endless_line_fails_fast() {
    // Two gigabytes of zeros would be told by their NULs, so this is text, and compresses well.
    let mut text = b"user,item,time\n1,2,1365029107\n".to_vec();
    text.resize(64 << 20, b'x');
    let started = Instant::now();
    let error = load_text("a.csv.gz", gzip(&text)).unwrap_err();
    says(&error, &["line 3 is longer than 1 MiB"]);
    assert!(matches!(error, ImportError::LineTooLong { line: 3, .. }));
    assert!(started.elapsed().as_secs() < 60);
}

#[test]
fn a_quote_left_open_is_text_above_rows_and_told_where_it_opens_above_anything_else() {
    let text = |line: &dyn Fn(usize) -> String| {
        let mut text = "user,item,time\n1,2,1365029107\n1,\"2,1365029107\n".to_owned();
        (0..200_000).for_each(|i| writeln!(text, "{}", line(i)).unwrap());
        text
    };
    let data = load_text("a.csv", text(&|i| format!("{i},2,1365029107"))).unwrap();
    assert_eq!((data.report.rows, data.report.skipped), (200_002, 0));
    assert!(data.item_ids.iter().any(|id| id == "\"2"), "{:?}", data.item_ids);
    let error = load_text("a.csv", text(&|i| format!("words {i}"))).unwrap_err();
    says(&error, &["a quote opens on line 3"]);
}

#[test]
fn titles_that_cannot_be_read_do_not_stop_the_import() {
    let (folder, path) = file("ratings.csv", "user,item,time\n1,2,1365029107\n");
    let movies = folder.path().join("movies.csv");
    std::fs::write(&movies, "\0\0\0").unwrap();
    let data = load(&path).unwrap();
    assert!(data.report.notes.iter().any(|note| note.starts_with("Titles are left out")));
    let options = ImportOptions { items_path: Some(movies), ..ImportOptions::default() };
    assert!(matches!(import(&path, &options, &context()), Err(ImportError::NotText { .. })));
}

#[test]
fn cancel_is_heard() {
    let (_folder, path) = file("ratings.dat", good_rows(200_000).join("\n"));
    let control = Control::default();
    control.cancel();
    let context = detached::<()>(control, |_, _| ());
    let result = import(&path, &ImportOptions::default(), &context);
    assert!(matches!(result, Err(ImportError::Cancelled(_))));
}

#[test]
fn movietweetings_is_what_others_count_in_it() {
    let shared = std::env::var_os("DEEPM3_SHARED_DATA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = shared.unwrap_or_else(beside).join("movietweetings-100k");
    if !folder.exists() {
        println!("not run: {} is not there; set DEEPM3_SHARED_DATA", folder.display());
        return;
    }
    let data = load(&folder).unwrap();
    assert_eq!((data.events(), data.users(), data.items()), (100_000, 16_554, 10_506));
    assert_eq!(data.report.skipped, 0);
    assert!(data.meta.iter().all(|meta| meta.title.is_some()));

    // Counted apart from this code, over the 76,162 gaps of users with five events or more.
    let stats = stats(&filter(&data, 5, 0, false, || Ok(())).unwrap());
    let gaps = stats.gaps.unwrap();
    assert_eq!((gaps.median, gaps.p10), (159_556.0, 34.0));
    assert!((gaps.p99 / 86_400.0 - 69.017).abs() < 1e-3, "{gaps:?}");
    assert!((gaps.zero_share - 2.0 / 76_162.0).abs() < 1e-12, "{gaps:?}");
}
