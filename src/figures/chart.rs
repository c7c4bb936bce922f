//! A chart with axes, bands and a legend, as self-contained SVG.

use super::labels::{Area, Label, Segment, place};
use super::scale::Scale;
use super::svg::{Anchor, Color, Svg, Type};

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    /// Drawn in this order, the last on top.
    pub series: Vec<Series>,
    pub theme: Theme,
}

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// With its unit: `Training loss (nats)`.
    pub label: String,
    /// Logarithmic; values that are not above 0 are left out.
    pub log: bool,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the legend.
    pub name: String,
    pub color: Color,
    /// `[x, y]`; a point that is not finite interrupts a line.
    pub points: Vec<[f64; 2]>,
    /// Low and high y at each point: an area around a line, a bar through a dot. Where places on y
    /// have names, low and high x of a dot.
    pub band: Option<Vec<(f64, f64)>>,
    pub kind: Kind,
}

/// How a series is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Line,
    /// One label a point; fewer, or empty ones, label fewer.
    Dots {
        labels: Vec<String>,
    },
}

/// On which ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    Light,
    #[default]
    Dark,
}

/// Colours of a theme.
pub(super) struct Ground {
    pub back: Color,
    pub grid: Color,
    pub strong: Color,
    pub quiet: Color,
}

impl Theme {
    pub(super) fn ground(self) -> &'static Ground {
        match self {
            Self::Light => &LIGHT,
            Self::Dark => &DARK,
        }
    }
}

const LIGHT: Ground = Ground {
    back: Color(0xff, 0xff, 0xff),
    grid: Color(0xe4, 0xe7, 0xec),
    strong: Color(0x1d, 0x21, 0x29),
    quiet: Color(0x5b, 0x64, 0x73),
};
const DARK: Ground = Ground {
    back: Color(0x1a, 0x1d, 0x22),
    grid: Color(0x26, 0x2a, 0x31),
    strong: Color(0xd7, 0xdb, 0xe2),
    quiet: Color(0x8b, 0x93, 0xa1),
};

const LEFT: f64 = 88.0;
const RIGHT: f64 = 32.0;
const BOTTOM: f64 = 72.0;
const TITLE_BASELINE: f64 = 40.0;
const LEGEND_TOP: f64 = 68.0;
const LEGEND_LINE: f64 = 24.0;
const TEXT: f64 = 13.0;
/// Width of Inter's letters in em, about; the picture is laid out without measuring.
const LETTER: f64 = 0.56;

impl Chart {
    /// Pixels of the picture at scale 1.
    pub const SIZE: [f64; 2] = [960.0, 600.0];

    /// Draw it. The text is in Inter, which [`to_png`](super::to_png) brings along.
    pub fn to_svg(&self) -> String {
        self.to_svg_with([&[], &[]])
    }

    /// Draw it with names at places of the x and of the y axis, in place of round numbers where there
    /// are any.
    pub fn to_svg_with(&self, names: [&[(f64, String)]; 2]) -> String {
        let ground = self.theme.ground();
        let [width, height] = Self::SIZE;
        let mut svg = Svg::new(width, height, &self.title);
        svg.rect([0.0, 0.0], Self::SIZE, ground.back);
        let title = Type { size: 20.0, bold: true, color: ground.strong, anchor: Anchor::Start };
        svg.text([LEFT, TITLE_BASELINE], title, &self.title);
        let rows = !names[1].is_empty();
        let top = self.legend(&mut svg, ground, rows);

        let (left, bottom) = (left_of(names[1]), height - BOTTOM);
        let named = names.map(|names| !names.is_empty());
        let (x, y) = self.scales(named, [left, width - RIGHT], [bottom, top]);
        let ticks = |names: &[(f64, String)], scale: &Scale, wanted| match names {
            [] => scale.ticks(wanted),
            names => names.to_vec(),
        };
        let (across, upward) = (ticks(names[0], &x, 8), ticks(names[1], &y, 6));
        self.axes(&mut svg, ground, (&x, &across), (&y, &upward), [left, top, bottom]);
        let (mut labels, mut lines) = (Vec::new(), Vec::new());
        for series in &self.series {
            match &series.kind {
                Kind::Line => series.draw_line(&mut svg, &x, &y, &mut lines),
                Kind::Dots { labels: texts } => {
                    labels.extend(series.draw_dots(&mut svg, &x, &y, (texts, rows), &mut lines));
                }
            }
        }
        // Above every series, so that none of them hides a label; there is room in the margin.
        let frame = [[LEFT, top], [width - 4.0, bottom]];
        label_dots(&mut svg, ground, &labels, &lines, frame);
        svg.finish()
    }

    /// Names and colours in lines under the title, but for dots that have a row of their own; returns
    /// where the plot begins.
    fn legend(&self, svg: &mut Svg, ground: &Ground, rows: bool) -> f64 {
        let look = Type { size: TEXT, bold: false, color: ground.quiet, anchor: Anchor::Start };
        let (mut x, mut y) = (LEFT, LEGEND_TOP);
        for (place, series) in self.series.iter().enumerate() {
            // A model that is drawn in several pieces is named once.
            let same = |one: &Series| one.name == series.name && one.color == series.color;
            let on_the_axis = rows && series.kind != Kind::Line;
            if on_the_axis || self.series[..place].iter().any(same) {
                continue;
            }
            let needed = 18.0 + width_of(&series.name) + 20.0;
            if x > LEFT && x + needed > Self::SIZE[0] - RIGHT {
                (x, y) = (LEFT, y + LEGEND_LINE);
            }
            svg.circle([x + 5.0, y - 4.5], 5.0, series.color);
            svg.text([x + 18.0, y], look, &series.name);
            x += needed;
        }
        y + LEGEND_LINE
    }

    fn scales(
        &self,
        [named, rows]: [bool; 2],
        across: [f64; 2],
        upward: [f64; 2],
    ) -> (Scale, Scale) {
        let lines = self.series.iter().all(|series| matches!(series.kind, Kind::Line));
        let over = |axis: usize, banded: bool| {
            self.series.iter().flat_map(move |series| {
                let band = series.band.iter().flatten().flat_map(|&(low, high)| [low, high]);
                let points = series.points.iter().map(move |point| point[axis]);
                points.chain(band.filter(move |_| banded))
            })
        };
        let (xs, ys) = (over(0, rows), over(1, !rows));
        // Curves run from edge to edge; dots and names of places keep away from it.
        let margin = if lines && !named { 0.0 } else { 0.08 };
        (Scale::over(xs, self.x.log, margin, across), Scale::over(ys, self.y.log, 0.05, upward))
    }

    fn axes(
        &self,
        svg: &mut Svg,
        ground: &Ground,
        (x, across): (&Scale, &[(f64, String)]),
        (y, upward): (&Scale, &[(f64, String)]),
        [left, top, bottom]: [f64; 3],
    ) {
        let right = Self::SIZE[0] - RIGHT;
        let look = |anchor| Type { size: TEXT, bold: false, color: ground.quiet, anchor };
        for (value, label) in across {
            let at = x.place_or_low(*value);
            svg.line([at, top], [at, bottom], ground.grid, 1.0);
            svg.text([at, bottom + 20.0], look(Anchor::Middle), label);
        }
        for (value, label) in upward {
            let at = y.place_or_low(*value);
            svg.line([left, at], [right, at], ground.grid, 1.0);
            svg.text([left - 10.0, at + 4.5], look(Anchor::End), label);
        }
        let middle = (left + right) / 2.0;
        svg.text([middle, bottom + 48.0], look(Anchor::Middle), &self.x.label);
        let middle = (top + bottom) / 2.0;
        svg.text_upward([24.0, middle], look(Anchor::Middle), &self.y.label);
        if self.series.iter().all(|series| series.points.is_empty()) {
            let centre = [(left + right) / 2.0, middle];
            svg.text(centre, look(Anchor::Middle), "No data");
        }
    }
}

/// Where the plot begins, beside the names of places on y.
fn left_of(names: &[(f64, String)]) -> f64 {
    let longest = names.iter().map(|(_, name)| width_of(name)).fold(0.0, f64::max);
    (longest + 24.0).clamp(LEFT, 0.4 * Chart::SIZE[0])
}

impl Series {
    /// Draws the line, which is added to `lines`, on its band.
    fn draw_line(&self, svg: &mut Svg, x: &Scale, y: &Scale, lines: &mut Vec<Segment>) {
        let place = |point: &[f64; 2]| Some([x.place(point[0])?, y.place(point[1])?]);
        let placed: Vec<Option<[f64; 2]>> = self.points.iter().map(place).collect();
        if let Some(band) = &self.band {
            let edges: Vec<Option<[f64; 3]>> = placed
                .iter()
                .zip(band)
                .map(|(point, &(low, high))| {
                    let at = (*point)?[0];
                    (low.is_finite() && high.is_finite())
                        .then(|| [at, y.place_or_low(low), y.place_or_low(high)])
                })
                .collect();
            for stretch in stretches(&edges) {
                let over = stretch.iter().map(|&[at, _, high]| [at, high]);
                let back = stretch.iter().rev().map(|&[at, low, _]| [at, low]);
                svg.area(&over.chain(back).collect::<Vec<_>>(), self.color);
            }
        }
        for stretch in stretches(&placed) {
            match thinned(&stretch).as_slice() {
                // A line of one point would not show.
                [alone] => svg.circle(*alone, 3.0, self.color),
                points => {
                    svg.polyline(points, self.color);
                    lines.extend(points.windows(2).map(|pair| [pair[0], pair[1]]));
                }
            }
        }
    }

    /// Draws bars, which are added to `lines` and go along x where every dot has a row of its own,
    /// and dots; returns the labels and where they belong.
    fn draw_dots<'a>(
        &self,
        svg: &mut Svg,
        x: &Scale,
        y: &Scale,
        (labels, rows): (&'a [String], bool),
        lines: &mut Vec<Segment>,
    ) -> Vec<([f64; 2], &'a str)> {
        let mut placed = Vec::new();
        for (index, point) in self.points.iter().enumerate() {
            let Some(at) = x.place(point[0]).zip(y.place(point[1])) else {
                continue;
            };
            let band = self.band.as_ref().and_then(|band| band.get(index));
            if let Some(&(low, high)) = band.filter(|(low, high)| (low + high).is_finite()) {
                let along = if rows { x } else { y };
                let ends = [along.place_or_low(low), along.place_or_low(high)];
                let spot = |end: f64, aside: f64| match rows {
                    true => [end, at.1 + aside],
                    false => [at.0 + aside, end],
                };
                let bar = ends.map(|end| spot(end, 0.0));
                svg.line(bar[0], bar[1], self.color, 2.0);
                lines.push(bar);
                for end in ends {
                    svg.line(spot(end, -5.0), spot(end, 5.0), self.color, 2.0);
                }
            }
            svg.circle([at.0, at.1], 6.0, self.color);
            // A dot without a name must not be covered either.
            placed.push(([at.0, at.1], labels.get(index).map_or("", String::as_str)));
        }
        placed
    }
}

/// About the width of a text: Inter's letters are about 0.56 em wide, and the picture is laid out
/// without measuring.
fn width_of(text: &str) -> f64 {
    LETTER * TEXT * text.chars().count() as f64
}

fn label_dots(
    svg: &mut Svg,
    ground: &Ground,
    labels: &[([f64; 2], &str)],
    lines: &[Segment],
    frame: Area,
) {
    let asked: Vec<Label> = labels
        .iter()
        .map(|&(dot, text)| Label { dot, size: [width_of(text), 1.2 * TEXT] })
        .collect();
    let look = Type { size: TEXT, bold: false, color: ground.strong, anchor: Anchor::Start };
    for (place, (_, text)) in place(&asked, lines, frame).iter().zip(labels) {
        if text.is_empty() {
            continue;
        }
        if let Some([from, to]) = place.leader {
            svg.line(from, to, ground.quiet, 1.0);
        }
        svg.text([place.area[0][0], place.area[0][1] + TEXT], look, text);
    }
}

/// The runs of consecutive values.
fn stretches<T: Copy>(values: &[Option<T>]) -> Vec<Vec<T>> {
    values
        .split(Option::is_none)
        .map(|stretch| stretch.iter().copied().flatten().collect::<Vec<T>>())
        .filter(|stretch| !stretch.is_empty())
        .collect()
}

/// Without the points that fall on the pixel of the one before: long curves make small files.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for (index, &[x, y]) in points.iter().enumerate() {
        let near = |other: &[f64; 2]| (x - other[0]).abs() < 0.5 && (y - other[1]).abs() < 0.5;
        if index + 1 == points.len() || !kept.last().is_some_and(near) {
            kept.push([x, y]);
        }
    }
    kept
}

/// A chart with everything on it, for tests.
#[cfg(test)]
pub(super) fn sample(theme: Theme) -> Chart {
    let line = |name: &str, color, lift: f64| {
        let points: Vec<[f64; 2]> = (0..=80)
            .map(|step| f64::from(step) / 10.0)
            .map(|x| [x, 6.4 + lift + 1.9 * (-x / 3.0).exp()])
            .collect();
        Series {
            name: name.to_owned(),
            color,
            band: Some(points.iter().map(|p| (p[1] - 0.08, p[1] + 0.08)).collect()),
            points,
            kind: Kind::Line,
        }
    };
    Chart {
        title: "Training loss <drift>".to_owned(),
        x: Axis { label: "Epoch".to_owned(), log: false },
        y: Axis { label: "Training loss (nats)".to_owned(), log: false },
        series: vec![
            line("GRU", super::GRU, 0.1),
            line("Euler", super::EULER, 0.4),
            line("RK4", super::RK4, -0.1),
            Series {
                name: "Best epoch".to_owned(),
                color: super::OTHER,
                points: vec![[8.0, 6.5], [4.0, 7.0]],
                band: Some(vec![(6.4, 6.7), (6.9, 7.2)]),
                kind: Kind::Dots { labels: vec!["RK4, epoch 8".to_owned(), "GRU".to_owned()] },
            },
        ],
        theme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_the_document_is_whole() {
        let svg = sample(Theme::Dark).to_svg();
        assert!(svg.contains("Training loss &lt;drift&gt;"));
        assert!(svg.contains("Training loss (nats)"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert_eq!(svg.matches("<polygon").count(), 3);
    }

    #[test]
    fn a_gap_interrupts_a_line() {
        let mut chart = sample(Theme::Light);
        chart.series.truncate(1);
        chart.series[0].points[40][1] = f64::NAN;
        let svg = chart.to_svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn bad_values_on_a_log_axis_are_left_out() {
        let mut chart = sample(Theme::Light);
        chart.x.log = true;
        chart.y.log = true;
        chart.series[0].points = vec![[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [10.0, 2.0]];
        chart.series[0].band = Some(vec![(0.0, 1.0); 4]);
        let svg = chart.to_svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn dots_with_a_row_of_their_own_have_bars_along_x_and_are_named_on_the_axis() {
        let mut chart = sample(Theme::Light);
        chart.series.drain(..3);
        chart.series[0].points = vec![[0.5, 0.0]];
        chart.series[0].band = Some(vec![(0.25, 0.75)]);
        chart.series[0].kind = Kind::Dots { labels: Vec::new() };
        let names = [(0.0, "Without salt".to_owned())];
        let svg = chart.to_svg_with([&[], &names]);
        assert!(svg.contains("Without salt") && !svg.contains("Best epoch"));
        // The bar, from end to end at one height.
        let along = |line: &&str| {
            let of = |key: &str| line.split(&format!("{key}=\"")).nth(1)?.split('"').next();
            line.contains(&format!("stroke=\"{}\"", super::super::OTHER)) && of("y1") == of("y2")
        };
        assert_eq!(svg.lines().filter(along).count(), 1, "{svg}");
    }

    #[test]
    fn an_empty_chart_says_so() {
        let mut chart = sample(Theme::Light);
        chart.series.clear();
        assert!(chart.to_svg().contains("No data"));
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_end() {
        let points: Vec<[f64; 2]> = (0..10_000).map(|i| [f64::from(i) / 100.0, 0.0]).collect();
        let kept = thinned(&points);
        assert!(kept.len() < 300, "{}", kept.len());
        assert_eq!(kept.last(), points.last());
    }
}
