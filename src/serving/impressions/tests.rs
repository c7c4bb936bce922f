use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::serving::telemetry::Observation;
use crate::serving::telemetry::tests::{observation, reasoned};
use crate::serving::wire::{FeedbackAction, ItemId};

const NOON: i64 = 1_795_608_000;

fn log(folder: &Path) -> Vec<Value> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let text: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn click(id: u128) -> FeedbackRequest {
    FeedbackRequest {
        impression_id: Uuid::from_u128(id),
        item: ItemId::Number(3),
        action: FeedbackAction::Click,
    }
}

#[test]
fn lines_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let impressions = Impressions::open(&folder.path().join("a/b")).unwrap();
    impressions.answered(&Arc::new(observation(1, NOON)));
    impressions.answered(&Arc::new(reasoned(2, NOON, Some("timeout"))));
    assert!(impressions.feedback(&click(1), Timestamp::from_second(NOON + 5).unwrap()));
    assert!(!impressions.feedback(&click(99), Timestamp::from_second(NOON + 6).unwrap()));
    assert_eq!(impressions.close(), 4);
    assert_eq!(impressions.close(), 4);

    let lines = log(&folder.path().join("a/b"));
    assert_eq!(
        lines[0],
        json!({
            "event": "answer", "impression_id": "00000000-0000-0000-0000-000000000001",
            "time": "2026-11-25T12:00:00Z", "user_id": "ann",
            "history": {"items": [7, "x"], "times": [0.1, 0.2]},
            "decision": "fast_path", "source": "fast_path", "served": "fast_path",
            "reason": "confident", "trigger": null, "denied_by": null,
            "entropy": 0.25, "conflict": 0.5, "latency_ms": 1.0, "model": "run-1",
            "recommendations": [{"item": 3, "score": 0.75}], "reasoner": null,
        })
    );
    assert_eq!(
        lines[1]["reasoner"],
        json!({
            "kind": "mock", "latency_ms": 799.0, "prompt_tokens": 1000,
            "completion_tokens": 100, "cost": 0.002, "attempts": 1, "invented_items": 2,
            "error": "timeout",
        })
    );
    assert_eq!(
        lines[2],
        json!({
            "event": "feedback", "impression_id": "00000000-0000-0000-0000-000000000001",
            "time": "2026-11-25T12:00:05Z", "item": 3, "action": "click",
            "known_impression": true,
        })
    );
    assert_eq!(lines[3]["known_impression"], json!(false));
    assert_eq!(lines.len(), 4);
}

#[test]
fn writers_at_once_lose_nothing() {
    const THREADS: u128 = 8;
    const EACH: u128 = 2000;
    let folder = tempfile::tempdir().unwrap();
    // Small files and little room, so that files change and writers wait.
    let files = Files::open(folder.path(), 100_000, Timestamp::now());
    let impressions = Impressions::with(files, folder.path(), 300_000).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let impressions = &impressions;
            scope.spawn(move || {
                for turn in 0..EACH {
                    impressions.answered(&Arc::new(observation(thread * EACH + turn, NOON)));
                }
            });
        }
    });
    assert_eq!(impressions.close(), (THREADS * EACH) as u64);
    let status = impressions.status();
    assert_eq!((status.pending, status.lost, status.errors), (0, 0, 0));
    let lines = log(folder.path());
    let mut ids: Vec<u128> = lines
        .iter()
        .map(|line| line["impression_id"].as_str().unwrap().parse::<Uuid>().unwrap().as_u128())
        .collect();
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(0..THREADS * EACH), "each once");
    let sizes = fs::read_dir(folder.path()).unwrap();
    let sizes: Vec<u64> = sizes.map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() > 10 && sizes.iter().all(|size| *size <= 100_000), "{sizes:?}");
}

#[test]
fn dropping_writes_and_late_lines_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let impressions = Impressions::open(folder.path()).unwrap();
    for id in 0..100 {
        impressions.answered(&Arc::new(observation(id, NOON)));
    }
    drop(impressions);
    assert_eq!(log(folder.path()).len(), 100);

    let impressions = Impressions::open(folder.path()).unwrap();
    impressions.close();
    impressions.answered(&Arc::new(observation(1, NOON)));
    let status = impressions.status();
    assert_eq!((status.written, status.lost), (0, 1));
    assert_eq!(log(folder.path()).len(), 100);
}

#[test]
fn a_folder_that_cannot_be_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Impressions::open(&file.join("inner")).map(drop).unwrap_err().to_string();
    assert!(error.contains("name a folder that can be written to"), "{error}");
    assert!(error.contains("inner"), "{error}");
}

/// A disk that is full and stays full: lines are counted as lost, and nothing hangs or crashes.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let impressions = full(folder.path());
    impressions.answered(&Arc::new(observation(1, NOON)));
    while impressions.status().errors == 0 {
        std::thread::yield_now();
    }
    let failing = impressions.status().failing.unwrap();
    assert!(failing.contains("No space left"), "{failing}");
    for id in 2..=50 {
        impressions.answered(&Arc::new(observation(id, NOON)));
    }
    assert_eq!(impressions.close(), 0);
    let status = impressions.status();
    assert_eq!((status.written, status.lost, status.pending), (0, 50, 0));
}

/// A log whose file takes no bytes, and with room for some ten lines to wait.
#[cfg(target_os = "linux")]
fn full(folder: &Path) -> Impressions {
    let mut files = Files::open(folder, files::LIMIT, Timestamp::now()).unwrap();
    files.fill();
    Impressions::with(Ok(files), folder, 5000).unwrap()
}

/// A log that goes on after its disk was full has every line once.
#[cfg(target_os = "linux")]
#[test]
fn what_waited_for_a_full_disk_is_written_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("log");
    let impressions = full(&inner);
    let answers: Vec<Arc<Observation>> = (0..5).map(|id| Arc::new(observation(id, NOON))).collect();
    answers.iter().for_each(|answer| impressions.answered(answer));
    while impressions.status().errors == 0 {
        std::thread::yield_now();
    }
    // The next attempt goes to another file, because this one is gone.
    fs::remove_dir_all(&inner).unwrap();
    assert_eq!(impressions.close(), 5);
    let status = impressions.status();
    assert_eq!((status.lost, status.failing), (0, None));
    assert_eq!(log(&inner).len(), 5);
}
