//! The threads that run System 1: requests that wait together are answered together.
//!
//! A request alone is computed at once; under load a thread takes up to [`ROWS`] waiting requests
//! as one batch, which reads the weights once for all of them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::model::{ROWS, ServedModel};
use super::perceive::{best, uncertainty};
use super::request::Asked;
use super::users::UserState;
use super::{RequestError, ServeError};
use crate::dynamics::excitation::Moment;
use crate::dynamics::packed::{Step, Workspace};
use crate::routing::Uncertainty;
use crate::training::scorer::steps;

/// What is to be computed.
pub struct Job {
    pub model: Arc<ServedModel>,
    pub asked: Arc<Asked>,
    pub from: Option<Arc<UserState>>,
    /// How many of the best items are wanted.
    pub top: usize,
    pub half_life: f64,
}

/// System 1's answer.
#[derive(Debug, Clone)]
pub struct Perceived {
    pub uncertainty: Uncertainty,
    /// Item and calibrated probability, best first; items of the history are left out where the
    /// run masks them.
    pub best: Vec<(u32, f32)>,
    /// `[H]`, right after the last event.
    pub state: Vec<f32>,
}

struct Waiting {
    job: Job,
    answer: oneshot::Sender<Perceived>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    closed: bool,
}

/// The threads. Dropping it finishes what waits and ends them.
pub struct Compute {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    threads: Vec<JoinHandle<()>>,
}

impl Compute {
    /// Start `threads` threads.
    ///
    /// # Errors
    /// [`ServeError::Thread`] where the system refuses one.
    pub fn start(threads: usize) -> Result<Self, ServeError> {
        let shared = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let mut compute = Self { shared, threads: Vec::new() };
        for number in 0..threads.max(1) {
            let shared = compute.shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("system1-{number}"))
                .spawn(move || work(&shared))
                .map_err(ServeError::Thread)?;
            compute.threads.push(thread);
        }
        Ok(compute)
    }

    /// Compute `job`, perhaps together with others.
    ///
    /// # Errors
    /// [`RequestError`] with status 500 where the computation failed.
    pub async fn run(&self, job: Job) -> Result<Perceived, RequestError> {
        let (answer, received) = oneshot::channel();
        {
            let mut queue = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            queue.waiting.push_back(Waiting { job, answer });
        }
        self.shared.1.notify_one();
        received.await.map_err(|_| {
            RequestError::internal("System 1 failed on this request; the server goes on")
        })
    }
}

impl Drop for Compute {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.1.notify_all();
        for thread in self.threads.drain(..) {
            // A panic of the thread was told to those who waited for it.
            let _ = thread.join();
        }
    }
}

fn work(shared: &(Mutex<Queue>, Condvar)) {
    let mut workspace: Option<(Arc<ServedModel>, Workspace)> = None;
    loop {
        let batch = {
            let mut queue = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            while queue.waiting.is_empty() {
                if queue.closed {
                    return;
                }
                queue = shared.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            take(&mut queue.waiting)
        };
        let model = batch[0].job.model.clone();
        // Another model may have other shapes.
        let mut space = match workspace.take() {
            Some((of, space)) if Arc::ptr_eq(&of, &model) => space,
            _ => model.packed.workspace(),
        };
        // Whoever waits for a batch that panics learns it from the dropped sender.
        if catch_unwind(AssertUnwindSafe(|| answer(&model, batch, &mut space))).is_ok() {
            workspace = Some((model, space));
        }
    }
}

/// The first of those that wait and all after it that ask the same model.
fn take(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let same = waiting
        .iter()
        .take(ROWS)
        .take_while(|next| Arc::ptr_eq(&next.job.model, &waiting[0].job.model))
        .count();
    waiting.drain(..same).collect()
}

fn answer(model: &ServedModel, batch: Vec<Waiting>, workspace: &mut Workspace) {
    let (hidden, items) = (model.packed.hidden(), model.packed.items());
    let settings = &model.config.model;
    let mut states = vec![0.0; batch.len() * hidden];
    let mut todo: Vec<Vec<Step>> = Vec::with_capacity(batch.len());
    for (row, Waiting { job, .. }) in batch.iter().enumerate() {
        let asked = &job.asked;
        let (known, after) = match &job.from {
            Some(from) => {
                states[row * hidden..(row + 1) * hidden].copy_from_slice(&from.state);
                (from.items.len(), from.times.last().copied())
            }
            None => (0, None),
        };
        todo.push(steps(model.packed.warp(), &asked.items[known..], &asked.times[known..], after));
    }
    let rows: Vec<&[Step]> = todo.iter().map(Vec::as_slice).collect();
    model.packed.advance(workspace, &mut states, &rows);
    let after_events = states.clone();
    if settings.query_gap {
        let warp = model.packed.warp();
        let gaps: Vec<f32> = batch
            .iter()
            .map(|Waiting { job, .. }| {
                let last = job.asked.times.last().copied().unwrap_or(job.asked.query);
                warp.model_time(job.asked.query - last)
            })
            .collect();
        model.packed.flow(workspace, &mut states, &gaps);
    }
    let mut scores = vec![0.0; batch.len() * items];
    model.packed.scores(workspace, &states, &mut scores);
    if let (Some(timeline), Some(lift)) = (model.timeline(), model.packed.lift()) {
        // A request without a calendar is asked after all that has happened.
        let now = timeline.last().map_or(0, |last| last + 1);
        let asked = batch.iter().map(|waiting| &*waiting.job.asked);
        let moments: Vec<Moment<'_>> = asked
            .map(|asked| Moment {
                items: &asked.items,
                times: &asked.times,
                asked: asked.query,
                query: if asked.calendar { asked.query } else { now },
                behind: 0,
            })
            .collect();
        lift.apply(&timeline, &moments, &states, &mut scores);
    }
    let every = batch.into_iter().zip(scores.chunks_exact_mut(items));
    for ((Waiting { job, answer }, scores), state) in every.zip(after_events.chunks_exact(hidden)) {
        let perceived = perceive(model, &job, scores, state.to_vec());
        // A client that went away is no failure.
        let _ = answer.send(perceived);
    }
}

fn perceive(model: &ServedModel, job: &Job, scores: &mut [f32], state: Vec<f32>) -> Perceived {
    if model.config.evaluation.mask_seen {
        for &item in job.asked.items.iter().chain(&job.asked.older) {
            scores[item as usize] = f32::NEG_INFINITY;
        }
    }
    let asked = &job.asked;
    let history = (asked.items.as_slice(), asked.times.as_slice(), asked.query);
    let uncertainty = uncertainty(model, scores, history, job.half_life);
    let best = best(scores, model.temperature.value, job.top);
    Perceived { uncertainty, best, state }
}
