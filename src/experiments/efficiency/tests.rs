use super::*;
use crate::evaluation::reliability;
use crate::routing::Uncertainty;
use crate::serving::replay::Quality;

/// Requests that System 1 ranks at `first` and System 2 at `second`; every fourth is uncertain.
fn replay(first: u32, second: u32) -> Replay {
    let quality = |rank| Quality {
        hr10: mean_metric(&[vec![hit(rank, 10)]]),
        ndcg10: mean_metric(&[vec![ndcg(rank, 10)]]),
    };
    let request = |place: usize| Replayed {
        query: crate::data::split::Query { user: place, start: 0, target: 1 },
        uncertainty: Uncertainty {
            entropy: if place.is_multiple_of(4) { 0.9 } else { 0.1 },
            conflict: None,
        },
        rank: [first, second],
        latency_ms: [1.0, 801.0],
        tokens: [1500, 100],
        cost: 0.0005,
        failed: false,
    };
    Replay {
        run: "test".to_owned(),
        reasoner: ReasonerKind::Mock,
        requests: (0..200).map(request).collect(),
        temperature: 1.0,
        before: reliability(&[], 10),
        after: reliability(&[], 10),
        has_conflict: false,
        alone: [quality(first), quality(second)],
    }
}

fn findings(replay: &Replay) -> Findings {
    let mut config = Config::default();
    config.router.entropy = 0.5;
    compare(replay, &config, &[0.0, 0.1, 0.2])
}

#[test]
fn a_budget_holds_and_its_latency_and_cost_follow_from_it() {
    let findings = findings(&replay(5, 1));
    let of = |name: &str, key: &str| findings.row(name).unwrap().value(key).unwrap();
    assert_eq!(of("System 2 always", "latency_ms"), 801.0);
    assert_eq!(of("System 1 always", "latency_ms"), 1.0);
    assert_eq!(of("System 1 always", "cost_per_1000"), 0.0);
    assert!((of("System 2 always", "cost_per_1000") - 0.5).abs() < 1e-9);
    assert_eq!(of("System 2 always", "tokens"), 1600.0);
    // A quarter is uncertain; no more of it goes than the budget allows.
    assert_eq!(of("Router, at most 0 %", "escalated"), 0.0);
    assert!(of("Router as set", "escalated") <= 0.05 + 1.0 / 200.0);
    let share = of("Router, at most 10 %", "escalated");
    assert!(share > 0.05 && share <= 0.1 + 1.0 / 200.0, "{share}");
    assert!((of("Router, at most 10 %", "latency_ms") - (1.0 + 800.0 * share)).abs() < 1e-9);
    assert!(findings.headline.contains("simulated") && !findings.simulated.is_empty());
}

#[test]
fn a_broken_system_1_scores_badly_and_a_broken_system_2_is_called_worse() {
    let broken = findings(&replay(1000, 1));
    let fast = broken.row("System 1 always").unwrap();
    assert_eq!((fast.value("hr10"), fast.value("ndcg10")), (Some(0.0), Some(0.0)));
    let slow = broken.row("System 2 always").unwrap();
    assert_eq!(slow.value("gain"), Some(1.0));
    let worse = findings(&replay(1, 1000));
    assert!(worse.facts[0].contains("worse"), "{}", worse.facts[0]);
    assert_eq!(worse.row("System 2 always").unwrap().value("gain"), Some(-1.0));
}

#[test]
fn budgets_are_shares() {
    assert_eq!(budgets("0.05, 0.2").unwrap(), [0.05, 0.2]);
    assert!(budgets("0.05,2").is_err() && budgets("often").is_err());
}

#[test]
fn a_system_2_that_never_answered_is_not_called_slower_or_dearer() {
    let mut silent = replay(5, 5);
    silent.requests.iter_mut().for_each(|request| request.failed = true);
    let findings = findings(&silent);
    assert!(findings.headline.contains("none of the 200 requests"), "{}", findings.headline);
    assert!(!findings.headline.contains("faster"));
}
