//! Results on disk: a folder each, beside the runs.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Experiment, ExperimentError, Findings};
use crate::figures::{self, FigureError, Theme};
use crate::runs::{DataRecord, RunStore, write_atomic};
use crate::settings::Config;

const RESULT: &str = "result.json";
/// Larger results are not ours.
const LARGEST: u64 = 64 << 20;
const PNG_SCALE: f32 = 2.0;

/// A stored result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentResult {
    /// Name of its folder.
    pub id: String,
    /// The experiment's word.
    pub experiment: String,
    pub finished: Timestamp,
    pub seconds: f64,
    /// Of the program that measured it.
    pub version: String,
    pub device: String,
    pub environment: Environment,
    /// What repeats it.
    pub command: String,
    /// The run looked at, or made.
    pub run: Option<String>,
    /// Names of the files that belong to it beside table and figure, in its folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    pub data: DataRecord,
    #[serde(flatten)]
    pub findings: Findings,
    /// Every setting.
    pub settings: Config,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub system: String,
    pub processor: String,
    pub cores: usize,
}

/// The folder of the results.
#[derive(Debug, Clone)]
pub struct ExperimentStore {
    dir: PathBuf,
}

impl ExperimentStore {
    /// `.experiments` in the folder of the runs: a name that no run has.
    pub fn beside(runs: &RunStore) -> Self {
        Self { dir: runs.dir().join(".experiments") }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the files of a result lie.
    pub fn files_of(&self, result: &ExperimentResult) -> Vec<PathBuf> {
        let folder = self.dir.join(&result.id);
        result.files.iter().map(|name| folder.join(name)).collect()
    }

    /// Store a result with its table and figure, and `files` by name, as files of their own.
    ///
    /// # Errors
    /// [`ExperimentError::File`].
    pub fn write(
        &self,
        result: &ExperimentResult,
        files: &[(String, Vec<u8>)],
    ) -> Result<(), ExperimentError> {
        let dir = self.dir.join(&result.id);
        fs::create_dir_all(&dir).map_err(ExperimentError::file(&dir))?;
        let figure = result.findings.figure.to_svg(Theme::Light);
        for (name, bytes) in files {
            let path = dir.join(name);
            write_atomic(&path, bytes).map_err(ExperimentError::file(&path))?;
        }
        // The result comes last: a folder without it is not listed.
        for (name, bytes) in [
            ("config.toml", result.settings.to_toml()),
            ("table.md", result.to_markdown()),
            ("table.csv", result.to_csv()),
            ("figure.svg", figure),
            (RESULT, result.to_json()?),
        ] {
            let path = dir.join(name);
            write_atomic(&path, bytes.as_bytes()).map_err(ExperimentError::file(&path))?;
        }
        Ok(())
    }

    /// Every result that can be read, newest first.
    pub fn list(&self) -> Vec<ExperimentResult> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let mut results: Vec<ExperimentResult> =
            entries.flatten().filter_map(|entry| read(&entry.path().join(RESULT))).collect();
        results.sort_by(|a, b| (b.finished, &b.id).cmp(&(a.finished, &a.id)));
        results
    }

    /// The newest result of each experiment, in the order of the README.
    pub fn latest(&self) -> Vec<(Experiment, ExperimentResult)> {
        let all = self.list();
        Experiment::ALL
            .into_iter()
            .filter_map(|one| {
                let newest = all.iter().find(|result| result.experiment == one.word())?;
                Some((one, newest.clone()))
            })
            .collect()
    }
}

fn read(path: &Path) -> Option<ExperimentResult> {
    let small = fs::metadata(path).ok()?.len() <= LARGEST;
    let bytes = small.then(|| fs::read(path).ok()).flatten()?;
    serde_json::from_slice(&bytes).ok()
}

impl ExperimentResult {
    /// As one JSON object.
    ///
    /// # Errors
    /// [`ExperimentError::File`] for a number that JSON cannot hold.
    pub fn to_json(&self) -> Result<String, ExperimentError> {
        serde_json::to_string_pretty(self).map_err(|error| ExperimentError::File {
            path: RESULT.into(),
            reason: error.to_string(),
        })
    }

    /// The figure as PNG.
    ///
    /// # Errors
    /// [`FigureError`].
    pub fn to_png(&self, theme: Theme) -> Result<Vec<u8>, FigureError> {
        figures::to_png(&self.findings.figure.to_svg(theme), PNG_SCALE)
    }
}

impl Environment {
    /// This one.
    pub fn here() -> Self {
        let system = sysinfo::System::new_with_specifics(
            sysinfo::RefreshKind::nothing()
                .with_cpu(sysinfo::CpuRefreshKind::nothing().with_frequency()),
        );
        let processor = system
            .ok()
            .and_then(|system| system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()))
            .filter(|brand| !brand.is_empty());
        Self {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: processor.unwrap_or_else(|| "unknown processor".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
