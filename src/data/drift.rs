//! The built-in set, generated from a seed: users whose interest flows in a known field.
//!
//! A user is a point z in the plane. Between events it follows dz/dt = f(z) with
//!
//! f(z) = Σₖ wₖ(z) A (cₖ − z),  w = softmax(−|z − cₖ|² / 2s²),  A = [[a, −ω], [ω, a]]
//!
//! so that each centre is the core of a stable spiral. At an event the user takes an item near z
//! (or, exploring, one further off) and is drawn most of the way to it. Gaps are log-uniform from
//! four hours to eight days, so where a user is at the next event depends on how long it took to
//! come: the clock carries signal, and a model that ignores it cannot know which part of the spiral
//! it sees.

use std::sync::Arc;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Columns, Dataset, ItemMeta};
use crate::jobs::Cancelled;

mod together;

pub use together::Tastes;

/// Size and seed of a generated set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftOptions {
    pub seed: u64,
    pub users: usize,
    pub items: usize,
}

impl Default for DriftOptions {
    fn default() -> Self {
        Self { seed: 7, users: 1500, items: 300 }
    }
}

/// The field behind the set; all rates are per day.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftField {
    pub centres: Vec<[f64; 2]>,
    /// Decay a towards a centre.
    pub decay: f64,
    /// Rotation ω around it.
    pub rotation: f64,
    /// Softness s of the borders between basins.
    pub softness: f64,
}

/// What no model sees: the field, where each item lies and where each user was.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftTruth {
    pub field: DriftField,
    /// Place of each item in the plane.
    pub item_place: Vec<[f64; 2]>,
    /// The user's state just before each event, in the order of [`Dataset::item`].
    pub state: Vec<[f64; 2]>,
    /// Stable fixed points of the field, found by Newton's method from each centre.
    pub attractors: Vec<[f64; 2]>,
}

const CENTRES: [([f64; 2], &str); 4] = [
    ([-1.5, 1.3], "Space opera"),
    ([1.6, 1.2], "Film noir"),
    ([0.1, -1.7], "Comedy"),
    ([-1.9, -1.4], "Documentary"),
];
/// Radius of the disc that items fill.
const RADIUS: f64 = 3.0;
/// Width of a user's taste when sure, and when exploring.
const FOCUS: f64 = 0.28;
const EXPLORING: f64 = 1.3;
/// Share of events at which a user explores.
const EXPLORE_SHARE: f64 = 0.25;
/// How far an event draws the user towards the item taken, 0..=1.
const PULL: f64 = 0.85;
/// Deviation, on each axis, of the places where users begin, around the middle of the plane.
pub const BEGIN: f64 = 1.6;
/// Longest step of the flow behind the set, in days.
const STEP_DAYS: f64 = 0.05;
/// Shortest and longest gap, in days.
const GAP_DAYS: (f64, f64) = (0.15, 8.0);
const MS_PER_DAY: f64 = 86_400_000.0;
/// 2020-01-01T00:00:00Z, when the first users appear.
const EPOCH_MS: f64 = 1_577_836_800_000.0;

impl DriftField {
    /// dz/dt at `z`, per day.
    pub fn velocity(&self, z: [f64; 2]) -> [f64; 2] {
        let scale = 2.0 * self.softness * self.softness;
        let weight = |c: &[f64; 2]| (-distance2(z, *c) / scale).exp();
        let total: f64 = self.centres.iter().map(weight).sum();
        let mut velocity = [0.0, 0.0];
        for centre in &self.centres {
            let share = weight(centre) / total.max(f64::MIN_POSITIVE);
            let (dx, dy) = (centre[0] - z[0], centre[1] - z[1]);
            velocity[0] += share * (self.decay * dx - self.rotation * dy);
            velocity[1] += share * (self.rotation * dx + self.decay * dy);
        }
        velocity
    }

    /// Where `z` is `days` later (RK4 with steps of at most 0.05 days).
    pub fn flow(&self, mut z: [f64; 2], days: f64) -> [f64; 2] {
        let steps = (days / STEP_DAYS).ceil().max(1.0);
        let h = days / steps;
        let ahead = |z: [f64; 2], k: [f64; 2], h: f64| [z[0] + h * k[0], z[1] + h * k[1]];
        for _ in 0..steps as usize {
            let k1 = self.velocity(z);
            let k2 = self.velocity(ahead(z, k1, h / 2.0));
            let k3 = self.velocity(ahead(z, k2, h / 2.0));
            let k4 = self.velocity(ahead(z, k3, h));
            for axis in 0..2 {
                z[axis] += h / 6.0 * (k1[axis] + 2.0 * k2[axis] + 2.0 * k3[axis] + k4[axis]);
            }
        }
        z
    }

    /// The fixed point that Newton's method reaches from `z` (central-difference Jacobian).
    fn fixed_point(&self, mut z: [f64; 2]) -> [f64; 2] {
        const H: f64 = 1e-5;
        for _ in 0..50 {
            let f = self.velocity(z);
            let along = |axis: usize| {
                let (mut up, mut down) = (z, z);
                up[axis] += H;
                down[axis] -= H;
                let (up, down) = (self.velocity(up), self.velocity(down));
                [(up[0] - down[0]) / (2.0 * H), (up[1] - down[1]) / (2.0 * H)]
            };
            let (x, y) = (along(0), along(1));
            let determinant = x[0] * y[1] - y[0] * x[1];
            if determinant.abs() < 1e-12 {
                break;
            }
            z[0] -= (y[1] * f[0] - y[0] * f[1]) / determinant;
            z[1] -= (x[0] * f[1] - x[1] * f[0]) / determinant;
        }
        z
    }
}

/// Where an event with an item at `place` leaves a user at `z`.
fn drawn(z: [f64; 2], place: [f64; 2]) -> [f64; 2] {
    let axis = |axis: usize| z[axis] + PULL * (place[axis] - z[axis]);
    [axis(0), axis(1)]
}

impl DriftTruth {
    /// Where an event with `item` leaves a user at `z`.
    ///
    /// # Panics
    /// Where there is no such item.
    pub fn after(&self, z: [f64; 2], item: usize) -> [f64; 2] {
        drawn(z, self.item_place[item])
    }
}

/// Squared distance of the item nearest to `z`.
fn nearest(places: &[[f64; 2]], z: [f64; 2]) -> f64 {
    places.iter().map(|place| distance2(z, *place)).fold(f64::INFINITY, f64::min)
}

/// How likely an item is whose squared distance is `beyond` more than that of the nearest; relative to
/// that one, so that a state far out still has weights above 0.
fn weight(beyond: f64, width: f64) -> f64 {
    (-beyond / (2.0 * width * width)).exp()
}

fn distance2(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

/// A standard normal number (Box–Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Generate the set. The same options give the same set. `go_on` is asked before each user.
///
/// # Errors
/// [`Cancelled`] when `go_on` says so.
pub fn drift(
    options: DriftOptions,
    mut go_on: impl FnMut() -> Result<(), Cancelled>,
) -> Result<Dataset, Cancelled> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let field = DriftField {
        centres: CENTRES.iter().map(|(centre, _)| *centre).collect(),
        decay: 0.12,
        rotation: 0.50,
        softness: 0.75,
    };
    let item_place = place_items(options.items, &mut rng);

    let mut columns = Columns::default();
    let mut state = Vec::new();
    let mut weights = vec![0.0; options.items];
    for user in 0..options.users {
        go_on()?;
        let mut z = [BEGIN * normal(&mut rng), BEGIN * normal(&mut rng)];
        let mut day = rng.random::<f64>() * 365.0;
        let events = rng.random_range(14..=22);
        for _ in 0..events {
            state.push(z);
            let width = if rng.random::<f64>() < EXPLORE_SHARE { EXPLORING } else { FOCUS };
            let item = choose(&item_place, z, width, &mut weights, &mut rng);
            columns.user.push(user as u32);
            columns.item.push(item as u32);
            columns.time.push((EPOCH_MS + day * MS_PER_DAY).round() as i64);
            z = drawn(z, item_place[item]);
            let (shortest, longest) = (GAP_DAYS.0.ln(), GAP_DAYS.1.ln());
            let gap = (shortest + (longest - shortest) * rng.random::<f64>()).exp();
            z = field.flow(z, gap);
            day += gap;
        }
    }

    let user_ids = (1..=options.users).map(|user| user.to_string()).collect();
    let item_ids = (1..=options.items).map(|item| item.to_string()).collect();
    let attractors = field.centres.iter().map(|&centre| field.fixed_point(centre)).collect();
    let mut data = Dataset::from_columns(columns, user_ids, item_ids, go_on)?;
    data.name = "drift".to_owned();
    data.source = "drift".to_owned();
    data.meta = describe_items(&item_place, &field, &mut rng);
    data.genres = CENTRES.iter().map(|(_, genre)| (*genre).to_owned()).collect();
    data.report.rows = data.events() as u64;
    data.report.notes.push(format!(
        "generated from seed {}; its titles are invented and its dynamics are known",
        options.seed
    ));
    data.truth = Some(Arc::new(DriftTruth { field, item_place, state, attractors }));
    Ok(data)
}

/// Items spread over the disc without clumps: each is the farthest of a few random candidates.
fn place_items(items: usize, rng: &mut impl Rng) -> Vec<[f64; 2]> {
    let mut places: Vec<[f64; 2]> = Vec::with_capacity(items);
    while places.len() < items {
        let mut best = ([0.0, 0.0], -1.0);
        for _ in 0..8 {
            let radius = RADIUS * rng.random::<f64>().sqrt();
            let angle = std::f64::consts::TAU * rng.random::<f64>();
            let place = [radius * angle.cos(), radius * angle.sin()];
            let nearest =
                places.iter().map(|other| distance2(place, *other)).fold(f64::INFINITY, f64::min);
            if nearest > best.1 {
                best = (place, nearest);
            }
        }
        places.push(best.0);
    }
    places
}

fn choose(
    places: &[[f64; 2]],
    z: [f64; 2],
    width: f64,
    weights: &mut [f64],
    rng: &mut impl Rng,
) -> usize {
    let nearest = nearest(places, z);
    let mut total = 0.0;
    for (weight, place) in weights.iter_mut().zip(places) {
        *weight = self::weight(distance2(z, *place) - nearest, width);
        total += *weight;
    }
    let mut left = rng.random::<f64>() * total;
    for (item, weight) in weights.iter().enumerate() {
        left -= weight;
        if left <= 0.0 {
            return item;
        }
    }
    weights.len() - 1
}

const FIRST: [&str; 25] = [
    "Quiet",
    "Long",
    "Glass",
    "Night",
    "Ninth",
    "Paper",
    "Silver",
    "Hidden",
    "Second",
    "Northern",
    "Last",
    "Open",
    "Crimson",
    "Slow",
    "Distant",
    "Burning",
    "Early",
    "Broken",
    "Golden",
    "Empty",
    "Winter",
    "Borrowed",
    "Salt",
    "Velvet",
    "Invisible",
];
const SECOND: [&str; 25] = [
    "Harbour",
    "Orbit",
    "City",
    "Ferry",
    "Planet",
    "Moons",
    "Signal",
    "Garden",
    "Witness",
    "Road",
    "Station",
    "Letters",
    "Tide",
    "Machine",
    "Summer",
    "Mirror",
    "Verdict",
    "Circus",
    "Archive",
    "Island",
    "Horizon",
    "Waltz",
    "Shadow",
    "Kitchen",
    "Expedition",
];

fn describe_items(places: &[[f64; 2]], field: &DriftField, rng: &mut impl Rng) -> Vec<ItemMeta> {
    let mut names: Vec<usize> = (0..FIRST.len() * SECOND.len()).collect();
    for i in (1..names.len()).rev() {
        names.swap(i, rng.random_range(0..=i));
    }
    places
        .iter()
        .enumerate()
        .map(|(item, place)| {
            let name = names[item % names.len()];
            let mut title =
                format!("{} {}", FIRST[name / SECOND.len()], SECOND[name % SECOND.len()]);
            let volume = item / names.len();
            if volume > 0 {
                title = format!("{title} {}", volume + 1);
            }
            let mut order: Vec<usize> = (0..field.centres.len()).collect();
            order.sort_by(|&a, &b| {
                let far = |k: usize| distance2(*place, field.centres[k]);
                far(a).total_cmp(&far(b))
            });
            let mut genres = vec![order[0] as u16];
            // Near a border an item belongs to both sides.
            let (near, next) = (
                distance2(*place, field.centres[order[0]]).sqrt(),
                distance2(*place, field.centres[order[1]]).sqrt(),
            );
            if near > 0.75 * next {
                genres.push(order[1] as u16);
            }
            ItemMeta { title: Some(title), genres }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The set, never asked to stop.
    fn drift(options: DriftOptions) -> Dataset {
        super::drift(options, || Ok(())).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_set() {
        let options = DriftOptions { users: 20, ..DriftOptions::default() };
        let (a, b) = (drift(options), drift(options));
        assert_eq!((&a.item, &a.time), (&b.item, &b.time));
        let other = drift(DriftOptions { seed: 8, ..options });
        assert_ne!(a.item, other.item);
    }

    #[test]
    fn its_attractors_are_fixed_points_that_draw_users_in() {
        let data = drift(DriftOptions { users: 1, ..DriftOptions::default() });
        let truth = data.truth.unwrap();
        assert_eq!(truth.attractors.len(), 4);
        for &attractor in &truth.attractors {
            let speed = truth.field.velocity(attractor);
            assert!(speed[0].hypot(speed[1]) < 1e-10);
            let near = [attractor[0] + 0.2, attractor[1] - 0.2];
            let later = truth.field.flow(near, 60.0);
            assert!(distance2(later, attractor).sqrt() < 1e-3, "{later:?} {attractor:?}");
        }
    }

    #[test]
    fn items_are_taken_as_often_as_the_truth_says() {
        let data = drift(DriftOptions { users: 400, ..DriftOptions::default() });
        let truth = data.truth.clone().unwrap();
        let mut tastes = Tastes::new(&truth);
        let (mut expected, mut taken, mut variance) = (0.0, 0.0, 0.0);
        for (&item, &z) in data.item.iter().zip(&truth.state) {
            tastes.go(z);
            let chances: Vec<f64> = tastes.chances().collect();
            assert!((chances.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            // Does the likeliest item come as often as it should?
            let best =
                (0..chances.len()).max_by(|&a, &b| chances[a].total_cmp(&chances[b])).unwrap();
            expected += chances[best];
            variance += chances[best] * (1.0 - chances[best]);
            taken += f64::from(u8::from(item as usize == best));
        }
        assert!((taken - expected).abs() < 4.0 * f64::sqrt(variance), "{taken} {expected}");
    }

    #[test]
    fn long_steps_lead_where_short_ones_do() {
        let truth = drift(DriftOptions { users: 1, ..DriftOptions::default() }).truth.unwrap();
        for z in [[0.3, -0.2], [2.0, 1.0], [-3.0, 2.5]] {
            let (fine, mut coarse) = (truth.field.flow(z, 7.9), [z]);
            truth.field.flow_together(&mut coarse, 7.9, 0.2);
            assert!(distance2(fine, coarse[0]).sqrt() < 1e-4);
        }
    }

    #[test]
    fn truth_lines_up_with_events() {
        let data = drift(DriftOptions { users: 50, ..DriftOptions::default() });
        let truth = data.truth.clone().unwrap();
        assert_eq!(truth.state.len(), data.events());
        let near = data
            .item
            .iter()
            .zip(&truth.state)
            .filter(|(item, state)| distance2(truth.item_place[**item as usize], **state) < 1.0)
            .count();
        assert!(near as f64 > 0.7 * data.events() as f64);
    }
}
