//! Item dynamics: what the world wants now. Every event on an item raises that item's intensity,
//! which then decays in continuous time (self-excitation, Hawkes 1971), and ties it to the other
//! items of the same user (mutual excitation), so that a history excites what others chose
//! along with it.
//!
//! λᵢₖ(t) = Σ 2^(−(t − tⱼ)/τₖ) over the events tⱼ < t of item i: the solution of the linear ODE
//! dλ/dt = −(ln 2/τₖ) λ with a jump of 1 at each event. Everything is as of a moment, from events
//! strictly before it, so that nothing is ever known from the future; where nothing has been known for
//! more than a day, everything stays as it was then.
//!
//! [`intensity`] holds the λ of all items, [`company`] which items share users, [`timeline`] puts
//! them together and answers [`Look`]s at a moment; [`half_life`] learns the τₖ. The logarithms of
//! all these ([`features`]) enter the scores with weights that the user's state and the rhythm of
//! the user's events ([`clock`]) decide on: [`lift`] where a model answers, [`super::fused`] where
//! it learns.

mod clock;
mod company;
mod features;
pub mod half_life;
mod intensity;
mod lift;
mod sums;
mod timeline;

#[cfg(test)]
mod tests;

pub use clock::{CLOCK, steer};
pub use features::{FEATURES, Look};
pub use half_life::HALF_LIVES;
pub use lift::{Lift, matrices};
pub use timeline::{Event, Moment, Timeline};

const MS_PER_DAY: f64 = 86_400_000.0;
