//! Why traffic could not be sent at all, and what to do.

/// Traffic that could not start. Requests that fail later are counted in the report instead.
#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    #[error("there is no user to take histories from; choose a run whose data has held-out users")]
    NoPeople,
    #[error("`{target}` is no address of a server: {problem}; give one like http://127.0.0.1:8000")]
    BadTarget { target: String, problem: String },
    #[error(
        "`{host}` is not this machine, and traffic stays on this machine unless told otherwise; \
         use 127.0.0.1, or allow other machines (--allow-remote) if the server is yours to load"
    )]
    NotLoopback { host: String },
    #[error(
        "nothing answers at {target}: {reason}; is the server on? Start it with `deepm3 serve` or \
         switch it on in the Live API page"
    )]
    CannotConnect { target: String, reason: String },
    #[error("the token holds characters that no header can carry; copy it again from the server")]
    BadToken,
    #[error("the HTTP client could not be set up: {0}")]
    Client(String),
    #[error("latencies cannot be recorded: {0}")]
    Latencies(#[from] hdrhistogram::CreationError),
}
