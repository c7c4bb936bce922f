//! A landscape and the ways in it as a picture for export.

use super::{Journey, Landscape, Subject};
use crate::dynamics::attractor::{Slice, slice};
use crate::figures::{Color, Mark, Plane, Sign, Theme, Way, viridis};
use crate::settings::Solver;

/// What part of the landscape is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Principal components on x and y, from 0.
    pub axes: [usize; 2],
    /// From and to on x, then on y.
    pub extent: [[f64; 2]; 2],
    /// Arrows along x.
    pub density: usize,
    pub theme: Theme,
}

impl View {
    /// All but the outermost hundredth of what was visited, and every fixed point, with a margin.
    pub fn whole(landscape: &Landscape, axes: [usize; 2]) -> Self {
        let extent = axes.map(|axis| {
            let visited = landscape.visited.iter().filter_map(|start| start.position.get(axis));
            let mut values: Vec<f64> = visited.map(|&value| f64::from(value)).collect();
            values.sort_unstable_by(f64::total_cmp);
            let cut = values.len() / 200;
            let inner = values.get(cut..values.len() - cut).unwrap_or_default();
            let points = landscape.fixed_points.iter().filter_map(|p| p.position.get(axis));
            let all = || inner.iter().chain(points.clone()).copied();
            let low = all().fold(f64::INFINITY, f64::min);
            let high = all().fold(f64::NEG_INFINITY, f64::max);
            if low < high {
                let room = 0.06 * (high - low);
                [low - room, high + room]
            } else {
                [-1.0, 1.0]
            }
        });
        Self { axes, extent, density: 26, theme: Theme::Dark }
    }

    /// Wide enough for these ways too.
    pub fn with_ways(mut self, journeys: &[Journey]) -> Self {
        for (extent, axis) in self.extent.iter_mut().zip(self.axes) {
            let room = 0.03 * (extent[1] - extent[0]);
            let spots = journeys.iter().flat_map(|journey| &journey.spots);
            for &value in spots.filter_map(|spot| spot.position.get(axis)) {
                if value.is_finite() {
                    *extent = [extent[0].min(value - room), extent[1].max(value + room)];
                }
            }
        }
        self
    }

    /// The field in this view; `None` for the GRU, which has none.
    pub fn slice(&self, subject: &Subject, landscape: &Landscape) -> Option<Slice> {
        let field = subject.exact.field()?;
        let rows = (self.density * 5 / 6).max(2);
        Some(slice(field, &landscape.pca, self.axes, self.extent, self.density.max(2), rows))
    }

    /// The label of an axis, named for what it is.
    pub fn axis_label(landscape: &Landscape, axis: usize) -> String {
        let share = landscape.explained_variance.get(axis).copied().unwrap_or(0.0);
        format!("PC {} ({:.0} % of variance)", axis + 1, 100.0 * share)
    }
}

/// The colour of a solver's way where several are compared.
fn way_color(solver: Solver) -> Color {
    crate::figures::model_color(solver.word())
}

/// Draw `landscape` with `journeys`: the first in the colours of time, others in their solver's.
pub fn portrait(
    subject: &Subject,
    landscape: &Landscape,
    journeys: &[Journey],
    view: View,
) -> Plane {
    let at = |position: &[f64]| [position[view.axes[0]], position[view.axes[1]]];
    let mut plane = Plane {
        title: landscape.run.clone(),
        subtitle: subtitle(landscape, journeys),
        axes: view.axes.map(|axis| View::axis_label(landscape, axis)),
        extent: view.extent,
        theme: view.theme,
        ..Plane::default()
    };
    if let Some(slice) = view.slice(subject, landscape) {
        add_field(&mut plane, &slice, view);
    }
    let quiet = Color(0x80, 0x88, 0x96);
    plane.dots = landscape
        .visited
        .iter()
        .map(|start| {
            let place = view.axes.map(|axis| f64::from(start.position[axis]));
            (place, quiet)
        })
        .collect();
    for (index, journey) in journeys.iter().enumerate() {
        let span = journey.span().max(f64::MIN_POSITIVE);
        let color = |days: f64| {
            if index == 0 { viridis(days / span) } else { way_color(journey.solver) }
        };
        for (event, visit) in journey.visits.iter().enumerate() {
            let jump =
                [&visit.before, &visit.after].map(|position| (at(position), color(visit.days)));
            if event > 0 {
                plane.ways.push(Way { points: jump.to_vec(), dotted: true });
            }
            let flow = journey.spots[visit.spot..].iter().take_while(|spot| spot.event == event);
            let points = flow.map(|spot| (at(&spot.position), color(spot.days))).collect();
            plane.ways.push(Way { points, dotted: false });
            if index == 0 {
                let sign = Sign::Event(color(visit.days));
                plane.marks.push(Mark { at: at(&visit.after), label: String::new(), sign });
            }
        }
    }
    plane.marks.extend(landscape.fixed_points.iter().map(|point| Mark {
        at: at(&point.position),
        label: if point.kind.is_stable() {
            format!("{} · {}", point.name, point.theme)
        } else {
            point.name.clone()
        },
        sign: if point.kind.is_stable() { Sign::Ring } else { Sign::Cross },
    }));
    if let Some(truth) = &landscape.truth {
        plane.marks.extend(truth.positions.iter().map(|position| Mark {
            at: at(position),
            label: "true".to_owned(),
            sign: Sign::Diamond,
        }));
    }
    plane
}

fn subtitle(landscape: &Landscape, journeys: &[Journey]) -> String {
    let field = match landscape.attractors().len() {
        _ if landscape.solver == Solver::Gru => "a GRU: no flow between events".to_owned(),
        1 => "1 attractor".to_owned(),
        count => format!("{count} attractors"),
    };
    match journeys.first() {
        Some(journey) => format!(
            "{field} · user {}, {} events over {:.0} days, time from violet to yellow",
            journey.user_id,
            journey.visits.len(),
            journey.span()
        ),
        None => field,
    }
}

/// Arrows of equal length where the field is fast, shorter where it is slow; dark where it leaves
/// the plane.
fn add_field(plane: &mut Plane, slice: &Slice, view: View) {
    let step = [0, 1].map(|axis| {
        let count = [slice.columns, slice.rows][axis].max(2) - 1;
        (view.extent[axis][1] - view.extent[axis][0]) / count as f64
    });
    plane.cell = step;
    let scaled = |velocity: [f64; 2]| [velocity[0] / step[0], velocity[1] / step[1]];
    let speed = |velocity: [f64; 2]| scaled(velocity)[0].hypot(scaled(velocity)[1]);
    let mut speeds: Vec<f64> = slice.points.iter().map(|point| speed(point.velocity)).collect();
    speeds.sort_unstable_by(f64::total_cmp);
    let usual = speeds.get(speeds.len() / 2).copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
    for point in &slice.points {
        plane.shades.push((point.at, point.out_of_plane));
        let own = speed(point.velocity);
        if own > 0.0 {
            let length = 0.62 * (own / usual).min(1.0) / own;
            let to = [0, 1].map(|axis| point.at[axis] + length * point.velocity[axis]);
            plane.arrows.push([point.at, to]);
        }
    }
}
