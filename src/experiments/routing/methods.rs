//! The routers that are compared: each gives a request a score, the higher the more it should be
//! escalated.

use std::hint::black_box;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Cases;
use super::learned::{Features, Mlp};
use crate::experiments::{Event, ExperimentError};
use crate::figures::Color;
use crate::jobs::Context;
use crate::routing;
use crate::serving::ServedModel;
use crate::serving::replay::Replayed;
use crate::settings::Config;

/// Requests that a decision's latency is measured on.
const TIMED: usize = 200;

/// A router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    AlwaysFast,
    AlwaysSlow,
    Random,
    /// Number of distinct items in the history.
    Distinct,
    Mlp,
    Entropy,
    Conflict,
    /// The router's own rule: over either threshold.
    Both,
    /// It knows the gain.
    Oracle,
}

/// The scores of a method on both halves.
pub struct Scored {
    /// On the requests that its threshold is chosen on, and whether each gains.
    pub learn: Vec<f64>,
    pub label: Vec<bool>,
    pub test: Vec<f64>,
    /// Median, in microseconds; `None` where there is nothing to compute.
    pub decision_us: Option<f64>,
}

impl Method {
    /// Those that can be compared; `conflict` where the data has genres.
    pub fn of(conflict: bool) -> Vec<Self> {
        use Method::*;
        [AlwaysFast, AlwaysSlow, Random, Distinct, Mlp, Entropy, Conflict, Both, Oracle]
            .into_iter()
            .filter(|method| conflict || !matches!(method, Conflict | Both))
            .collect()
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::AlwaysFast => "Always fast",
            Self::AlwaysSlow => "Always slow",
            Self::Random => "Random",
            Self::Distinct => "Fixed rule (distinct items)",
            Self::Mlp => "MLP",
            Self::Entropy => "Entropy",
            Self::Conflict => "Conflict",
            Self::Both => "Entropy or conflict",
            Self::Oracle => "Oracle",
        }
    }

    pub fn claimed(self) -> &'static str {
        match self {
            Self::Distinct => "left out (its code scores 1.000)",
            Self::Mlp => "MLP 0.681",
            Self::Entropy => "neural ODE 0.865",
            _ => "",
        }
    }

    pub fn is_drawn(self) -> bool {
        !matches!(self, Self::AlwaysFast | Self::AlwaysSlow)
    }

    pub fn color(self) -> Color {
        match self {
            Self::Random | Self::AlwaysFast | Self::AlwaysSlow => Color(0x9a, 0xa3, 0xb2),
            Self::Distinct => Color(0xd5, 0x5e, 0x00),
            Self::Mlp => Color(0xcc, 0x79, 0xa7),
            Self::Entropy => Color(0x4c, 0x9b, 0xe8),
            Self::Conflict => Color(0xe6, 0x9f, 0x00),
            Self::Both => Color(0x2d, 0xb5, 0xa3),
            Self::Oracle => Color(0x5f, 0xcf, 0x9f),
        }
    }

    pub fn score(
        self,
        model: &ServedModel,
        config: &Config,
        learn: &Cases<'_>,
        test: &Cases<'_>,
        context: &Context<Event>,
    ) -> Result<Scored, ExperimentError> {
        let thresholds = [config.router.entropy, config.router.conflict];
        let each = |of: &dyn Fn(&Replayed) -> f64| Scored {
            learn: learn.requests.iter().map(|request| of(request)).collect(),
            label: learn.label.clone(),
            test: test.requests.iter().map(|request| of(request)).collect(),
            decision_us: None,
        };
        let conflict_of = |request: &Replayed| request.uncertainty.conflict.unwrap_or(0.0);
        let timed = |scored: Scored, decide: &mut dyn FnMut(&Prepared<'_>) -> f64| Scored {
            decision_us: Some(median_us(model, test, decide)),
            ..scored
        };
        let half_life = config.router.half_life;
        Ok(match self {
            Self::AlwaysFast => each(&|_| 0.0),
            Self::AlwaysSlow => each(&|_| 1.0),
            Self::Random => {
                let mut rng = ChaCha8Rng::seed_from_u64(config.experiment.seed as u64 ^ 0x5eed);
                let mut draw = |n: usize| (0..n).map(|_| rng.random::<f64>()).collect();
                let (scores, test) = (draw(learn.label.len()), draw(test.label.len()));
                Scored { learn: scores, label: learn.label.clone(), test, decision_us: None }
            }
            Self::Distinct => {
                let scored = each(&|request| distinct(history(model, request).0));
                timed(scored, &mut |prepared| distinct(prepared.items))
            }
            Self::Mlp => {
                let features = Features::new(model);
                let of = |cases: &Cases<'_>| -> Vec<Vec<f32>> {
                    cases.requests.iter().map(|request| features.replayed(request)).collect()
                };
                let rows = of(learn);
                let cut = rows.len() * 7 / 10;
                let ((fit, held), (fit_label, held_label)) =
                    (rows.split_at(cut), learn.label.split_at(cut));
                let seed = config.experiment.seed;
                let mlp = Mlp::train((fit, fit_label), (held, held_label), seed, context)?;
                let scored = Scored {
                    learn: mlp.scores(held),
                    label: held_label.to_vec(),
                    test: mlp.scores(&of(test)),
                    decision_us: None,
                };
                timed(scored, &mut |prepared| mlp.score(&features.prepared(prepared, half_life)))
            }
            Self::Entropy => timed(each(&|request| request.uncertainty.entropy), &mut |prepared| {
                prepared.entropy(model)
            }),
            Self::Conflict => {
                timed(each(&conflict_of), &mut |prepared| prepared.conflict(model, half_life))
            }
            Self::Both => {
                let either = |entropy: f64, conflict: f64| {
                    (entropy / thresholds[0].max(1e-9)).max(conflict / thresholds[1].max(1e-9))
                };
                let scored = each(&|r| either(r.uncertainty.entropy, conflict_of(r)));
                timed(scored, &mut |prepared| {
                    either(prepared.entropy(model), prepared.conflict(model, half_life))
                })
            }
            Self::Oracle => {
                let gains = |cases: &Cases<'_>| {
                    let [first, second] = &cases.quality;
                    first.iter().zip(second).map(|(first, second)| second - first).collect()
                };
                Scored {
                    learn: gains(learn),
                    label: learn.label.clone(),
                    test: gains(test),
                    decision_us: None,
                }
            }
        })
    }
}

/// The history of a request: items and their times.
pub fn history<'a>(model: &'a ServedModel, request: &Replayed) -> (&'a [u32], &'a [i64]) {
    let range = request.query.start..request.query.target;
    (&model.data.item[range.clone()], &model.data.time[range])
}

fn distinct(items: &[u32]) -> f64 {
    let mut seen = items.to_vec();
    seen.sort_unstable();
    seen.dedup();
    seen.len() as f64
}

/// A request at the moment of the decision: System 1 has scored it.
pub struct Prepared<'a> {
    pub items: &'a [u32],
    pub times: &'a [i64],
    pub asked_at: i64,
    pub state: Vec<f32>,
    pub scores: Vec<f32>,
}

impl Prepared<'_> {
    pub fn entropy(&self, model: &ServedModel) -> f64 {
        routing::entropy(&self.scores, model.temperature.value)
    }

    pub fn conflict(&self, model: &ServedModel, half_life: f64) -> f64 {
        let genres = model.genres();
        routing::profile(self.items, self.times, self.asked_at, half_life, &genres)
            .and_then(|profile| {
                let mix = routing::predicted_mix(&self.scores, model.temperature.value, &genres);
                routing::conflict(&mix, Some(&profile))
            })
            .unwrap_or(0.0)
    }
}

/// Median time of a decision over some test requests.
fn median_us(
    model: &ServedModel,
    test: &Cases<'_>,
    decide: &mut dyn FnMut(&Prepared<'_>) -> f64,
) -> f64 {
    let mut workspace = model.packed.workspace();
    let mut times: Vec<f64> = test
        .requests
        .iter()
        .take(TIMED)
        .map(|request| {
            let (items, times) = history(model, request);
            let state = model.query_states(&[request.query], &mut workspace);
            let scores = model.score_queries(&[request.query], &mut workspace);
            let asked_at = model.data.time[request.query.target];
            let prepared = Prepared { items, times, asked_at, state, scores };
            let begun = Instant::now();
            black_box(decide(black_box(&prepared)));
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
