//! The weights of System 1: names, shapes, initial values, and their form as files.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::excitation::{CLOCK, FEATURES};
use super::flow;
use super::warp::TIME_SCALE;
use crate::settings::{Head, ItemDynamics, ModelSettings, Solver};

/// A named matrix on the host. Biases are matrices of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub name: String,
    pub shape: [usize; 2],
    pub values: Vec<f32>,
}

/// Weights that do not fit the model they are loaded into.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParameterError {
    #[error(
        "the weights have no `{0}`; they belong to another model, or an earlier version wrote them: train again"
    )]
    Missing(String),
    #[error(
        "`{name}` is {found:?} in the file and {expected:?} in the model; they belong to another model or data set, or an earlier version wrote them: train again"
    )]
    Shape { name: String, found: [usize; 2], expected: [usize; 2] },
    #[error(
        "model.heads = {heads} does not divide model.hidden = {hidden}: choose another of the two, \
         such as model.heads = 1"
    )]
    Heads { hidden: usize, heads: usize },
    #[error("`{0}` holds a value that is not a number; the training that wrote it diverged")]
    NotFinite(String),
}

/// Rows of attention's tables of positions: as many as `data.max_len` may be.
pub const POSITIONS: usize = 200;

/// Shape and spread of one parameter.
struct Spec {
    name: String,
    shape: [usize; 2],
    initial: Initial,
}

enum Initial {
    /// Uniform within ± the bound.
    Uniform(f64),
    /// Normal with the deviation; row 0 (padding) is zero.
    Embedding(f64),
    /// Normal with the deviation.
    Normal(f64),
    Zero,
    /// The same everywhere.
    Even(f32),
    One,
}

/// Weight that every feature of an item begins with.
const ITEM_WEIGHT: f32 = 0.2;

/// The parameters of a model for `items` items, in a fixed order. Initial values follow PyTorch's
/// defaults for the same layers (as DeepM3 has them): N(0, 1) for the embedding, U(±1/√fan-in)
/// for the rest. A tied head shrinks the embedding to N(0, 1/H), so that scores start near 0, and
/// so does attention, which multiplies it by √H.
fn specs(model: &ModelSettings, items: usize) -> Vec<Spec> {
    let h = model.hidden;
    let bound = |fan_in: usize| Initial::Uniform(1.0 / (fan_in as f64).sqrt());
    let small = 1.0 / (h as f64).sqrt();
    let spread = match model.head {
        Head::Linear if !model.solver.is_attention() => 1.0,
        _ => small,
    };
    let spec = |name: &str, shape, initial| Spec { name: name.to_owned(), shape, initial };
    let mut specs = vec![spec("embedding", [items + 1, h], Initial::Embedding(spread))];
    if model.solver.is_attention() {
        let table = |name, rows| spec(name, [rows, h], Initial::Normal(small));
        if model.solver == Solver::TiSasRec {
            specs.push(table("positions.key", POSITIONS));
            specs.push(table("positions.value", POSITIONS));
            specs.push(table("intervals.key", model.intervals + 1));
            specs.push(table("intervals.value", model.intervals + 1));
        } else {
            specs.push(table("positions", POSITIONS));
        }
        for block in 0..model.blocks {
            let mut affine = |name, outputs| {
                specs.push(spec(&format!("block{block}.w_{name}"), [h, outputs], bound(h)));
                specs.push(spec(&format!("block{block}.b_{name}"), [1, outputs], bound(h)));
            };
            affine("query", h);
            affine("key_value", 2 * h);
            affine("mix", h);
            affine("up", h);
            affine("down", h);
        }
        specs.push(spec("norm.gain", [1, h], Initial::One));
        specs.push(spec("norm.bias", [1, h], Initial::Zero));
    } else {
        specs.push(spec("gru.w_input", [h, 3 * h], bound(h)));
        specs.push(spec("gru.b_input", [1, 3 * h], bound(h)));
        specs.push(spec("gru.w_hidden", [h, 3 * h], bound(h)));
        specs.push(spec("gru.b_hidden", [1, 3 * h], bound(h)));
    }
    let flow = flow::weights(model.solver).iter();
    specs.extend(flow.map(|weight| spec(weight.name, weight.shape(h), bound(weight.fan_in * h))));
    if model.learns_time_scale() {
        specs.push(spec(TIME_SCALE, [1, 1], Initial::Zero));
    }
    if model.item_dynamics != ItemDynamics::None {
        specs.push(spec("items.by_state", [h, FEATURES], Initial::Zero));
        specs.push(spec("items.bias", [1, FEATURES], Initial::Even(ITEM_WEIGHT)));
        specs.push(spec("items.by_clock", [CLOCK, FEATURES], Initial::Zero));
    }
    match model.head {
        Head::Linear => {
            specs.push(spec("head.w", [h, items], bound(h)));
            specs.push(spec("head.b", [1, items], bound(h)));
        }
        Head::Tied => specs.push(spec("head.b", [1, items], Initial::Zero)),
    }
    specs
}

/// Names of the parameters, in order.
pub fn names(model: &ModelSettings) -> Vec<String> {
    specs(model, 0).into_iter().map(|spec| spec.name).collect()
}

/// Number of trainable values.
pub fn count(model: &ModelSettings, items: usize) -> u64 {
    specs(model, items).iter().map(|spec| (spec.shape[0] * spec.shape[1]) as u64).sum()
}

/// Initial values from `seed`, made on the host, so that every device starts from the same ones.
pub fn initial(model: &ModelSettings, items: usize, seed: u64) -> Vec<Matrix> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = move || rng.random::<f64>();
    specs(model, items)
        .into_iter()
        .map(|spec| {
            let size = spec.shape[0] * spec.shape[1];
            let values = match spec.initial {
                Initial::Zero => vec![0.0; size],
                Initial::Even(value) => vec![value; size],
                Initial::Uniform(bound) => {
                    (0..size).map(|_| ((2.0 * uniform() - 1.0) * bound) as f32).collect()
                }
                Initial::One => vec![1.0; size],
                Initial::Embedding(spread) | Initial::Normal(spread) => {
                    let padding = matches!(spec.initial, Initial::Embedding(_));
                    let mut values = vec![0.0f32; size];
                    for value in values.iter_mut().skip(if padding { spec.shape[1] } else { 0 }) {
                        // Box–Muller; 1 − u keeps the logarithm finite.
                        let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
                        let angle = std::f64::consts::TAU * uniform();
                        *value = (spread * radius * angle.cos()) as f32;
                    }
                    values
                }
            };
            Matrix { name: spec.name, shape: spec.shape, values }
        })
        .collect()
}

/// Check that such a model can be built.
///
/// # Errors
/// [`ParameterError::Heads`] where the heads do not share the hidden units evenly.
pub fn check(model: &ModelSettings) -> Result<(), ParameterError> {
    let &ModelSettings { hidden, heads, .. } = model;
    if model.solver.is_attention() && (heads == 0 || !hidden.is_multiple_of(heads)) {
        return Err(ParameterError::Heads { hidden, heads });
    }
    Ok(())
}

/// Check that `given` are the weights of this model, finite, and put them into its order.
///
/// # Errors
/// [`ParameterError`] naming the first that is missing or does not fit.
pub fn fit(
    model: &ModelSettings,
    items: usize,
    mut given: Vec<Matrix>,
) -> Result<Vec<Matrix>, ParameterError> {
    check(model)?;
    specs(model, items)
        .into_iter()
        .map(|spec| {
            let place = given
                .iter()
                .position(|matrix| matrix.name == spec.name)
                .ok_or_else(|| ParameterError::Missing(spec.name.clone()))?;
            let matrix = given.swap_remove(place);
            if matrix.shape != spec.shape {
                let (name, found) = (matrix.name, matrix.shape);
                return Err(ParameterError::Shape { name, found, expected: spec.shape });
            }
            if matrix.values.iter().any(|value| !value.is_finite()) {
                return Err(ParameterError::NotFinite(matrix.name));
            }
            Ok(matrix)
        })
        .collect()
}

/// Move matrices onto `device`.
pub fn upload(matrices: &[Matrix], device: &Device) -> Vec<Tensor<2>> {
    matrices
        .iter()
        .map(|matrix| {
            Tensor::from_data(TensorData::new(matrix.values.clone(), matrix.shape), device)
        })
        .collect()
}

/// A tensor's values on the host; f32 on every device we open.
pub fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().into_data().try_to_vec::<f32>().unwrap_or_default()
}

/// Matrices like `like` with the values of `tensors`.
pub fn download(like: &[Matrix], tensors: &[Tensor<2>]) -> Vec<Matrix> {
    let of = like.iter().zip(tensors);
    of.map(|(like, tensor)| Matrix { values: values(tensor), ..like.clone() }).collect()
}

/// First 16 hex digits of a SHA-256 over names, shapes and values: differs where any number does.
pub fn fingerprint(matrices: &[Matrix]) -> String {
    let mut hash = Sha256::new();
    let mut block = Vec::new();
    for matrix in matrices {
        hash.update((matrix.name.len() as u64).to_le_bytes());
        hash.update(matrix.name.as_bytes());
        for side in matrix.shape {
            hash.update((side as u64).to_le_bytes());
        }
        // In blocks: one call a number would cost more than the hash.
        for values in matrix.values.chunks(4096) {
            block.clear();
            block.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            hash.update(&block);
        }
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Solver;

    #[test]
    fn a_fingerprint_follows_every_number_and_name() {
        let model = ModelSettings { hidden: 8, ..Default::default() };
        let weights = initial(&model, 5, 1);
        assert_eq!(fingerprint(&weights), fingerprint(&weights.clone()));
        let mut other = weights.clone();
        other[2].values[3] += 1e-6;
        assert_ne!(fingerprint(&weights), fingerprint(&other));
        let mut other = weights.clone();
        other[2].name.push('x');
        assert_ne!(fingerprint(&weights), fingerprint(&other));
    }

    #[test]
    fn the_same_seed_gives_the_same_weights_and_padding_is_zero() {
        let model = ModelSettings { hidden: 8, ..Default::default() };
        let first = initial(&model, 5, 1);
        assert_eq!(first, initial(&model, 5, 1));
        assert_ne!(first, initial(&model, 5, 2));
        assert!(first[0].values[..8].iter().all(|&v| v == 0.0));
        let values: u64 = first.iter().map(|m| m.values.len() as u64).sum();
        assert_eq!(values, count(&model, 5));
    }

    #[test]
    fn weights_of_another_model_are_refused() {
        let model = ModelSettings { hidden: 8, ..Default::default() };
        let other = ModelSettings { hidden: 16, ..Default::default() };
        assert!(fit(&model, 5, initial(&model, 5, 1)).is_ok());
        let error = fit(&other, 5, initial(&model, 5, 1)).unwrap_err();
        assert!(matches!(error, ParameterError::Shape { .. }));
        let gru = ModelSettings { solver: Solver::Gru, ..model.clone() };
        let error = fit(&model, 5, initial(&gru, 5, 1)).unwrap_err();
        assert_eq!(error, ParameterError::Missing("field.w_in".to_owned()));
        // No two kinds of flow take each other's weights, but the two solvers of one field do.
        for &solver in Solver::WITH_STATE {
            let weights = initial(&ModelSettings { solver, ..model.clone() }, 5, 1);
            for &other in Solver::WITH_STATE {
                let fits =
                    fit(&ModelSettings { solver: other, ..model.clone() }, 5, weights.clone());
                let shared = flow::weights(solver) == flow::weights(other) || other == Solver::Gru;
                assert_eq!(fits.is_ok(), shared, "{solver:?} {other:?}");
            }
        }
        let mut broken = initial(&model, 5, 1);
        broken[1].values[3] = f32::NAN;
        assert!(matches!(fit(&model, 5, broken), Err(ParameterError::NotFinite(_))));
    }
}
