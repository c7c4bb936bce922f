//! Long work off the UI thread: progress, messages, pause, cancel, and panics turned into failures.
//!
//! A job gets a [`Context`]: it posts its latest [`Progress`] (only the newest counts), sends typed
//! events that must not be lost, and asks [`Context::checkpoint`] at least every fraction of a
//! second whether to go on. The owner keeps a [`Job`] and drains it when it likes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const RUNNING: u8 = 0;
const PAUSED: u8 = 1;
const CANCELLED: u8 = 2;

/// The work was asked to stop and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped on request")]
pub struct Cancelled;

/// Pause, resume and cancel, shared between the owner and the work.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<ControlState>);

#[derive(Debug, Default)]
struct ControlState {
    state: AtomicU8,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Control {
    pub fn pause(&self) {
        let _ = self.0.state.compare_exchange(RUNNING, PAUSED, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub fn resume(&self) {
        let _ = self.0.state.compare_exchange(PAUSED, RUNNING, Ordering::SeqCst, Ordering::SeqCst);
        self.wake();
    }

    pub fn cancel(&self) {
        self.0.state.store(CANCELLED, Ordering::SeqCst);
        self.wake();
    }

    pub fn is_paused(&self) -> bool {
        self.0.state.load(Ordering::SeqCst) == PAUSED
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.state.load(Ordering::SeqCst) == CANCELLED
    }

    fn wake(&self) {
        let _held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.changed.notify_all();
    }

    /// Blocks while paused.
    ///
    /// # Errors
    /// [`Cancelled`] once the owner asked to stop.
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        let mut held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.is_paused() {
            let waited = self.0.changed.wait_timeout(held, Duration::from_millis(200));
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// How far the work is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Share done, 0..=1, where it is known.
    pub fraction: Option<f32>,
    /// What is being done now, for people.
    pub message: String,
}

/// What the work holds: where to report, and whether to go on.
pub struct Context<E> {
    control: Control,
    progress: Arc<Mutex<Progress>>,
    events: Sender<E>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl<E> Clone for Context<E> {
    fn clone(&self) -> Self {
        Self {
            control: self.control.clone(),
            progress: self.progress.clone(),
            events: self.events.clone(),
            wake: self.wake.clone(),
        }
    }
}

impl<E> Context<E> {
    /// Post the latest progress; older progress not yet read is replaced.
    pub fn progress(&self, fraction: Option<f32>, message: impl Into<String>) {
        let mut slot = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Progress { fraction, message: message.into() };
        drop(slot);
        (self.wake)();
    }

    /// Send an event that must not be lost. An owner that has gone away is not an error.
    pub fn send(&self, event: E) {
        let _ = self.events.send(event);
        (self.wake)();
    }

    /// Blocks while paused; to be called at least every few hundred milliseconds.
    ///
    /// # Errors
    /// [`Cancelled`] once the owner asked to stop.
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        self.control.checkpoint()
    }

    /// The switch itself, for code that waits on something else as well.
    pub fn control(&self) -> &Control {
        &self.control
    }
}

/// A context for work called directly: no owner listens, progress goes to `report`.
pub fn detached<E: Send + 'static>(
    control: Control,
    report: impl Fn(&Progress, &mut dyn Iterator<Item = E>) + Send + Sync + 'static,
) -> Context<E> {
    let (events, received) = channel();
    let progress = Arc::new(Mutex::new(Progress::default()));
    let seen = progress.clone();
    let received = Mutex::new(received);
    let wake = move || {
        let latest = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let received = received.lock().unwrap_or_else(PoisonError::into_inner);
        report(&latest, &mut received.try_iter());
    };
    Context { control, progress, events, wake: Arc::new(wake) }
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome<T, X> {
    Done(T),
    Failed(X),
    /// The job panicked; its message.
    Panicked(String),
}

/// Work in progress on its own thread.
pub struct Job<E, T, X> {
    /// What it is, for the status bar.
    pub name: String,
    /// When it started.
    pub started: Instant,
    control: Control,
    progress: Arc<Mutex<Progress>>,
    events: Receiver<E>,
    thread: Option<JoinHandle<Outcome<T, X>>>,
}

impl<E, T, X> Job<E, T, X>
where
    E: Send + 'static,
    T: Send + 'static,
    X: Send + 'static,
{
    /// Start `work` on its own thread. `wake` is called whenever something new can be read.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn spawn(
        name: impl Into<String>,
        wake: impl Fn() + Send + Sync + 'static,
        work: impl FnOnce(&Context<E>) -> Result<T, X> + Send + 'static,
    ) -> std::io::Result<Self> {
        let name = name.into();
        let control = Control::default();
        let progress = Arc::new(Mutex::new(Progress::default()));
        let (sender, events) = channel();
        let context = Context {
            control: control.clone(),
            progress: progress.clone(),
            events: sender,
            wake: Arc::new(wake),
        };
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            let outcome = match catch_unwind(AssertUnwindSafe(|| work(&context))) {
                Ok(Ok(value)) => Outcome::Done(value),
                Ok(Err(error)) => Outcome::Failed(error),
                Err(panic) => Outcome::Panicked(panic_message(panic.as_ref())),
            };
            // The owner learns of the end from `finish`; this makes it look.
            let wake = context.wake.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                wake();
            });
            outcome
        })?;
        Ok(Self { name, started: Instant::now(), control, progress, events, thread: Some(thread) })
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events since the last call, oldest first.
    pub fn drain(&self) -> impl Iterator<Item = E> + '_ {
        self.events.try_iter()
    }

    /// The outcome, once the work has ended and every event was drained; before that `None`.
    pub fn finish(&mut self) -> Option<Outcome<T, X>> {
        if !self.thread.as_ref()?.is_finished() {
            return None;
        }
        let thread = self.thread.take()?;
        Some(thread.join().unwrap_or_else(|panic| Outcome::Panicked(panic_message(panic.as_ref()))))
    }
}

/// The text of a panic, for people.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait<E: Send + 'static, T: Send + 'static, X: Send + 'static>(
        job: &mut Job<E, T, X>,
    ) -> Outcome<T, X> {
        loop {
            if let Some(outcome) = job.finish() {
                return outcome;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_panic_is_a_failed_job_with_its_message() {
        let mut job: Job<(), (), ()> =
            Job::spawn("test", || (), |_| panic!("out of cheese")).unwrap();
        match wait(&mut job) {
            Outcome::Panicked(message) => assert_eq!(message, "out of cheese"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn cancel_reaches_paused_work() {
        let mut job: Job<(), (), Cancelled> = Job::spawn(
            "test",
            || (),
            |context| {
                loop {
                    context.checkpoint()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
            },
        )
        .unwrap();
        job.control().pause();
        assert!(job.control().is_paused());
        job.control().cancel();
        assert!(matches!(wait(&mut job), Outcome::Failed(Cancelled)));
    }

    #[test]
    fn events_are_all_kept_and_progress_is_the_latest() {
        let mut job: Job<u32, (), ()> = Job::spawn(
            "test",
            || (),
            |context| {
                for event in 0..100 {
                    context.send(event);
                    context.progress(Some(event as f32 / 100.0), format!("{event}"));
                }
                Ok(())
            },
        )
        .unwrap();
        let _ = wait(&mut job);
        assert_eq!(job.drain().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        assert_eq!(job.progress().message, "99");
    }
}
