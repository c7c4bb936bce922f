use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::half_life::{HALF_LIVES, learn, pass};
use super::{Event, FEATURES, Moment, Timeline};
use crate::settings::ItemDynamics;

const HOUR: i64 = 3_600_000;

/// Users with a few events each, over about a hundred days.
fn users(count: usize, items: u32, seed: u64) -> Vec<(Vec<u32>, Vec<i64>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let length = rng.random_range(1..12);
            let mut times: Vec<i64> =
                (0..length).map(|_| rng.random_range(0..2400) * HOUR).collect();
            times.sort_unstable();
            ((0..length).map(|_| rng.random_range(0..items)).collect(), times)
        })
        .collect()
}

fn timeline(items: usize, users: &[(Vec<u32>, Vec<i64>)]) -> Timeline {
    Timeline::new(items, users.iter().map(|(items, times)| (items.as_slice(), times.as_slice())))
}

/// The features of all items, one after the other.
fn features(timeline: &Timeline, items: usize, moment: &Moment<'_>) -> Vec<Vec<f32>> {
    let look = timeline.look(moment, ItemDynamics::Both);
    (0..FEATURES)
        .map(|feature| {
            let mut weights = [0.0; FEATURES];
            weights[feature] = 1.0;
            let mut scores = vec![0.0; items];
            timeline.add(&look, &weights, &mut scores);
            scores
        })
        .collect()
}

#[test]
fn intensities_are_the_decayed_counts_before_the_moment() {
    let (items, users) = (30, users(1500, 30, 1));
    let timeline = timeline(items, &users);
    for query in [0, 1, 700, 1200, 2399, 2400, 9000].map(|hours| hours * HOUR) {
        let moment = Moment::at(&[], &[], query);
        let found = features(&timeline, items, &moment);
        // The last query comes long after the last event.
        let now = query - timeline.stale(&moment);
        for (k, half_life) in timeline.half_lives().into_iter().enumerate() {
            let mut exact = vec![0.0f64; items];
            for (item, &time) in users.iter().flat_map(|(items, times)| items.iter().zip(times)) {
                if time < query {
                    let days = (now - time) as f64 / (24 * HOUR) as f64;
                    exact[*item as usize] += (-days / half_life).exp2();
                }
            }
            for (found, exact) in found[k].iter().zip(exact) {
                let exact = (exact / 0.1).ln_1p();
                assert!(
                    (f64::from(*found) - exact).abs() < 1e-4 * exact.max(1.0),
                    "{found} {exact}"
                );
            }
        }
    }
}

#[test]
fn nothing_is_known_from_the_future_and_a_stream_is_as_good_as_its_past() {
    let (items, users) = (20, users(300, 20, 2));
    let cut = 1000 * HOUR;
    let past: Vec<_> = users
        .iter()
        .map(|(items, times)| {
            let end = times.partition_point(|&time| time < cut);
            (items[..end].to_vec(), times[..end].to_vec())
        })
        .collect();
    let mut past = timeline(items, &past);
    let moment = Moment::at(&[3, 4, 3], &[], cut);
    let known = features(&past, items, &moment);
    assert!(known.iter().all(|feature| feature.iter().any(|&value| value > 0.0)));
    let days = 216 * HOUR;
    let late = Moment::at(&[3, 4, 3], &[], cut + days);
    let stale = features(&past, items, &late);
    let out_of_date = past.stale(&late);
    assert!(past.stale(&moment) == 0 && (days - 2 * 24 * HOUR..days).contains(&out_of_date));
    let day_after = Moment::at(&[3, 4, 3], &[], cut + days - out_of_date);
    assert_eq!(stale, features(&past, items, &day_after), "as it was a day after the last event");
    let mut later: Vec<(i64, usize, usize)> = Vec::new();
    for (user, (_, times)) in users.iter().enumerate() {
        let after = |(place, &time): (usize, &i64)| (time >= cut).then_some((time, user, place));
        later.extend(times.iter().enumerate().filter_map(after));
    }
    later.sort_unstable();
    for (time, user, place) in later {
        let all = &users[user].0;
        assert!(past.push(Event { time, item: all[place] }, &all[..place]));
    }
    assert_eq!(features(&past, items, &moment), known, "events after a moment change nothing");
    assert_ne!(features(&past, items, &late), stale);
    assert_eq!(past.stale(&late), 0, "up to date again");
    let behind = Moment { behind: days, ..late };
    assert_eq!(features(&past, items, &behind), stale, "as if nobody had gone on");
    assert!(!past.push(Event { time: cut, item: 1 }, &[]), "older than the last");
    assert!(!past.push(Event { time: i64::MAX, item: 20 }, &[]), "no item of the catalogue");
}

#[test]
fn company_counts_who_chose_both_and_who_followed() {
    let day = 24 * HOUR;
    let history = |items: &[u32], from: i64| {
        (items.to_vec(), (0..items.len() as i64).map(|place| from + place * HOUR).collect())
    };
    let users = [history(&[0, 1], 0), history(&[0, 1], day), history(&[2, 0, 3], 2 * day)];
    let timeline = timeline(5, &users);
    let found = |items: &[u32], query: i64| {
        let features = features(&timeline, 5, &Moment::at(items, &[], query));
        [features[HALF_LIVES].clone(), features[HALF_LIVES + 1].clone()]
    };
    let [together, next] = found(&[0], 9 * day);
    assert!(together[1] > together[3] && together[3] > 0.0, "two users against one");
    assert!(together[2] > 0.0 && together[4] == 0.0 && together[0] == 0.0);
    assert!(next[1] > next[3] && next[3] > 0.0 && next[2] == 0.0, "2 came before 0");
    let [together, _] = found(&[0], day);
    assert!(together[1] > 0.0 && together[3] == 0.0, "only the first user so far");
    // The latest item of a history counts most: of 0 and 2, both tied to 3, only 0 is tied to 1,
    // the strongest.
    let ([late, _], [early, _]) = (found(&[0, 2], 9 * day), found(&[2, 0], 9 * day));
    assert!(late[3] > early[3] && early[3] > 0.0, "{late:?} {early:?}");
    // Ties are told by their share of the strongest, whatever that is: an item without ties takes
    // nothing off.
    let strongest = 31f32.ln();
    for features in [&together, &next, &late, &early] {
        let most = features.iter().fold(0.0, |most: f32, &tie| most.max(tie));
        assert!((most - strongest).abs() < 1e-5, "{features:?}");
    }
    assert_eq!(found(&[4, 0], 9 * day), found(&[0], 9 * day));
    assert!(found(&[4], 9 * day).iter().flatten().all(|&tie| tie == 0.0), "no ties at all");
}

#[test]
fn a_part_looks_like_the_whole() {
    let (items, users) = (40, users(200, 40, 3));
    let timeline = timeline(items, &users);
    let moment = Moment::at(&[1, 2, 3], &[], 1500 * HOUR);
    let look = timeline.look(&moment, ItemDynamics::Both);
    let weights = [0.3, -0.2, 0.5, 0.1, -0.4, 0.2, 0.7, 1.1, -0.6, 0.9];
    let mut whole = vec![0.0; items];
    timeline.add(&look, &weights, &mut whole);
    let mut parts = vec![0.0; items];
    let mut kept = Vec::new();
    for first in (0..items).step_by(7) {
        let end = items.min(first + 7);
        timeline.add_from(&look, &weights, first, &mut parts[first..end], &mut kept);
    }
    assert_eq!(whole, parts);
    // Σ slope · score is what the pulls give, whatever the weights.
    let slopes: Vec<f32> = (0..items).map(|item| (item as f32 * 0.7).sin()).collect();
    let direct: f32 = slopes.iter().zip(&whole).map(|(slope, score)| slope * score).sum();
    let mut pulled = [0.0; FEATURES];
    for first in (0..items).step_by(16) {
        let end = items.min(first + 16);
        timeline.add_from(&look, &weights, first, &mut vec![0.0; end - first], &mut kept);
        let part = timeline.pull(&look, &slopes[first..end], first, &kept);
        pulled.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    let pulled: f32 = pulled.iter().zip(weights).map(|(pull, weight)| pull * weight).sum();
    assert!((direct - pulled).abs() < 1e-4 * direct.abs().max(1.0), "{direct} {pulled}");
    for (item, score) in whole.iter().enumerate() {
        let own = timeline.of(&look, item).iter().zip(weights).map(|(x, w)| x * w).sum::<f32>();
        assert!((own - score).abs() < 1e-5, "{item}: {own} {score}");
    }
    for parts in [ItemDynamics::Intensity, ItemDynamics::Company, ItemDynamics::None] {
        let look = timeline.look(&moment, parts);
        timeline.add_from(&look, &weights, 0, &mut vec![0.0; items], &mut kept);
        let pull = timeline.pull(&look, &vec![1.0; items], 0, &kept);
        assert_eq!(pull[..HALF_LIVES].iter().any(|&sum| sum > 0.0), parts.intensity());
        assert_eq!(pull[HALF_LIVES..].iter().any(|&sum| sum > 0.0), parts.company());
    }
}

/// Events of a process in which the next item is one of the last ones, as they fade.
fn process(half_life: f64, seed: u64) -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut events: Vec<Event> = Vec::new();
    for place in 0..20_000i64 {
        let time = place * HOUR / 4;
        // Ages of an exponentially fading past are themselves exponential.
        let age = -(1.0 - rng.random::<f64>()).log2() * half_life * (24 * HOUR) as f64;
        let before = time - age as i64;
        let earlier = events.partition_point(|event| event.time <= before);
        let item = if rng.random::<f64>() < 0.9 && earlier > 0 {
            events[earlier - 1].item
        } else {
            rng.random_range(0..400)
        };
        events.push(Event { time, item });
    }
    events
}

#[test]
fn slopes_of_the_likelihood_are_its_differences() {
    let events = &process(2.0, 1)[..3000];
    let half_lives = [0.1, 0.5, 1.0, 4.0, 9.0, 30.0];
    let shares = [0.1, 0.1, 0.2, 0.2, 0.1, 0.1];
    let found = pass(400, events, &half_lives, &shares);
    for k in 0..HALF_LIVES {
        let moved = |by: f64| {
            let mut half_lives = half_lives;
            half_lives[k] *= by.exp();
            pass(400, events, &half_lives, &shares).likelihood
        };
        let numeric = (moved(1e-4) - moved(-1e-4)) / 2e-4;
        assert!((numeric - found.slopes[k]).abs() < 1e-6, "{k}: {numeric} {}", found.slopes[k]);
    }
}

#[test]
fn half_lives_move_to_where_the_events_are_likely() {
    for half_life in [0.3, 6.0] {
        let events = process(half_life, 5);
        let found = learn(400, events.iter().copied());
        assert!(found.is_sorted());
        let near = found.iter().map(|found| (found / half_life).ln().abs());
        let nearest = near.fold(f64::INFINITY, f64::min);
        assert!(nearest < 0.5, "{half_life} days: {found:?}");
    }
    assert!(learn(3, [].into_iter()).iter().all(|half_life| *half_life > 0.0));
}
