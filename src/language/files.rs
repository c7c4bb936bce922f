//! A model on disk: weights as safetensors, and a card beside them that says what they are.
//!
//! Nothing in a file is trusted: sizes are bounded before anything is read, and weights must be
//! those of the shape that the card claims.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::transformer::{Shape, Transformer};
use super::vocabulary;
use crate::runs::write_atomic;

/// Name of the aligned model's files, the model that answers requests.
pub const ALIGNED: &str = "aligned";
/// A model has a million weights at most.
const MOST_BYTES: u64 = 1 << 26;
/// A card keeps the curve of its training, a line a step.
const MOST_CARD: u64 = 1 << 24;

/// What stands beside the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    pub shape: Shape,
    /// Of the pieces of text that tokens stand for; a model reads no others.
    pub vocabulary: String,
    /// SHA-256 of the weights' file.
    pub weights: String,
    /// Who trained it with which settings, for people and to tell whether it is the one looked for.
    pub trained: serde_json::Value,
}

/// Why a model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    #[error("{path}: {source}; check that the folder exists and can be written", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("there is no model at {path}", path = path.display())]
    Missing { path: PathBuf },
    #[error("{path} holds no model of ours: {reason}; train it again", path = path.display())]
    Unusable { path: PathBuf, reason: String },
}

/// Where the model that answers requests lies unless a setting says otherwise; `None` where the
/// system names no folder for data.
pub fn default_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "deepm3")?;
    Some(folders.data_dir().join("local"))
}

/// Write `stem.safetensors`, then `stem.json`, which refers to it.
///
/// # Errors
/// [`ModelFileError::Io`].
pub fn save(
    folder: &Path,
    stem: &str,
    model: &Transformer,
    trained: serde_json::Value,
) -> Result<(), ModelFileError> {
    let (weights_path, card_path) = paths(folder, stem);
    let matrices = model.shape().matrices();
    let bytes: Vec<Vec<u8>> = model
        .weights()
        .iter()
        .map(|matrix| matrix.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let unusable =
        |path: &Path, reason: String| ModelFileError::Unusable { path: path.to_owned(), reason };
    let mut views = Vec::with_capacity(bytes.len());
    for ((name, shape), bytes) in matrices.into_iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes)
            .map_err(|error| unusable(&weights_path, error.to_string()))?;
        views.push((name, view));
    }
    let weights = safetensors::serialize(views, None)
        .map_err(|error| unusable(&weights_path, error.to_string()))?;
    let card = Card {
        shape: model.shape().clone(),
        vocabulary: vocabulary::fingerprint(),
        weights: digest(&weights),
        trained,
    };
    let card = serde_json::to_vec_pretty(&card)
        .map_err(|error| unusable(&card_path, error.to_string()))?;
    std::fs::create_dir_all(folder).map_err(in_file(folder))?;
    write_atomic(&weights_path, &weights).map_err(in_file(&weights_path))?;
    write_atomic(&card_path, &card).map_err(in_file(&card_path))
}

/// Read `stem.json` and the weights beside it.
///
/// # Errors
/// [`ModelFileError`]: [`ModelFileError::Missing`] where either file is not there.
pub fn load(folder: &Path, stem: &str) -> Result<(Transformer, Card), ModelFileError> {
    let (weights_path, card_path) = paths(folder, stem);
    let unusable =
        |path: &Path, reason: String| ModelFileError::Unusable { path: path.to_owned(), reason };
    let card: Card = serde_json::from_slice(&read(&card_path, MOST_CARD)?)
        .map_err(|error| unusable(&card_path, error.to_string()))?;
    if card.vocabulary != vocabulary::fingerprint() || card.shape.vocabulary != vocabulary::SIZE {
        return Err(unusable(&card_path, "it was trained with another vocabulary".to_owned()));
    }
    if !card.shape.is_sound() {
        return Err(unusable(&card_path, "no transformer has its sizes".to_owned()));
    }
    let bytes = read(&weights_path, MOST_BYTES)?;
    if digest(&bytes) != card.weights {
        return Err(unusable(&weights_path, "it is not the file that its card names".to_owned()));
    }
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|error| unusable(&weights_path, error.to_string()))?;
    let mut weights = Vec::new();
    for (name, shape) in card.shape.matrices() {
        let tensor = tensors
            .tensor(&name)
            .ok()
            .filter(|tensor| tensor.dtype() == Dtype::F32 && tensor.shape() == shape)
            .ok_or_else(|| unusable(&weights_path, format!("no `{name}` of {shape:?}")))?;
        let values = tensor.data().chunks_exact(4);
        weights.push(
            values
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect(),
        );
    }
    let model = Transformer::from_weights(card.shape.clone(), weights)
        .ok_or_else(|| unusable(&weights_path, "it holds values that are no numbers".to_owned()))?;
    Ok((model, card))
}

fn paths(folder: &Path, stem: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{stem}.safetensors")), folder.join(format!("{stem}.json")))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_file(path: &Path) -> impl FnOnce(io::Error) -> ModelFileError {
    let path = path.to_owned();
    move |source| ModelFileError::Io { path, source }
}

/// A file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelFileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ModelFileError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(in_file(path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(in_file(path))?;
    if bytes.len() as u64 > limit {
        let reason = format!("it is larger than {limit} bytes");
        return Err(ModelFileError::Unusable { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Transformer {
        let shape = Shape {
            vocabulary: vocabulary::SIZE,
            width: 16,
            layers: 1,
            heads: 2,
            feed: 8,
            context: 10,
        };
        Transformer::new(shape, 1)
    }

    #[test]
    fn a_model_comes_back_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        save(&folder, "aligned", &model(), serde_json::json!({"seed": 1})).unwrap();
        let (loaded, card) = load(&folder, "aligned").unwrap();
        assert_eq!(loaded.weights(), model().weights());
        assert_eq!(loaded.shape(), model().shape());
        assert_eq!(card.trained["seed"], 1);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(load(dir.path(), "aligned"), Err(ModelFileError::Missing { .. })));
        save(dir.path(), "aligned", &model(), serde_json::Value::Null).unwrap();
        let (weights_path, card_path) = paths(dir.path(), "aligned");
        let card = std::fs::read_to_string(&card_path).unwrap();
        let other_vocabulary = card.replace(&vocabulary::fingerprint(), "other");
        let other_shape = card.replace("\"feed\": 8", "\"feed\": 9");
        let unsound = card.replace("\"layers\": 1", "\"layers\": 99999999999");
        for other in [other_vocabulary, other_shape, unsound, "{}".to_owned()] {
            assert_ne!(other, card);
            std::fs::write(&card_path, other).unwrap();
            assert!(matches!(load(dir.path(), "aligned"), Err(ModelFileError::Unusable { .. })));
        }
        std::fs::write(&card_path, card).unwrap();
        let mut bytes = std::fs::read(&weights_path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&weights_path, bytes).unwrap();
        assert!(matches!(load(dir.path(), "aligned"), Err(ModelFileError::Unusable { .. })));
    }
}
