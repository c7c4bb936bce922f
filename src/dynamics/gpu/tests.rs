//! The kernels against the plain tensors and the kernels of the CPU, on whatever adapter there is: a
//! software one will do. Shapes are tiny, since that is slow.

use burn::tensor::{Device, Tensor, TensorData};
use burn_dispatch::DispatchDevice;
use cubecl::prelude::CubeElement;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::buffer::At;
use super::launch::Launcher;
use super::product::Form;
use super::{OnGpu, Unfit};
use crate::dynamics::batch::Batch;
use crate::dynamics::device::{Hardware, devices};
use crate::dynamics::fused::{Dropout, Fused, Update};
use crate::dynamics::model::{self, System1};
use crate::dynamics::parameters::{self, Matrix};
use crate::settings::{Head, ModelSettings, Solver, Targets};

/// The adapter that DEEPM3_TEST_DEVICE names, or any, or a word that there is none.
fn gpu() -> Option<Device> {
    let asked = std::env::var("DEEPM3_TEST_DEVICE").unwrap_or_default();
    let found = devices().into_iter().find(|device| {
        device.hardware != Hardware::Cpu && device.label().to_lowercase().contains(&asked)
    });
    let Some(found) = found else {
        println!("skipped: this machine has no GPU adapter, not even a software one");
        return None;
    };
    println!("on {}", found.label());
    Some(found.open().expect("the adapter opens"))
}

struct Case {
    settings: ModelSettings,
    items: usize,
    weights: Vec<Matrix>,
    batch: Batch,
    dropout: Option<Dropout>,
}

impl Case {
    /// Random weights; histories full, empty and of random lengths; no gaps, short and long ones.
    fn random(settings: ModelSettings, [items, rows, len]: [usize; 3], seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = parameters::initial(&settings, items, seed);
        for value in weights.iter_mut().skip(1).flat_map(|one| &mut one.values) {
            *value += 0.2 * (rng.random::<f32>() - 0.5);
        }
        let mut batch = Batch::empty(rows, len);
        for row in 0..rows {
            let kept = match row {
                0 => len,
                1 => 0,
                _ => rng.random_range(1..=len),
            };
            for position in len - kept..len {
                let at = position * rows + row;
                batch.items[at] = rng.random_range(1..=items as i32);
                batch.targets[at] = rng.random_range(0..=items as i32);
                let gaps = [0.0, 0.05, 0.4, 1.3, 3.0 * rng.random::<f32>()];
                batch.dt[at] = gaps[rng.random_range(0..gaps.len())];
            }
        }
        batch.targets[(len - 1) * rows] = 1;
        let hidden = settings.hidden;
        let dropout = (settings.dropout > 0.0).then(|| {
            let mut mask = |rows: usize| {
                (0..rows * hidden).map(|_| if rng.random() { 2.0 } else { 0.0 }).collect()
            };
            let states = if settings.targets == Targets::All { rows * len } else { rows };
            Dropout { input: mask(rows * len), state: mask(states) }
        });
        Self { settings, items, weights, batch, dropout }
    }

    /// The loss in plain tensors.
    fn plain_loss(&self) -> f32 {
        let device = Device::flex();
        let masks = self.dropout.as_ref().map(|masks| {
            let hidden = self.settings.hidden;
            let tensor = |values: &[f32]| {
                let data = TensorData::new(values.to_vec(), [values.len() / hidden, hidden]);
                Tensor::from_data(data, &device)
            };
            model::Dropout { input: tensor(&masks.input), state: tensor(&masks.state) }
        });
        let model = System1::new(&self.settings, &parameters::upload(&self.weights, &device));
        model.loss(&self.batch, masks.as_ref()).into_scalar()
    }

    /// The gradients in the kernels of the CPU.
    fn gradients(&self) -> Vec<Vec<f32>> {
        let values: Vec<Vec<f32>> = self.weights.iter().map(|one| one.values.clone()).collect();
        let mut gradients = values.clone();
        let mut fused = Fused::new(&self.settings, self.items, 1);
        fused.loss_and_gradients(&values, &self.batch, self.dropout.as_ref(), &mut gradients);
        gradients
    }

    fn on(&self, device: &Device) -> OnGpu {
        OnGpu::new(device, &self.settings, self.items, &self.weights, None)
            .expect("the adapter runs the kernels")
    }

    fn check(&self, device: &Device) {
        self.check_shrunk(device, |_| ());
    }

    fn check_shrunk(&self, device: &Device, shrink: impl Fn(&mut OnGpu)) {
        let mut gpu = self.on(device);
        shrink(&mut gpu);
        let name = format!("{:?}", self.settings);
        let expected = self.plain_loss();
        let theirs = self.gradients();
        // Twice: what a step leaves in the device's memory must not matter to the next.
        for _ in 0..2 {
            let (loss, ours) = gpu.loss_and_gradients(&self.batch, self.dropout.as_ref());
            assert!((loss - expected).abs() <= 1e-5 * expected, "{loss} {expected}; {name}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let off: Vec<f32> = ours.values.iter().zip(theirs).map(|(a, b)| a - b).collect();
                let (off, size) = (norm(&off), norm(theirs));
                assert!(off <= 1e-4 * size + 1e-7, "{}: {off} of {size}; {name}", ours.name);
            }
        }
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn settings(solver: Solver, head: Head, hidden: usize) -> ModelSettings {
    ModelSettings {
        solver,
        head,
        hidden,
        max_step: 0.5,
        max_substeps: 4,
        targets: Targets::All,
        ..Default::default()
    }
}

/// Five rows are not a whole number of tiles, six values of state not one of units.
#[test]
fn loss_and_gradients_are_those_of_tensors_and_cpu() {
    let Some(device) = gpu() else { return };
    for (seed, solver) in [Solver::Gru, Solver::Euler, Solver::Rk4].into_iter().enumerate() {
        for (place, (head, targets, query_gap, dropout)) in [
            (Head::Linear, Targets::Last, false, 0.0),
            (Head::Linear, Targets::All, true, 0.5),
            (Head::Tied, Targets::Last, true, 0.5),
            (Head::Tied, Targets::All, false, 0.0),
        ]
        .into_iter()
        .enumerate()
        {
            let decay = if place % 2 == 0 { 0.3 } else { 0.0 };
            let settings =
                ModelSettings { targets, query_gap, dropout, decay, ..settings(solver, head, 6) };
            Case::random(settings, [9, 5, 4], seed as u64).check(&device);
        }
    }
}

#[test]
fn flows_without_kernels_are_refused_by_name() {
    let Some(device) = gpu() else { return };
    for solver in [Solver::Decay, Solver::Cfc, Solver::GruOde] {
        let settings = settings(solver, Head::Linear, 6);
        let matrices = parameters::initial(&settings, 9, 1);
        let unfit = OnGpu::new(&device, &settings, 9, &matrices, None).err();
        assert_eq!(unfit, Some(Unfit::Flow { model: solver.title() }));
    }
}

#[test]
fn any_tile_and_any_share_of_the_scores_give_the_same() {
    let Some(device) = gpu() else { return };
    for head in Head::ALL {
        let case = Case::random(settings(Solver::Rk4, *head, 6), [9, 37, 4], 3);
        assert!(case.batch.targets.iter().filter(|&&target| target > 0).count() > 64);
        // One row needs 192 bytes: tiles of 1, of 2 and of 4 rows, products whole and in slices.
        for (shared, multiprocessors) in [(200, 100), (400, 100), (1 << 14, 100), (1 << 14, 1)] {
            case.check_shrunk(&device, |gpu| gpu.shrink(shared, multiprocessors, 9));
        }
    }
}

#[test]
fn states_wider_than_a_cube_are_taken_piece_by_piece() {
    let Some(device) = gpu() else { return };
    Case::random(settings(Solver::Euler, Head::Linear, 515), [9, 3, 2], 4).check(&device);
}

#[test]
fn without_targets_there_is_no_loss_and_without_gaps_no_field() {
    let Some(device) = gpu() else { return };
    let mut case = Case::random(settings(Solver::Rk4, Head::Linear, 6), [9, 5, 4], 5);
    case.batch.dt.fill(0.0);
    case.check(&device);
    let (_, gradients) = case.on(&device).loss_and_gradients(&case.batch, None);
    assert!(gradients[5..9].iter().flat_map(|one| &one.values).all(|&value| value == 0.0));
    case.batch.targets.fill(0);
    let (loss, gradients) = case.on(&device).loss_and_gradients(&case.batch, None);
    assert_eq!(loss, 0.0);
    assert!(gradients.iter().flat_map(|one| &one.values).all(|&value| value == 0.0));
}

#[test]
fn products_of_all_forms_are_those_by_hand() {
    let Some(device) = gpu() else { return };
    let DispatchDevice::Cube(device) = device.as_dispatch() else { unreachable!("a GPU") };
    let launcher = Launcher::new(device.client());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Inside of one tile, and beyond it with a sum in parts.
    for [m, n, k] in [[3, 5, 2], [70, 67, 600], [0, 9, 300]] {
        for bits in 0..16 {
            let bit = |place: usize| bits >> place & 1 == 1;
            let (a_turned, b_turned, ones, add) = (bit(0), bit(1), bit(2), bit(3));
            let mut draw = |size: usize| -> Vec<f32> {
                (0..size).map(|_| rng.random::<f32>() - 0.5).collect()
            };
            let (a, b) = (draw(7 + m * k), draw(3 + k * n));
            let rows = m + usize::from(ones);
            let before = draw(2 + rows * n);
            let out = launcher.floats(&before);
            let (a_width, b_width) = (if a_turned { m } else { k }, if b_turned { k } else { n });
            let (on_a, on_b) = (launcher.floats(&a), launcher.floats(&b));
            let at = [At::new(&on_a, 7, a_width), At::new(&on_b, 3, b_width), At::new(&out, 2, n)];
            launcher.product(at, [m, n, k], Form { a_turned, b_turned, ones, add });
            let bytes = launcher.client().read_one(out.handle).unwrap();
            let ours = f32::from_bytes(&bytes);
            assert_eq!(ours[..2], before[..2]);
            for i in 0..rows {
                for j in 0..n {
                    let left = |l| match (i < m, a_turned) {
                        (false, _) => 1.0,
                        (true, true) => a[7 + l * m + i],
                        (true, false) => a[7 + i * k + l],
                    };
                    let right = |l| if b_turned { b[3 + j * k + l] } else { b[3 + l * n + j] };
                    let sum: f64 = (0..k).map(|l| f64::from(left(l)) * f64::from(right(l))).sum();
                    let there = if add { f64::from(before[2 + i * n + j]) } else { 0.0 };
                    let off = (f64::from(ours[2 + i * n + j]) - sum - there).abs();
                    assert!(off < 1e-4, "{m} {n} {k} {bits}: {off} at {i}, {j}");
                }
            }
        }
    }
}

#[test]
fn it_goes_on_from_its_moments_to_the_bit_in_a_counted_number_of_launches() {
    let Some(device) = gpu() else { return };
    // The field's two gradients are sums over many rows, each cut into parts.
    for (solver, launches) in [(Solver::Gru, 16), (Solver::Rk4, 20)] {
        let case = Case::random(settings(solver, Head::Linear, 6), [9, 5, 4], 6);
        let how = Update { learning_rate: 0.01, weight_decay: 0.1, clip_norm: 0.5 };
        let mut whole = case.on(&device);
        let mut rest = case.on(&device);
        for step in 0..4 {
            whole.step(&case.batch, None, how);
            assert_eq!(whole.launches(), launches, "{solver:?}");
            if step == 2 {
                let (weights, [first, second]) = (rest.weights().unwrap(), rest.moments().unwrap());
                let moments = Some((first.as_slice(), second.as_slice(), step));
                rest = OnGpu::new(&device, &case.settings, case.items, &weights, moments)
                    .expect("the adapter runs the kernels");
            }
            rest.step(&case.batch, None, how);
        }
        assert_eq!(whole.weights().unwrap(), rest.weights().unwrap());
        assert_ne!(whole.weights().unwrap(), case.weights);
    }
}

#[test]
fn a_device_that_is_too_small_says_why() {
    let Some(device) = gpu() else { return };
    let settings = settings(Solver::Gru, Head::Linear, 1 << 16);
    let unfit = OnGpu::new(&device, &settings, 1, &[], None).map(|_| ()).unwrap_err();
    assert!(unfit.to_string().contains("shared memory"), "{unfit}");
    let unfit = OnGpu::new(&Device::flex(), &settings, 1, &[], None).map(|_| ()).unwrap_err();
    assert_eq!(unfit, Unfit::NoGpu);
}
