//! The settings that the options of a command describe.

use std::path::Path;

use super::arguments::{ConfigOptions, DataOptions, Usage};
use crate::data::import::Mapping;
use crate::settings::Config;

/// The name of the built-in set.
const BUILT_IN: &str = "drift";

impl ConfigOptions {
    /// The config that the options describe: the preset, single settings on top of it, then those
    /// that have an option of their own.
    pub fn config(&self, default_preset: &str) -> anyhow::Result<Config> {
        let mut config = Config::load(self.preset.as_deref().unwrap_or(default_preset))?;
        for assignment in &self.set {
            config.set_text(assignment)?;
        }
        self.data.apply(&mut config)?;
        config.set_given(&[
            ("evaluation.protocol", self.protocol.clone()),
            ("training.epochs", self.epochs.map(|epochs| epochs.to_string())),
            ("training.seed", self.seed.map(|seed| seed.to_string())),
        ])?;
        config.data.source = located(&config.data.source);
        Ok(config)
    }

    /// The data that is asked for, by its own option or as a setting, or the built-in set.
    pub fn source(&self) -> &str {
        let mut set = self.set.iter().rev().filter_map(|assignment| assignment.split_once('='));
        let named = set.find(|(key, _)| key.trim() == "data.source");
        self.data.data.as_deref().or(named.map(|(_, value)| value.trim())).unwrap_or(BUILT_IN)
    }
}

/// A source of data as it is kept: a path is made absolute, so that a run can be repeated from anywhere.
pub(super) fn located(source: &str) -> String {
    let path = Path::new(source);
    if source == BUILT_IN || !path.exists() {
        return source.to_owned();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

impl DataOptions {
    /// Whether any of them is given.
    pub fn is_given(&self) -> bool {
        self.data.is_some() || self.columns.is_some() || self.items.is_some()
    }

    /// Put the data options into `config`, with paths made absolute.
    pub fn apply(&self, config: &mut Config) -> anyhow::Result<()> {
        if let Some(data) = &self.data {
            config.data.source = located(data);
        }
        if config.data.source == BUILT_IN && (self.columns.is_some() || self.items.is_some()) {
            let message = "--columns and --items are about a file; name it with --data";
            return Err(Usage(message.to_owned()).into());
        }
        if let Some(columns) = &self.columns {
            columns.parse::<Mapping>().map_err(|error| Usage(error.to_string()))?;
            config.data.columns.clone_from(columns);
        }
        if let Some(items) = &self.items {
            config.data.items_file = located(&items.display().to_string());
        }
        Ok(())
    }
}
