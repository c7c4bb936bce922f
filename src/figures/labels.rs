//! Names beside dots, placed so that none covers another or a dot, and lines rarely. Pixels, y downward.

/// Upper left and lower right corner.
pub type Area = [[f64; 2]; 2];
/// From here to there.
pub type Segment = [[f64; 2]; 2];

/// A name to be placed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// The dot that it names.
    pub dot: [f64; 2],
    /// Width and height.
    pub size: [f64; 2],
}

/// Where a name goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub area: Area,
    /// A line from its dot, where it is so far off that it could be another's.
    pub leader: Option<Segment>,
}

/// Half the side of the square that a dot takes.
const DOT: f64 = 7.0;
/// Between a name and its dot: side by side where there is room, ever farther where there is none.
const AWAY: [f64; 8] = [8.0, 22.0, 36.0, 52.0, 70.0, 90.0, 112.0, 136.0];
/// Left, middle or right of the dot, and over, beside or under it; the first that is free is taken.
const SIDES: [[f64; 2]; 8] = [
    [1.0, -1.0],
    [1.0, 1.0],
    [-1.0, -1.0],
    [-1.0, 1.0],
    [1.0, 0.0],
    [-1.0, 0.0],
    [0.0, -1.0],
    [0.0, 1.0],
];
/// What a step farther away costs, in pixels of lines that are covered.
const STEP: f64 = 12.0;
/// What a square pixel of a name or a dot costs: covered they cannot be read, which a line can.
const HIDDEN: f64 = 8.0;
/// What a name costs that the line to another one runs through.
const CROSSED: f64 = 160.0;
/// What a place outside of the frame costs: taken only where there is no other.
const OUTSIDE: f64 = 1e6;

/// A place for each of `labels`, in their order, within `frame` and beside `lines`. A label without
/// width is a dot without a name.
pub fn place(labels: &[Label], lines: &[Segment], frame: Area) -> Vec<Place> {
    let dots: Vec<Area> = labels.iter().map(|label| around(label.dot, [DOT, DOT])).collect();
    let mut placed: Vec<Place> = Vec::new();
    for label in labels {
        if label.size[0] <= 0.0 {
            placed.push(Place { area: [label.dot; 2], leader: None });
            continue;
        }
        let cost = |away: usize, area: Area| {
            let names = placed.iter().map(|place| covered(area, grown(place.area, 2.0)));
            let dots = dots.iter().map(|dot| covered(area, *dot));
            let leaders = placed.iter().filter_map(|place| place.leader);
            let crossed = leaders.filter(|line| within(*line, area) > 0.0).count();
            // Its own line may not run through another's name.
            let own = [label.dot, nearest(label.dot, area)];
            let through = placed.iter().filter(|place| within(own, place.area) > 0.0).count();
            let lines: f64 = lines.iter().map(|line| within(*line, area)).sum();
            let outside = if inside(area, frame) { 0.0 } else { OUTSIDE };
            HIDDEN * names.chain(dots).sum::<f64>()
                + CROSSED * (crossed + through) as f64
                + lines
                + STEP * away as f64
                + outside
        };
        let candidates = AWAY.into_iter().enumerate().flat_map(|(step, away)| {
            SIDES.into_iter().map(move |side| (step, beside(label, away, side)))
        });
        // There are candidates, so the fallback is never taken.
        let (step, area) = candidates
            .min_by(|a, b| cost(a.0, a.1).total_cmp(&cost(b.0, b.1)))
            .unwrap_or((0, beside(label, AWAY[0], SIDES[0])));
        let leader = (step > 0).then(|| [label.dot, nearest(label.dot, area)]);
        placed.push(Place { area, leader });
    }
    placed
}

/// The area of a name so far from its dot on a side.
fn beside(label: &Label, away: f64, side: [f64; 2]) -> Area {
    // A name at the corner of a dot is nearer than one beside it.
    let corner = side[0] != 0.0 && side[1] != 0.0 && away == AWAY[0];
    let along = |axis: usize| {
        let (dot, size) = (label.dot[axis], label.size[axis]);
        let away = if corner && axis == 1 { 1.0 } else { away };
        match side[axis] {
            side if side > 0.0 => dot + away,
            side if side < 0.0 => dot - away - size,
            _ => dot - size / 2.0,
        }
    };
    let [left, top] = [along(0), along(1)];
    [[left, top], [left + label.size[0], top + label.size[1]]]
}

fn around([x, y]: [f64; 2], [across, up]: [f64; 2]) -> Area {
    [[x - across, y - up], [x + across, y + up]]
}

fn grown([[left, top], [right, bottom]]: Area, by: f64) -> Area {
    [[left - by, top - by], [right + by, bottom + by]]
}

fn inside(area: Area, frame: Area) -> bool {
    (0..2).all(|axis| area[0][axis] >= frame[0][axis] && area[1][axis] <= frame[1][axis])
}

/// Square pixels that two areas share.
fn covered(a: Area, b: Area) -> f64 {
    let shared = |axis: usize| (a[1][axis].min(b[1][axis]) - a[0][axis].max(b[0][axis])).max(0.0);
    shared(0) * shared(1)
}

/// The point of an area nearest to `point`.
fn nearest(point: [f64; 2], area: Area) -> [f64; 2] {
    let along = |axis: usize| point[axis].clamp(area[0][axis], area[1][axis]);
    [along(0), along(1)]
}

/// How much of a line runs through an area (Liang & Barsky 1984).
fn within([from, to]: Segment, area: Area) -> f64 {
    let (mut enters, mut leaves) = (0.0f64, 1.0f64);
    let way = [to[0] - from[0], to[1] - from[1]];
    for (axis, along) in way.into_iter().enumerate() {
        let ends = [area[0][axis] - from[axis], area[1][axis] - from[axis]];
        if along == 0.0 {
            if ends[0] > 0.0 || ends[1] < 0.0 {
                return 0.0;
            }
            continue;
        }
        let (a, b) = (ends[0] / along, ends[1] / along);
        enters = enters.max(a.min(b));
        leaves = leaves.min(a.max(b));
    }
    (leaves - enters).max(0.0) * way[0].hypot(way[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Area = [[0.0, 0.0], [800.0, 500.0]];

    fn label(x: f64, y: f64) -> Label {
        Label { dot: [x, y], size: [60.0, 16.0] }
    }

    #[test]
    fn a_dot_alone_has_its_name_at_its_upper_right_or_where_there_is_room() {
        let [[left, top], [_, bottom]] = place(&[label(100.0, 100.0)], &[], FRAME)[0].area;
        assert!(left > 100.0 && top < 100.0 && bottom <= 100.0);
        let corner = place(&[label(795.0, 5.0)], &[], FRAME)[0];
        assert!(corner.area[1][0] < 795.0 && corner.area[0][1] > 5.0 && corner.leader.is_none());
        // A bar through the dot is no reason to leave it.
        let bar = [[100.0, 20.0], [100.0, 200.0]];
        assert!(place(&[label(100.0, 100.0)], &[bar], FRAME)[0].leader.is_none());
    }

    #[test]
    fn names_of_dots_that_lie_together_are_apart_and_led_to_their_dots() {
        let labels: Vec<Label> = (0..9)
            .map(|dot| label(300.0 + 4.0 * f64::from(dot), 200.0 + f64::from(dot % 3)))
            .collect();
        let placed = place(&labels, &[], FRAME);
        for (at, one) in placed.iter().enumerate() {
            assert!(inside(one.area, FRAME));
            for other in &placed[..at] {
                assert_eq!(covered(one.area, other.area), 0.0, "{one:?} {other:?}");
            }
            for label in &labels {
                assert_eq!(covered(one.area, around(label.dot, [DOT, DOT])), 0.0);
            }
        }
        assert!(placed.iter().any(|place| place.leader.is_some()));
    }

    #[test]
    fn a_name_keeps_off_a_line_where_there_is_room() {
        let line = [[0.0, 90.0], [800.0, 90.0]];
        let area = place(&[label(100.0, 100.0)], &[line], FRAME)[0].area;
        assert_eq!(within(line, area), 0.0, "{area:?}");
    }

    #[test]
    fn a_line_is_measured_where_it_runs_through() {
        let area = [[10.0, 10.0], [20.0, 20.0]];
        assert!((within([[0.0, 0.0], [30.0, 30.0]], area) - 200f64.sqrt()).abs() < 1e-9);
        assert_eq!(within([[15.0, 0.0], [15.0, 30.0]], area), 10.0);
        assert_eq!(within([[12.0, 15.0], [18.0, 15.0]], area), 6.0);
        assert_eq!(within([[0.0, 0.0], [5.0, 5.0]], area), 0.0);
        assert_eq!(within([[0.0, 25.0], [30.0, 25.0]], area), 0.0);
    }
}
