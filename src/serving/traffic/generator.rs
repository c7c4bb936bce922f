//! The run itself: pacing, connections, pause, stop.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::client::Client;
use super::report::grouped;
use super::sequence::{Arrival, Sequence, sequence};
use super::tally::Tally;
use super::target::Target;
use super::{TrafficError, TrafficPlan, TrafficReport, TrafficTick};
use crate::jobs::{Cancelled, Context, Control};

/// From one tick to the next.
const TICK: Duration = Duration::from_millis(250);
/// Longest time in which pause and stop go unnoticed.
const BEAT: Duration = Duration::from_millis(50);
/// How long a stopped run waits for the answers under way.
const FAREWELL: Duration = Duration::from_millis(500);
/// Requests that fill the cache with one answer, at most. A full cache keeps an answer only once
/// it was asked for more often than the ones it would drop.
const WARM_UP_TRIES: usize = 5;

/// Send `plan`'s requests and count what comes back.
///
/// Latency counts from the moment a request was due. Only the lateness of the timer itself, about
/// a millisecond while connections are free, is left out of it: it would be charged to the server.
/// A run that is stopped through `context` ends within a second with the report of what was sent.
///
/// # Errors
/// [`TrafficError`] where nothing could be sent: no people, a target that is no server, is another
/// machine, or is off. Requests that fail are no error; the report counts them.
pub async fn run(
    plan: &TrafficPlan,
    context: &Context<TrafficTick>,
) -> Result<TrafficReport, TrafficError> {
    if plan.people.is_empty() {
        return Err(TrafficError::NoPeople);
    }
    let name = format!("{:08x}", Uuid::new_v4().as_fields().0);
    let tally = Tally::new()?;
    context.progress(None, format!("Connecting to {}", plan.target));
    let found = Target::find(&plan.target, plan.allow_remote);
    let target = match unless_cancelled(context.control(), found).await {
        Ok(found) => found?,
        Err(Cancelled) => return Ok(TrafficReport::new(plan, &name, &tally, 0.0, true)),
    };
    let client = Client::new(plan, target)?;
    let generator = Generator::new(plan, context, client, tally);
    Ok(generator.run(&name).await)
}

/// `work`, unless the owner asks to stop before it is done.
async fn unless_cancelled<T>(
    control: &Control,
    work: impl Future<Output = T>,
) -> Result<T, Cancelled> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = sleep(BEAT) => if control.is_cancelled() { return Err(Cancelled) },
        }
    }
}

/// A permit to have one more request in flight.
type Slot = OwnedSemaphorePermit;

struct Generator<'a> {
    plan: &'a TrafficPlan,
    context: &'a Context<TrafficTick>,
    client: Arc<Client>,
    tally: Arc<Mutex<Tally>>,
    slots: Arc<Semaphore>,
    /// Requests in flight; they end with this.
    flying: JoinSet<()>,
    /// The start, moved on by every pause.
    begun: Instant,
    /// When the last wait for a request to become due ended. All requests due until then were held
    /// back by the timer, not by the server.
    awake: Instant,
    /// Whether a request had to wait for a free connection since then.
    behind: bool,
    next_tick: Instant,
}

impl<'a> Generator<'a> {
    fn new(
        plan: &'a TrafficPlan,
        context: &'a Context<TrafficTick>,
        client: Client,
        tally: Tally,
    ) -> Self {
        let now = Instant::now();
        Self {
            plan,
            context,
            client: Arc::new(client),
            tally: Arc::new(Mutex::new(tally)),
            slots: Arc::new(Semaphore::new(plan.settings.concurrency.max(1))),
            flying: JoinSet::new(),
            begun: now,
            awake: now,
            behind: false,
            next_tick: now,
        }
    }

    async fn run(mut self, name: &str) -> TrafficReport {
        let Sequence { warm_up, arrivals } = sequence(&self.plan.settings, &self.plan.people, name);
        let stopped = match self.warm_up(warm_up).await {
            Ok(()) => self.send_all(arrivals).await,
            cancelled => cancelled,
        }
        .is_err();
        if stopped {
            // Out of patience is fine: what is missing then is reported as given up.
            let _ = timeout(FAREWELL, self.slots.acquire_many(self.most())).await;
            self.flying.shutdown().await;
        }
        self.tick();
        let elapsed = self.begun.elapsed().as_secs_f64();
        TrafficReport::new(self.plan, name, &lock(&self.tally), elapsed, stopped)
    }

    /// Ask each of `bodies` until the answer comes from the cache.
    async fn warm_up(&mut self, bodies: Vec<Vec<u8>>) -> Result<(), Cancelled> {
        if !bodies.is_empty() {
            self.context.progress(None, format!("Warming the cache up for {} users", bodies.len()));
            let (client, tally) = (&self.client, &self.tally);
            let warming = stream::iter(bodies).for_each_concurrent(
                self.plan.settings.concurrency.max(1),
                async |body| {
                    for _ in 0..WARM_UP_TRIES {
                        lock(tally).warm_up += 1;
                        if client.ask(body.clone()).await.result.is_ok_and(|answer| answer.cached) {
                            break;
                        }
                    }
                },
            );
            unless_cancelled(self.context.control(), warming).await?;
        }
        let now = Instant::now();
        (self.begun, self.awake, self.next_tick) = (now, now, now + TICK);
        Ok(())
    }

    async fn send_all(&mut self, arrivals: impl Iterator<Item = Arrival>) -> Result<(), Cancelled> {
        for arrival in arrivals {
            self.wait_until_due(arrival.due).await?;
            let Some(slot) = self.free_slot(arrival.paired).await? else { break };
            self.send(arrival, slot);
        }
        // All slots free: nothing is in flight any more.
        while timeout(BEAT, self.slots.acquire_many(self.most())).await.is_err() {
            self.attend().await?;
        }
        Ok(())
    }

    /// Look after the owner: stop, pause, ticks.
    async fn attend(&mut self) -> Result<(), Cancelled> {
        let control = self.context.control();
        if control.is_paused() {
            let paused = Instant::now();
            while control.is_paused() {
                sleep(BEAT).await;
            }
            // The pause is no delay of anyone: the schedule moves on by it.
            let paused = paused.elapsed();
            self.begun += paused;
            self.next_tick += paused;
        }
        if control.is_cancelled() {
            return Err(Cancelled);
        }
        if Instant::now() >= self.next_tick {
            self.tick();
            self.next_tick = Instant::now() + TICK;
        }
        Ok(())
    }

    async fn wait_until_due(&mut self, due: Duration) -> Result<(), Cancelled> {
        loop {
            self.attend().await?;
            let (due, now) = (self.begun + due, Instant::now());
            if due <= now {
                return Ok(());
            }
            sleep_until(due.min(now + BEAT)).await;
            self.awake = Instant::now();
            self.behind = false;
        }
    }

    /// A slot, waiting for it where all are taken. `None` once the time is over and requests had to
    /// wait, unless this one belongs with the one before it.
    async fn free_slot(&mut self, paired: bool) -> Result<Option<Slot>, Cancelled> {
        loop {
            let over = self.begun.elapsed().as_secs_f64() >= self.plan.settings.seconds;
            if over && self.behind && !paired {
                return Ok(None);
            }
            if let Ok(slot) = self.slots.clone().try_acquire_owned() {
                return Ok(Some(slot));
            }
            self.behind = true;
            // The slot itself is taken above, after the time was looked at.
            let _ = timeout(BEAT, self.slots.acquire()).await;
            self.attend().await?;
        }
    }

    fn send(&mut self, arrival: Arrival, slot: Slot) {
        let due = self.begun + arrival.due;
        let asked = due.max(self.awake);
        lock(&self.tally).sending(arrival.body.len(), due.elapsed());
        let (client, tally) = (self.client.clone(), self.tally.clone());
        self.flying.spawn(async move {
            let outcome = client.ask(arrival.body).await;
            lock(&tally).ended(outcome, asked.elapsed());
            drop(slot);
        });
        while self.flying.try_join_next().is_some() {}
    }

    /// Post the counters and the progress.
    fn tick(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut tally = lock(&self.tally);
        let (sent, failed) = (tally.sent, tally.failed);
        let rate = sent as f64 / seconds.max(1e-3);
        let mut message = format!("{} sent · {rate:.1}/s", grouped(sent));
        if !tally.latency.is_empty() {
            let p99 = tally.latency.value_at_quantile(0.99) as f64 / 1e6;
            message.push_str(&format!(" · p99 {p99:.1} ms"));
        }
        if failed > 0 {
            message.push_str(&format!(" · {} failed", grouped(failed)));
        }
        let tick = tally.tick(seconds);
        drop(tally);
        let fraction = (seconds / self.plan.settings.seconds).min(1.0) as f32;
        self.context.progress(Some(fraction), message);
        self.context.send(tick);
    }

    /// How many slots there are.
    fn most(&self) -> u32 {
        u32::try_from(self.plan.settings.concurrency.max(1)).unwrap_or(u32::MAX)
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
