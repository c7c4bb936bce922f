//! Printing: JSON to stdout alone, progress to stderr.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::arguments::{Common, Usage};
use crate::jobs::{self, Context, Control, Progress};
use crate::settings::{Config, Kind};

/// Print one JSON object.
pub fn json(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Refuse a file for `option` whose folder is not there, before the work is done.
pub fn check_folder(option: &str, path: &Path) -> Result<(), Usage> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(Usage(format!("{option}: there is no folder {}", folder.display())))
        }
        _ => Ok(()),
    }
}

/// How often progress goes to stderr at most: what is being done, and how far it is.
const NEWS: Duration = Duration::from_secs(2);
pub const SHARE: Duration = Duration::from_secs(10);

/// A context whose progress goes to stderr now and then and whose events go to `event`; Ctrl-C cancels
/// it.
pub fn context<E: Send + 'static>(
    common: &Common,
    event: impl Fn(E) + Send + Sync + 'static,
) -> Result<Context<E>> {
    let control = Control::default();
    let stop = control.clone();
    ctrlc::set_handler(move || {
        if stop.is_cancelled() {
            std::process::exit(130);
        }
        note!("stopping… (again to stop without saving)");
        stop.cancel();
    })?;
    let quiet = common.quiet;
    let last = Mutex::new((Instant::now(), Progress::default()));
    Ok(jobs::detached(control, move |progress, events| {
        for one in events {
            event(one);
        }
        let Ok(mut last) = last.lock() else { return };
        let wait = if progress.message == last.1.message { SHARE } else { NEWS };
        let due = last.0.elapsed() > wait && *progress != last.1;
        if quiet || !due || progress.message.is_empty() {
            return;
        }
        match progress.fraction {
            Some(share) => note!("{:3.0} %  {}", 100.0 * share, progress.message),
            None => note!("       {}", progress.message),
        }
        *last = (Instant::now(), progress.clone());
    }))
}

/// `deepm3 settings`.
pub fn settings(common: &Common) -> Result<()> {
    let default = Config::default();
    let value = |key: &str| default.get(key).map(|value| value.to_string()).unwrap_or_default();
    let typed = |key: &str| default.get(key).ok().map_or(json!(null), |value| value.to_json());
    let limits = |kind: &Kind| match kind {
        Kind::Integer { min, max, .. } => json!({ "min": min, "max": max }),
        Kind::Number { min, max, .. } => json!({ "min": min, "max": max }),
        Kind::Choice(words) => json!({ "choices": words }),
        Kind::Switch | Kind::Text => json!(null),
    };
    let range = |kind: &Kind| match kind {
        Kind::Integer { min, max, .. } => format!("{min}–{max}"),
        Kind::Number { min, max, .. } => format!("{min}–{max}"),
        Kind::Switch => "true, false".to_owned(),
        Kind::Choice(words) => words.join(", "),
        Kind::Text => "text".to_owned(),
    };
    if common.json {
        let rows: Vec<_> = Config::settings()
            .iter()
            .map(|setting| {
                json!({
                    "key": setting.key, "label": setting.label, "unit": setting.unit,
                    "range": limits(&setting.kind), "default": typed(setting.key),
                    "help": setting.help,
                })
            })
            .collect();
        return json(&json!({ "settings": rows }));
    }
    println!(
        "Values of an empty preset. Commands begin with one of `--preset`: `drift` for the built-in data and \
         `leave-one-out` for any other where none is named.\n"
    );
    for setting in Config::settings() {
        let unit = if setting.unit.is_empty() { "" } else { " " };
        println!("{} = {}{unit}{}", setting.key, value(setting.key), setting.unit);
        println!("    {} [{}]", setting.help, range(&setting.kind));
    }
    Ok(())
}
