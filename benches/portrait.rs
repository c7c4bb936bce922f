//! One frame of the Attractor page's portrait without a GPU: 2,000 visited states, 546 arrows, the
//! way of a user with 20 events, fixed points. `cargo bench --bench portrait`
//!
//! 60 frames a second leave 16 ms for everything; the mean says nothing of the frame that stutters,
//! so single frames are timed as well.

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use deepm3::analysis::{Subject, SurveyOptions, survey};
use deepm3::data::drift::{DriftOptions, drift};
use deepm3::dynamics::parameters;
use deepm3::jobs::{self, Context, Control};
use deepm3::serving::ServedModel;
use deepm3::settings::Config;
use deepm3::training::Prepared;
use deepm3::workbench::{AttractorPage, theme};
use eframe::egui::{self, Pos2, RawInput, Rect, vec2};

/// Single frames that are timed: ten seconds of a smooth window.
const FRAMES: usize = 600;

struct Scene {
    ctx: egui::Context,
    page: AttractorPage,
}

impl Scene {
    /// An untrained model with a decaying field, which has an attractor.
    fn new() -> Self {
        let config = Config::load("drift").expect("a shipped preset");
        let context: Context<()> = jobs::detached(Control::default(), |_, _| ());
        let data = drift(DriftOptions::default(), || Ok(())).expect("never cancelled");
        let prepared = Prepared::from_dataset(&data, &config, &context).expect("a good set");
        let weights = parameters::initial(&config.model, prepared.data.items(), 3);
        let model = ServedModel::new("bench", &config, weights.clone(), prepared, &context);
        let subject = Subject::new(model.expect("fitting weights"), &weights);
        let landscape = survey(&subject, SurveyOptions::default(), &context).expect("states");
        let users = 0..subject.model.data.users();
        let longest = users.max_by_key(|&user| subject.model.data.history(user).len());
        let page = AttractorPage::showing(subject, landscape, longest.unwrap_or_default());
        let ctx = egui::Context::default();
        theme::install(&ctx);
        let mut scene = Self { ctx, page };
        for _ in 0..3 {
            scene.frame(0.5);
        }
        scene
    }

    /// Lay out, paint and tessellate one frame.
    fn frame(&mut self, share: f64) -> usize {
        let screen = Rect::from_min_size(Pos2::ZERO, vec2(1440.0, 900.0));
        let input = RawInput { screen_rect: Some(screen), ..RawInput::default() };
        let page = &mut self.page;
        let mut output = self.ctx.run_ui(input, |ui| page.portrait(ui, share));
        // No GPU takes the font texture.
        output.textures_delta.clear();
        let shapes = std::mem::take(&mut output.shapes);
        self.ctx.tessellate(shapes, output.pixels_per_point).len()
    }
}

fn frames(criterion: &mut Criterion) {
    let mut scene = Scene::new();
    let mut next = 0usize;
    criterion.bench_function("portrait, playing", |bencher| {
        bencher.iter(|| {
            next += 1;
            scene.frame((next % FRAMES) as f64 / FRAMES as f64)
        });
    });
}

/// Percentiles of single frames.
fn single_frames(_: &mut Criterion) {
    let mut scene = Scene::new();
    let mut took: Vec<f64> = (1..=FRAMES)
        .map(|frame| {
            let begun = Instant::now();
            std::hint::black_box(scene.frame(frame as f64 / FRAMES as f64));
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((FRAMES as f64 * share).ceil() as usize).clamp(1, FRAMES) - 1];
    println!(
        "portrait, {FRAMES} single frames: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

criterion_group!(benches, frames, single_frames);
criterion_main!(benches);
