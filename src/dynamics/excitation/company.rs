//! Which items share users: for every item the others that its users chose before or after it, in
//! the order of time.

/// Earlier items of the same user that an event is tied to, at most.
const PARTNERS: usize = 50;
/// Ties kept, about; with more events each is tied to fewer: 512 MiB.
const TIES: usize = 1 << 25;
/// Ties of one item that a look counts, the latest: what its users chose lately.
const LATEST: usize = 4096;
/// Events after which an item still counts as followed.
const FOLLOWERS: usize = 5;
/// Added to an item's degree, so that a few ties do not weigh like many.
const SHRINK: f32 = 10.0;
const SHRINK_NEXT: f32 = 3.0;

/// Another item of a user who chose this one.
#[derive(Clone, Copy)]
pub(super) struct Tie {
    /// Index of the later event of the two.
    event: u32,
    pub other: u32,
    /// Cosine-like: 1/√(dᵢ dⱼ), less for users of many items.
    pub weight: f32,
    /// How closely it followed this one; 0 where it came before.
    pub next: f32,
}

/// The ties of all items.
pub(super) struct Company {
    ties: Vec<Vec<Tie>>,
    /// Σ of the weights of an item's ties before they are normalised.
    degree: Vec<f32>,
    /// The same for followers.
    followed: Vec<f32>,
    partners: usize,
    /// Ties there are, and how many there may be before the oldest go.
    count: usize,
    most: usize,
    /// Events whose ties are gone.
    forgotten: usize,
}

impl Tie {
    /// Index of the event that made it.
    pub fn event(&self) -> usize {
        self.event as usize
    }
}

impl Company {
    /// For a stream that begins with about `events` events, all of whose ties are kept until it is a
    /// quarter longer.
    pub fn new(items: usize, events: usize) -> Self {
        let partners = (TIES / (2 * events.max(1))).clamp(2, PARTNERS);
        let most = TIES.max(2 * events * partners);
        Self {
            ties: vec![Vec::new(); items],
            degree: vec![0.0; items],
            followed: vec![0.0; items],
            partners,
            count: 0,
            most: most + most / 4,
            forgotten: 0,
        }
    }

    /// Tie `item`, which is event number `event`, to what its user chose before.
    pub fn push(&mut self, event: usize, item: u32, before: &[u32]) {
        let share = 1.0 / (2.0 + before.len() as f32).log2();
        let partners = || before.iter().rev().take(self.partners).enumerate();
        let partners: Vec<(usize, u32)> =
            partners().map(|(back, &other)| (back, other)).filter(|pair| pair.1 != item).collect();
        self.count += 2 * partners.len();
        self.degree[item as usize] += share * partners.len() as f32;
        for &(_, other) in &partners {
            self.degree[other as usize] += share;
        }
        let event = event as u32;
        for (back, other) in partners {
            let (of_item, of_other) = (self.degree[item as usize], self.degree[other as usize]);
            let weight = share / ((of_item + SHRINK) * (of_other + SHRINK)).sqrt();
            let next = if back < FOLLOWERS {
                let close = 1.0 / (1.0 + back as f32);
                let followed = &mut self.followed[other as usize];
                *followed += close;
                close / (*followed + SHRINK_NEXT)
            } else {
                0.0
            };
            self.ties[other as usize].push(Tie { event, other: item, weight, next });
            self.ties[item as usize].push(Tie { event, other, weight, next: 0.0 });
        }
        if self.count > self.most {
            self.forget(self.forgotten + (event as usize - self.forgotten).div_ceil(4));
        }
    }

    /// Let the ties of the first so many `events` go: a stream that never ends would fill the memory.
    fn forget(&mut self, events: usize) {
        self.forgotten = events;
        self.count = 0;
        for ties in &mut self.ties {
            ties.drain(..ties.partition_point(|tie| tie.event() < events));
            ties.shrink_to(2 * ties.len());
            self.count += ties.len();
        }
    }

    /// The latest ties of `item` among those of the first `events` events.
    pub fn of(&self, item: u32, events: usize) -> &[Tie] {
        let ties = &self.ties[item as usize];
        let end = ties.partition_point(|tie| tie.event() < events);
        &ties[end.saturating_sub(LATEST)..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_never_ends_keeps_its_latest_ties() {
        let mut endless = Company { most: 1000, ..Company::new(4, 10) };
        let mut whole = Company::new(4, 10);
        for event in 0..10_000 {
            let (item, before) = ((event % 4) as u32, [(event / 4 % 4) as u32]);
            endless.push(event, item, &before);
            whole.push(event, item, &before);
            assert!(endless.count <= 1000);
        }
        let of = |company: &Company| -> Vec<(usize, u32, f32, f32)> {
            let ties = company.of(2, 10_000);
            ties.iter().rev().take(150).map(|t| (t.event(), t.other, t.weight, t.next)).collect()
        };
        assert_eq!(of(&endless).len(), 150);
        assert_eq!(of(&endless), of(&whole));
        let room: usize = endless.ties.iter().map(Vec::capacity).sum();
        assert!(room < 4000, "{room}");
    }
}
