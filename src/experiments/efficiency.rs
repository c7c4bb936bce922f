//! Efficiency: the same held-out requests through System 2 always, System 1 always, and the router at
//! several budgets, so that speed and cost are never quoted without quality.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::catalog::{About, Measured};
use super::{Column, Curve, Event, ExperimentError, Figure, Findings, Inputs, Measure, Row};
use crate::evaluation::{hit, mean_metric, mean_over, ndcg, percentile};
use crate::figures;
use crate::figures::Color;
use crate::jobs::Context;
use crate::routing::Path;
use crate::runs::RunEntry;
use crate::serving::ServedModel;
use crate::serving::replay::{Replay, Replayed};
use crate::settings::{Config, LimitMode, ReasonerKind, RouterMode, RouterSettings};

pub const ABOUT: About = About {
    word: "efficiency",
    title: "Efficiency",
    asks: "How much time and money does routing save, and what does that do to the quality?",
    claim: "All-L3 2000 ms and $5.00; DeepM3 167.78 ms and $1.00: 11.9 times faster, 80 % cheaper",
    source: "the baseline is typed in, System 1 is sleep(1 ms), and a coin sends 20 % to System 2",
    preset: "experiment-efficiency",
    needs_run: true,
    takes: "seconds with the mock",
};

/// The share that the original's coin escalates.
const COIN: f64 = 0.2;
/// Fewer requests have intervals too wide to say anything.
const FEWEST: usize = 20;

const SYSTEM2: Color = Color(0x8f, 0x7e, 0xe6);
const COIN_COLOR: Color = Color(0x9a, 0xa3, 0xb2);

/// A way to answer every request, and which of them it escalates.
struct Policy {
    name: String,
    /// Beside its dot in the figure.
    label: String,
    claimed: &'static str,
    color: Color,
    escalated: Vec<bool>,
}

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let budgets = budgets(&inputs.config.experiment.budgets)?;
    let entry = inputs.run(context)?;
    let model = ServedModel::load(&inputs.store, &entry, context)?;
    let settings = &inputs.config.experiment;
    let replay = Replay::ask(&model, &inputs.config, settings.requests, context)?;
    if replay.requests.len() < FEWEST {
        let found = replay.requests.len();
        return Err(ExperimentError::TooFew { found, needed: FEWEST });
    }
    let findings = compare(&replay, &inputs.config, &budgets);
    measured(findings, &entry, &model)
}

/// The findings on a run, with its data.
pub(super) fn measured(
    findings: Findings,
    entry: &RunEntry,
    model: &ServedModel,
) -> Result<Measured, ExperimentError> {
    let summary = entry.summary.as_ref();
    let summary =
        summary.ok_or_else(|| crate::serving::ServeError::NotFinished(model.run.clone()))?;
    Ok(Measured {
        findings,
        data: summary.data.clone(),
        run: Some(model.run.clone()),
        device: "CPU, System 1 in packed kernels".to_owned(),
        files: Vec::new(),
    })
}

/// `0.05,0.2` as shares.
fn budgets(text: &str) -> Result<Vec<f64>, ExperimentError> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            let share = word.parse().ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| ExperimentError::Budgets { given: word.to_owned() })
        })
        .collect()
}

fn compare(replay: &Replay, config: &Config, budgets: &[f64]) -> Findings {
    let n = replay.requests.len();
    let route = |settings: &RouterSettings| -> Vec<bool> {
        let outcomes = replay.route(settings, config.traffic.rate);
        outcomes.iter().map(|outcome| outcome.path == Path::SlowPath).collect()
    };
    let mut coin = ChaCha8Rng::seed_from_u64(config.experiment.seed as u64);
    let mut policies = vec![
        Policy {
            name: "System 2 always".to_owned(),
            label: "System 2".to_owned(),
            claimed: "All-L3: 2000 ms, $5.00",
            color: SYSTEM2,
            escalated: vec![true; n],
        },
        Policy {
            name: "System 1 always".to_owned(),
            label: "System 1".to_owned(),
            claimed: "",
            color: figures::OTHER,
            escalated: vec![false; n],
        },
    ];
    for &share in budgets {
        // The most uncertain are over the threshold, as many as the share allows; the bucket and the
        // cost cap count and do not deny.
        let settings = RouterSettings {
            mode: RouterMode::Auto,
            entropy: threshold(replay, share),
            conflict: 1.0,
            share,
            share_limit: LimitMode::Enforced,
            rate_limit: LimitMode::Observed,
            cost_limit: LimitMode::Observed,
            ..config.router.clone()
        };
        policies.push(Policy {
            name: format!("Router, at most {}", percent(share)),
            label: format!("≤ {}", percent(share)),
            claimed: if share == COIN { "DeepM3: 167.78 ms, $1.00" } else { "" },
            color: figures::RK4,
            escalated: route(&settings),
        });
    }
    policies.push(Policy {
        name: "Router as set".to_owned(),
        label: "as set".to_owned(),
        claimed: "",
        color: figures::RK4,
        escalated: route(&RouterSettings { mode: RouterMode::Auto, ..config.router.clone() }),
    });
    policies.push(Policy {
        name: format!("Coin, {}", percent(COIN)),
        label: "coin".to_owned(),
        claimed: "what DeepM3's simulation does",
        color: COIN_COLOR,
        escalated: (0..n).map(|_| coin.random::<f64>() < COIN).collect(),
    });

    let rows: Vec<Row> = policies.iter().map(|policy| row(policy, &replay.requests)).collect();
    let curves = policies.iter().zip(&rows).map(|(policy, row)| dot(policy, row)).collect();
    let simulated = replay.reasoner == ReasonerKind::Mock;
    let failed = replay.requests.iter().filter(|request| request.failed).count();
    let latency_word =
        if simulated { "mean latency, simulated for System 2" } else { "mean latency" };
    let columns = vec![
        Column::new("escalated", "Escalated", Measure::Share),
        Column::new("latency_ms", "Mean (ms)", Measure::Number),
        Column::new("p95_ms", "p95 (ms)", Measure::Number),
        Column::new("tokens", "Tokens a request", Measure::Number),
        Column::new("cost_per_1000", "Cost of 1,000 ($)", Measure::Number),
        Column::new("hr10", "HR@10", Measure::Metric),
        Column::new("ndcg10", "NDCG@10", Measure::Metric),
        Column::new("gain", "Gain in NDCG@10", Measure::Metric),
    ];
    Findings {
        headline: if failed == n {
            format!(
                "System 2 answered none of the {n} requests: every answer is System 1's, and times \
                 and costs compare nothing."
            )
        } else {
            headline(&rows, simulated)
        },
        simulated: if simulated {
            "System 2 is the mock. Its ranking is real; its latency (Gaussian, clipped to 0.2–2 s) \
             and its tokens are simulated."
                .to_owned()
        } else {
            String::new()
        },
        columns,
        rows,
        facts: facts(replay, config, failed),
        figure: Figure {
            title: "Quality against latency: both systems, and the router at its budgets"
                .to_owned(),
            x: format!("{latency_word} (ms)"),
            x_log: true,
            y: "NDCG@10 and its 95 % interval".to_owned(),
            curves,
            ..Figure::default()
        },
        method: format!(
            "{n} held-out requests of run {} were answered once by each system. At each budget the \
             entropy threshold is the one that as many requests are over. System 1's latency \
             is measured here, one request at a time; System 2's {}. A policy's numbers are those \
             of the system that answered each request; quality is full-ranking HR@10 and NDCG@10 \
             with 95 % intervals over requests, and the gain is paired with System 1 alone. Where fewer than \
             5 % are escalated, p95 is System 1's, and the mean of all may lie above it.",
            replay.run,
            if simulated { "is the mock's" } else { "is that of the endpoint, one call at a time" },
        ),
        limits: "One machine, one model and one request at a time: queueing, batching and caching \
                 are left out. Prices are those in the settings. System 2 only reorders System 1's \
                 candidates, so it cannot help where the item that was taken is not among them."
            .to_owned(),
        ..Findings::default()
    }
}

/// The highest entropy threshold that at least `share` of the requests are over: chosen without a
/// look at what was taken.
fn threshold(replay: &Replay, share: f64) -> f64 {
    let mut entropies: Vec<f64> =
        replay.requests.iter().map(|request| request.uncertainty.entropy).collect();
    entropies.sort_unstable_by(|a, b| b.total_cmp(a));
    let wanted = (share * entropies.len() as f64).ceil() as usize;
    let Some(&last) = wanted.checked_sub(1).and_then(|place| entropies.get(place)) else {
        return 1.0;
    };
    entropies.into_iter().find(|entropy| *entropy < last).unwrap_or(0.0)
}

fn row(policy: &Policy, requests: &[Replayed]) -> Row {
    let system = |place: usize| usize::from(policy.escalated[place]);
    let each = |value: &dyn Fn(usize, &Replayed) -> f64| -> Vec<f64> {
        requests.iter().enumerate().map(|(place, request)| value(place, request)).collect()
    };
    let latency = each(&|place, request| request.latency_ms[system(place)]);
    let mut sorted = latency.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let p95 = percentile(&sorted, 95).unwrap_or(f64::NAN);
    let asked = |place: usize| policy.escalated[place];
    let tokens = each(&|place, request| {
        if asked(place) { request.tokens.iter().sum::<u64>() as f64 } else { 0.0 }
    });
    let cost = each(&|place, request| if asked(place) { 1000.0 * request.cost } else { 0.0 });
    let hits = each(&|place, request| hit(request.rank[system(place)], 10));
    let ndcgs = each(&|place, request| ndcg(request.rank[system(place)], 10));
    let gains =
        each(&|place, request| ndcg(request.rank[system(place)], 10) - ndcg(request.rank[0], 10));
    let escalated = policy.escalated.iter().filter(|escalated| **escalated).count();
    let row = Row::new(&policy.name)
        .claimed(policy.claimed)
        .with("escalated", escalated as f64 / requests.len() as f64, None)
        .estimate("latency_ms", &mean_over(&[latency]))
        .with("p95_ms", p95, None)
        .with("tokens", mean_over(&[tokens]).mean, None)
        .with("cost_per_1000", mean_over(&[cost]).mean, None)
        .estimate("hr10", &mean_metric(&[hits]))
        .estimate("ndcg10", &mean_metric(&[ndcgs]));
    if escalated == 0 { row } else { row.estimate("gain", &mean_over(&[gains])) }
}

fn dot(policy: &Policy, row: &Row) -> Curve {
    let ndcg = row.cells.get("ndcg10");
    let at = [row.value("latency_ms").unwrap_or(f64::NAN), ndcg.map_or(f64::NAN, |v| v.value)];
    let dot = Curve::dot(&policy.name, policy.color, at, ndcg.and_then(|value| value.ci95));
    Curve { labels: Some(vec![policy.label.clone()]), ..dot }
}

/// System 2 always against the router at the original's share, or at the largest budget.
fn headline(rows: &[Row], simulated: bool) -> String {
    let slow = &rows[0];
    let routers = || rows.iter().filter(|row| row.name.starts_with("Router"));
    let claimed = routers().find(|row| !row.claimed.is_empty());
    let Some(router) = claimed.or_else(|| routers().next_back()) else { return String::new() };
    let of = |row: &Row, key: &str| row.value(key).unwrap_or(f64::NAN);
    let times = of(slow, "latency_ms") / of(router, "latency_ms");
    let cheaper = 1.0 - of(router, "cost_per_1000") / of(slow, "cost_per_1000");
    format!(
        "{}: {times:.1} times faster than System 2 always{}, {} cheaper, NDCG@10 {:.4} against \
         {:.4} (System 1 alone {:.4}).",
        router.name,
        if simulated { " (its latency is simulated)" } else { "" },
        percent(cheaper),
        of(router, "ndcg10"),
        of(slow, "ndcg10"),
        of(&rows[1], "ndcg10"),
    )
}

fn facts(replay: &Replay, config: &Config, failed: usize) -> Vec<String> {
    let gain = replay.requests.iter().map(|r| ndcg(r.rank[1], 10) - ndcg(r.rank[0], 10));
    let gain = mean_over(&[gain.collect()]);
    let verdict = match gain.ci95 {
        Some([low, _]) if low > 0.0 => "System 2 is better than System 1 on these requests",
        Some([_, high]) if high < 0.0 => {
            "System 2 is worse than System 1 on these requests: the best budget is none"
        }
        _ => "System 2 is not distinguishable from System 1 on these requests",
    };
    let mut facts = vec![
        format!("{verdict} (NDCG@10 {:+.4}).", gain.mean),
        format!(
            "Prices: ${} a million prompt tokens, ${} a million completion tokens. The router as set \
             has the thresholds entropy {} and conflict {}{}, {} tokens/s, a share of {} and ${} an \
             hour, at {} requests/s.",
            config.reasoner.input_price,
            config.reasoner.output_price,
            config.router.entropy,
            config.router.conflict,
            if replay.has_conflict { "" } else { " (not available: the data has no genres)" },
            config.router.rate,
            percent(config.router.share),
            config.router.cost_per_hour,
            config.traffic.rate,
        ),
    ];
    if failed > 0 {
        facts.push(format!("System 2 failed on {failed} requests; System 1's answer stood in."));
    }
    facts
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if (percent - percent.round()).abs() < 1e-9 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

#[cfg(test)]
mod tests;
