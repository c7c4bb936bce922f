//! Charts: what is drawn ([`curves`]) apart from how ([`plot`], [`lines`], [`times`]).

pub mod curves;
pub mod lines;
pub mod plot;
pub mod times;
