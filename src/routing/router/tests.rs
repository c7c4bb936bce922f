use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

/// Settings under which no limit is in the way.
fn open() -> RouterSettings {
    RouterSettings {
        rate: 1000.0,
        capacity: 10_000.0,
        share: 1.0,
        cost_per_hour: 10_000.0,
        share_limit: LimitMode::Observed,
        ..RouterSettings::default()
    }
}

fn ask(entropy: f64, conflict: Option<f64>) -> Ask {
    let uncertainty = Uncertainty { entropy, conflict };
    Ask { uncertainty, force: Force::No, breaker_open: false, expected_cost: 0.0 }
}

fn forced(force: Force) -> Ask {
    Ask { force, ..ask(0.0, None) }
}

/// An uncertain request at this cost.
fn uncertain(expected_cost: f64) -> Ask {
    Ask { expected_cost, ..ask(1.0, None) }
}

fn fresh(settings: &RouterSettings, ask: &Ask) -> Decision {
    decide(settings, &mut Budget::new(settings, 0.0), ask, 0.0)
}

fn outcome(decision: &Decision) -> (Path, Reason, Option<Reason>, Option<Limit>) {
    (decision.path, decision.reason, decision.trigger, decision.denied_by)
}

#[test]
fn entropy_is_asked_before_conflict_and_a_threshold_itself_is_not_over() {
    let settings = open();
    let decided = |entropy, conflict| outcome(&fresh(&settings, &ask(entropy, conflict)));
    let confident = (Path::FastPath, Reason::Confident, None, None);
    let because = |reason| (Path::SlowPath, reason, Some(reason), None);
    assert_eq!(decided(0.1, Some(0.1)), confident);
    assert_eq!(decided(0.1, None), confident);
    assert_eq!(decided(0.7, Some(0.55)), confident);
    assert_eq!(decided(0.71, Some(0.9)), because(Reason::Uncertain));
    assert_eq!(decided(0.7, Some(0.56)), because(Reason::Conflict));
    assert_eq!(decided(f64::NAN, Some(0.1)), because(Reason::Uncertain));
    assert_eq!(decided(0.1, Some(f64::NAN)), confident);
    assert_eq!(fresh(&settings, &ask(f64::NAN, None)).uncertainty.entropy, 1.0);
}

#[test]
fn the_requests_flag_wins_over_the_mode_and_both_over_uncertainty() {
    let forced_path = |mode, force, entropy| {
        let settings = RouterSettings { mode, ..open() };
        let decision = fresh(&settings, &Ask { force, ..ask(entropy, None) });
        (decision.path, decision.reason, decision.trigger)
    };
    let fast = (Path::FastPath, Reason::Forced, None);
    let slow = (Path::SlowPath, Reason::Forced, None);
    assert_eq!(forced_path(RouterMode::Auto, Force::Fast, 1.0), fast);
    assert_eq!(forced_path(RouterMode::Auto, Force::Slow, 0.0), slow);
    assert_eq!(forced_path(RouterMode::Fast, Force::No, 1.0), fast);
    assert_eq!(forced_path(RouterMode::Slow, Force::No, 0.0), slow);
    assert_eq!(forced_path(RouterMode::Fast, Force::Slow, 0.0), slow);
    assert_eq!(forced_path(RouterMode::Slow, Force::Fast, 1.0), fast);
}

#[test]
fn an_open_breaker_denies_before_the_budget_and_forced_requests_too() {
    let settings = RouterSettings { share: 0.0, share_limit: LimitMode::Enforced, ..open() };
    let broken = |ask: Ask| outcome(&fresh(&settings, &Ask { breaker_open: true, ..ask }));
    let denied = |trigger| (Path::FastPath, Reason::BreakerOpen, trigger, None);
    assert_eq!(broken(uncertain(0.0)), denied(Some(Reason::Uncertain)));
    assert_eq!(broken(ask(0.0, Some(1.0))), denied(Some(Reason::Conflict)));
    assert_eq!(broken(forced(Force::Slow)), denied(None));
    // Where System 2 is not wanted, the breaker does not matter.
    assert_eq!(broken(ask(0.0, None)).1, Reason::Confident);
    assert_eq!(broken(forced(Force::Fast)).1, Reason::Forced);
}

#[test]
fn the_first_enforced_limit_denies_and_observed_ones_are_listed() {
    let tight = RouterSettings {
        rate: 0.0,
        capacity: 1.0,
        share: 0.0,
        cost_per_hour: 0.0,
        ..RouterSettings::default()
    };
    let decided = |rate_limit, share_limit, cost_limit| {
        let settings = RouterSettings { rate_limit, share_limit, cost_limit, ..tight.clone() };
        let mut budget = Budget::new(&settings, 0.0);
        decide(&settings, &mut budget, &forced(Force::Slow), 0.0);
        let decision = decide(&settings, &mut budget, &uncertain(0.01), 0.0);
        assert_eq!(decision.trigger, Some(Reason::Uncertain));
        (decision.reason, decision.denied_by, decision.over)
    };
    use LimitMode::{Enforced, Observed};
    let exhausted = |limit, over: &[Limit]| (Reason::BudgetExhausted, Some(limit), over.to_vec());
    assert_eq!(decided(Enforced, Enforced, Enforced), exhausted(Limit::Rate, &[]));
    assert_eq!(decided(Observed, Enforced, Enforced), exhausted(Limit::Share, &[Limit::Rate]));
    assert_eq!(
        decided(Observed, Observed, Enforced),
        exhausted(Limit::Cost, &[Limit::Rate, Limit::Share])
    );
    assert_eq!(decided(Enforced, Enforced, Observed), exhausted(Limit::Rate, &[Limit::Cost]));
    assert_eq!(
        decided(Observed, Observed, Observed),
        (Reason::Uncertain, None, Limit::ALL.to_vec())
    );
}

#[test]
fn a_token_goes_only_with_an_escalation() {
    let settings = RouterSettings { rate: 0.0, capacity: 2.0, ..open() };
    let mut budget = Budget::new(&settings, 0.0);
    let mut left = |ask: &Ask| decide(&settings, &mut budget, ask, 0.0).tokens;
    assert_eq!(left(&ask(0.0, None)), 2.0);
    assert_eq!(left(&forced(Force::Fast)), 2.0);
    assert_eq!(left(&Ask { breaker_open: true, ..uncertain(0.0) }), 2.0);
    assert_eq!(left(&uncertain(0.0)), 1.0);
    assert_eq!(left(&forced(Force::Slow)), 0.0);
    assert_eq!(left(&uncertain(0.0)), 0.0);
    assert_eq!(left(&forced(Force::Slow)), 0.0);
}

#[test]
fn a_forced_request_passes_every_limit_and_is_counted() {
    let settings = RouterSettings {
        rate: 0.0,
        capacity: 1.0,
        share: 0.05,
        share_limit: LimitMode::Enforced,
        cost_per_hour: 0.5,
        ..RouterSettings::default()
    };
    let mut budget = Budget::new(&settings, 0.0);
    let slow = Ask { expected_cost: 0.5, ..forced(Force::Slow) };
    assert_eq!(decide(&settings, &mut budget, &slow, 0.0).over, []);
    let second = decide(&settings, &mut budget, &slow, 0.0);
    assert_eq!(outcome(&second), (Path::SlowPath, Reason::Forced, None, None));
    assert_eq!(second.over, Limit::ALL);
    assert_eq!((second.share, second.hour_cost), (1.0, 1.0));
    let denied = decide(&settings, &mut budget, &uncertain(0.0), 0.0);
    assert_eq!(denied.denied_by, Some(Limit::Rate));
    assert_eq!(denied.share, 2.0 / 3.0);
}

#[test]
fn a_share_of_nothing_escalates_nothing_and_of_everything_everything() {
    for (share, expected) in [(0.0, 0), (1.0, 1000)] {
        let settings = RouterSettings { share, share_limit: LimitMode::Enforced, ..open() };
        let mut budget = Budget::new(&settings, 0.0);
        for _ in 0..1000 {
            decide(&settings, &mut budget, &uncertain(0.0), 0.0);
        }
        assert_eq!(budget.levels(&settings, 0.0).escalated, expected);
    }
}

#[test]
fn threads_lose_nothing() {
    let settings = RouterSettings {
        capacity: 137.5,
        rate: 1.0,
        share_limit: LimitMode::Observed,
        ..RouterSettings::default()
    };
    let router = Router::new(settings, 5.0);
    let escalated = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..500 {
                    if router.decide(&uncertain(0.0), 5.0).path == Path::SlowPath {
                        escalated.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let levels = router.levels(5.0);
    assert_eq!(escalated.into_inner(), 137);
    assert_eq!((levels.requests, levels.escalated, levels.tokens), (64 * 500, 137, 0.5));
}

#[test]
fn threads_settle_and_change_settings_while_others_decide() {
    let settings = RouterSettings { rate: 0.0, cost_per_hour: 1.0, ..open() };
    let router = Router::new(settings.clone(), 0.0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let decision = router.decide(&uncertain(0.01), 0.0);
                    if let Some(reserved) = decision.reserved {
                        router.settle(reserved.at, reserved.cost, 0.0);
                    }
                    assert!(decision.hour_cost <= 1.0 + 1e-9);
                }
            });
        }
        scope.spawn(|| {
            for step in 0..500 {
                let entropy = f64::from(step % 10) / 20.0;
                router.apply(RouterSettings { entropy, ..settings.clone() }, 0.0);
            }
        });
    });
    let levels = router.levels(0.0);
    assert_eq!(levels.requests, 16 * 200);
    assert_eq!(levels.tokens + levels.escalated as f64, 10_000.0);
    assert!(levels.hour_cost.abs() < 1e-9, "{levels:?}");
}

#[test]
fn a_router_reports_and_refunds() {
    let router = Router::new(RouterSettings::default(), 0.0);
    let before = router.levels(0.0);
    let decision = router.decide(&uncertain(0.1), 0.0);
    assert_eq!(decision.tokens, 0.0);
    router.refund(&decision.reserved.unwrap());
    assert_eq!(router.levels(0.0), Levels { requests: 1, ..before });
    let faster = RouterSettings { rate: 2.0, ..RouterSettings::default() };
    router.apply(faster.clone(), 1.0);
    assert_eq!(router.settings(), faster);
}

/// What happens next in generated traffic.
#[derive(Debug, Clone)]
enum Event {
    Ask(Ask),
    Apply(RouterSettings),
}

fn limit_mode() -> impl Strategy<Value = LimitMode> {
    prop::sample::select(LimitMode::ALL)
}

fn any_settings() -> impl Strategy<Value = RouterSettings> {
    let rate = prop_oneof![Just(0.0), 0.0..5.0, 0.0..1000.0];
    let capacity = prop_oneof![Just(1.0), 1.0..20.0, 1.0..10_000.0];
    let share = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
    let cost = prop_oneof![Just(0.0), 0.0..2.0, 0.0..50.0];
    (rate, capacity, share, cost, 0.0..1.0, limit_mode(), limit_mode(), limit_mode()).prop_map(
        |(rate, capacity, share, cost_per_hour, entropy, rate_limit, share_limit, cost_limit)| {
            RouterSettings {
                rate,
                capacity,
                share,
                cost_per_hour,
                entropy,
                rate_limit,
                share_limit,
                cost_limit,
                ..RouterSettings::default()
            }
        },
    )
}

fn any_ask() -> impl Strategy<Value = Ask> {
    (0.0..1.0, prop::option::of(0.0..1.0), prop::bool::weighted(0.05), 0.0..0.5).prop_map(
        |(entropy, conflict, breaker_open, expected_cost)| Ask {
            breaker_open,
            expected_cost,
            ..ask(entropy, conflict)
        },
    )
}

/// Gaps and what follows them. Some gaps are zero, some negative, some longer than an hour.
fn traffic() -> impl Strategy<Value = Vec<(f64, Event)>> {
    let gap = prop_oneof![
        3 => Just(0.0),
        6 => 0.0..2.0,
        2 => 0.0..300.0,
        1 => 0.0..5000.0,
        1 => -10.0..0.0,
    ];
    let event = prop_oneof![
        30 => any_ask().prop_map(Event::Ask),
        1 => any_settings().prop_map(Event::Apply),
    ];
    prop::collection::vec((gap, event), 1..250)
}

/// One request of a replay, or one change of its settings.
struct Step {
    now: f64,
    /// In force from this step on.
    settings: RouterSettings,
    /// `None` for a change of settings.
    decision: Option<Decision>,
}

impl Step {
    fn reserved(&self) -> Option<Reservation> {
        self.decision.as_ref()?.reserved
    }
}

/// Replay traffic with settings whose limits `keep` adjusts; time as the router counts it.
fn replay(
    mut settings: RouterSettings,
    traffic: Vec<(f64, Event)>,
    keep: fn(&mut RouterSettings),
    settle: f64,
) -> Vec<Step> {
    keep(&mut settings);
    let router = Router::new(settings.clone(), 0.0);
    let (mut clock, mut latest) = (0.0, 0.0);
    let mut steps = Vec::new();
    for (gap, event) in traffic {
        clock += gap;
        latest = f64::max(latest, clock);
        match event {
            Event::Ask(ask) => {
                let decision = router.decide(&ask, clock);
                if let Some(reserved) = decision.reserved {
                    router.settle(reserved.at, reserved.cost, reserved.cost * settle);
                }
                let decision = Some(decision);
                steps.push(Step { now: latest, settings: settings.clone(), decision });
            }
            Event::Apply(mut next) => {
                keep(&mut next);
                router.apply(next.clone(), clock);
                settings = next.clone();
                steps.push(Step { now: latest, settings: next, decision: None });
            }
        }
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn escalations_never_exceed_capacity_and_refill(
        settings in any_settings(),
        traffic in traffic(),
    ) {
        let steps = replay(settings, traffic, |s| s.rate_limit = LimitMode::Enforced, 1.0);
        // In every window: what the bucket could hold at its start, and what came in since.
        for from in 0..steps.len() {
            let mut due = steps[from].settings.capacity;
            let (mut count, mut before) = (0.0, &steps[from]);
            for step in &steps[from..] {
                due += before.settings.rate * (step.now - before.now);
                count += f64::from(u8::from(step.reserved().is_some()));
                before = step;
                prop_assert!(count <= due + 1e-6, "{count} {due}");
            }
        }
    }

    #[test]
    fn escalations_never_exceed_the_share_beyond_its_burst(
        settings in any_settings(),
        traffic in traffic(),
    ) {
        let steps = replay(settings, traffic, |s| s.share_limit = LimitMode::Enforced, 1.0);
        for from in 0..steps.len() {
            let mut due = (steps[from].settings.share * 20.0).ceil().max(1.0);
            let mut count = 0.0;
            for step in steps[from..].iter().filter(|step| step.decision.is_some()) {
                due += step.settings.share;
                count += f64::from(u8::from(step.reserved().is_some()));
                prop_assert!(count <= due + 1e-6, "{count} {due}");
            }
        }
    }

    #[test]
    fn cost_of_any_hour_stays_within_the_cap(
        settings in any_settings(),
        traffic in traffic(),
        settle in 0.0..=1.0,
    ) {
        let steps = replay(settings, traffic, |s| s.cost_limit = LimitMode::Enforced, settle);
        for (end, last) in steps.iter().enumerate() {
            let Some(reserved) = last.reserved() else { continue };
            let before: f64 = steps[..end]
                .iter()
                .filter(|step| last.now - step.now <= 3600.0)
                .filter_map(Step::reserved)
                .map(|reserved| reserved.cost * settle)
                .sum();
            prop_assert!(before + reserved.cost <= last.settings.cost_per_hour + 1e-6);
        }
    }

    #[test]
    fn a_call_over_its_expected_cost_passes_the_cap_by_no_more_than_that(
        settings in any_settings(),
        traffic in traffic(),
        settle in 1.0..4.0,
    ) {
        let steps = replay(settings, traffic, |s| s.cost_limit = LimitMode::Enforced, settle);
        for (end, last) in steps.iter().enumerate() {
            let Some(reserved) = last.reserved() else { continue };
            // Calls are settled one by one here, so only the last one's excess can pass.
            let spent: f64 = steps[..=end]
                .iter()
                .filter(|step| last.now - step.now <= 3600.0)
                .filter_map(Step::reserved)
                .map(|reserved| reserved.cost * settle)
                .sum();
            let excess = reserved.cost * (settle - 1.0);
            prop_assert!(spent <= last.settings.cost_per_hour + excess + 1e-6);
        }
    }

    #[test]
    fn changing_settings_loses_no_tokens(
        changes in prop::collection::vec((0.0..50.0f64, 1.0..20.0f64, 0.0..10.0f64), 1..40),
    ) {
        // Never full and never empty between the changes: the balance is plain bookkeeping.
        let settings = |rate, capacity| RouterSettings { rate, capacity, ..open() };
        let router = Router::new(settings(0.0, 100.0), 0.0);
        let (mut now, mut rate, mut balance) = (0.0, 0.0, 100.0);
        for (next_rate, gap, spend) in changes {
            now += gap;
            balance = f64::min(balance + rate * gap, 10_000.0);
            router.apply(settings(next_rate, 10_000.0), now);
            rate = next_rate;
            for _ in 0..spend as usize {
                if router.decide(&uncertain(0.0), now).path == Path::SlowPath {
                    balance -= 1.0;
                }
            }
            prop_assert!((router.levels(now).tokens - balance).abs() < 1e-6);
        }
    }

    #[test]
    fn dense_demand_gets_all_that_the_bucket_allows(
        rate in 0.1..20.0f64,
        capacity in 2.0..30.0f64,
    ) {
        // Ten requests a token: the bucket is never full after the first burst.
        let settings = RouterSettings { rate, capacity, ..open() };
        let mut budget = Budget::new(&settings, 0.0);
        let gap = 0.1 / rate;
        for request in 0..1000 {
            decide(&settings, &mut budget, &uncertain(0.0), f64::from(request) * gap);
        }
        let due = capacity + rate * 999.0 * gap;
        let escalated = budget.levels(&settings, 0.0).escalated as f64;
        prop_assert!(escalated <= due + 1e-6 && escalated > due - 1.0 - 1e-6, "{escalated} {due}");
    }

    #[test]
    fn every_decision_is_consistent(settings in any_settings(), traffic in traffic()) {
        for Step { settings, decision, .. } in replay(settings, traffic, |_| (), 1.0) {
            let Some(decision) = decision else { continue };
            prop_assert_eq!(decision.path == Path::SlowPath, decision.reserved.is_some());
            prop_assert_eq!(decision.reason == Reason::BudgetExhausted, decision.denied_by.is_some());
            prop_assert!((0.0..=settings.capacity).contains(&decision.tokens));
            prop_assert!((0.0..=1.0).contains(&decision.share));
            prop_assert!(decision.hour_cost >= 0.0);
            if let Some(limit) = decision.denied_by {
                prop_assert_eq!(mode(&settings, limit), LimitMode::Enforced);
            }
            for &limit in &decision.over {
                prop_assert_eq!(mode(&settings, limit), LimitMode::Observed);
            }
            prop_assert!(decision.explanation(&settings).ends_with('.'));
        }
    }
}
