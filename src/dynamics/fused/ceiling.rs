//! What the processor's cores could do at best, to hold a training step against.

use std::time::{Duration, Instant};

use super::gemm::{View, product};
use super::pool::{run, threads};

/// Size of the square matrices: large enough that packing them costs nothing, small enough for the
/// caches.
const SIZE: usize = 384;
/// Time that each core multiplies.
const LONG: Duration = Duration::from_millis(250);

/// GFLOP/s of products of large matrices on `asked` threads (0: one a core), all at once.
pub fn sgemm_gflops(asked: usize) -> f64 {
    let threads = threads(asked);
    let mut rates = vec![0.0; threads];
    run(threads, rates.iter_mut().collect(), |rate| {
        let values: Vec<f32> = (0..SIZE * SIZE).map(|place| (place % 17) as f32 - 8.0).collect();
        let mut out = vec![0.0; SIZE * SIZE];
        let (begun, mut products) = (Instant::now(), 0);
        while begun.elapsed() < LONG {
            product(&mut out, View::new(&values, SIZE), View::new(&values, SIZE));
            std::hint::black_box(&out);
            products += 1;
        }
        let operations = f64::from(products) * 2.0 * (SIZE as f64).powi(3);
        *rate = operations / begun.elapsed().as_secs_f64() / 1e9;
    });
    rates.iter().sum()
}
