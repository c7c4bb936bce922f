//! Files that are not what they should be, archives, and what is recorded of them.

use std::io::{Cursor, Write};

use deepm3::data::catalog::{ColumnNames, Member, Source};
use deepm3::data::download::{DownloadError, Manifest, verify};
use deepm3::data::import::{ImportOptions, import};
use deepm3::jobs::{Control, detached};

use crate::desk::{Desk, body, entry, known, sha256, unknown};
use crate::server::{Reply, Server};

#[test]
fn a_flipped_byte_is_found_and_nothing_is_left() {
    let body = body();
    let mut sent = body.clone();
    sent[1_234_567] ^= 1;
    let server = Server::start(move |_| Reply::ok(&sent, "\"a\""));
    let desk = Desk::new();
    let error = desk.get(&entry(vec![known(server.url("/f"), &body)])).unwrap_err();
    match &error {
        DownloadError::WrongChecksum { expected, got, .. } => {
            assert_eq!(*expected, sha256(&body));
            assert_ne!(expected, got);
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("Try again"), "{error}");
    assert!(desk.is_clean());
}

#[test]
fn a_file_of_another_size_is_refused_before_it_is_downloaded() {
    let server = Server::start(|_| Reply::ok(&[0; 1000], "\"a\""));
    let desk = Desk::new();
    let error = desk.get(&entry(vec![known(server.url("/f"), &[0; 900])])).unwrap_err();
    assert!(matches!(error, DownloadError::WrongSize { expected: 900, got: 1000, .. }), "{error}");
    assert!(desk.is_clean());
}

#[test]
fn a_body_without_end_is_cut_off() {
    let server = Server::start(|_| Reply::new("200 OK", &[], &[0; 100_000]));
    let desk = Desk::new();
    let error = desk.get(&entry(vec![known(server.url("/f"), &[0; 900])])).unwrap_err();
    assert!(matches!(error, DownloadError::WrongSize { expected: 900, .. }), "{error}");
    assert!(desk.is_clean());
}

#[test]
fn a_login_page_is_not_taken_for_data() {
    let page = ["content-type: text/html; charset=utf-8".to_owned()];
    let server = Server::start(move |_| Reply::new("200 OK", &page, b"<html>log in</html>"));
    let desk = Desk::new();
    let error = desk.get(&entry(vec![unknown(server.url("/f"))])).unwrap_err();
    assert!(matches!(error, DownloadError::WebPage { .. }), "{error}");
    assert!(desk.is_clean());
}

#[test]
fn the_first_checksum_is_recorded_and_later_loads_are_held_to_it() {
    let server = Server::start(|_| Reply::ok(b"1::1::1::1", "\"a\""));
    let desk = Desk::new();
    let entry = entry(vec![unknown(server.url("/f"))]);
    let folder = desk.get(&entry).unwrap();
    let manifest = Manifest::read(&folder).unwrap();
    assert_eq!(manifest.files[0].sha256, sha256(b"1::1::1::1"));

    let context = detached::<()>(Control::default(), |_, _| {});
    verify(&entry, desk.path(), &context).unwrap();
    std::fs::write(folder.join("ratings.dat"), b"1::1::1::2").unwrap();
    let error = verify(&entry, desk.path(), &context).unwrap_err();
    assert!(matches!(error, DownloadError::Damaged { .. }), "{error}");

    std::fs::write(folder.join("ratings.dat"), b"1::1").unwrap();
    assert!(!entry.is_downloaded(desk.path()), "a file of another size counts as there");
    desk.get(&entry).unwrap();
    assert_eq!(desk.file("ratings.dat"), b"1::1::1::1");
}

#[test]
fn a_gzipped_table_without_header_is_kept_as_it_is_and_imported_by_its_mapping() {
    let rows = "7\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22847\n\
                7\t2010-10-18T22:17:43Z\t30.2\t-97.7\t420315\n\
                9\t2010-10-17T23:42:03Z\t30.2\t-97.7\t22847\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(rows.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let sent = packed.clone();
    let server = Server::start(move |_| Reply::ok(&sent, "\"a\""));
    let desk = Desk::new();
    let source = Source { save_as: "checkins.tsv.gz".to_owned(), ..unknown(server.url("/c.gz")) };
    let mut entry = entry(vec![source]);
    let column = str::to_owned;
    entry.columns = Some(ColumnNames {
        user: column("#1"),
        time: column("#2"),
        item: column("#5"),
        rating: None,
    });
    let folder = desk.get(&entry).unwrap();
    assert_eq!(desk.file("checkins.tsv.gz"), packed);

    let options = ImportOptions { mapping: entry.mapping(), ..ImportOptions::default() };
    let context = detached::<()>(Control::default(), |_, _| {});
    let data = import(&folder, &options, &context).unwrap();
    assert_eq!((data.users(), data.items(), data.events()), (2, 2, 3));
    assert_eq!(data.item_ids[data.history(0).item[0] as usize], "420315");
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A zip of which `toy/ratings.dat`, at most `max_bytes` long, is kept.
fn zipped(url: String, archive: &[u8], max_bytes: u64) -> Source {
    let path = "toy/ratings.dat".to_owned();
    let member = Member { path, save_as: "ratings.dat".to_owned(), max_bytes };
    Source { save_as: "toy.zip".to_owned(), members: vec![member], ..known(url, archive) }
}

#[test]
fn of_a_zip_only_the_named_members_are_kept() {
    let archive = zip(&[("toy/ratings.dat", b"1::1::1::1"), ("toy/readme", b"hello")]);
    let sent = archive.clone();
    let server = Server::start(move |_| Reply::ok(&sent, "\"a\""));
    let desk = Desk::new();
    let entry = entry(vec![zipped(server.url("/toy.zip"), &archive, 1000)]);
    // Left by an earlier try under an older catalogue.
    std::fs::create_dir_all(desk.path().join("toy.part/.files")).unwrap();
    std::fs::write(desk.path().join("toy.part/.files/old.dat"), b"x").unwrap();
    let folder = desk.get(&entry).unwrap();
    assert_eq!(desk.file("ratings.dat"), b"1::1::1::1");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|found| found.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["checksums.toml", "ratings.dat"]);
    assert!(entry.is_downloaded(desk.path()));
}

#[test]
fn a_zip_with_a_member_that_leads_outside_is_refused() {
    let archive = zip(&[("toy/ratings.dat", b"1::1::1::1"), ("../evil", b"gotcha")]);
    let sent = archive.clone();
    let server = Server::start(move |_| Reply::ok(&sent, "\"a\""));
    let desk = Desk::new();
    let entry = entry(vec![zipped(server.url("/toy.zip"), &archive, 1000)]);
    let error = desk.get(&entry).unwrap_err();
    assert!(
        matches!(&error, DownloadError::UnsafeMember { member, .. } if member == "../evil"),
        "{error}"
    );
    assert!(!desk.path().join("evil").exists() && !desk.path().join("toy.part/evil").exists());
    assert!(!desk.path().join("toy").exists());
}

#[test]
fn a_member_that_unpacks_past_its_limit_is_refused() {
    let archive = zip(&[("toy/ratings.dat", &[0; 10_000_000])]);
    assert!(archive.len() < 100_000, "not much of a bomb");
    let sent = archive.clone();
    let server = Server::start(move |_| Reply::ok(&sent, "\"a\""));
    let desk = Desk::new();
    let entry = entry(vec![zipped(server.url("/toy.zip"), &archive, 1_000_000)]);
    let error = desk.get(&entry).unwrap_err();
    assert!(matches!(error, DownloadError::MemberTooLarge { .. }), "{error}");
    assert!(!desk.path().join("toy").exists());
}

#[test]
fn a_missing_member_and_a_broken_zip_say_so() {
    for archive in [zip(&[("other", b"x")]), b"PK no zip at all".to_vec()] {
        let sent = archive.clone();
        let server = Server::start(move |_| Reply::ok(&sent, "\"a\""));
        let desk = Desk::new();
        let entry = entry(vec![zipped(server.url("/toy.zip"), &archive, 1000)]);
        let error = desk.get(&entry).unwrap_err();
        assert!(matches!(error, DownloadError::Archive { .. }), "{error}");
        assert!(!desk.path().join("toy").exists());
    }
}
