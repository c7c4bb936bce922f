//! `deepm3 serve`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{config_of, run_of, served};
use crate::cli::arguments::{Common, ServeOptions};
use crate::cli::output;
use crate::serving::http::{Server, token_from_environment};
use crate::serving::impressions::Impressions;
use crate::serving::{Engine, EngineOptions};
use crate::training::TrainEvent;

/// How soon Ctrl-C is heard.
const TICK: Duration = Duration::from_millis(50);

pub fn serve(options: &ServeOptions, common: &Common) -> Result<()> {
    let context = output::context::<TrainEvent>(common, |_| ())?;
    let (store, entry) = run_of(&options.run, common, &context)?;
    let mut config = config_of(&options.run, &entry)?;
    if let Some(port) = options.port {
        config.server.port = port.into();
    }
    if let Some(host) = &options.host {
        config.server.host.clone_from(host);
    }
    let model = Arc::new(served((&store, &entry), options.adapter.as_deref(), &context)?);
    let folder: PathBuf =
        options.impressions.clone().unwrap_or_else(|| store.dir().join(".impressions"));
    let engine = Engine::start(EngineOptions {
        model: model.clone(),
        config: config.clone(),
        impressions: Some(Impressions::open(&folder)?),
        threads: 0,
    })?;
    let token = token_from_environment();
    let given = token.is_some();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stopped = runtime.block_on(async {
        let server = Server::bind(engine.clone(), &config.server, token).await?;
        let address = server.address();
        if common.json {
            output::json(&json!({
                "address": format!("http://{address}"), "run": model.run,
                "solver": model.config.model.solver, "items": model.data.items(),
                "adapter": model.adapter, "reasoner": config.reasoner.kind, "impressions": folder,
                "token": server.token().filter(|_| !given),
            }))?;
        } else {
            println!("serving run {} on http://{address}", model.run);
            if let Some(adapter) = &model.adapter {
                println!("with the adapter {}, for {}", adapter.title(), adapter.domain);
            }
            println!("System 2 is the {} reasoner", config.reasoner.kind.word());
            match server.token() {
                // The owner knows it, and a log would.
                Some(_) if given => println!("clients need the token of DEEPM3_TOKEN"),
                Some(token) => println!("token: {token}"),
                None => {}
            }
            println!("answers are logged to {}; Ctrl-C stops", folder.display());
        }
        while !context.control().is_cancelled() {
            tokio::time::sleep(TICK).await;
        }
        anyhow::Ok(server.stop_with(&engine).await)
    })?;
    let log = engine.impressions();
    let written = log.map(|log| log.close()).unwrap_or_default();
    let lost = log.map(|log| log.status().lost).unwrap_or_default();
    if !common.quiet || lost > 0 {
        note!(
            "stopped; {} requests were cut off, {written} log lines written, {lost} lost",
            stopped
        );
    }
    Ok(())
}
