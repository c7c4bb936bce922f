//! Where the weights of a training live, and how a step changes them: in kernels of our own on the
//! CPU or on a GPU, or in tensors on a device that cannot run these.

use burn::tensor::{Device, Tensor, TensorData};

use crate::dynamics::batch::Batch;
use crate::dynamics::fused::pool;
use crate::dynamics::fused::{self, Fused, FusedAdam, Negatives, SparseGradients, Surroundings};
use crate::dynamics::gpu::{self, OnGpu, Unfit};
use crate::dynamics::model::{self, System1};
use crate::dynamics::parameters::{self, Matrix};
use crate::dynamics::warp::{TIME_SCALE, TimeWarp};
use crate::settings::ModelSettings;
use crate::training::TrainError;
use crate::training::adam::{Adam, Update};

/// The state of an optimiser: both moments, and how many updates made them.
pub(super) struct Moments {
    pub first: Vec<Matrix>,
    pub second: Vec<Matrix>,
    pub updates: u64,
}

/// Weights and optimiser.
pub(super) enum Learner {
    Tensors { model: ModelSettings, parameters: Vec<Tensor<2>>, adam: Adam, unfit: Unfit },
    Fused(Box<OnCpu>),
    Gpu(Box<OnGpu>),
}

/// Weights and gradients as plain values, one `Vec` a parameter.
pub(super) struct OnCpu {
    /// Names and shapes.
    like: Vec<(String, [usize; 2])>,
    weights: Vec<Vec<f32>>,
    /// Of steps that score all items; made when the first is taken.
    gradients: Vec<Vec<f32>>,
    /// Of steps that score drawn items only.
    sparse: SparseGradients,
    adam: FusedAdam,
    fused: Fused,
    threads: usize,
}

/// Loss and gradient norm of a step: known, or still on a device.
pub(super) enum Measured {
    Here([f32; 2]),
    There(Box<[Tensor<1>; 2]>),
    OnGpu(gpu::Measured),
}

impl Learner {
    /// On `device`: in the kernels for GPUs, or in tensors where it cannot run them.
    pub fn on_device(
        model: &ModelSettings,
        items: usize,
        weights: &[Matrix],
        moments: Option<&Moments>,
        device: &Device,
    ) -> Self {
        let state = moments.map(|of| (of.first.as_slice(), of.second.as_slice(), of.updates));
        let unfit = match OnGpu::new(device, model, items, weights, state) {
            Ok(gpu) => return Self::Gpu(Box::new(gpu)),
            Err(unfit) => unfit,
        };
        let parameters = parameters::upload(weights, device);
        let adam = match moments {
            Some(of) => Adam::restore(&of.first, &of.second, of.updates, device),
            None => Adam::new(&parameters),
        };
        Self::Tensors { model: model.clone(), parameters, adam, unfit }
    }

    /// Why a GPU trains in tensors, many times slower, where it does.
    pub fn slow(&self) -> Option<&Unfit> {
        match self {
            Self::Tensors { unfit, .. } if *unfit != Unfit::NoGpu => Some(unfit),
            _ => None,
        }
    }

    /// On the CPU, with `threads` threads (0: one a core).
    pub fn on_cpu(
        model: &ModelSettings,
        items: usize,
        weights: Vec<Matrix>,
        moments: Option<Moments>,
        threads: usize,
    ) -> Self {
        let values = |matrices: Vec<Matrix>| matrices.into_iter().map(|m| m.values).collect();
        let sizes: Vec<usize> = weights.iter().map(|matrix| matrix.values.len()).collect();
        let adam = match moments {
            Some(of) => FusedAdam::restore(values(of.first), values(of.second), of.updates),
            None => FusedAdam::new(&sizes),
        };
        Self::Fused(Box::new(OnCpu {
            like: weights.iter().map(|matrix| (matrix.name.clone(), matrix.shape)).collect(),
            weights: values(weights),
            gradients: Vec::new(),
            sparse: SparseGradients::default(),
            adam,
            fused: Fused::new(model, items, threads),
            threads,
        }))
    }

    /// One step on `batch`; on the CPU it scores `negatives` only, where there are any, or knows what
    /// is `around`.
    pub fn step(
        &mut self,
        batch: &Batch,
        dropout: Option<fused::Dropout>,
        negatives: Option<&Negatives>,
        around: Surroundings<'_>,
        update: Update,
    ) -> Measured {
        match self {
            Self::Fused(cpu) => {
                let OnCpu { weights, gradients, sparse, adam, fused, threads, .. } = &mut **cpu;
                let masks = dropout.as_ref();
                let threads = *threads;
                let (loss, norm) = pool::inside(threads, || match negatives {
                    Some(drawn) => (
                        fused.loss_and_sparse_gradients(weights, batch, masks, drawn, sparse),
                        adam.step_sparse(weights, sparse, update, threads),
                    ),
                    None => {
                        if gradients.is_empty() {
                            gradients.extend(weights.iter().map(|values| vec![0.0; values.len()]));
                        }
                        (
                            fused.loss_beside(weights, batch, masks, around, gradients),
                            adam.step(weights, gradients, update, threads),
                        )
                    }
                });
                Measured::Here([loss as f32, norm as f32])
            }
            Self::Gpu(gpu) => Measured::OnGpu(gpu.step(batch, dropout.as_ref(), update)),
            Self::Tensors { model, parameters, adam, .. } => {
                let tracked: Vec<Tensor<2>> = parameters
                    .iter()
                    .map(|parameter| Tensor::from_inner(parameter.clone()).require_grad())
                    .collect();
                let masks = dropout.map(|masks| {
                    let (hidden, device) = (model.hidden, tracked[0].device());
                    let mask = |values: Vec<f32>| {
                        let rows = values.len() / hidden;
                        Tensor::from_data(TensorData::new(values, [rows, hidden]), &device)
                    };
                    model::Dropout { input: mask(masks.input), state: mask(masks.state) }
                });
                let loss = System1::new(model, &tracked).loss(batch, masks.as_ref());
                let mut gradients = loss.backward();
                let gradients: Vec<Tensor<2>> = tracked
                    .iter()
                    .zip(parameters.iter())
                    .map(|(tensor, like)| {
                        // A parameter that no path reaches (a field over zero gaps) has no
                        // gradient.
                        tensor.grad_remove(&mut gradients).unwrap_or_else(|| like.zeros_like())
                    })
                    .collect();
                let norm = adam.update(parameters, gradients, update);
                Measured::There(Box::new([loss.inner(), norm]))
            }
        }
    }

    /// How gaps become model time, as learned so far; devices other than the CPU learn no time scale.
    pub fn warp(&self, model: &ModelSettings) -> TimeWarp {
        let theta = match self {
            Self::Fused(cpu) => cpu.time_scale(),
            Self::Gpu(_) | Self::Tensors { .. } => None,
        };
        TimeWarp::at(model, theta)
    }

    /// The weights where they are values on the host.
    pub fn here(&self) -> Option<&[Vec<f32>]> {
        match self {
            Self::Fused(cpu) => Some(&cpu.weights),
            Self::Gpu(_) | Self::Tensors { .. } => None,
        }
    }

    /// The weights on the host; `read` takes a tensor off its device.
    pub fn weights(
        &self,
        read: impl Fn(&Tensor<2>) -> Result<Vec<f32>, TrainError>,
    ) -> Result<Vec<Matrix>, TrainError> {
        match self {
            Self::Tensors { model, parameters, .. } => download(model, parameters, read),
            Self::Fused(cpu) => Ok(cpu.matrices(&cpu.weights)),
            Self::Gpu(gpu) => Ok(gpu.weights()?),
        }
    }

    /// The first and second moments on the host, likewise.
    pub fn moments(
        &self,
        read: impl Fn(&Tensor<2>) -> Result<Vec<f32>, TrainError>,
    ) -> Result<[Vec<Matrix>; 2], TrainError> {
        match self {
            Self::Tensors { model, adam, .. } => {
                let (first, second) = adam.moments();
                Ok([download(model, first, &read)?, download(model, second, &read)?])
            }
            Self::Fused(cpu) => {
                let (first, second) = cpu.adam.moments();
                Ok([cpu.matrices(first), cpu.matrices(second)])
            }
            Self::Gpu(gpu) => Ok(gpu.moments()?),
        }
    }

    /// Loss and gradient norm of `steps`, in as few reads as can be; `read` takes a tensor off its
    /// device.
    pub fn measured(
        &self,
        steps: Vec<Measured>,
        read: impl Fn(Tensor<1>) -> Result<Vec<f32>, TrainError>,
    ) -> Result<Vec<[f32; 2]>, TrainError> {
        let (mut here, mut there, mut on_gpu) = (Vec::new(), [Vec::new(), Vec::new()], Vec::new());
        for step in steps {
            match step {
                Measured::Here(pair) => here.push(pair),
                Measured::There(pair) => {
                    let [loss, norm] = *pair;
                    there[0].push(loss);
                    there[1].push(norm);
                }
                Measured::OnGpu(step) => on_gpu.push(step),
            }
        }
        // A learner measures in one way only.
        match self {
            Self::Fused(_) => Ok(here),
            Self::Gpu(gpu) => Ok(gpu.read(on_gpu)?),
            Self::Tensors { .. } => {
                let [losses, norms] = there.map(|values| read(Tensor::cat(values, 0)));
                Ok(losses?.into_iter().zip(norms?).map(|(loss, norm)| [loss, norm]).collect())
            }
        }
    }
}

/// Tensors in the order of the parameters, with their names.
fn download(
    model: &ModelSettings,
    tensors: &[Tensor<2>],
    read: impl Fn(&Tensor<2>) -> Result<Vec<f32>, TrainError>,
) -> Result<Vec<Matrix>, TrainError> {
    let named = parameters::names(model).into_iter().zip(tensors);
    let matrix = |(name, tensor): (String, &Tensor<2>)| {
        Ok(Matrix { name, shape: tensor.dims(), values: read(tensor)? })
    };
    named.map(matrix).collect()
}

impl OnCpu {
    /// θ of the time warp, where its scale is learned.
    fn time_scale(&self) -> Option<f32> {
        let place = self.like.iter().position(|(name, _)| name == TIME_SCALE)?;
        self.weights[place].first().copied()
    }

    fn matrices(&self, values: &[Vec<f32>]) -> Vec<Matrix> {
        self.like
            .iter()
            .zip(values)
            .map(|((name, shape), values)| Matrix {
                name: name.clone(),
                shape: *shape,
                values: values.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Solver, Targets};

    const DAY: i64 = 86_400_000;

    /// Another batch each step, the same for both.
    fn batch(step: usize) -> Batch {
        let mut batch = Batch::empty(16, 6);
        for row in 0..16usize {
            let item = |place: usize| ((row * 7 + step * 3 + place * place) % 20) as u32;
            let items: Vec<u32> = (0..6).map(item).collect();
            let times: Vec<i64> = (0..6).map(|place| place * (1 + row as i64 % 5) * DAY).collect();
            batch.put(row, &items, &times, 30 * DAY, Some(item(6)), TimeWarp::LINEAR);
        }
        batch
    }

    #[test]
    fn a_hundred_steps_take_kernels_and_tensors_the_same_way() {
        for &solver in Solver::WITH_STATE {
            let model =
                ModelSettings { solver, hidden: 12, targets: Targets::All, ..Default::default() };
            let weights = parameters::initial(&model, 20, 5);
            let mut tensors = Learner::on_device(&model, 20, &weights, None, &Device::flex());
            let mut kernels = Learner::on_cpu(&model, 20, weights, None, 2);
            let how = Update { learning_rate: 5e-3, weight_decay: 1e-3, clip_norm: 1.0 };
            for step in 0..100 {
                let Measured::There(there) =
                    tensors.step(&batch(step), None, None, Surroundings::default(), how)
                else {
                    unreachable!("tensors stay on their device");
                };
                let [loss, norm] = *there;
                let Measured::Here([ours, ours_norm]) =
                    kernels.step(&batch(step), None, None, Surroundings::default(), how)
                else {
                    unreachable!("kernels know at once");
                };
                let (theirs, norm): (f32, f32) = (loss.into_scalar(), norm.into_scalar());
                assert!(
                    (ours - theirs).abs() < 1e-3 * theirs,
                    "{solver:?} {step}: {ours} {theirs}"
                );
                assert!((ours_norm - norm).abs() < 2e-2 * norm, "{solver:?} {step}");
            }
        }
    }

    #[test]
    fn a_learner_goes_on_from_its_moments_to_the_bit() {
        let model = ModelSettings { hidden: 8, ..Default::default() };
        let weights = parameters::initial(&model, 20, 5);
        let how = Update { learning_rate: 5e-3, weight_decay: 0.0, clip_norm: 1.0 };
        let read = |tensor: &Tensor<2>| -> Result<Vec<f32>, TrainError> {
            Ok(tensor.clone().into_data().try_to_vec().unwrap())
        };
        let mut whole = Learner::on_cpu(&model, 20, weights.clone(), None, 1);
        (0..6).for_each(|step| {
            drop(whole.step(&batch(step), None, None, Surroundings::default(), how))
        });
        let mut first = Learner::on_cpu(&model, 20, weights, None, 2);
        (0..3).for_each(|step| {
            drop(first.step(&batch(step), None, None, Surroundings::default(), how))
        });
        let [m, v] = first.moments(read).unwrap();
        let moments = Moments { first: m, second: v, updates: 3 };
        let mut rest = Learner::on_cpu(&model, 20, first.weights(read).unwrap(), Some(moments), 3);
        (3..6).for_each(|step| {
            drop(rest.step(&batch(step), None, None, Surroundings::default(), how))
        });
        assert_eq!(rest.weights(read).unwrap(), whole.weights(read).unwrap());
    }
}
