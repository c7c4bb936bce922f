//! Adapters as files of their own: written beside what trained them, read against the model that
//! they are for.
//!
//! The file is a safetensors file with the parts as [`Adapter::initial`] names them, and one entry
//! of text that says what they are and which weights they were trained on. An adapter of other
//! weights would turn a model into noise, so it is refused.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{TrainError, checkpoint};
use crate::dynamics::adapter::{Adapter, Kind, Size};
use crate::dynamics::parameters::{self, Matrix};
use crate::settings::{ItemDynamics, ModelSettings};

/// Largest file that is read, in bytes: rank 256 on a head of 60,000 items.
pub const LARGEST: usize = 64 << 20;
/// Larger ranks than any setting allows are not ours.
const MOST_RANK: usize = 4096;
/// The entry of text.
const ABOUT: &str = "deepm3.adapter";

/// Why a file cannot be put on a model.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    #[error("{path} could not be read: {cause}", path = path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error(
        "{what} is no adapter: {reason}; adapters are the files `adapter-….safetensors` beside a \
         result of `deepm3 experiment dora`"
    )]
    NotOne { what: String, reason: String },
    #[error(
        "adapters change the matrices of the GRU, its field and its head, which a {0} has not; \
         choose a run of gru, euler or rk4"
    )]
    NoState(&'static str),
    #[error(
        "adapters are trained without item dynamics, which this model has (model.item_dynamics); \
         choose a run without them"
    )]
    ItemDynamics,
    #[error(
        "the adapter changes `{name}`, which this model ({model}) does not have; it belongs to \
         another run"
    )]
    Missing { name: String, model: String },
    #[error(
        "the adapter changes `{name}` of {adapter:?}, and this model's is {model:?}; it belongs to \
         another run"
    )]
    Shape { name: String, adapter: [usize; 2], model: [usize; 2] },
    #[error(
        "the adapter was trained on other weights (fingerprint {expected}, this run's is {found}); \
         put it on the run that it was trained on, which its experiment's result names"
    )]
    OtherWeights { expected: String, found: String },
}

impl AdapterError {
    /// Whether the file itself is at fault, and not the model that it was put on.
    pub fn is_of_the_file(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::NotOne { .. })
    }
}

/// The entry of text, as JSON: several would be written in an order of their own each time.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    kind: Kind,
    #[serde(flatten)]
    size: Size,
    names: Vec<String>,
    /// Of the weights it was trained on.
    base: String,
    /// What it was trained for, for people.
    domain: String,
}

/// An adapter of a model, read from a file.
#[derive(Debug, Clone)]
pub struct AdapterFile {
    pub adapter: Adapter,
    /// In the order of [`Adapter::initial`].
    pub parts: Vec<Matrix>,
    /// What it was trained for, for people.
    pub domain: String,
    /// First 16 hex digits of the file's SHA-256.
    pub fingerprint: String,
}

impl AdapterFile {
    /// The bytes of a file for `parts`, which were trained on the model `base` for `domain`.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] where it cannot be encoded.
    pub fn encode(
        adapter: &Adapter,
        parts: &[Matrix],
        base: &[Matrix],
        domain: &str,
    ) -> Result<Vec<u8>, TrainError> {
        let about = About {
            kind: adapter.kind,
            size: adapter.size,
            names: adapter.names.clone(),
            base: parameters::fingerprint(base),
            domain: domain.to_owned(),
        };
        let about = serde_json::to_string(&about)
            .map_err(|error| TrainError::Checkpoint(error.to_string()))?;
        let named = parts.iter().map(|part| (part.name.clone(), part));
        checkpoint::encode(named, HashMap::from([(ABOUT.to_owned(), about)]))
    }

    /// Read the bytes of such a file, called `what` for people, against the model it is to be put
    /// on: its settings, and its weights in the order of [`parameters`].
    ///
    /// # Errors
    /// [`AdapterError`] for anything that is not an adapter of this model.
    pub fn decode(
        what: &str,
        bytes: &[u8],
        model: &ModelSettings,
        base: &[Matrix],
    ) -> Result<Self, AdapterError> {
        let bad = |reason: String| AdapterError::NotOne { what: what.to_owned(), reason };
        let (found, metadata) = checkpoint::decode(bytes).map_err(|error| match error {
            TrainError::Checkpoint(reason) => bad(reason),
            error => bad(error.to_string()),
        })?;
        let text =
            metadata.get(ABOUT).ok_or_else(|| bad("it does not say that it is one".into()))?;
        let about: About = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        let Size { rank, alpha } = about.size;
        if rank == 0 || rank > MOST_RANK || !alpha.is_finite() {
            return Err(bad(format!("its rank is {rank} and its alpha {alpha}")));
        }
        if about.names.is_empty() {
            return Err(bad("it changes nothing".to_owned()));
        }
        if model.solver.is_attention() {
            return Err(AdapterError::NoState(model.solver.title()));
        }
        if model.item_dynamics != ItemDynamics::None {
            return Err(AdapterError::ItemDynamics);
        }
        for name in &about.names {
            let part = |part: &str| {
                let wanted = format!("{name}.{part}");
                found.iter().find(|matrix| matrix.name == wanted).map(|matrix| matrix.shape)
            };
            let (Some([inputs, _]), Some([_, outputs])) = (part("down"), part("up")) else {
                return Err(bad(format!("`{name}` has no parts")));
            };
            let Some(matrix) = base.iter().find(|matrix| matrix.name == *name) else {
                let model = format!("{}, {} head", model.solver.title(), model.head.word());
                return Err(AdapterError::Missing { name: name.clone(), model });
            };
            if matrix.shape != [inputs, outputs] {
                let (name, adapter) = (name.clone(), [inputs, outputs]);
                return Err(AdapterError::Shape { name, adapter, model: matrix.shape });
            }
        }
        let fingerprint = parameters::fingerprint(base);
        if about.base != fingerprint {
            return Err(AdapterError::OtherWeights { expected: about.base, found: fingerprint });
        }
        // In the model's order, each once.
        let mut names = Vec::new();
        let mut parts = Vec::new();
        for matrix in base.iter().filter(|matrix| about.names.contains(&matrix.name)) {
            for (part, shape) in about.kind.parts(matrix.shape, rank) {
                let name = format!("{}.{part}", matrix.name);
                let fits = |part: &&Matrix| part.name == name && part.shape == shape;
                let part = found
                    .iter()
                    .find(fits)
                    .ok_or_else(|| bad(format!("`{name}` is missing, or not {shape:?}")))?;
                if part.values.iter().any(|value| !value.is_finite()) {
                    return Err(bad(format!("`{name}` holds a value that is not a number")));
                }
                parts.push(part.clone());
            }
            names.push(matrix.name.clone());
        }
        Ok(Self {
            adapter: Adapter::new(about.kind, about.size, names),
            parts,
            domain: about.domain,
            fingerprint: Sha256::digest(bytes)[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        })
    }

    /// The weights `base` with the adapter merged into them.
    pub fn merge(&self, base: &[Matrix]) -> Vec<Matrix> {
        self.adapter.merge(base, &self.parts)
    }
}

/// The bytes of a file that may be an adapter.
///
/// # Errors
/// [`AdapterError`] for what cannot be read, is no file, or is over [`LARGEST`].
pub fn read(path: &Path) -> Result<Vec<u8>, AdapterError> {
    let failed = |cause| AdapterError::Io { path: path.to_owned(), cause };
    let bad = |reason: String| AdapterError::NotOne { what: path.display().to_string(), reason };
    let known = fs::metadata(path).map_err(failed)?;
    // Reading a pipe would wait for ever.
    if !known.is_file() {
        return Err(bad("it is not a file".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > LARGEST {
        return Err(bad(format!("it is over {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Head, Solver};

    fn model() -> ModelSettings {
        ModelSettings { hidden: 4, head: Head::Linear, ..Default::default() }
    }

    fn base(model: &ModelSettings, seed: u64) -> Vec<Matrix> {
        parameters::initial(model, 6, seed)
    }

    /// An adapter of the head and the GRU that changes both.
    fn file(kind: Kind, base: &[Matrix]) -> Vec<u8> {
        let names = ["gru.w_hidden", "head.w"].map(str::to_owned).to_vec();
        let adapter = Adapter::new(kind, Size { rank: 2, alpha: 4.0 }, names);
        let mut parts = adapter.initial(base, 3);
        for part in &mut parts {
            part.values.iter_mut().for_each(|value| *value += 0.25);
        }
        AdapterFile::encode(&adapter, &parts, base, "the genre Comedy").unwrap()
    }

    fn refused(bytes: &[u8], model: &ModelSettings, base: &[Matrix]) -> AdapterError {
        AdapterFile::decode("the file", bytes, model, base).unwrap_err()
    }

    #[test]
    fn it_reads_back_and_changes_what_it_names_alone() {
        let (model, base) = (model(), base(&model(), 1));
        for kind in [Kind::Lora, Kind::Dora] {
            let bytes = file(kind, &base);
            assert_eq!(bytes, file(kind, &base), "the same adapter is the same file");
            let read = AdapterFile::decode("the file", &bytes, &model, &base).unwrap();
            assert_eq!((read.adapter.kind, read.domain.as_str()), (kind, "the genre Comedy"));
            assert_eq!(read.adapter.size, Size { rank: 2, alpha: 4.0 });
            for (merged, matrix) in read.merge(&base).iter().zip(&base) {
                let adapted = read.adapter.names.contains(&matrix.name);
                assert_eq!(merged.values != matrix.values, adapted, "{}", matrix.name);
            }
        }
    }

    #[test]
    fn an_adapter_of_another_model_is_refused_with_what_is_wrong() {
        let (model, base) = (model(), base(&model(), 1));
        let bytes = file(Kind::Dora, &base);
        let other = self::base(&model, 2);
        assert!(matches!(refused(&bytes, &model, &other), AdapterError::OtherWeights { .. }));
        let larger = ModelSettings { hidden: 8, ..model.clone() };
        let message = refused(&bytes, &larger, &self::base(&larger, 1)).to_string();
        assert!(message.contains("[4, 12]") && message.contains("[8, 24]"), "{message}");
        let tied = ModelSettings { head: Head::Tied, ..model.clone() };
        let message = refused(&bytes, &tied, &self::base(&tied, 1)).to_string();
        assert!(message.contains("`head.w`") && message.contains("tied head"), "{message}");
        let attention = ModelSettings { solver: Solver::SasRec, ..model.clone() };
        let error = refused(&bytes, &attention, &self::base(&attention, 1));
        assert!(matches!(error, AdapterError::NoState("SASRec")), "{error}");
        let lively = ModelSettings { item_dynamics: ItemDynamics::Both, ..model };
        let error = refused(&bytes, &lively, &self::base(&lively, 1));
        assert!(matches!(error, AdapterError::ItemDynamics), "{error}");
    }

    #[test]
    fn what_is_no_adapter_is_an_error_and_not_a_panic() {
        let (model, base) = (model(), base(&model(), 1));
        let bytes = file(Kind::Lora, &base);
        for length in (0..bytes.len()).step_by(7) {
            assert!(refused(&bytes[..length], &model, &base).is_of_the_file(), "{length}");
        }
        let named = base.iter().map(|matrix| (matrix.name.clone(), matrix));
        let weights = checkpoint::encode(named, HashMap::new()).unwrap();
        let message = refused(&weights, &model, &base).to_string();
        assert!(message.contains("the file is no adapter"), "{message}");
        let adapter = Adapter::new(Kind::Lora, Size { rank: 2, alpha: 4.0 }, vec!["head.w".into()]);
        let mut parts = adapter.initial(&base, 3);
        parts[0].values[1] = f32::NAN;
        let bytes = AdapterFile::encode(&adapter, &parts, &base, "").unwrap();
        assert!(refused(&bytes, &model, &base).to_string().contains("not a number"));
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().is_of_the_file());
        assert!(matches!(read(&folder.path().join("none")), Err(AdapterError::Io { .. })));
    }
}
