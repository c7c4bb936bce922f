//! System 1 over a batch: states, scores, loss.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::batch::Batch;
use super::cell::GruCell;
use super::excitation;
use super::flow::Flow;
use super::solver::Pace;
use crate::settings::{Head, ModelSettings, Targets};

/// System 1 with its weights on a device. Cheap to build: it only arranges tensors.
#[derive(Debug, Clone)]
pub struct System1 {
    settings: ModelSettings,
    embedding: Tensor<2>,
    w_input: Tensor<2>,
    b_input: Tensor<2>,
    cell: GruCell,
    flow: Option<Flow>,
    head_weight: Option<Tensor<2>>,
    head_bias: Tensor<2>,
}

/// Dropout masks for one training step, already scaled by 1/(1 − p): zero or that.
#[derive(Debug, Clone)]
pub struct Dropout {
    /// `[L·B, H]`, on the embedded items.
    pub input: Tensor<2>,
    /// `[L·B, H]` or `[B, H]`, on the states before the head.
    pub state: Tensor<2>,
}

impl System1 {
    /// Arrange the tensors of [`super::parameters`], in its order.
    pub fn new(settings: &ModelSettings, parameters: &[Tensor<2>]) -> Self {
        let mut next = parameters.iter().cloned();
        // `parameters::specs` and this function are two halves of one format; `fit` has checked
        // the count of anything that came from outside.
        let mut take = || next.next().unwrap_or_else(|| unreachable!("parameter list too short"));
        let (embedding, w_input, b_input) = (take(), take(), take());
        let cell = GruCell { w_hidden: take(), b_hidden: take() };
        let flow = Flow::new(settings, &mut take);
        // A batch has its model time already.
        if settings.learns_time_scale() {
            take();
        }
        // Item dynamics lift scores on the CPU alone.
        (0..excitation::matrices(settings)).for_each(|_| drop(take()));
        let head_weight = (settings.head == Head::Linear).then(&mut take);
        let head_bias = take();
        Self {
            settings: settings.clone(),
            embedding,
            w_input,
            b_input,
            cell,
            flow,
            head_weight,
            head_bias,
        }
    }

    fn device(&self) -> Device {
        self.embedding.device()
    }

    /// State after each position's event (and after its gap, where `query_gap` is on), or only of
    /// the last position: a list of `[B, H]`. Padded positions leave the state as it was.
    pub fn states(
        &self,
        batch: &Batch,
        every_position: bool,
        dropout: Option<&Tensor<2>>,
    ) -> Vec<Tensor<2>> {
        let (rows, len, hidden) = (batch.rows, batch.len, self.settings.hidden);
        let device = self.device();
        let items = TensorData::new(batch.items.clone(), [rows * len]);
        let mut embedded =
            self.embedding.clone().select(0, Tensor::<1, Int>::from_data(items, &device));
        if let Some(mask) = dropout {
            embedded = embedded * mask.clone();
        }
        let projected = embedded.matmul(self.w_input.clone()) + self.b_input.clone();

        // The gap after the last event is flowed only where the query asks for it.
        let flowed = if self.settings.query_gap { len } else { len - 1 };
        let (lengths, counts) = match &self.flow {
            Some(_) => batch.steps(Pace::of(&self.settings), flowed),
            None => (Vec::new(), vec![0; flowed]),
        };
        let total: usize = counts.iter().sum();
        let lengths: Option<Tensor<2>> = (total > 0)
            .then(|| Tensor::from_data(TensorData::new(lengths, [total * rows, 1]), &device));

        let mut state = Tensor::<2>::zeros([rows, hidden], &device);
        let mut states = Vec::new();
        let mut substep = 0;
        for position in 0..len {
            let at = position * rows..(position + 1) * rows;
            let updated =
                self.cell.forward(projected.clone().slice_dim(0, at.clone()), state.clone());
            let padded: Vec<bool> = batch.items[at].iter().map(|&item| item == 0).collect();
            state = if padded.iter().any(|&p| p) {
                let mask = TensorData::new(padded, [rows, 1]);
                updated.mask_where(
                    Tensor::<2, Bool>::from_data(mask, &device).expand([rows, hidden]),
                    state,
                )
            } else {
                updated
            };
            let last = position + 1 == len;
            if !self.settings.query_gap && (every_position || last) {
                states.push(state.clone());
            }
            if let (Some(flow), Some(lengths)) = (&self.flow, &lengths) {
                for _ in 0..counts.get(position).copied().unwrap_or(0) {
                    let at = substep * rows..(substep + 1) * rows;
                    let h = lengths.clone().slice_dim(0, at);
                    state = flow.step(self.settings.solver, state, h);
                    substep += 1;
                }
            }
            if self.settings.query_gap && (every_position || last) {
                states.push(state.clone());
            }
        }
        states
    }

    /// Scores of all items for `states`, `[R, H]` to `[R, N]`: column i is item i; padding has none.
    pub fn scores(&self, states: Tensor<2>) -> Tensor<2> {
        let weight = match &self.head_weight {
            Some(weight) => weight.clone(),
            None => {
                let rows = self.embedding.dims()[0];
                self.embedding.clone().slice_dim(0, 1..rows).transpose()
            }
        };
        states.matmul(weight) + self.head_bias.clone()
    }

    /// Scores of all items at the end of each history, `[B, N]`.
    pub fn forward(&self, batch: &Batch) -> Tensor<2> {
        let mut states = self.states(batch, false, None);
        // `states` of the last position is always there, for L ≥ 1.
        self.scores(states.swap_remove(0))
    }

    /// Mean cross entropy over the batch's targets, in nats: one number, left on the device.
    pub fn loss(&self, batch: &Batch, dropout: Option<&Dropout>) -> Tensor<1> {
        let device = self.device();
        let every_position = self.settings.targets == Targets::All;
        let states = self.states(batch, every_position, dropout.map(|masks| &masks.input));
        let mut states = if states.len() == 1 {
            states.into_iter().next().unwrap_or_else(|| unreachable!("one state"))
        } else {
            Tensor::cat(states, 0)
        };
        if let Some(masks) = dropout {
            states = states * masks.state.clone();
        }
        let first = if every_position { 0 } else { (batch.len - 1) * batch.rows };
        let targets = &batch.targets[first..];
        let counted = targets.iter().filter(|&&target| target > 0).count().max(1);
        let weights: Vec<f32> = targets
            .iter()
            .map(|&target| if target > 0 { 1.0 / counted as f32 } else { 0.0 })
            .collect();
        let columns: Vec<i32> = targets.iter().map(|&target| (target - 1).max(0)).collect();
        let rows = targets.len();
        let columns = Tensor::<2, Int>::from_data(TensorData::new(columns, [rows, 1]), &device);
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [rows, 1]), &device);
        let likelihood = log_softmax(self.scores(states), 1).gather(1, columns);
        (likelihood * weights).sum().neg()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::parameters;
    use crate::dynamics::warp::TimeWarp;
    use crate::settings::Solver;

    fn model(settings: &ModelSettings) -> System1 {
        let weights = parameters::initial(settings, 12, 3);
        System1::new(settings, &parameters::upload(&weights, &Device::flex()))
    }

    fn small(solver: Solver) -> ModelSettings {
        ModelSettings {
            solver,
            hidden: 6,
            max_substeps: 4,
            max_step: 0.3,
            decay: 0.4,
            ..Default::default()
        }
    }

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    const DAY: i64 = 86_400_000;

    #[test]
    fn padding_and_neighbours_change_nothing() {
        for solver in Solver::WITH_STATE {
            let settings = ModelSettings { query_gap: true, ..small(*solver) };
            let model = model(&settings);
            let mut alone = Batch::empty(1, 3);
            alone.put(0, &[1, 5, 7], &[0, 2 * DAY, 9 * DAY], 12 * DAY, None, TimeWarp::LINEAR);
            let mut padded = Batch::empty(2, 6);
            padded.put(0, &[1, 5, 7], &[0, 2 * DAY, 9 * DAY], 12 * DAY, None, TimeWarp::LINEAR);
            padded.put(1, &[2, 3], &[0, 90 * DAY], 91 * DAY, None, TimeWarp::LINEAR);
            let (alone, padded) = (values(model.forward(&alone)), values(model.forward(&padded)));
            for (a, b) in alone.iter().zip(&padded[..12]) {
                assert!((a - b).abs() < 1e-6, "{solver:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn the_gru_ignores_the_clock_and_the_others_do_not() {
        for solver in Solver::WITH_STATE {
            let model = model(&small(*solver));
            let scores = |gap: i64| {
                let mut batch = Batch::empty(1, 2);
                batch.put(0, &[1, 5], &[0, gap], gap, None, TimeWarp::LINEAR);
                values(model.forward(&batch))
            };
            assert_eq!(scores(DAY) == scores(5 * DAY), *solver == Solver::Gru, "{solver:?}");
        }
    }

    #[test]
    fn the_loss_is_the_cross_entropy_of_the_scores() {
        let model = model(&ModelSettings { targets: Targets::Last, ..small(Solver::Rk4) });
        let mut batch = Batch::empty(2, 3);
        batch.put(0, &[1, 5], &[0, DAY], DAY, Some(7), TimeWarp::LINEAR);
        batch.put(1, &[2, 3, 4], &[0, DAY, DAY], DAY, Some(0), TimeWarp::LINEAR);
        let scores = values(model.forward(&batch));
        let expected: f64 = [7usize, 0]
            .iter()
            .zip(scores.chunks(12))
            .map(|(&target, row)| {
                let total: f64 = row.iter().map(|&s| f64::from(s).exp()).sum();
                total.ln() - f64::from(row[target])
            })
            .sum::<f64>()
            / 2.0;
        let loss: f32 = model.loss(&batch, None).into_scalar();
        assert!((f64::from(loss) - expected).abs() < 1e-5, "{loss} {expected}");
    }

    #[test]
    fn gradients_match_finite_differences() {
        for (solver, head) in [
            (Solver::Gru, Head::Linear),
            (Solver::Euler, Head::Tied),
            (Solver::Rk4, Head::Linear),
            (Solver::Rk4, Head::Tied),
            (Solver::GruOde, Head::Linear),
            (Solver::Cfc, Head::Linear),
            (Solver::Decay, Head::Tied),
        ] {
            let settings =
                ModelSettings { query_gap: true, head, targets: Targets::All, ..small(solver) };
            let mut batch = Batch::empty(2, 3);
            batch.put(0, &[1, 5], &[0, 4 * DAY], 9 * DAY, Some(7), TimeWarp::LINEAR);
            batch.put(1, &[2, 3, 4], &[0, DAY, DAY], 3 * DAY, Some(0), TimeWarp::LINEAR);
            let weights = parameters::initial(&settings, 12, 3);
            let device = Device::flex().autodiff();
            let tracked: Vec<_> = parameters::upload(&weights, &device)
                .into_iter()
                .map(Tensor::require_grad)
                .collect();
            let loss = System1::new(&settings, &tracked).loss(&batch, None);
            let gradients = loss.backward();
            let at = |weights: &[parameters::Matrix]| -> f64 {
                let model = System1::new(&settings, &parameters::upload(weights, &Device::flex()));
                f64::from(model.loss(&batch, None).into_scalar::<f32>())
            };
            for (place, tensor) in tracked.iter().enumerate() {
                let gradient = values(tensor.grad(&gradients).unwrap());
                // Along the gradient itself the change of the loss is |g|·ε.
                let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                let moved = |by: f64| {
                    let mut weights = weights.clone();
                    for (value, g) in weights[place].values.iter_mut().zip(&gradient) {
                        *value += (by * f64::from(*g) / norm) as f32;
                    }
                    at(&weights)
                };
                let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let name = &weights[place].name;
                assert!(
                    (numeric - norm).abs() < 2e-2 * norm + 2e-4,
                    "{solver:?} {head:?} {name}: {numeric} {norm}"
                );
            }
        }
    }
}
