//! What the server measures of itself, fed by one call for each answer.
//!
//! | file | what |
//! |---|---|
//! | `observation` | what is known of one answer |
//! | `collector` | [`Telemetry`]: the one call, and who reads what it left |
//! | `prometheus` | the counters, gauges and histograms of `GET /metrics` |
//! | `latencies` | latencies of one step as a small log-scale histogram |
//! | `slot` | what happened in one step of time |
//! | `history` | seconds of the last 15 minutes, ten seconds of the last 6 hours |
//! | `live` | [`LiveView`]: the history as curves and rates for one frame |
//! | `known` | ids of the last answers, for feedback |
//!
//! Everything here is bounded: at most 5 MiB of history, 500 recent answers, 5 MiB of ids.

mod collector;
mod history;
mod known;
mod latencies;
mod live;
mod observation;
mod prometheus;
mod slot;
#[cfg(test)]
pub(super) mod tests;

pub use collector::Telemetry;
pub(super) use collector::locked;
pub(super) use known::KnownIds;
pub use latencies::RELATIVE_ERROR;
pub use live::{LiveView, PathRates, PathSeries, Rates, Window};
pub use observation::{Gauges, Observation, ReasonerUse, Served};
pub use slot::{ReasonerTotals, Totals};
