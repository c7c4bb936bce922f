//! Configs as TOML files, and the presets that ship with the product.

use std::path::Path;

use super::{Config, DataSettings, SettingError};

/// A named config that ships with the product.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// The name given to `--preset`; the file is `presets/NAME.toml`.
    pub name: &'static str,
    /// One line on what it is for.
    pub about: &'static str,
    text: &'static str,
}

/// The presets in `presets/`, compiled in so that they are there wherever the binary is.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "drift",
        about: "The built-in set, where time carries the signal: the ablation in about a minute",
        text: include_str!("../../presets/drift.toml"),
    },
    Preset {
        name: "drift-attractors",
        about: "The built-in set with places of rest that can be held against the true ones",
        text: include_str!("../../presets/drift-attractors.toml"),
    },
    Preset {
        name: "item-dynamics",
        about: "Item dynamics over a small state, for events with real timestamps, under DeepM3's split",
        text: include_str!("../../presets/item-dynamics.toml"),
    },
    Preset {
        name: "temporal",
        about: "Item dynamics asked weeks after the last event that counts: split by time",
        text: include_str!("../../presets/temporal.toml"),
    },
    Preset {
        name: "user-dynamics",
        about: "User dynamics alone: GRU4Rec, flows and attention under the same settings",
        text: include_str!("../../presets/user-dynamics.toml"),
    },
    Preset {
        name: "readme-ablation",
        about: "DeepM3's README ablation: its split, its model, 5 epochs, loss on the last event",
        text: include_str!("../../presets/readme-ablation.toml"),
    },
    Preset {
        name: "leave-one-out",
        about: "The field's usual protocol: all positions, tied head, early stopping",
        text: include_str!("../../presets/leave-one-out.toml"),
    },
    Preset {
        name: "experiment-efficiency",
        about: "Experiment 1: latency, cost and quality of both systems and of the router",
        text: include_str!("../../presets/experiment-efficiency.toml"),
    },
    Preset {
        name: "experiment-routing",
        about: "Experiment 2: who can tell which requests System 2 does better on",
        text: include_str!("../../presets/experiment-routing.toml"),
    },
    Preset {
        name: "experiment-alignment",
        about: "Experiment 3: a small language model aligned by DPO; it can then answer for System 2",
        text: include_str!("../../presets/experiment-alignment.toml"),
    },
    Preset {
        name: "experiment-dora",
        about: "Experiment 5: DoRA, LoRA, head-only and full fine-tuning on a genre held out",
        text: include_str!("../../presets/experiment-dora.toml"),
    },
    Preset {
        name: "experiment-tuning",
        about: "A search for good settings by successive halving, on validation only",
        text: include_str!("../../presets/experiment-tuning.toml"),
    },
    Preset {
        name: "experiment-studies",
        about: "Slices, robustness, step size and calibration of finished runs",
        text: include_str!("../../presets/experiment-studies.toml"),
    },
    Preset {
        name: "experiment-ingredients",
        about: "What each ingredient of a model contributes: one taken away at a time",
        text: include_str!("../../presets/experiment-ingredients.toml"),
    },
];

/// Name of the preset that fits the data of `source` where none is named: the built-in set's own, or
/// the field's usual protocol.
pub fn preset_for(source: &str) -> &'static str {
    if source == DataSettings::default().source { "drift" } else { "leave-one-out" }
}

impl Preset {
    /// Its config.
    ///
    /// # Errors
    /// Never for the shipped ones (a test reads each of them).
    pub fn config(&self) -> Result<Config, SettingError> {
        Config::from_toml(self.text, self.name)
    }
}

impl Config {
    /// Read TOML; `origin` names it in messages. Unknown keys and values out of range are refused.
    ///
    /// # Errors
    /// [`SettingError::File`] with the line and what to change.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, SettingError> {
        let file = |message: String| SettingError::File { path: origin.to_owned(), message };
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| file(e.to_string()))?;
        let mut config = Self::default();
        for (section, values) in table {
            let toml::Value::Table(values) = values else {
                return Err(file(format!("`{section}` must be a section such as [model]")));
            };
            for (name, value) in values {
                let key = format!("{section}.{name}");
                let value = match value {
                    toml::Value::String(text) => super::Value::Text(text),
                    toml::Value::Integer(value) => super::Value::Integer(value),
                    toml::Value::Float(value) => super::Value::Number(value),
                    toml::Value::Boolean(value) => super::Value::Switch(value),
                    other => {
                        return Err(file(format!("`{key}` cannot be a {}", other.type_str())));
                    }
                };
                config.set(&key, value).map_err(|error| file(error.to_string()))?;
            }
        }
        Ok(config)
    }

    /// Write as TOML, every setting, in the order of the sections.
    pub fn to_toml(&self) -> String {
        // A struct of numbers, words and switches always has a TOML form.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// Read a preset by name or a TOML file by path.
    ///
    /// # Errors
    /// [`SettingError::File`] where it is neither, listing the preset names.
    pub fn load(name_or_path: &str) -> Result<Self, SettingError> {
        if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name_or_path) {
            return preset.config();
        }
        let text = std::fs::read_to_string(Path::new(name_or_path)).map_err(|error| {
            let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
            SettingError::File {
                path: name_or_path.to_owned(),
                message: format!(
                    "{error}; give a TOML file or one of the presets {}",
                    names.join(", ")
                ),
            }
        })?;
        Self::from_toml(&text, name_or_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_presets_has_a_name() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: std::path::PathBuf| path.file_stem().unwrap().display().to_string();
        let mut files: Vec<String> = files.map(name).collect();
        let mut known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        files.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, files);
    }

    #[test]
    fn shipped_presets_are_valid() {
        for preset in PRESETS {
            preset.config().unwrap_or_else(|error| panic!("{}: {error}", preset.name));
        }
    }

    #[test]
    fn a_config_round_trips_through_toml() {
        let mut config = Config::default();
        config.set_text("model.hidden=48").unwrap();
        config.set_text("training.learning_rate=0.002").unwrap();
        assert_eq!(Config::from_toml(&config.to_toml(), "test").unwrap(), config);
    }

    #[test]
    fn an_unknown_key_in_a_file_is_refused_with_its_place() {
        let error = Config::from_toml("[model]\nsolvr = \"rk4\"\n", "mine.toml").unwrap_err();
        assert!(error.to_string().contains("mine.toml"), "{error}");
        assert!(error.to_string().contains("model.solver"), "{error}");
    }
}
