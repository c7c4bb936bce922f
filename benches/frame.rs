//! One whole frame of the Train page's charts without a GPU: 20 curves of 10,000 points in each.
//!
//! The budget is 8 ms of CPU a frame at the 99th percentile, tessellation included. The mean of a
//! benchmark says nothing of the one that stutters, so single frames are timed as well.

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use deepm3::workbench::charts::curves::{Curve, Sample};
use deepm3::workbench::charts::lines::{LineOptions, Series};
use deepm3::workbench::{Charts, theme};
use eframe::egui::{self, Color32, Pos2, RawInput, Rect, vec2};

const POINTS: usize = 10_000;
const CURVES: usize = 20;
/// Single frames that are timed: ten seconds of a smooth window.
const FRAMES: usize = 600;

/// A noisy falling curve.
fn sample(curve: usize, index: usize) -> Sample {
    let at = index as f64 / POINTS as f64;
    let noise = ((index * 7919 + curve * 104_729) % 1000) as f64 / 5000.0;
    Sample {
        step: index as f64,
        epoch: at * 10.0,
        seconds: index as f64 * 0.01,
        value: 6.0 + 2.0 * (-3.0 * at).exp() + noise + curve as f64 * 0.02,
    }
}

/// `models` series with the 20 curves spread over them.
fn series(models: usize) -> Vec<Series> {
    (0..models)
        .map(|model| Series {
            name: format!("model {model}"),
            color: Color32::from_rgb(40, (model * 12) as u8, 200),
            hidden: false,
            curves: (0..CURVES / models)
                .map(|seed| {
                    let mut curve = Curve::default();
                    for index in 0..POINTS {
                        curve.push(sample(model * 7 + seed, index));
                    }
                    curve
                })
                .collect(),
        })
        .collect()
}

struct Scene {
    ctx: egui::Context,
    charts: Charts,
    loss: Vec<Series>,
    quality: Vec<Series>,
    options: LineOptions,
}

impl Scene {
    fn new(models: usize, options: LineOptions) -> Self {
        let ctx = egui::Context::default();
        theme::install(&ctx);
        let (loss, quality) = (series(models), series(models));
        let mut scene = Self { ctx, charts: Charts::default(), loss, quality, options };
        for _ in 0..3 {
            scene.frame();
        }
        scene
    }

    /// A new point on each curve, as while training.
    fn grow(&mut self, index: usize) {
        for group in [&mut self.loss, &mut self.quality] {
            for (place, series) in group.iter_mut().enumerate() {
                for curve in &mut series.curves {
                    curve.push(sample(place, index));
                }
            }
        }
    }

    /// Lay out, paint and tessellate one frame.
    fn frame(&mut self) -> usize {
        let screen = Rect::from_min_size(Pos2::ZERO, vec2(1440.0, 900.0));
        let input = RawInput { screen_rect: Some(screen), ..RawInput::default() };
        let (charts, options) = (&mut self.charts, &mut self.options);
        let (loss, quality) = (&mut self.loss, &mut self.quality);
        let mut output = self.ctx.run_ui(input, |ui| {
            charts.ui(ui, loss, quality, options, Some(10.0));
        });
        // No GPU takes the font texture.
        output.textures_delta.clear();
        let shapes = std::mem::take(&mut output.shapes);
        self.ctx.tessellate(shapes, output.pixels_per_point).len()
    }
}

/// While training: every frame has a new point on each curve.
const GROWING: [(&str, usize); 2] =
    [("20 curves alone, all growing", 20), ("4 models of 5 seeds, all growing", 4)];

fn frames(criterion: &mut Criterion) {
    let every_seed = LineOptions { every_seed: true, ..LineOptions::default() };
    for (name, models, options) in [
        ("20 curves alone, nothing new", 20, LineOptions::default()),
        ("4 models of 5 seeds, every seed", 4, every_seed),
        ("4 models of 5 seeds, mean and band", 4, LineOptions::default()),
    ] {
        let mut scene = Scene::new(models, options);
        criterion.bench_function(name, |bencher| bencher.iter(|| scene.frame()));
    }
    for (name, models) in GROWING {
        let mut scene = Scene::new(models, LineOptions::default());
        let mut next = POINTS;
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                next += 1;
                scene.grow(next);
                scene.frame()
            });
        });
    }
}

/// Percentiles of single frames, which the mean of a benchmark hides.
fn single_frames(_: &mut Criterion) {
    for (name, models) in GROWING {
        let mut scene = Scene::new(models, LineOptions::default());
        let mut took: Vec<f64> = (1..=FRAMES)
            .map(|frame| {
                let begun = Instant::now();
                scene.grow(POINTS + frame);
                std::hint::black_box(scene.frame());
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took[((FRAMES as f64 * share).ceil() as usize).clamp(1, FRAMES) - 1];
        println!(
            "{name}, {FRAMES} single frames: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

criterion_group!(benches, frames, single_frames);
criterion_main!(benches);
