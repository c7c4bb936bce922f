//! The server inside the window: its runtime, its engine, switching it on and off.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::jobs;
use crate::runs::{RunEntry, RunStore};
use crate::serving::http::{BindError, Server, token_from_environment};
use crate::serving::impressions::Impressions;
use crate::serving::people::held_out;
use crate::serving::traffic::Person;
use crate::serving::{Engine, EngineOptions, ServedModel};
use crate::settings::Config;

/// How often the budget's levels are noted for the plots.
const LEVELS: std::time::Duration = std::time::Duration::from_secs(1);

/// A server that is on.
pub struct Host {
    pub engine: Arc<Engine>,
    pub address: String,
    pub token: Option<String>,
    /// Held-out users of the model's run.
    pub people: Arc<[Person]>,
    pub runtime: Arc<Runtime>,
    server: Server,
}

/// Why the server is not on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The port is taken; the next that is free.
    Taken {
        port: u16,
        free: Option<u16>,
    },
    Message(String),
}

impl Host {
    /// Load the run, start the engine, bind the port.
    pub fn start(
        store: &RunStore,
        entry: &RunEntry,
        config: &Config,
        context: &jobs::Context<()>,
    ) -> Result<Self, Refused> {
        let told = |error: &dyn std::fmt::Display| Refused::Message(error.to_string());
        let model = ServedModel::load(store, entry, context).map_err(|error| told(&error))?;
        let model = Arc::new(model);
        let impressions =
            Impressions::open(&store.dir().join(".impressions")).map_err(|error| told(&error))?;
        let people = held_out(&model.data, &model.split);
        let engine = Engine::start(EngineOptions {
            model,
            config: config.clone(),
            impressions: Some(impressions),
            threads: 0,
        })
        .map_err(|error| told(&error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("api")
            .enable_all()
            .build()
            .map_err(|error| told(&error))?;
        let token = token_from_environment();
        let bound = runtime.block_on(Server::bind(engine.clone(), &config.server, token));
        let server = bound.map_err(|error| match error {
            BindError::Taken { port, free } => Refused::Taken { port, free },
            error => told(&error),
        })?;
        let levels = Arc::downgrade(&engine);
        runtime.spawn(async move {
            // Ends with the engine; the runtime ends it at the latest.
            while let Some(engine) = levels.upgrade() {
                engine.refresh_gauges();
                drop(engine);
                tokio::time::sleep(LEVELS).await;
            }
        });
        Ok(Self {
            engine,
            address: format!("http://{}", server.address()),
            token: server.token().map(str::to_owned),
            people,
            runtime: Arc::new(runtime),
            server,
        })
    }

    /// Finish what was accepted, within the deadline; returns how many requests were cut off.
    pub fn stop(self) -> usize {
        let cut_off = self.runtime.block_on(self.server.stop_with(&self.engine));
        if let Some(impressions) = self.engine.impressions() {
            impressions.close();
        }
        cut_off
    }
}
