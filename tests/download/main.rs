//! Downloads against a local server that behaves well, and badly in every way we know.

mod contents;
mod desk;
mod http;
mod resume;
mod server;
