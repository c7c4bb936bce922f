//! System 2: given a history and System 1's candidates, choose and rank.
//!
//! [`Mock`] ranks by [`Evidence`], deterministically and without a network. Its ranking is real;
//! the latency and the tokens it states are simulated, and whoever shows them says so.

mod evidence;
mod mock;

pub use evidence::Evidence;
pub use mock::Mock;
