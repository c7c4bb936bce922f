//! A plane with a field, ways through it and points: the phase portrait, as SVG.

use super::Color;
use super::chart::{Ground, Theme};
use super::scale::Scale;
use super::svg::{Anchor, Svg, Type};

/// What is drawn. Places are in the units of the axes.
#[derive(Debug, Clone, Default)]
pub struct Plane {
    pub title: String,
    /// A line under the title.
    pub subtitle: String,
    /// Labels of x and y.
    pub axes: [String; 2],
    /// From and to on x, then on y.
    pub extent: [[f64; 2]; 2],
    pub theme: Theme,
    /// Centres of shaded cells and how dark each is, 0..=1, all of this width and height.
    pub shades: Vec<([f64; 2], f64)>,
    pub cell: [f64; 2],
    /// Where an arrow begins and where it points to.
    pub arrows: Vec<[[f64; 2]; 2]>,
    pub dots: Vec<([f64; 2], Color)>,
    /// Lines whose colour changes along the way.
    pub ways: Vec<Way>,
    pub marks: Vec<Mark>,
}

/// A line; each piece has the colour of its first point.
#[derive(Debug, Clone, Default)]
pub struct Way {
    pub points: Vec<([f64; 2], Color)>,
    /// Drawn dotted, as a jump is.
    pub dotted: bool,
}

/// A point with a name.
#[derive(Debug, Clone)]
pub struct Mark {
    pub at: [f64; 2],
    pub label: String,
    pub sign: Sign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// An event, in its colour.
    Event(Color),
    /// An attractor.
    Ring,
    /// Any other fixed or slow point.
    Cross,
    /// A place that is known to be true.
    Diamond,
}

const LEFT: f64 = 88.0;
const RIGHT: f64 = 32.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 72.0;
const TEXT: f64 = 13.0;

impl Plane {
    /// Pixels of the picture at scale 1.
    pub const SIZE: [f64; 2] = [960.0, 800.0];

    /// Draw it. The text is in Inter, which [`to_png`](super::to_png) brings along.
    pub fn to_svg(&self) -> String {
        let ground = self.theme.ground();
        let [width, height] = Self::SIZE;
        let mut svg = Svg::new(width, height, &self.title);
        svg.rect([0.0, 0.0], Self::SIZE, ground.back);
        let look = |size, bold, color| Type { size, bold, color, anchor: Anchor::Start };
        svg.text([LEFT, 40.0], look(20.0, true, ground.strong), &self.title);
        svg.text([LEFT, 62.0], look(TEXT, false, ground.quiet), &self.subtitle);
        let [xs, ys] = self.extent;
        let x = Scale::over(xs.into_iter(), false, 0.0, [LEFT, width - RIGHT]);
        let y = Scale::over(ys.into_iter(), false, 0.0, [height - BOTTOM, TOP]);
        let place = |at: [f64; 2]| [x.place_or_low(at[0]), y.place_or_low(at[1])];
        let inside =
            |at: [f64; 2]| (xs[0]..=xs[1]).contains(&at[0]) && (ys[0]..=ys[1]).contains(&at[1]);
        self.shading(&mut svg, ground, &place);
        self.frame(&mut svg, ground, &x, &y);
        for &[from, to] in self.arrows.iter().filter(|arrow| inside(arrow[0])) {
            let [from, to] = [place(from), place(to)];
            svg.line(from, to, ground.quiet, 1.0);
            svg.circle(to, 1.6, ground.quiet);
        }
        for &(at, color) in self.dots.iter().filter(|dot| inside(dot.0)) {
            svg.circle(place(at), 1.8, color);
        }
        for way in &self.ways {
            for pair in way.points.windows(2) {
                let ends = [place(pair[0].0), place(pair[1].0)];
                if way.dotted {
                    svg.dotted(ends[0], ends[1], pair[0].1);
                } else {
                    svg.line(ends[0], ends[1], pair[0].1, 2.2);
                }
            }
        }
        for mark in self.marks.iter().filter(|mark| inside(mark.at)) {
            mark.draw(&mut svg, ground, place(mark.at));
        }
        svg.finish()
    }

    fn shading(&self, svg: &mut Svg, ground: &Ground, place: &dyn Fn([f64; 2]) -> [f64; 2]) {
        for &([x, y], shade) in &self.shades {
            let [left, top] = place([x - self.cell[0] / 2.0, y + self.cell[1] / 2.0]);
            let [right, bottom] = place([x + self.cell[0] / 2.0, y - self.cell[1] / 2.0]);
            let color = ground.back.toward(ground.grid, shade.clamp(0.0, 1.0));
            // Half a pixel over, so that no seam shows.
            svg.rect([left, top], [right - left + 0.5, bottom - top + 0.5], color);
        }
    }

    fn frame(&self, svg: &mut Svg, ground: &Ground, x: &Scale, y: &Scale) {
        let [width, height] = Self::SIZE;
        let (right, bottom) = (width - RIGHT, height - BOTTOM);
        let look = |anchor| Type { size: TEXT, bold: false, color: ground.quiet, anchor };
        for (value, label) in x.ticks(8) {
            let at = x.place_or_low(value);
            svg.line([at, TOP], [at, bottom], ground.grid, 1.0);
            svg.text([at, bottom + 20.0], look(Anchor::Middle), &label);
        }
        for (value, label) in y.ticks(7) {
            let at = y.place_or_low(value);
            svg.line([LEFT, at], [right, at], ground.grid, 1.0);
            svg.text([LEFT - 10.0, at + 4.5], look(Anchor::End), &label);
        }
        svg.text([(LEFT + right) / 2.0, bottom + 48.0], look(Anchor::Middle), &self.axes[0]);
        svg.text_upward([24.0, (TOP + bottom) / 2.0], look(Anchor::Middle), &self.axes[1]);
    }
}

impl Mark {
    fn draw(&self, svg: &mut Svg, ground: &Ground, [x, y]: [f64; 2]) {
        match self.sign {
            Sign::Event(color) => {
                svg.circle([x, y], 5.5, ground.strong);
                svg.circle([x, y], 4.2, color);
            }
            Sign::Ring => {
                svg.ring([x, y], 9.0, ground.strong, 2.2);
                svg.circle([x, y], 3.2, ground.strong);
            }
            Sign::Cross => {
                svg.line([x - 5.0, y - 5.0], [x + 5.0, y + 5.0], ground.strong, 1.8);
                svg.line([x - 5.0, y + 5.0], [x + 5.0, y - 5.0], ground.strong, 1.8);
            }
            Sign::Diamond => {
                let points = [[x, y - 8.0], [x + 8.0, y], [x, y + 8.0], [x - 8.0, y], [x, y - 8.0]];
                svg.polyline(&points, super::EULER);
            }
        }
        let look = Type { size: TEXT, bold: true, color: ground.strong, anchor: Anchor::Start };
        let aside = if self.sign == Sign::Diamond { [13.0, 18.0] } else { [14.0, 4.5] };
        svg.text([x + aside[0], y + aside[1]], look, &self.label);
    }
}

/// Viridis (van der Walt & Smith 2015) at 0..=1, from dark to bright: time, on every page.
pub fn viridis(share: f64) -> Color {
    const STOPS: [Color; 9] = [
        Color(0x44, 0x01, 0x54),
        Color(0x47, 0x2c, 0x7a),
        Color(0x3b, 0x51, 0x8b),
        Color(0x2c, 0x71, 0x8e),
        Color(0x21, 0x90, 0x8d),
        Color(0x27, 0xad, 0x81),
        Color(0x5c, 0xc8, 0x63),
        Color(0xaa, 0xdc, 0x32),
        Color(0xfd, 0xe7, 0x25),
    ];
    let last = STOPS.len() - 1;
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let at = share * last as f64;
    let below = (at as usize).min(last - 1);
    STOPS[below].toward(STOPS[below + 1], at - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viridis_goes_from_violet_to_yellow() {
        assert_eq!(viridis(0.0), Color(0x44, 0x01, 0x54));
        assert_eq!(viridis(1.0), Color(0xfd, 0xe7, 0x25));
        assert_eq!(viridis(0.5), Color(0x21, 0x90, 0x8d));
        assert_eq!(viridis(f64::NAN), viridis(0.0));
    }

    #[test]
    fn a_portrait_has_axes_marks_and_nothing_from_outside() {
        let mark = |at, label: &str, sign| Mark { at, label: label.to_owned(), sign };
        let plane = Plane {
            title: "A run".to_owned(),
            axes: ["PC 1 (41 % of variance)".to_owned(), "PC 2 (18 % of variance)".to_owned()],
            extent: [[-1.0, 1.0], [-1.0, 1.0]],
            shades: vec![([0.0, 0.0], 0.5)],
            cell: [0.1, 0.1],
            arrows: vec![[[0.0, 0.0], [0.1, 0.1]]],
            dots: vec![([0.2, 0.2], viridis(0.3))],
            ways: vec![Way {
                points: vec![([0.0, 0.0], viridis(0.0)), ([0.5, 0.5], viridis(1.0))],
                dotted: true,
            }],
            marks: vec![
                mark([0.1, 0.1], "A · drama", Sign::Ring),
                mark([0.1, 0.4], "B", Sign::Cross),
                mark([0.3, 0.4], "", Sign::Event(viridis(0.1))),
                mark([0.3, 0.1], "true", Sign::Diamond),
                mark([9.0, 9.0], "far away", Sign::Ring),
            ],
            ..Plane::default()
        };
        let svg = plane.to_svg();
        for text in ["PC 1 (41 % of variance)", "A · drama", "stroke-dasharray"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(!svg.contains("far away"));
        assert!(super::super::to_png(&svg, 1.0).unwrap().starts_with(b"\x89PNG"));
    }
}
