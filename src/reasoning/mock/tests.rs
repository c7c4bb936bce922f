//! The mock, end to end: order, words, simulated usage.

use super::*;
use crate::reasoning::{Candidate, Seen};

const DAY: i64 = 86_400_000;
const TITLES: [Option<&str>; 6] =
    [Some("Alien"), Some("Aliens"), Some("Heat"), Some("Up"), None, Some("New")];

/// 0 → 1 again and again; 5 is only taken at the end. Genres: 0, 1 Horror; 2 Crime; 3 Family.
fn evidence() -> Arc<Evidence> {
    let genres: [&[u16]; 6] = [&[0], &[0], &[1], &[2], &[], &[2]];
    let names = ["Horror", "Crime", "Family"].map(str::to_owned).to_vec();
    let mut sequences: Vec<(Vec<u32>, Vec<i64>)> = Vec::new();
    for day in 0..45 {
        sequences.push((vec![0, 1], vec![day * DAY, day * DAY]));
        sequences.push((vec![2, 4], vec![day * DAY, day * DAY]));
    }
    sequences.push((vec![5; 20], vec![50 * DAY; 20]));
    let views = sequences.iter().map(|(items, times)| (&items[..], &times[..]));
    Arc::new(Evidence::build(6, names, |item| genres[item], views))
}

fn settings() -> ReasonerSettings {
    ReasonerSettings { mock_latency: false, ..Default::default() }
}

fn request(history: &[u32], candidates: &[(u32, f32)], count: usize) -> ReasonRequest {
    let evidence = evidence();
    let title = |item: u32| TITLES[item as usize].map(str::to_owned);
    let seen = |(place, &item): (usize, &u32)| Seen {
        item,
        id: (100 + item).to_string(),
        title: title(item),
        genres: evidence.genres(item).to_vec(),
        time_ms: place as i64 * DAY,
    };
    let candidate = |&(item, probability): &(u32, f32)| Candidate {
        item,
        id: (100 + item).to_string(),
        title: title(item),
        genres: evidence.genres(item).to_vec(),
        probability,
    };
    ReasonRequest {
        user_id: "u".to_owned(),
        history: history.iter().enumerate().map(seen).collect(),
        candidates: candidates.iter().map(candidate).collect(),
        count,
        within: None,
    }
}

fn answer(mock: &Mock, request: &ReasonRequest) -> Reasoned {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(mock.reason(request)).unwrap()
}

#[test]
fn what_is_often_taken_next_rises_and_says_so() {
    let mock = Mock::new(evidence(), &settings());
    let request = request(&[2, 0], &[(3, 0.3), (2, 0.3), (1, 0.2)], 2);
    let reasoned = answer(&mock, &request);
    assert_eq!(reasoned.ranking.len(), 2);
    assert_eq!(reasoned.ranking[0].candidate, 2);
    assert_eq!(reasoned.ranking[0].reason, "often taken after “Alien” (System 1's choice 3)");
}

#[test]
fn reasons_name_the_strongest_evidence() {
    let mock = Mock::new(evidence(), &settings());
    let why = |history: &[u32], candidates: &[(u32, f32)], candidate: usize| {
        let reasoned = answer(&mock, &request(history, candidates, 9));
        let chosen = reasoned.ranking.into_iter().find(|chosen| chosen.candidate == candidate);
        chosen.unwrap().reason
    };
    // Item 1 was horror; nothing follows it.
    assert_eq!(
        why(&[1, 1, 2], &[(3, 0.3), (0, 0.3), (4, 0.1)], 1),
        "fits Horror, 66 % of recent history (System 1's choice 2)"
    );
    assert_eq!(
        why(&[1], &[(2, 0.3), (5, 0.3), (3, 0.3)], 1),
        "on the rise in the last day (System 1's choice 2)"
    );
    assert_eq!(why(&[1], &[(2, 0.3), (3, 0.3)], 0), "System 1's first choice");
    assert_eq!(
        why(&[2], &[(3, 0.3), (4, 0.3)], 1),
        "often taken after “Heat” (System 1's choice 2)"
    );
}

#[test]
fn steps_go_from_the_profile_to_the_decision() {
    let mock = Mock::new(evidence(), &settings());
    let reasoned = answer(&mock, &request(&[2, 0], &[(3, 0.3), (2, 0.3), (1, 0.2)], 2));
    let names: Vec<&str> = reasoned.steps.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(names, ["profile", "candidates", "evidence", "decision"]);
    assert_eq!(reasoned.steps[0].1, "2 events; genres of late: Horror 51 %, Crime 49 %");
    assert_eq!(reasoned.steps[1].1, "System 1's 3 most likely items, 80 % of its probability");
    assert!(reasoned.steps[2].1.starts_with("of 2 chosen, 1 by what is taken together"));
    let decision = "“Aliens” first: often taken after “Alien” (System 1's choice 3); 1 of 2 were not \
                    among System 1's first 2";
    assert_eq!(reasoned.steps[3].1, decision);
}

#[test]
fn a_clear_favourite_of_system_1_stays_one() {
    let mock = Mock::new(evidence(), &settings());
    assert_eq!(mock.rank(&[0], &[0], &[(3, 0.98), (1, 0.0001)]), [0, 1]);
}

#[test]
fn ranking_alone_is_the_order_of_the_answer_and_loses_nothing() {
    let mock = Mock::new(evidence(), &settings());
    let candidates = [(4, 0.3), (3, 0.25), (5, 0.2), (1, 0.1), (2, 0.1), (0, 0.05)];
    for history in [&[0u32, 2][..], &[5], &[4, 4, 4], &[]] {
        let request = request(history, &candidates, 6);
        let times: Vec<i64> = request.history.iter().map(|seen| seen.time_ms).collect();
        let order = mock.rank(history, &times, &candidates);
        let answered = answer(&mock, &request);
        let chosen: Vec<usize> = answered.ranking.iter().map(|chosen| chosen.candidate).collect();
        assert_eq!(chosen, order);
        let scores: Vec<f64> = answered.ranking.iter().map(|chosen| chosen.score).collect();
        assert!(
            scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|s| (0.0..=1.0).contains(s))
        );
        assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-9, "all candidates were asked for");
        let mut all = order;
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn equal_support_keeps_system_1s_order() {
    let mock = Mock::new(evidence(), &settings());
    let unknown: Vec<(u32, f32)> = (50..80).map(|item| (item, 0.01)).collect();
    let order = mock.rank(&[0], &[0], &unknown);
    assert!(order.is_sorted());
}

#[test]
fn the_same_request_has_the_same_answer() {
    let request = request(&[2, 0], &[(3, 0.3), (2, 0.3), (1, 0.2)], 3);
    let [one, two] = [0, 1].map(|_| answer(&Mock::new(evidence(), &settings()), &request));
    assert_eq!((one.ranking, one.steps), (two.ranking, two.steps));
    assert_eq!(one.usage.cost, two.usage.cost);
}

#[test]
fn nothing_to_choose_from_is_an_empty_answer() {
    let mock = Mock::new(evidence(), &settings());
    let reasoned = answer(&mock, &request(&[0], &[], 5));
    assert!(reasoned.ranking.is_empty());
    assert_eq!(reasoned.steps[3].1, "nothing to choose from");
    assert!(answer(&mock, &request(&[0], &[(1, 1.0)], 0)).ranking.is_empty());
}

#[test]
fn latency_is_deepm3s_and_the_same_for_the_same_history_and_seed() {
    let mock = Mock::new(evidence(), &settings());
    let seconds: Vec<f64> =
        (0..4000u32).map(|item| mock.latency(&[item % 4, item]).as_secs_f64()).collect();
    assert!(seconds.iter().all(|seconds| (SHORTEST..=LONGEST).contains(seconds)));
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    // Clipping moves the mean of 0.8 s by 0.003 s; beside that four standard errors.
    assert!((mean - 0.8).abs() < 0.003 + 4.0 * 0.3 / 4000f64.sqrt(), "{mean}");
    let spread = seconds.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / seconds.len() as f64;
    assert!((spread.sqrt() - 0.3).abs() < 0.02, "{}", spread.sqrt());
    assert_eq!(mock.latency(&[1, 2]), mock.latency(&[1, 2]));
    let other = Mock::new(evidence(), &ReasonerSettings { seed: 7, ..settings() });
    assert_ne!(mock.latency(&[1, 2]), other.latency(&[1, 2]));
    let exact = ReasonerSettings { latency_sd: 0.0, latency_mean: 60.0, ..settings() };
    assert_eq!(Mock::new(evidence(), &exact).latency(&[]), Duration::from_secs(2));
}

#[test]
fn the_latency_is_waited_for_when_it_is_on() {
    let quick =
        ReasonerSettings { mock_latency: true, latency_mean: 0.0, latency_sd: 0.0, ..settings() };
    let mock = Mock::new(evidence(), &quick);
    let waited = answer(&mock, &request(&[0], &[(1, 1.0)], 1)).usage.latency;
    assert!(waited >= Duration::from_millis(200), "{waited:?}");
}

#[test]
fn usage_is_simulated_and_becomes_the_expected_cost() {
    let prices = ReasonerSettings { input_price: 1.0, output_price: 2.0, ..settings() };
    let mock = Mock::new(evidence(), &prices);
    assert!((mock.expected_cost() - mock.cost(20, 100)).abs() < 1e-12);
    let request = request(&[2, 0], &[(3, 0.3), (2, 0.3), (1, 0.2)], 2);
    let usage = answer(&mock, &request).usage;
    assert!(usage.simulated);
    assert_eq!((usage.attempts, usage.invented_items), (1, 0));
    let names = mock.evidence.genre_names();
    assert_eq!(usage.prompt_tokens, Prompt::new(&request, names).tokens());
    assert!(usage.completion_tokens > 20);
    let cost = (usage.prompt_tokens + 2 * usage.completion_tokens) as f64 / 1e6;
    assert!((usage.cost - cost).abs() < 1e-12);
    assert_eq!(mock.expected_cost(), usage.cost);
    assert!(mock.cost(10, 100) < mock.cost(20, 100));
    assert_eq!(mock.breaker().state, BreakerState::Closed);
}
