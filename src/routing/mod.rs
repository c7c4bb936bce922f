//! Which requests deserve System 2, and under which budget.
//!
//! [`decide`] is the router: feature flag → uncertainty → breaker → budget, a pure function of
//! settings, [`Budget`], [`Ask`] and a time that the caller reads. [`Router`] is the same behind a
//! lock, for servers whose settings change while they run. Uncertainty is the [`entropy`] of
//! System 1's calibrated scores, and the [`conflict`] between the genres it predicts
//! ([`predicted_mix`]) and the user's own ([`profile()`]).
//!
//! Nothing here knows tensors, files, sockets or a clock.

mod budget;
mod decision;
mod profile;
mod router;
mod spending;
mod top;
mod uncertainty;

pub use budget::{Budget, Levels, Reservation};
pub use decision::{Ask, Decision, Force, Limit, Path, Reason, Uncertainty};
pub use profile::{ItemGenres, predicted_mix, profile};
pub use router::{Router, decide};
pub use top::top;
pub use uncertainty::{Softmax, conflict, entropy, jensen_shannon, softmax};
