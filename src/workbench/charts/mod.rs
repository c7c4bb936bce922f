//! Charts: what is drawn ([`curves`]) apart from how ([`plot`], [`lines`]).

pub mod curves;
pub mod lines;
pub mod plot;
