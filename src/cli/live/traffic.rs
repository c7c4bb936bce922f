//! `deepm3 traffic`: requests against a running server.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Result, ensure};

use super::{config_of, run_of};
use crate::cli::arguments::{Common, TrafficOptions};
use crate::cli::output;
use crate::jobs::detached;
use crate::serving::http::token_from_environment;
use crate::serving::people::held_out;
use crate::serving::traffic::{TrafficPlan, run};
use crate::settings::TrafficPattern;
use crate::training::{Prepared, TrainEvent};

pub fn traffic(options: &TrafficOptions, common: &Common) -> Result<()> {
    let context = output::context::<TrainEvent>(common, |_| ())?;
    let (_, entry) = run_of(&options.run, common, &context)?;
    let mut config = config_of(&options.run, &entry)?;
    config.set_given(&[
        ("traffic.pattern", options.pattern.clone()),
        ("traffic.rate", options.rate.map(|rate| rate.to_string())),
        ("traffic.seconds", options.seconds.map(|seconds| seconds.to_string())),
        ("traffic.concurrency", options.connections.map(|count| count.to_string())),
        ("traffic.seed", options.seed.map(|seed| seed.to_string())),
    ])?;
    let prepared = Prepared::load(&config, &context)?;
    let plan = TrafficPlan {
        target: options.url.clone(),
        settings: config.traffic,
        people: held_out(&prepared.data, &prepared.split),
        token: token_from_environment(),
        allow_remote: options.allow_remote,
    };
    // One line that is written over again is for people.
    let quiet = common.quiet || !std::io::stderr().is_terminal();
    let watched = detached(context.control().clone(), move |progress, _| {
        if !quiet && !progress.message.is_empty() {
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", progress.message);
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(&plan, &watched));
    if !quiet {
        note!();
    }
    let report = report?;
    if common.json {
        output::json(&report)?;
    } else {
        println!("{}", report.to_text());
    }
    // Chaotic requests are unusual on purpose.
    if report.warned > 0 && report.pattern != TrafficPattern::Chaotic && !common.quiet {
        note!(
            "answers with warnings: where the served run is another one, it does not know the items; give \
             `--run` as for `serve`"
        );
    }
    ensure!(report.completed > 0 || report.failed == 0, "no request was answered");
    Ok(())
}
