//! What holds for every flow, in plain tensors and in the kernels of serving.

use burn::tensor::{Device, TensorData};
use pulp::Arch;

use super::*;
use crate::dynamics::packed::{PackedSystem1, Step};
use crate::dynamics::parameters::{self, Matrix};

const HIDDEN: usize = 6;

fn settings(solver: Solver) -> ModelSettings {
    ModelSettings { solver, hidden: HIDDEN, max_step: 0.3, max_substeps: 64, ..Default::default() }
}

/// Weights of the whole model, those of the flow far from small.
fn all_weights(settings: &ModelSettings) -> Vec<Matrix> {
    let mut matrices = parameters::initial(settings, 4, 11);
    let count = weights(settings.solver).len();
    for value in matrices[5..5 + count].iter_mut().flat_map(|matrix| &mut matrix.values) {
        *value *= 3.0;
    }
    matrices
}

fn tensors(settings: &ModelSettings) -> Flow {
    let matrices = all_weights(settings);
    let mut own = parameters::upload(&matrices[5..], &Device::flex()).into_iter();
    Flow::new(settings, || own.next().unwrap()).unwrap()
}

fn tensor(values: &[f32], cols: usize) -> Tensor<2> {
    let rows = values.len() / cols;
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, cols]), &Device::flex())
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

const STATES: [f32; 2 * HIDDEN] = [0.3, -0.7, 0.0, 0.9, -0.2, 0.5, -0.9, 0.1, 0.6, -0.4, 0.8, -1.0];

fn flows() -> impl Iterator<Item = Solver> {
    Solver::WITH_STATE.iter().copied().filter(|&solver| solver != Solver::Gru)
}

#[test]
fn a_gap_of_zero_is_the_identity() {
    for solver in flows() {
        let flow = tensors(&settings(solver));
        let out = flow.step(solver, tensor(&STATES, HIDDEN), tensor(&[0.0, 0.0], 1));
        assert_eq!(values(out), STATES, "{solver:?}");
    }
}

#[test]
fn decay_is_the_exact_solution_of_its_equation() {
    let settings = settings(Solver::Decay);
    let matrices = all_weights(&settings);
    let (rate, rest) = (&matrices[5].values, &matrices[6].values);
    let packed = PackedSystem1::new(&settings, 4, &matrices);
    for dt in [1e-3f32, 0.4, 7.0, 300.0] {
        let flow = tensors(&settings);
        let tensors =
            values(flow.step(Solver::Decay, tensor(&STATES, HIDDEN), tensor(&[dt; 2], 1)));
        let mut kernels = STATES.to_vec();
        packed.flow(&mut packed.workspace(), &mut kernels, &[dt; 2]);
        for (place, &z) in STATES.iter().enumerate() {
            let unit = place % HIDDEN;
            let a = f64::from(rate[unit]).exp().ln_1p();
            let (z, m) = (f64::from(z), f64::from(rest[unit]));
            let exact = m + (z - m) * (-a * f64::from(dt)).exp();
            assert!((f64::from(tensors[place]) - exact).abs() < 1e-6, "{dt} {place}");
            assert!((f64::from(kernels[place]) - exact).abs() < 1e-6, "{dt} {place}");
        }
    }
}

/// Where the kernels take the states over `gaps`, one after the other.
fn over(settings: &ModelSettings, gaps: &[f32]) -> Vec<f32> {
    let packed = PackedSystem1::new(settings, 4, &all_weights(settings));
    let mut states = STATES.to_vec();
    for &gap in gaps {
        packed.flow(&mut packed.workspace(), &mut states, &[gap; 2]);
    }
    states
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn two_gaps_are_one_gap_of_both_where_the_flow_is_one() {
    let apart = |solver| {
        let settings = settings(solver);
        furthest(&over(&settings, &[0.9, 0.9]), &over(&settings, &[1.8]))
    };
    assert!(apart(Solver::Decay) < 1e-6);
    assert!(apart(Solver::GruOde) < 1e-4);
    // What it holds still over a gap is another thing after half of it.
    assert!(apart(Solver::Cfc) > 1e-3);
}

#[test]
fn many_short_gaps_of_cfc_follow_its_equation() {
    // The error of holding a and g still falls with the length of the gaps.
    let settings = settings(Solver::Cfc);
    let cut = |count: usize| over(&settings, &vec![1.0 / count as f32; count]);
    let fine = cut(1024);
    let order = (furthest(&cut(8), &fine) / furthest(&cut(16), &fine)).log2();
    assert!((order - 1.0).abs() < 0.2, "{order}");
}

#[test]
fn gru_ode_needs_no_decay_to_stay_within_one() {
    let settings = ModelSettings { max_step: 100.0, max_substeps: 1, ..settings(Solver::GruOde) };
    for gap in [0.3, 3.0, 19.0, 300.0] {
        // But for what a step leaves out.
        assert!(over(&settings, &[gap; 40]).iter().all(|value| value.abs() <= 1.02));
    }
}

#[test]
fn a_step_of_gru_ode_is_an_update_of_the_cell_without_input() {
    // h′ − h of the cell at i = 0 is its velocity; one Euler step of length 1.
    use crate::dynamics::cell::GruCell;
    let settings = settings(Solver::GruOde);
    let matrices = all_weights(&settings);
    let own = parameters::upload(&matrices[5..7], &Device::flex());
    let cell = GruCell { w_hidden: own[0].clone(), b_hidden: own[1].clone() };
    let Flow::GruOde(field) = tensors(&settings) else { unreachable!("as asked for") };
    let states = tensor(&STATES, HIDDEN);
    let updated = cell.forward(tensor(&[0.0; 6 * HIDDEN], 3 * HIDDEN), states.clone());
    let stepped = states.clone() + field.velocity(states);
    assert!(furthest(&values(updated), &values(stepped)) < 1e-6);
}

#[test]
fn kernels_cut_gaps_as_the_settings_say() {
    // Two substeps of 0.3 against one of 0.6: only what is integrated in steps can tell.
    for solver in flows() {
        let fine = over(&settings(solver), &[0.6]);
        let coarse = over(&ModelSettings { max_step: 10.0, ..settings(solver) }, &[0.6]);
        let closed = matches!(solver, Solver::Decay | Solver::Cfc);
        assert_eq!(fine == coarse, closed, "{solver:?}");
    }
}

#[test]
fn a_flow_without_vector_extensions_gives_the_same() {
    for solver in flows() {
        let settings = settings(solver);
        let matrices = all_weights(&settings);
        let of = |arch: Arch| {
            let packed = PackedSystem1::with(arch, 0, &settings, 4, &matrices);
            let mut states = STATES.to_vec();
            let steps = [Step { dt: 0.7, item: 2 }];
            packed.advance(&mut packed.workspace(), &mut states, &[&steps, &steps]);
            states
        };
        assert!(furthest(&of(Arch::new()), &of(Arch::Scalar)) < 1e-5, "{solver:?}");
    }
}
