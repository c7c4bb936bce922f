//! The HTTP API around the engine.
//!
//! [`Server::bind`] opens the port and serves until [`Server::stop`]. From the socket inwards a
//! request passes
//!
//! 1. `connection`: a head that trickles in, an idle connection and a client that does not read
//!    its answer are closed in time;
//! 2. `guard`: a panic becomes a 500; the Host header is checked (`host`) before the token
//!    (`token`), then there must be room among the requests at once;
//! 3. `routes` and `adapter`: the handlers, which read at most so many bytes within the time allowed
//!    (`body`, `limits`) and ask the `backend`.
//!
//! Every error is JSON with a code and a sentence (`app`), and is counted. The exception is what
//! is no HTTP at all, or has a head of over 64 KiB or 100 headers: hyper answers that itself with
//! a bare 400, 414 or 431. There are no CORS headers, so no page of another origin can read an
//! answer. `openapi` describes all of it.

mod adapter;
mod app;
mod backend;
mod body;
mod connection;
mod guard;
mod host;
mod limits;
mod openapi;
mod routes;
mod server;
#[cfg(test)]
mod tests;
mod token;

pub use backend::Backend;
pub use server::{BindError, Server, Stopped};
pub use token::token_from_environment;
