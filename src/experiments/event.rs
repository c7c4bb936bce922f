//! What an experiment tells its owner while it runs.

use super::Figure;
use crate::jobs::{self, Context};
use crate::training::TrainEvent;

/// News of a running experiment.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A line for people.
    Message(String),
    /// A point of a live curve.
    Point { curve: String, at: [f64; 2] },
    /// The figure as far as it is known, in place of the one before.
    Figure(Box<Figure>),
}

/// A context for trainings inside an experiment: validation NDCG@10 by epoch becomes a live curve,
/// and progress goes from `from` to `to` of the whole.
pub(super) fn training(context: &Context<Event>, [from, to]: [f32; 2]) -> Context<TrainEvent> {
    let outer = context.clone();
    let names = std::sync::Mutex::new(Vec::new());
    jobs::detached(context.control().clone(), move |progress, events| {
        let share = progress.fraction.map(|fraction| from + (to - from) * fraction);
        if !progress.message.is_empty() {
            outer.progress(share.or(Some(from)), progress.message.clone());
        }
        for event in events {
            match event {
                TrainEvent::Planned { runs, .. } => {
                    if let Ok(mut names) = names.lock() {
                        *names = runs
                            .iter()
                            .map(|run| format!("{} seed {}", run.solver.title(), run.seed))
                            .collect();
                    }
                }
                TrainEvent::Epoch { run, epoch, valid_ndcg10, .. } => {
                    let curve = names.lock().ok().and_then(|names| names.get(run).cloned());
                    let curve = curve.unwrap_or_else(|| format!("run {run}"));
                    outer.send(Event::Point { curve, at: [epoch as f64, valid_ndcg10] });
                }
                TrainEvent::Failed { message, .. } => {
                    outer.send(Event::Message(format!("a training failed: {message}")));
                }
                TrainEvent::Message(message) => outer.send(Event::Message(message)),
                TrainEvent::Started { .. }
                | TrainEvent::Past { .. }
                | TrainEvent::Step { .. }
                | TrainEvent::Finished { .. } => {}
            }
        }
    })
}
