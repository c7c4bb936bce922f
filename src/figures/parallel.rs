//! Parallel coordinates: an axis a setting, a line a trial, coloured by how good it is
//! (Inselberg 1985).

use serde::{Deserialize, Serialize};

use super::chart::{Chart, Theme};
use super::scale::Scale;
use super::svg::{Anchor, Color, Svg, Type};

/// The worst, and the best but one.
const RAMP: [Color; 2] = [Color(0x8b, 0x93, 0xa1), Color(0x4c, 0x9b, 0xe8)];
/// The best.
const BEST: Color = Color(0xe6, 0x9f, 0x00);

const SIDE: f64 = 96.0;
const TOP: f64 = 128.0;
const BOTTOM: f64 = 48.0;
const TEXT: f64 = 12.5;

/// Trials over their settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parallel {
    /// From left to right; the last is what the lines are coloured by, more is better.
    pub axes: Vec<ParallelAxis>,
    pub lines: Vec<ParallelLine>,
}

/// One axis, values upward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParallelAxis {
    pub label: String,
    /// What is shown, at least; values outside widen it.
    pub ends: [f64; 2],
    pub log: bool,
    /// Names of the values 0, 1, 2 and so on; empty where values are numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParallelLine {
    pub name: String,
    /// One an axis; a line ends before a value that is not known yet.
    pub values: Vec<Option<f64>>,
}

impl Parallel {
    /// Height of `value` on an axis, 0 at its foot and 1 at its head; `None` where it has none.
    pub fn height(&self, axis: usize, value: f64) -> Option<f64> {
        self.scale(axis)?.place(value)
    }

    /// Heights and labels of an axis' ticks.
    pub fn ticks(&self, axis: usize) -> Vec<(f64, String)> {
        let Some((scale, axis)) = self.scale(axis).zip(self.axes.get(axis)) else {
            return Vec::new();
        };
        let at = |(value, label): (f64, String)| Some((scale.place(value)?, label));
        if axis.words.is_empty() {
            return scale.ticks(6).into_iter().filter_map(at).collect();
        }
        let words = axis.words.iter().enumerate();
        words.filter_map(|(value, word)| at((value as f64, word.clone()))).collect()
    }

    /// A value of an axis, for people.
    pub fn text(&self, axis: usize, value: f64) -> String {
        let word = self.axes.get(axis).and_then(|axis| axis.words.get(value as usize));
        word.cloned().unwrap_or_else(|| plain(value))
    }

    fn scale(&self, axis: usize) -> Option<Scale> {
        let of = self.axes.get(axis)?;
        let own = self.lines.iter().filter_map(|line| *line.values.get(axis)?);
        // Words keep away from the ends, where the axis' name is.
        let margin = if of.words.is_empty() { 0.0 } else { 0.1 };
        Some(Scale::over(own.chain(of.ends), of.log, margin, [0.0, 1.0]))
    }

    /// Places of the lines with a score, the best first, then of those without.
    pub fn ranking(&self) -> Vec<usize> {
        let score = |line: &ParallelLine| {
            line.values.get(self.axes.len().wrapping_sub(1)).copied().flatten()
        };
        let known = |place: &usize| score(&self.lines[*place]).unwrap_or(f64::NEG_INFINITY);
        let mut places: Vec<usize> = (0..self.lines.len()).collect();
        places.sort_by(|a, b| known(b).total_cmp(&known(a)));
        places
    }

    /// Colour of the line that is `rank`-th of `of` by score, from 0.
    pub fn color(rank: usize, of: usize) -> Color {
        if rank == 0 {
            return BEST;
        }
        // By rank and not by score: a few bad trials would make all others look alike.
        let share = 1.0 - (rank as f64 - 1.0) / (of.max(3) as f64 - 2.0);
        RAMP[0].toward(RAMP[1], share.clamp(0.0, 1.0))
    }

    /// Draw it, at the size of a [`Chart`].
    pub fn to_svg(&self, title: &str, theme: Theme) -> String {
        let ground = theme.ground();
        let [width, height] = Chart::SIZE;
        let mut svg = Svg::new(width, height, title);
        svg.rect([0.0, 0.0], Chart::SIZE, ground.back);
        let look = |size, bold, color, anchor| Type { size, bold, color, anchor };
        svg.text([SIDE / 2.0, 40.0], look(20.0, true, ground.strong, Anchor::Start), title);
        let gaps = self.axes.len().saturating_sub(1).max(1) as f64;
        let across = |axis: usize| SIDE + (width - 2.0 * SIDE) * axis as f64 / gaps;
        let foot = height - BOTTOM;
        let up = |share: f64| foot - (foot - TOP) * share;
        for axis in 0..self.axes.len() {
            svg.line([across(axis), TOP], [across(axis), foot], ground.grid, 2.0);
        }
        let ranking = self.ranking();
        for (rank, &place) in ranking.iter().enumerate().rev() {
            let known =
                self.lines[place].values.iter().enumerate().map_while(|(axis, value)| {
                    Some([across(axis), up(self.height(axis, (*value)?)?)])
                });
            let points: Vec<[f64; 2]> = known.collect();
            let whole = points.len() == self.axes.len();
            let (thick, opacity) = match (rank, whole) {
                (0, true) => (3.5, 1.0),
                (_, true) => (1.8, 0.75),
                (_, false) => (1.0, 0.35),
            };
            let color = if whole { Self::color(rank, ranking.len()) } else { ground.quiet };
            svg.strand(&points, color, thick, opacity);
        }
        for (index, axis) in self.axes.iter().enumerate() {
            let x = across(index);
            // In turn higher and lower, so that long names stay apart.
            let lift = if index % 2 == 0 { 34.0 } else { 16.0 };
            let name = look(TEXT, true, ground.strong, Anchor::Middle);
            svg.text([x, TOP - lift], name, &axis.label);
            for (share, label) in self.ticks(index) {
                let y = up(share);
                svg.line([x - 4.0, y], [x + 4.0, y], ground.quiet, 1.5);
                let tick = look(TEXT, false, ground.quiet, Anchor::Start);
                svg.text([x + 8.0, y + 4.5], tick, &label);
            }
        }
        if self.lines.is_empty() {
            let none = look(TEXT, false, ground.quiet, Anchor::Middle);
            svg.text([width / 2.0, (TOP + foot) / 2.0], none, "No data");
        }
        svg.finish()
    }
}

/// A number without an exponent where it is of a usual size.
fn plain(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e7).contains(&value.abs()) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Parallel {
        let axis = |label: &str, ends, log, words: &[&str]| ParallelAxis {
            label: label.to_owned(),
            ends,
            log,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        let line = |name: &str, values: [Option<f64>; 3]| ParallelLine {
            name: name.to_owned(),
            values: values.to_vec(),
        };
        Parallel {
            axes: vec![
                axis("Learning rate", [1e-4, 1e-2], true, &[]),
                axis("Solver <x>", [0.0, 1.0], false, &["gru", "rk4"]),
                axis("NDCG@10", [0.1, 0.1], false, &[]),
            ],
            lines: vec![
                line("a", [Some(1e-3), Some(0.0), Some(0.2)]),
                line("b", [Some(1e-2), Some(1.0), Some(0.3)]),
                line("c", [Some(1e-4), Some(1.0), None]),
            ],
        }
    }

    #[test]
    fn values_stand_where_their_scale_puts_them() {
        let figure = sample();
        let near = |height: Option<f64>, wanted: f64| {
            assert!((height.unwrap() - wanted).abs() < 1e-9, "{height:?}");
        };
        near(figure.height(0, 1e-3), 0.5);
        near(figure.height(2, 0.3), 1.0);
        // The ends are widened by what is drawn, not the other way round.
        near(figure.height(2, 0.1), 0.0);
        assert!(figure.height(1, 0.0).unwrap() < figure.height(1, 1.0).unwrap());
        assert_eq!(figure.height(7, 0.0), None);
        let words: Vec<String> = figure.ticks(1).into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["gru", "rk4"]);
        assert_eq!(figure.text(1, 1.0), "rk4");
        assert_eq!(figure.text(0, 0.00123), "0.00123");
    }

    #[test]
    fn the_best_is_first_and_stands_out_and_what_has_no_score_is_last() {
        let figure = sample();
        assert_eq!(figure.ranking(), [1, 0, 2]);
        assert_eq!(Parallel::color(0, 3), BEST);
        assert_ne!(Parallel::color(1, 3), Parallel::color(2, 9));
    }

    #[test]
    fn a_picture_has_every_line_and_escapes_its_text() {
        for theme in [Theme::Light, Theme::Dark] {
            let svg = sample().to_svg("Trials <here>", theme);
            assert_eq!(svg.matches("<polyline").count(), 3);
            assert!(svg.contains("Trials &lt;here&gt;") && svg.contains("Solver &lt;x&gt;"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
            assert!(crate::figures::to_png(&svg, 1.0).unwrap().starts_with(b"\x89PNG"));
        }
        assert!(Parallel::default().to_svg("", Theme::Dark).contains("No data"));
    }
}
