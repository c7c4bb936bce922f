//! Every setting once: its key, label, unit, range, default and help.
//!
//! The window, the command line, presets and `config.toml` all read and write settings through
//! [`Config::get`] and [`Config::set`], so that a range or a default is written in one place
//! (`sections.rs`) and an error reads the same wherever it shows.

mod file;
mod sections;
mod space;
mod value;

pub use file::{PRESETS, Preset, preset_for};
pub use sections::*;
pub use space::{Axis, Range, Space, SpaceError};
pub use value::{Kind, SettingError, SettingValue, Value};

/// What is known of one setting besides its current value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Dotted key, as in `config.toml` and `--set`: `model.hidden`.
    pub key: &'static str,
    /// Short label for the window, sentence case.
    pub label: &'static str,
    /// Unit shown after the value; empty where there is none.
    pub unit: &'static str,
    /// What it does and when to change it, for tooltips and `--help`.
    pub help: &'static str,
    /// Type and range.
    pub kind: Kind,
}

/// Sections of the settings that take part in a training.
const OF_A_RUN: [&str; 5] = ["data", "model", "training", "evaluation", "ablation"];

impl Setting {
    /// Whether it takes part in a training. A run keeps the others as well, but they say nothing
    /// of it: its requests are routed by what is set then.
    pub fn is_of_a_run(&self) -> bool {
        self.key.split_once('.').is_some_and(|(section, _)| OF_A_RUN.contains(&section))
    }
}

impl ModelSettings {
    /// Whether κ of the time warp is one of the weights: where there is one, and a flow to feel it.
    pub fn learns_time_scale(&self) -> bool {
        self.learn_time_scale && self.warp == Warp::Log1p && self.solver.flows()
    }
}

impl Config {
    /// Whether only the CPU trains it: attention, flows without a tanh field, item dynamics, a
    /// learned time scale, losses without seen items, averaged weights.
    pub fn only_on_cpu(&self) -> bool {
        let Self { model, training, .. } = self;
        !model.solver.on_gpus()
            || model.item_dynamics != ItemDynamics::None
            || model.learns_time_scale()
            || training.mask_seen
            || training.averaging > 0.0
    }

    /// The setting that drawn items (`training.negatives`) do not go with, where one is on.
    pub fn not_sampled_with(&self) -> Option<&'static str> {
        let Self { model, training, .. } = self;
        match () {
            () if model.item_dynamics != ItemDynamics::None => Some("model.item_dynamics"),
            () if training.mask_seen => Some("training.mask_seen"),
            () if training.averaging > 0.0 => Some("training.averaging"),
            () => None,
        }
    }

    /// The same on the data of `other`: where it comes from, and how it is read.
    #[must_use]
    pub fn on_data_of(mut self, other: &Self) -> Self {
        self.data.source.clone_from(&other.data.source);
        self.data.columns.clone_from(&other.data.columns);
        self.data.items_file.clone_from(&other.data.items_file);
        self
    }

    /// Take those of `other` that no training depends on: how requests are routed and answered.
    ///
    /// # Errors
    /// [`SettingError`] where one of `other` is not valid.
    pub fn operate_as(&mut self, other: &Self) -> Result<(), SettingError> {
        for setting in Self::registry().iter().filter(|setting| !setting.is_of_a_run()) {
            if let Some(value) = other.read(setting.key) {
                self.set(setting.key, value)?;
            }
        }
        Ok(())
    }

    /// Set what was given of `settings`, keys with what they were given as text.
    ///
    /// # Errors
    /// As [`Self::set_text`].
    pub fn set_given(&mut self, settings: &[(&str, Option<String>)]) -> Result<(), SettingError> {
        for (key, text) in settings {
            if let Some(text) = text {
                self.set_text(&format!("{key}={text}"))?;
            }
        }
        Ok(())
    }

    /// All settings in the order of the file.
    pub fn settings() -> Vec<Setting> {
        Self::registry()
    }

    /// The description of `key`.
    ///
    /// # Errors
    /// [`SettingError::Unknown`] with the nearest valid key.
    pub fn describe(key: &str) -> Result<Setting, SettingError> {
        let all = Self::registry();
        if let Some(found) = all.iter().find(|setting| setting.key == key) {
            return Ok(found.clone());
        }
        let nearest = all
            .iter()
            .max_by(|a, b| {
                // Without its section, as who knows the setting may write it.
                let own = |setting: &Setting| match setting.key.rsplit_once('.') {
                    Some((_, own)) if !key.contains('.') => own,
                    _ => setting.key,
                };
                let near = |setting: &Setting| strsim::jaro_winkler(own(setting), key);
                near(a).total_cmp(&near(b))
            })
            .map(|setting| setting.key)
            .unwrap_or_default();
        Err(SettingError::Unknown { key: key.to_owned(), nearest: nearest.to_owned() })
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`SettingError::Unknown`] with the nearest valid key.
    pub fn get(&self, key: &str) -> Result<Value, SettingError> {
        Self::describe(key)?;
        self.read(key)
            .ok_or_else(|| SettingError::Unknown { key: key.to_owned(), nearest: key.to_owned() })
    }

    /// Set `key` to `value` after checking its type and range; an error changes nothing.
    ///
    /// # Errors
    /// [`SettingError`] naming the nearest valid key or value.
    pub fn set(&mut self, key: &str, value: Value) -> Result<(), SettingError> {
        let setting = Self::describe(key)?;
        let value = setting.kind.check(key, value)?;
        self.write(key, value)
    }

    /// Parse `KEY=VALUE`, as given to `--set`, and apply it.
    ///
    /// # Errors
    /// [`SettingError`] for a missing `=`, an unknown key or a value out of range.
    pub fn set_text(&mut self, assignment: &str) -> Result<(), SettingError> {
        let (key, text) = assignment
            .split_once('=')
            .ok_or_else(|| SettingError::NotAnAssignment(assignment.to_owned()))?;
        let (key, text) = (key.trim(), text.trim());
        let setting = Self::describe(key)?;
        let value = setting.kind.parse(key, text)?;
        self.write(key, value)
    }

    /// Every value that is not valid on its own, with its message. Empty for a usable config.
    pub fn problems(&self) -> Vec<String> {
        Self::registry()
            .iter()
            .filter_map(|setting| {
                let value = self.read(setting.key)?;
                setting.kind.check(setting.key, value).err().map(|error| error.to_string())
            })
            .collect()
    }

    /// The settings whose values differ between two configs: `(key, ours, theirs)`.
    pub fn differences(&self, other: &Self) -> Vec<(&'static str, Value, Value)> {
        Self::registry()
            .iter()
            .filter_map(|setting| {
                let (ours, theirs) = (self.read(setting.key)?, other.read(setting.key)?);
                (ours != theirs).then_some((setting.key, ours, theirs))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = Config::default().set_text("model.hiden=64").unwrap_err();
        assert!(error.to_string().contains("model.hidden"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_the_nearest_and_changes_nothing() {
        let mut config = Config::default();
        let error = config.set_text("model.hidden=100000").unwrap_err();
        assert!(error.to_string().contains("1024"), "{error}");
        assert_eq!(config, Config::default());
    }

    #[test]
    fn a_wrong_choice_lists_the_choices() {
        let error = Config::default().set_text("model.solver=rk5").unwrap_err().to_string();
        assert!(error.contains("rk4") && error.contains("euler"), "{error}");
    }

    #[test]
    fn every_setting_round_trips_through_text_and_its_default_is_in_range() {
        let default = Config::default();
        assert_eq!(default.problems(), Vec::<String>::new());
        let mut copy = Config::default();
        for setting in Config::settings() {
            let value = default.get(setting.key).unwrap();
            copy.set_text(&format!("{}={value}", setting.key)).unwrap();
        }
        assert_eq!(copy, default);
    }

    #[test]
    fn not_a_number_is_refused() {
        assert!(Config::default().set_text("training.learning_rate=NaN").is_err());
        assert!(Config::default().set_text("training.learning_rate=fast").is_err());
        assert!(Config::default().set_text("training.epochs=2.5").is_err());
    }
}
