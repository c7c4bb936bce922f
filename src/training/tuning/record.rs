//! A search on disk: one file beside the runs, replaced whenever a trial got further.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::TuneError;
use super::rungs::{Rung, rungs};
use super::sample::{Point, points};
use crate::evaluation::Estimate;
use crate::runs::{MetricRecord, RunStore, write_atomic};
use crate::settings::{Config, Space};
use crate::training::plan::fresh_group;

/// Larger files are not ours.
const LARGEST: u64 = 64 << 20;

/// A search: what was asked, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Its name, and the group of its runs.
    pub group: String,
    /// Every setting; the trials put their own in place of some.
    pub config: Config,
    /// Of the data it is on.
    pub fingerprint: String,
    pub rungs: Vec<Rung>,
    pub trials: Vec<Trial>,
    /// The number of the best trial on validation, once the search has ended.
    pub best: Option<usize>,
    /// The test of the best trial, made once and after everything was decided.
    pub tested: Option<Tested>,
}

/// One point of the space and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// From 1, in the order of drawing.
    pub trial: usize,
    /// Its run, once it has one.
    pub run: Option<String>,
    pub values: Point,
    /// Epochs trained.
    pub epochs: usize,
    /// Of its best epoch, or of its last where `training.keep_best` is off.
    pub valid_hr10: Option<f64>,
    /// What trials are judged by; of the same epoch.
    pub valid_ndcg10: Option<f64>,
    /// Of training.
    pub seconds: f64,
    /// Rungs completed.
    pub rungs: usize,
    pub status: Status,
    /// Why it failed; empty where it did not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
}

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not trained yet.
    Waiting,
    /// Trained as far as its rungs asked, and still in the search.
    Alive,
    /// Others were better.
    Dropped,
    /// It could not be trained, for example because its loss diverged.
    Failed,
    /// Trained to the end; another was better.
    Finished,
    /// Chosen.
    Best,
}

/// What the chosen trial reached on the test queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    pub run: String,
    pub hr10: Estimate,
    pub ndcg10: Estimate,
    /// What it was trained on.
    pub device: String,
}

impl Status {
    /// The word in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Alive => "alive",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Finished => "finished",
            Self::Best => "best",
        }
    }

    /// Whether it may still win.
    pub fn is_in(self) -> bool {
        matches!(self, Self::Waiting | Self::Alive)
    }
}

impl Search {
    /// A search as `config` describes it, not begun yet; `group` is its name.
    ///
    /// # Errors
    /// [`TuneError::Space`] or [`TuneError::Budget`] where that cannot be, [`TuneError::BadName`].
    pub fn new(config: &Config, group: &str, fingerprint: &str) -> Result<Self, TuneError> {
        check_name(group)?;
        let settings = &config.tuning;
        let space = Space::parse(&settings.space)?;
        let points = points(&space, settings.trials, settings.seed as u64);
        let rungs = rungs(settings, points.len(), config.training.epochs)?;
        let trials = points.into_iter().enumerate().map(|(place, values)| Trial {
            trial: place + 1,
            run: None,
            values,
            epochs: 0,
            valid_hr10: None,
            valid_ndcg10: None,
            seconds: 0.0,
            rungs: 0,
            status: Status::Waiting,
            failure: String::new(),
        });
        Ok(Self {
            group: group.to_owned(),
            config: Config {
                ablation: crate::settings::AblationSettings {
                    group: group.to_owned(),
                    ..config.ablation.clone()
                },
                ..config.clone()
            },
            fingerprint: fingerprint.to_owned(),
            rungs,
            trials: trials.collect(),
            best: None,
            tested: None,
        })
    }

    /// A name for a new search, from date and time.
    pub fn fresh_group() -> String {
        fresh_group("tuning-")
    }

    /// The search `group`, or `latest`: the newest that has not ended.
    ///
    /// # Errors
    /// [`TuneError::NotFound`] with those there are, [`TuneError::File`] where it cannot be read.
    pub fn load(store: &RunStore, group: &str) -> Result<Self, TuneError> {
        let mut known = names(store);
        if group == "latest" {
            let unfinished = |name: &String| {
                read(&path_of(store, name)).ok().filter(|search| search.tested.is_none())
            };
            return known.iter().rev().find_map(unfinished).ok_or_else(|| TuneError::NotFound {
                group: group.to_owned(),
                known: "none was stopped before its end".to_owned(),
            });
        }
        check_name(group)?;
        let path = path_of(store, group);
        if path.is_file() {
            return read(&path);
        }
        known.reverse();
        known.truncate(8);
        let known = match known.as_slice() {
            [] => "there is none yet".to_owned(),
            some => format!("the newest are {}", some.join(", ")),
        };
        Err(TuneError::NotFound { group: group.to_owned(), known })
    }

    /// Whether `group` names a search on disk.
    pub fn exists(store: &RunStore, group: &str) -> bool {
        check_name(group).is_ok() && path_of(store, group).is_file()
    }

    /// Refuse to go on under other settings than it was begun with.
    ///
    /// # Errors
    /// [`TuneError::OtherSettings`] with those that differ.
    pub fn check_settings(&self, config: &Config) -> Result<(), TuneError> {
        // Files may have moved, and how the work is cut up decides nothing.
        let free = ["data.source", "data.items_file", "training.parallel", "ablation.group"];
        let differing = self.config.differences(config).into_iter().filter(|(key, ..)| {
            let section = key.split_once('.').map_or("", |(section, _)| section);
            ["data", "model", "training", "evaluation", "tuning"].contains(&section)
                && !free.contains(key)
        });
        let changed: Vec<&str> = differing.map(|(key, ..)| key).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let (group, changed) = (self.group.clone(), changed.join(", "));
        Err(TuneError::OtherSettings { group, changed })
    }

    /// Write it down.
    ///
    /// # Errors
    /// [`TuneError::File`].
    pub fn save(&self, store: &RunStore) -> Result<(), TuneError> {
        let path = path_of(store, &self.group);
        let failed = |reason: String| TuneError::File { path: path.clone(), reason };
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        fs::create_dir_all(&folder).map_err(|error| failed(error.to_string()))?;
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| failed(error.to_string()))?;
        write_atomic(&path, &bytes).map_err(|error| failed(error.to_string()))
    }

    /// The config of a trial's run.
    ///
    /// # Errors
    /// [`TuneError::Setting`] where a value is none of the setting's: only for a file changed by
    /// hand.
    pub fn config_of(&self, trial: &Trial) -> Result<Config, TuneError> {
        let mut config = self.config.clone();
        for (key, value) in &trial.values {
            config.set(key, value.clone())?;
        }
        config.ablation.models = config.model.solver.word().to_owned();
        Ok(config)
    }

    /// A trial's settings as a preset: what the search was begun with, its values in their place,
    /// and no group.
    ///
    /// # Errors
    /// As [`config_of`](Self::config_of).
    pub fn preset_of(&self, trial: &Trial) -> Result<Config, TuneError> {
        let mut config = self.config_of(trial)?;
        config.ablation.group = String::new();
        Ok(config)
    }

    /// The trial that was chosen.
    pub fn best_trial(&self) -> Option<&Trial> {
        let best = self.best?;
        self.trials.iter().find(|trial| trial.trial == best)
    }

    /// Places of the trials that are in the search and have a score, the best first. The earlier
    /// one wins a tie.
    pub fn ranking(&self) -> Vec<usize> {
        let score = |place: &usize| self.trials[*place].valid_ndcg10.unwrap_or(f64::NEG_INFINITY);
        let mut places: Vec<usize> = (0..self.trials.len())
            .filter(|&place| {
                let trial = &self.trials[place];
                trial.status.is_in() && trial.valid_ndcg10.is_some_and(f64::is_finite)
            })
            .collect();
        places.sort_by(|a, b| score(b).total_cmp(&score(a)));
        places
    }
}

impl Trial {
    /// Take over how far its run is.
    pub(super) fn judge(&mut self, metrics: &[MetricRecord], keep_best: bool) {
        let mut judged: Option<(f64, f64)> = None;
        for record in metrics {
            if let MetricRecord::Epoch { epoch, valid_hr10, valid_ndcg10, seconds, .. } = record {
                (self.epochs, self.seconds) = (*epoch, *seconds);
                if !keep_best || judged.is_none_or(|(_, best)| *valid_ndcg10 > best) {
                    judged = Some((*valid_hr10, *valid_ndcg10));
                }
            }
        }
        self.valid_hr10 = judged.map(|(hr10, _)| hr10);
        self.valid_ndcg10 = judged.map(|(_, ndcg10)| ndcg10);
    }
}

fn check_name(group: &str) -> Result<(), TuneError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if group.is_empty() || group.starts_with('.') || !group.chars().all(plain) {
        return Err(TuneError::BadName(group.to_owned()));
    }
    Ok(())
}

/// A name that no run has.
fn path_of(store: &RunStore, group: &str) -> PathBuf {
    store.dir().join(".tuning").join(format!("{group}.json"))
}

/// Names of the searches on disk, the oldest first.
fn names(store: &RunStore) -> Vec<String> {
    let Ok(listed) = fs::read_dir(store.dir().join(".tuning")) else { return Vec::new() };
    let mut found: Vec<_> = listed
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?.strip_suffix(".json")?.to_owned();
            Some((entry.metadata().ok()?.modified().ok()?, name))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

fn read(path: &std::path::Path) -> Result<Search, TuneError> {
    let failed = |reason: String| TuneError::File { path: path.to_owned(), reason };
    let size = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > LARGEST {
        return Err(failed(format!("{size} bytes are too many for a search; delete the file")));
    }
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| failed(format!("{error}; restore the file or delete it")))
}
