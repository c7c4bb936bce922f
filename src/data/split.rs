//! Evaluation protocols: what a model may train on, and which held-out events it is asked for.
//!
//! | protocol | training | validation | test |
//! |---|---|---|---|
//! | `readme` | first 80 % of users by id, last `max_len` events each, less a tenth of those users | the tenth: last event of each | the other 20 % of users: last event of each |
//! | `leave-one-out` | all events but the last two of each user | last but one | last |
//! | `temporal` | events before the 80 % point in time | each user's first event in the next 10 % | each user's first event in the last 10 % |
//!
//! `readme` is DeepM3's own; `data.whole_histories` makes it train on all events of the training users.
//!
//! Every history is a run of one user's events, so sequences are ranges into the [`Dataset`] and
//! nothing is copied.
//!
//! Under `temporal` alone, training ends before the requests come, to a world that has moved on: see
//! [`Split::moves_on`] for what training makes of it.

use crate::settings::{Protocol, Targets};

use super::Dataset;

/// Events `start..end` (indices into [`Dataset::item`]) of one user: a training sequence, whose
/// inputs are all but the last event and whose targets are all but the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    pub start: usize,
    pub end: usize,
}

/// Which item comes at `target`, given the events `start..target` of `user`?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    pub user: usize,
    /// First event of the history that the model sees.
    pub start: usize,
    /// The event asked for; the history is `start..target`, never empty.
    pub target: usize,
}

/// A dataset cut under a protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    pub protocol: Protocol,
    /// Longest history that a model sees, L.
    pub input_len: usize,
    pub train: Vec<Sequence>,
    pub valid: Vec<Query>,
    pub test: Vec<Query>,
    /// Milliseconds that the validation events last, and the world moves on, after training has ended; 0
    /// where training never ends before requests come. Item dynamics are trained as of so much earlier,
    /// half of the time.
    pub moves_on: i64,
    /// Ranges of events that counting baselines may use: all training events, whole histories
    /// included. Never an event that is a validation or test target, nor one after it.
    pub counted: Vec<Sequence>,
}

/// The data cannot be cut under this protocol.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SplitError {
    #[error(
        "`{protocol}` leaves {train} training sequences, {valid} validation and {test} test users; \
         each must be at least 1: {hint}"
    )]
    TooLittle {
        protocol: &'static str,
        train: usize,
        valid: usize,
        test: usize,
        hint: &'static str,
    },
}

/// Cut `data` under `protocol`; histories hold at most `max_len` events.
///
/// # Errors
/// [`SplitError::TooLittle`] where a part would be empty.
pub fn split(
    data: &Dataset,
    protocol: Protocol,
    max_len: usize,
    targets: Targets,
) -> Result<Split, SplitError> {
    let split = match protocol {
        Protocol::Readme => readme(data, max_len, targets),
        Protocol::LeaveOneOut => leave_one_out(data, max_len, targets),
        Protocol::Temporal => temporal(data, max_len, targets),
    };
    if split.train.is_empty() || split.valid.is_empty() || split.test.is_empty() {
        return Err(SplitError::TooLittle {
            protocol: protocol.word(),
            train: split.train.len(),
            valid: split.valid.len(),
            test: split.test.len(),
            hint: hint(data),
        });
    }
    Ok(split)
}

/// What to do about data that cannot be cut.
fn hint(data: &Dataset) -> &'static str {
    let longest = (0..data.users()).map(|user| data.history(user).len()).max().unwrap_or(0);
    match longest {
        0 => "the filters keep no event; lower data.min_user_events and data.min_item_events",
        1 | 2 => {
            "no user has three events; map the column that names users, or use data with longer histories"
        }
        _ if data.time.iter().all(|time| *time == data.time[0]) => {
            "all events are at the same moment; map the column that holds their times, or use \
             evaluation.protocol=leave-one-out, which needs only their order"
        }
        _ => "lower data.min_user_events, or use more data",
    }
}

/// Users in the order of their ids: as numbers where every id is one, as text otherwise.
fn users_by_id(data: &Dataset) -> Vec<usize> {
    let numbers: Option<Vec<u64>> = data.user_ids.iter().map(|id| id.parse().ok()).collect();
    let mut users: Vec<usize> = (0..data.users()).collect();
    match numbers {
        Some(numbers) => users.sort_by_key(|&user| numbers[user]),
        None => users.sort_by(|&a, &b| data.user_ids[a].cmp(&data.user_ids[b])),
    }
    users
}

/// DeepM3's own protocol. Of the training users, taken evenly, every tenth is kept for validation.
/// Where every event is a target, so are those before the last window, and those before the event
/// that validation asks for.
fn readme(data: &Dataset, max_len: usize, targets: Targets) -> Split {
    let users: Vec<usize> =
        users_by_id(data).into_iter().filter(|&user| data.history(user).len() >= 2).collect();
    let cut = users.len() * 8 / 10;
    let query = |user: usize| {
        let end = data.offsets[user + 1];
        Query { user, start: data.offsets[user].max(end.saturating_sub(max_len)), target: end - 1 }
    };
    // The window of `max_len` events includes the target.
    let input_len = max_len - 1;
    let (mut train, mut counted, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for (place, &user) in users[..cut].iter().enumerate() {
        let (start, end) = (data.offsets[user], data.offsets[user + 1]);
        let held_out = place % 10 == 9;
        let known = if held_out { end - 1 } else { end };
        if held_out {
            valid.push(query(user));
        }
        if !held_out || targets == Targets::All {
            windows(start, known, input_len, targets, &mut train);
        }
        counted.push(Sequence { start, end: known });
    }
    let test = users[cut..].iter().map(|&user| query(user)).collect();
    Split { protocol: Protocol::Readme, input_len, train, valid, test, moves_on: 0, counted }
}

/// Training windows over `start..end`: the last one for `last` targets; for `all` targets
/// consecutive windows from the end, each overlapping its neighbour by one event, so that every
/// event but the first is a target exactly once.
fn windows(start: usize, end: usize, input_len: usize, targets: Targets, out: &mut Vec<Sequence>) {
    let mut end = end;
    while end - start >= 2 {
        let from = start.max(end.saturating_sub(input_len + 1));
        out.push(Sequence { start: from, end });
        if targets == Targets::Last {
            return;
        }
        end = from + 1;
    }
}

fn leave_one_out(data: &Dataset, max_len: usize, targets: Targets) -> Split {
    let (mut train, mut valid, mut test, mut counted) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for user in 0..data.users() {
        let (start, end) = (data.offsets[user], data.offsets[user + 1]);
        // One event to train on, one to validate and one to test is the least.
        if end - start < 3 {
            counted.push(Sequence { start, end });
            continue;
        }
        let query = |target: usize| Query {
            user,
            start: start.max(target.saturating_sub(max_len)),
            target,
        };
        windows(start, end - 2, max_len, targets, &mut train);
        counted.push(Sequence { start, end: end - 2 });
        valid.push(query(end - 2));
        test.push(query(end - 1));
    }
    Split {
        protocol: Protocol::LeaveOneOut,
        input_len: max_len,
        train,
        valid,
        test,
        moves_on: 0,
        counted,
    }
}

fn temporal(data: &Dataset, max_len: usize, targets: Targets) -> Split {
    let mut times = data.time.clone();
    let mut at = |share: usize| -> i64 {
        if times.is_empty() {
            return 0;
        }
        let place = (times.len() * share / 10).min(times.len() - 1);
        *times.select_nth_unstable(place).1
    };
    let (first_cut, second_cut) = (at(8), at(9));
    let (mut train, mut valid, mut test, mut counted) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for user in 0..data.users() {
        let (start, end) = (data.offsets[user], data.offsets[user + 1]);
        let history = data.history(user);
        let before = |cut: i64| start + history.time.partition_point(|&time| time < cut);
        let (first, second) = (before(first_cut), before(second_cut));
        windows(start, first, max_len, targets, &mut train);
        if first > start {
            counted.push(Sequence { start, end: first });
        }
        let query = |target: usize| Query {
            user,
            start: start.max(target.saturating_sub(max_len)),
            target,
        };
        if first > start && first < second {
            valid.push(query(first));
        }
        if second > start && second < end {
            test.push(query(second));
        }
    }
    let moves_on = second_cut - first_cut;
    Split {
        protocol: Protocol::Temporal,
        input_len: max_len,
        train,
        valid,
        test,
        moves_on,
        counted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Columns;

    /// `lengths[u]` events for user `u`, item = running number, one event a second.
    fn data(ids: &[&str], lengths: &[usize]) -> Dataset {
        let mut columns = Columns::default();
        for (user, &length) in lengths.iter().enumerate() {
            for _ in 0..length {
                let n = columns.user.len();
                columns.user.push(user as u32);
                columns.item.push(n as u32);
                columns.time.push(1000 * n as i64);
            }
        }
        let items = (0..columns.user.len()).map(|i| i.to_string()).collect();
        let users = ids.iter().map(|&id| id.to_owned()).collect();
        Dataset::from_columns(columns, users, items, || Ok(())).unwrap()
    }

    #[test]
    fn readme_sorts_numeric_ids_as_numbers_and_keeps_the_last_events() {
        let ids: Vec<String> = (1..=20).rev().map(|id| id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let data = data(&ids, &[6; 20]);
        let split = split(&data, Protocol::Readme, 5, Targets::Last).unwrap();
        let tested: Vec<_> = split.test.iter().map(|q| data.user_ids[q.user].as_str()).collect();
        assert_eq!(tested, ["17", "18", "19", "20"]);
        assert_eq!((split.train.len(), split.valid.len()), (15, 1));
        for query in &split.test {
            assert_eq!(query.target, data.offsets[query.user + 1] - 1);
            assert_eq!(query.target - query.start, split.input_len);
        }
    }

    #[test]
    fn readme_trains_on_every_event_that_is_not_asked_for_where_all_are_targets() {
        let ids: Vec<String> = (10..30).map(|id| id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let data = data(&ids, &[11; 20]);
        let split = split(&data, Protocol::Readme, 5, Targets::All).unwrap();
        let mut targets: Vec<usize> = split.train.iter().flat_map(|s| s.start + 1..s.end).collect();
        targets.sort_unstable();
        let asked: Vec<usize> = split.valid.iter().map(|query| query.target).collect();
        let all = (0..16 * 11).filter(|event| event % 11 != 0 && !asked.contains(event));
        assert_eq!(targets, all.collect::<Vec<_>>());
        assert!(split.train.iter().all(|s| s.end - s.start <= 5));
    }

    #[test]
    fn leave_one_out_never_trains_on_its_targets_and_uses_every_other_event_once() {
        let data = data(&["a", "b", "c"], &[13, 3, 2]);
        let split = split(&data, Protocol::LeaveOneOut, 4, Targets::All).unwrap();
        let mut targets: Vec<usize> = split.train.iter().flat_map(|s| s.start + 1..s.end).collect();
        targets.sort_unstable();
        assert_eq!(targets, (1..11).collect::<Vec<_>>());
        assert_eq!(split.valid.iter().map(|q| q.target).collect::<Vec<_>>(), [11, 14]);
        assert_eq!(split.test.iter().map(|q| q.target).collect::<Vec<_>>(), [12, 15]);
        assert!(split.train.iter().all(|s| s.end - s.start <= 5));
    }

    #[test]
    fn temporal_cuts_once_for_everybody() {
        let data = data(&["a", "b"], &[9, 1]);
        // Ten events at seconds 0..9: cuts at 8 s and 9 s.
        let result = split(&data, Protocol::Temporal, 4, Targets::All);
        assert!(matches!(result, Err(SplitError::TooLittle { .. })), "user b has no history");
        let mut columns = Columns::default();
        for second in 0..20i64 {
            columns.user.push((second % 2) as u32);
            columns.item.push(second as u32);
            columns.time.push(second * 1000);
        }
        let ids = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let data = Dataset::from_columns(columns, ids(2), ids(20), || Ok(())).unwrap();
        let split = split(&data, Protocol::Temporal, 4, Targets::All).unwrap();
        let time = |event: usize| data.time[event] / 1000;
        assert!(split.train.iter().all(|s| time(s.end - 1) < 16));
        assert_eq!(split.valid.iter().map(|q| time(q.target)).collect::<Vec<_>>(), [16, 17]);
        assert_eq!(split.moves_on, 2000, "milliseconds from one cut to the other");
        assert_eq!(split.test.iter().map(|q| time(q.target)).collect::<Vec<_>>(), [18, 19]);
    }
}
