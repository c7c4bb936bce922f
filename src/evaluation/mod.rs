//! How good a model is, and how sure that is: pure functions over numbers.
//!
//! [`rank`] places one target among all scores; [`hit`], [`ndcg`] and [`reciprocal_rank`] turn a
//! rank into a metric; [`mean_metric`] and [`compare`] turn metrics over seeds and queries into a
//! mean or a difference with its 95 % interval; [`holm`] corrects p-values for how many there are;
//! [`Latency`] sums up timings. [`fit_temperature`] and [`reliability`] are about probabilities,
//! [`frontier`] about what escalating requests to System 2 buys; [`auroc`], [`auprc`] and [`aurc`]
//! about scores that say which; [`bootstrap`] gives the intervals that have no formula.

mod bootstrap;
mod calibration;
mod detection;
mod frontier;
mod intervals;
mod latency;
mod multiple;
mod precision;
mod ranking;
mod selective;

pub use bootstrap::bootstrap;
pub use calibration::{Reliability, ReliabilityBin, Temperature, fit_temperature, reliability};
pub use detection::{auprc, auroc, best_threshold};
pub use frontier::{Frontier, frontier};
pub use intervals::{Comparison, Estimate, compare, mean_metric, mean_over, wilson};
pub use latency::{Latency, percentile};
pub use multiple::holm;
pub use precision::t_975;
pub use ranking::{hit, ndcg, rank, reciprocal_rank};
pub use selective::{aurc, risk_coverage};
