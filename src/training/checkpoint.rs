//! Everything a training needs to go on exactly where it was, in one file.
//!
//! One file and one rename, so that a process killed at any moment leaves either the old state or
//! the new one. Random numbers need no state: every draw is derived from (seed, epoch, step).

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Prepared, TrainError};
use crate::dynamics::parameters::{self, Matrix};
use crate::runs::{RunDir, RunStore, RunSummary};

/// Where a training stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Epochs completed.
    pub epoch: usize,
    /// Steps completed in the current epoch.
    pub step_in_epoch: u64,
    /// Steps completed in all.
    pub step: u64,
    /// Sum of the current epoch's losses, as the bits of an f64: text would round it.
    pub loss_sum_bits: u64,
    /// Mean loss of the last completed epoch, likewise.
    pub last_loss_bits: u64,
    /// Training time so far, in seconds.
    pub seconds: f64,
    pub best: Option<Validated>,
    /// The last completed epoch.
    #[serde(default)]
    pub last: Option<Validated>,
    /// Epochs since the best one.
    pub stale: usize,
    /// Bytes of `metrics.jsonl` that belong to this position.
    pub metrics_len: u64,
    /// Of the data it was trained on.
    pub fingerprint: String,
}

/// An epoch and what validation said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validated {
    /// From 1.
    pub epoch: usize,
    /// Validation NDCG@10, as the bits of an f64.
    pub ndcg10_bits: u64,
}

/// The state of a training on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub position: Position,
    pub parameters: Vec<Matrix>,
    pub first_moment: Vec<Matrix>,
    pub second_moment: Vec<Matrix>,
    /// Averages of the parameters; empty where they are not averaged.
    pub averaged: Vec<Matrix>,
    /// Weights of the best epoch; empty before the first validation.
    pub best: Vec<Matrix>,
}

const POSITION: &str = "deepm3.position";

impl Checkpoint {
    /// As a safetensors file.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] where it cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, TrainError> {
        let position = serde_json::to_string(&self.position).map_err(unusable)?;
        let parts = [
            ("parameters", &self.parameters),
            ("first_moment", &self.first_moment),
            ("second_moment", &self.second_moment),
            ("averaged", &self.averaged),
            ("best", &self.best),
        ];
        let matrices = parts.iter().flat_map(|(part, matrices)| {
            matrices.iter().map(move |matrix| (format!("{part}/{}", matrix.name), matrix))
        });
        encode(matrices, HashMap::from([(POSITION.to_owned(), position)]))
    }

    /// From a safetensors file.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] for anything that is not one of ours.
    pub fn decode(bytes: &[u8]) -> Result<Self, TrainError> {
        let (matrices, metadata) = decode(bytes)?;
        let text = metadata.get(POSITION).ok_or_else(|| unusable("it has no position"))?;
        let position = serde_json::from_str(text).map_err(unusable)?;
        let mut checkpoint = Self {
            position,
            parameters: Vec::new(),
            first_moment: Vec::new(),
            second_moment: Vec::new(),
            averaged: Vec::new(),
            best: Vec::new(),
        };
        for mut matrix in matrices {
            let (part, name) = matrix
                .name
                .split_once('/')
                .map(|(part, name)| (part.to_owned(), name.to_owned()))
                .ok_or_else(|| unusable(format!("unexpected tensor `{}`", matrix.name)))?;
            matrix.name = name;
            match part.as_str() {
                "parameters" => checkpoint.parameters.push(matrix),
                "first_moment" => checkpoint.first_moment.push(matrix),
                "second_moment" => checkpoint.second_moment.push(matrix),
                "averaged" => checkpoint.averaged.push(matrix),
                "best" => checkpoint.best.push(matrix),
                other => return Err(unusable(format!("unexpected part `{other}`"))),
            }
        }
        Ok(checkpoint)
    }
}

/// The last checkpoint of a run, where there is one.
///
/// # Errors
/// [`TrainError::OtherData`] where it is not of the data `prepared`.
pub fn read(dir: &RunDir, prepared: &Prepared) -> Result<Option<Checkpoint>, TrainError> {
    let Some(bytes) = dir.read_checkpoint()? else { return Ok(None) };
    let checkpoint = Checkpoint::decode(&bytes)?;
    prepared.check(dir.id(), &checkpoint.position.fingerprint)?;
    Ok(Some(checkpoint))
}

/// The weights of a finished run, trained on the data `prepared`.
///
/// # Errors
/// [`TrainError::OtherData`] where it was not, and for files that are not a run's.
pub fn weights_of(
    store: &RunStore,
    summary: &RunSummary,
    prepared: &Prepared,
) -> Result<Vec<Matrix>, TrainError> {
    prepared.check(&summary.run, &summary.data.fingerprint)?;
    let (weights, _) = decode(&store.model(&summary.run)?)?;
    Ok(parameters::fit(&summary.config.model, prepared.data.items(), weights)?)
}

fn unusable(reason: impl ToString) -> TrainError {
    TrainError::Checkpoint(reason.to_string())
}

/// Matrices as a safetensors file with text metadata.
///
/// # Errors
/// [`TrainError::Checkpoint`] where it cannot be encoded.
pub fn encode<'a>(
    matrices: impl Iterator<Item = (String, &'a Matrix)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, TrainError> {
    struct Bytes<'a>(&'a Matrix);
    impl safetensors::View for Bytes<'_> {
        fn dtype(&self) -> Dtype {
            Dtype::F32
        }
        fn shape(&self) -> &[usize] {
            &self.0.shape
        }
        fn data(&self) -> Cow<'_, [u8]> {
            Cow::Owned(self.0.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
        fn data_len(&self) -> usize {
            4 * self.0.values.len()
        }
    }
    let views = matrices.map(|(name, matrix)| (name, Bytes(matrix)));
    safetensors::serialize(views, Some(metadata)).map_err(unusable)
}

/// Matrices and metadata of a safetensors file; sizes are checked before anything is read.
///
/// # Errors
/// [`TrainError::Checkpoint`] for a damaged file or a tensor that is not an f32 matrix.
pub fn decode(bytes: &[u8]) -> Result<(Vec<Matrix>, HashMap<String, String>), TrainError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(unusable)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(bytes).map_err(unusable)?;
    let matrices = file.tensors().into_iter().map(|(name, view)| matrix(name, &view));
    Ok((matrices.collect::<Result<_, _>>()?, metadata))
}

fn matrix(name: String, view: &TensorView<'_>) -> Result<Matrix, TrainError> {
    let &[rows, columns] = view.shape() else {
        return Err(unusable(format!("`{name}` is not a matrix")));
    };
    if view.dtype() != Dtype::F32 {
        return Err(unusable(format!("`{name}` is not of 32-bit floats")));
    }
    let values =
        view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(Matrix { name, shape: [rows, columns], values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Checkpoint {
        let matrix = |name: &str, by: f32| Matrix {
            name: name.to_owned(),
            shape: [2, 2],
            values: vec![by, f32::MIN_POSITIVE, -0.0, 1.0 / 3.0],
        };
        Checkpoint {
            position: Position {
                epoch: 3,
                step: 71,
                loss_sum_bits: (0.1f64 + 0.2).to_bits(),
                best: Some(Validated { epoch: 2, ndcg10_bits: 0.25f64.to_bits() }),
                last: Some(Validated { epoch: 3, ndcg10_bits: 0.125f64.to_bits() }),
                ..Default::default()
            },
            parameters: vec![matrix("a", 1.0)],
            first_moment: vec![matrix("a", 2.0)],
            second_moment: vec![matrix("a", 3.0)],
            averaged: vec![matrix("a", 5.0)],
            best: vec![matrix("a", 4.0)],
        }
    }

    #[test]
    fn it_round_trips_to_the_bit() {
        let checkpoint = sample();
        let again = Checkpoint::decode(&checkpoint.encode().unwrap()).unwrap();
        assert_eq!(again, checkpoint);
        assert!(again.parameters[0].values[2].is_sign_negative());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_panic() {
        let bytes = sample().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..length]).is_err(), "{length}");
        }
        let mut flipped = bytes;
        flipped[0] ^= 0xff;
        assert!(Checkpoint::decode(&flipped).is_err());
    }
}
