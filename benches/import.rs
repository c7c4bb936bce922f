//! Rows a second of the importers, on generated files of 200,000 rows.

use std::fmt::Write as _;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use deepm3::data::import::{ImportOptions, import};
use deepm3::jobs::{Control, detached};

const ROWS: u64 = 200_000;

/// Rows in the order of their users, as public sets have them; `text` writes one.
fn rows(header: &str, text: impl Fn(&mut String, u64, u64, u64)) -> String {
    let mut file = header.to_owned();
    for row in 0..ROWS {
        // A fixed multiplier scatters the items without a random number generator.
        let item = row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50;
        text(&mut file, row / 150, item, 978_300_000 + 37 * row);
    }
    file
}

fn import_rows(criterion: &mut Criterion) {
    let write = |file: &mut String, line: std::fmt::Arguments<'_>| {
        file.write_fmt(line).expect("writing to a string does not fail");
    };
    let files = [
        (
            "double colons",
            rows("", |file, user, item, time| {
                write(file, format_args!("{user}::{item}::4::{time}\n"));
            }),
        ),
        (
            "csv",
            rows("userId,movieId,rating,timestamp\n", |file, user, item, time| {
                write(file, format_args!("{user},{item},3.5,{time}\n"));
            }),
        ),
        (
            "csv with quotes and text ids",
            rows("user,item,time\n", |file, user, item, time| {
                write(file, format_args!("\"U{user:09}\",\"B{item:09}\",{time}\n"));
            }),
        ),
        (
            "iso dates",
            rows("user\titem\ttime\n", |file, user, item, time| {
                let (day, second) = (1 + time % 28, time % 60);
                write(file, format_args!("{user}\t{item}\t2013-04-{day:02} 12:30:{second:02}\n"));
            }),
        ),
    ];
    let mut group = criterion.benchmark_group("import");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10);
    for (name, text) in files {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("space for a temporary file");
        let context = detached::<()>(Control::default(), |_, _| ());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                import(file.path(), &ImportOptions::default(), &context).expect("a good file")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, import_rows);
criterion_main!(benches);
