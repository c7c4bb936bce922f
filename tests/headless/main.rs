//! The program as a process: what it prints, how it exits, and what survives when it is killed.

mod commands;
mod program;
mod resume;
mod serve;
mod shared_data;
mod tune;
