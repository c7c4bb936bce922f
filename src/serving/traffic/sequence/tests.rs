use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::serving::wire::{ItemId, RecommendRequest};

/// `count` people with distinct histories, who ask at the square numbers of a minute.
fn people(count: usize) -> Arc<[Person]> {
    (0..count)
        .map(|person| Person {
            user_id: format!("person-{person}"),
            items: (0..=person % 5).map(|event| (person + event).to_string()).collect(),
            times: (0..=person % 5).map(|event| 86_400_000 * event as i64).collect(),
            query_time: 60_000 * (person * person) as i64,
        })
        .rev()
        .collect()
}

fn settings(pattern: TrafficPattern, rate: f64, seconds: f64, seed: usize) -> TrafficSettings {
    TrafficSettings { pattern, rate, seconds, concurrency: 4, seed }
}

fn all(settings: &TrafficSettings, people: &Arc<[Person]>, run: &str) -> Vec<Arrival> {
    sequence(settings, people, run).arrivals.collect()
}

fn request(body: &[u8]) -> RecommendRequest {
    serde_json::from_slice(body).unwrap()
}

fn users(arrivals: &[Arrival]) -> Vec<String> {
    arrivals.iter().map(|arrival| request(&arrival.body).user_id).collect()
}

#[test]
fn mixed_alternates_a_warm_user_and_one_never_seen() {
    let people = people(30);
    let settings = settings(TrafficPattern::Mixed, 10.0, 10.1, 3);
    let Sequence { warm_up, arrivals } = sequence(&settings, &people, "a");
    let arrivals: Vec<Arrival> = arrivals.collect();
    assert_eq!(arrivals.len(), 100, "101 rounded down to pairs");
    assert_eq!(warm_up.iter().collect::<HashSet<_>>().len(), 8);
    let warm: HashSet<&Vec<u8>> = warm_up.iter().collect();
    let mut new = HashSet::new();
    for pair in arrivals.chunks(2) {
        assert!(warm.contains(&pair[0].body) && !pair[0].paired);
        assert!(!warm.contains(&pair[1].body) && pair[1].paired);
        assert!(new.insert(request(&pair[1].body).user_id));
    }
    // Neither another seed nor another run meets one of them again.
    for (seed, run) in [(4, "a"), (3, "b")] {
        let again = users(&all(&TrafficSettings { seed, ..settings.clone() }, &people, run));
        assert!(again.iter().skip(1).step_by(2).all(|user| !new.contains(user)));
    }
    assert_eq!(
        all(&TrafficSettings { rate: 0.1, seconds: 0.1, ..settings }, &people, "a").len(),
        2
    );
}

#[test]
fn stable_users_are_few_and_always_ask_the_same() {
    let settings = settings(TrafficPattern::Stable, 100.0, 5.0, 3);
    let arrivals = all(&settings, &people(30), "a");
    assert_eq!(arrivals.len(), 500);
    let bodies: HashSet<&Vec<u8>> = arrivals.iter().map(|arrival| &arrival.body).collect();
    assert_eq!(bodies.len(), 8);
    let few = all(&settings, &people(3), "a");
    assert_eq!(few.iter().map(|arrival| &arrival.body).collect::<HashSet<_>>().len(), 3);
}

#[test]
fn chaos_comes_in_bursts_with_oddities_from_strangers() {
    let people = people(30);
    let arrivals = all(&settings(TrafficPattern::Chaotic, 50.0, 400.0, 3), &people, "a");
    let mut by_second = vec![0.0; 400];
    for arrival in &arrivals {
        by_second[arrival.due.as_secs() as usize] += 1.0 / 50.0;
    }
    // The mean of the swings is 1.03; 400 s hold some 230 of them, each ± 0.78, so this is 4 σ.
    let mean = arrivals.len() as f64 / (400.0 * 50.0);
    assert!((mean - 1.03).abs() < 0.2, "{mean}");
    assert!(by_second.iter().any(|&rate| rate < 0.4), "quiet seconds");
    assert!(by_second.iter().any(|&rate| rate > 2.3), "bursts");

    let requests: Vec<RecommendRequest> =
        arrivals.iter().map(|arrival| request(&arrival.body)).collect();
    let names: HashSet<&str> = requests.iter().map(|request| request.user_id.as_str()).collect();
    assert_eq!(names.len(), requests.len(), "every request is another user's");
    let known: HashSet<ItemId> =
        people.iter().flat_map(|person| &person.items).map(|id| ItemId::of(id)).collect();
    let share = |odd: &dyn Fn(&RecommendRequest) -> bool| {
        requests.iter().filter(|request| odd(request)).count() as f64 / requests.len() as f64
    };
    let times = |request: &RecommendRequest| {
        let either = request.recent_times.clone().or(request.recent_timestamps.clone());
        either.unwrap_or_default()
    };
    let unknown =
        |request: &RecommendRequest| request.recent_items.iter().any(|item| !known.contains(item));
    let unordered = |request: &RecommendRequest| !times(request).is_sorted();
    let equal = |request: &RecommendRequest| times(request).windows(2).any(|w| w[0] == w[1]);
    for (name, share) in
        [("unknown", share(&unknown)), ("unordered", share(&unordered)), ("equal", share(&equal))]
    {
        assert!((0.07..0.13).contains(&share), "{name}: {share}");
    }
    assert!((0.45..0.55).contains(&share(&|request| request.recent_times.is_some())));
    let lengths = || requests.iter().map(|request| request.recent_items.len());
    assert_eq!((lengths().min(), lengths().max()), (Some(1), Some(40)));
}

#[test]
fn replay_keeps_order_and_gaps_and_starts_again() {
    let people = people(5);
    // One pass of 5 at 1/s takes 5 s, its 4 gaps 4 s; 12 s hold two passes and a part of a third.
    let arrivals = all(&settings(TrafficPattern::Replay, 1.0, 12.0, 3), &people, "a");
    let names: Vec<String> = users(&arrivals);
    assert_eq!(names[..6].join(" "), "person-0 person-1 person-2 person-3 person-4 person-0");
    let dues: Vec<f64> = arrivals.iter().map(|arrival| arrival.due.as_secs_f64()).collect();
    // Query times 0, 1, 4, 9, 16 minutes become 0, 1/4, 1, 9/4, 4 seconds.
    let expected = [0.0, 0.25, 1.0, 2.25, 4.0, 5.0, 5.25, 6.0, 7.25, 9.0, 10.0, 10.25, 11.0];
    assert_eq!(dues, expected);
    assert_eq!(request(&arrivals[2].body).query_time, Some(240.0));

    // Fewer requests than people: as many of the first as there is time for, at the mean rate.
    let some = all(&settings(TrafficPattern::Replay, 1.0, 3.0, 3), &people, "a");
    assert_eq!(users(&some).join(" "), "person-0 person-1 person-2");
    let dues: Vec<f64> = some.iter().map(|arrival| arrival.due.as_secs_f64()).collect();
    assert_eq!(dues, [0.0, 0.5, 2.0]);

    // All at one moment: evenly.
    let twins: Arc<[Person]> = vec![people[0].clone(); 4].into();
    let arrivals = all(&settings(TrafficPattern::Replay, 2.0, 3.0, 3), &twins, "a");
    let dues: Vec<f64> = arrivals.iter().map(|arrival| arrival.due.as_secs_f64()).collect();
    assert_eq!(dues, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
}

#[test]
fn without_people_there_is_nothing_to_send() {
    for &pattern in TrafficPattern::ALL {
        assert!(all(&settings(pattern, 10.0, 1.0, 3), &people(0), "a").is_empty());
    }
}

proptest! {
    #[test]
    fn a_seed_fixes_well_formed_requests_in_time_order(
        pattern in proptest::sample::select(TrafficPattern::ALL),
        rate in 0.1_f64..300.0,
        seconds in 0.1_f64..2.0,
        seed in 0_usize..10,
        count in 1_usize..40,
    ) {
        let people = people(count);
        let settings = settings(pattern, rate, seconds, seed);
        let arrivals = all(&settings, &people, "a");
        prop_assert_eq!(&arrivals, &all(&settings, &people, "a"));
        prop_assert!(arrivals.is_sorted_by_key(|arrival| arrival.due));
        for arrival in &arrivals {
            let request = request(&arrival.body);
            let times = request.recent_times.or(request.recent_timestamps).unwrap_or_default();
            prop_assert_eq!(times.len(), request.recent_items.len());
            prop_assert!(!times.is_empty() && !request.user_id.is_empty());
        }
        // The mean rate is the one set, give or take a pair, or where the gaps are uneven the pass
        // that was begun. Chance has its own test.
        let rounding = match pattern {
            TrafficPattern::Replay => count as f64,
            TrafficPattern::Chaotic => f64::INFINITY,
            TrafficPattern::Mixed | TrafficPattern::Stable => 2.0,
        };
        prop_assert!((arrivals.len() as f64 - rate * seconds).abs() <= rounding);
        if pattern == TrafficPattern::Mixed {
            prop_assert_eq!(arrivals.len() % 2, 0);
        }
    }
}
