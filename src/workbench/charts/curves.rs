//! Measured curves: smoothed as they grow, averaged over seeds, thinned to what a screen can show.
//!
//! Nothing here knows of a window. Smoothing comes before thinning, so that a chart shows the same
//! line at every width.

use crate::evaluation::t_975;

/// What lies along the x axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Along {
    Step,
    #[default]
    Epoch,
    /// Seconds of training.
    Clock,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub step: f64,
    pub epoch: f64,
    /// Of training so far.
    pub seconds: f64,
    pub value: f64,
}

/// A growing series of one run. None of the three x coordinates may fall.
#[derive(Debug, Clone, Default)]
pub struct Curve {
    step: Vec<f64>,
    epoch: Vec<f64>,
    seconds: Vec<f64>,
    value: Vec<f64>,
    smooth: Vec<f64>,
    factor: f64,
    average: f64,
    weight: f64,
}

impl Curve {
    pub fn push(&mut self, sample: Sample) {
        self.step.push(sample.step);
        self.epoch.push(sample.epoch);
        self.seconds.push(sample.seconds);
        self.value.push(sample.value);
    }

    pub fn len(&self) -> usize {
        self.value.len()
    }

    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The last measurement as it was, not smoothed.
    pub fn last(&self) -> Option<f64> {
        self.value.last().copied()
    }

    pub fn x(&self, along: Along) -> &[f64] {
        match along {
            Along::Step => &self.step,
            Along::Epoch => &self.epoch,
            Along::Clock => &self.seconds,
        }
    }

    /// Values as last smoothed by [`Curve::smooth`].
    pub fn smoothed(&self) -> &[f64] {
        &self.smooth
    }

    /// Bring the smoothed values up to date: an exponential moving average that keeps `factor`
    /// (0..1) of the past, with the start's bias taken out. Only new points cost time, unless the
    /// factor changed. A value that is not finite is passed over.
    pub fn smooth(&mut self, factor: f64) {
        if factor != self.factor {
            self.factor = factor;
            self.smooth.clear();
            self.average = 0.0;
            self.weight = 0.0;
        }
        self.smooth.reserve(self.value.len() - self.smooth.len());
        for &value in &self.value[self.smooth.len()..] {
            if value.is_finite() {
                self.average = factor * self.average + (1.0 - factor) * value;
                self.weight = factor * self.weight + (1.0 - factor);
            }
            self.smooth.push(if self.weight > 0.0 { self.average / self.weight } else { value });
        }
    }
}

/// A line and, where several seeds stand behind it, the 95 % interval of their mean.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Band {
    pub x: Vec<f64>,
    pub mean: Vec<f64>,
    /// As long as `mean`; equal to it where only one seed reached.
    pub low: Vec<f64>,
    pub high: Vec<f64>,
}

impl Band {
    /// The mean over `curves`, as far as each of them got, at the x of the one that got furthest.
    /// Between its points a curve is taken as straight.
    pub fn over(curves: &[&Curve], along: Along) -> Self {
        let curves: Vec<(&[f64], &[f64])> = curves
            .iter()
            .map(|curve| (curve.x(along), curve.smoothed()))
            .filter(|(x, _)| !x.is_empty())
            .collect();
        let Some((grid, _)) = curves.iter().max_by(|(a, _), (b, _)| {
            a.last().partial_cmp(&b.last()).unwrap_or(std::cmp::Ordering::Equal)
        }) else {
            return Self::default();
        };
        let quantiles = quantiles(curves.len());
        let mut readers: Vec<_> = curves.iter().map(|(x, y)| Reader { x, y, at: 0 }).collect();
        let mut band = Self::default();
        for &x in *grid {
            let (mut n, mut sum, mut squares) = (0usize, 0.0, 0.0);
            for value in readers.iter_mut().filter_map(|reader| reader.read(x)) {
                n += 1;
                sum += value;
                squares += value * value;
            }
            if n == 0 {
                continue;
            }
            let mean = sum / n as f64;
            let half = if n > 1 {
                let variance = (squares - sum * mean).max(0.0) / (n - 1) as f64;
                quantiles[n] * (variance / n as f64).sqrt()
            } else {
                0.0
            };
            band.x.push(x);
            band.mean.push(mean);
            band.low.push(mean - half);
            band.high.push(mean + half);
        }
        band
    }

    /// Take over the points that `curve` has got since this band was made of it alone.
    pub fn follow(&mut self, curve: &Curve, along: Along) {
        let known = self.x.len();
        self.x.extend_from_slice(&curve.x(along)[known..]);
        for values in [&mut self.mean, &mut self.low, &mut self.high] {
            values.extend_from_slice(&curve.smoothed()[known..]);
        }
    }

    /// The mean at `x`, between the points a straight line; `None` outside of the band.
    pub fn at(&self, x: f64) -> Option<(f64, f64)> {
        let mean = Reader { x: &self.x, y: &self.mean, at: 0 }.seek(x)?;
        let high = Reader { x: &self.x, y: &self.high, at: 0 }.seek(x)?;
        Some((mean, high - mean))
    }

    /// Lowest and highest value shown, `low` and `high` included.
    pub fn extent(&self) -> Option<(f64, f64)> {
        Some((extent(&self.low)?.0, extent(&self.high)?.1))
    }

    /// Lowest and highest mean.
    pub fn mean_extent(&self) -> Option<(f64, f64)> {
        extent(&self.mean)
    }
}

fn extent(values: &[f64]) -> Option<(f64, f64)> {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    finite.fold(None, |extent, value| match extent {
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
        None => Some((value, value)),
    })
}

/// Two-sided 95 % quantiles of Student's t for the mean of 0..=`most` values.
fn quantiles(most: usize) -> Vec<f64> {
    (0..=most).map(|n| t_975(n.saturating_sub(1) as f64).unwrap_or(0.0)).collect()
}

/// Reads a curve at rising positions.
struct Reader<'a> {
    x: &'a [f64],
    y: &'a [f64],
    at: usize,
}

impl Reader<'_> {
    fn read(&mut self, x: f64) -> Option<f64> {
        while self.at + 1 < self.x.len() && self.x[self.at + 1] <= x {
            self.at += 1;
        }
        self.value(x)
    }

    fn seek(&mut self, x: f64) -> Option<f64> {
        self.at = self.x.partition_point(|&at| at <= x).saturating_sub(1);
        self.value(x)
    }

    fn value(&self, x: f64) -> Option<f64> {
        let (&from, &value) = (self.x.get(self.at)?, self.y.get(self.at)?);
        if x == from {
            return Some(value);
        }
        let (&to, &next) = (self.x.get(self.at + 1)?, self.y.get(self.at + 1)?);
        (from < x).then(|| value + (next - value) * (x - from) / (to - from))
    }
}

/// Points of a line that are enough to draw it between `from` and `to` on `columns` columns of
/// pixels: both ends, and of each column the lowest and highest point. `x` must not fall.
pub fn thin_line(x: &[f64], y: &[f64], from: f64, to: f64, columns: usize) -> Vec<[f64; 2]> {
    let (start, end) = window(x, from, to);
    let (x, y) = (&x[start..end], &y[start..end]);
    if x.len() <= 2 * columns {
        return x.iter().zip(y).map(|(&x, &y)| [x, y]).collect();
    }
    let mut out: Vec<[f64; 2]> = Vec::with_capacity(2 * columns + 4);
    let mut last = None;
    let mut keep = |index: usize| {
        if last != Some(index) {
            out.push([x[index], y[index]]);
        }
        last = Some(index);
    };
    keep(0);
    for (start, end) in buckets(x, from, to, columns) {
        let (mut lowest, mut highest) = (start, start);
        for index in start..end {
            if y[index] < y[lowest] {
                lowest = index;
            }
            if y[index] > y[highest] {
                highest = index;
            }
        }
        keep(lowest.min(highest));
        keep(lowest.max(highest));
    }
    keep(x.len() - 1);
    out
}

/// The outline of a band on `columns` columns of pixels: x, lowest and highest of each.
pub fn thin_band(band: &Band, from: f64, to: f64, columns: usize) -> Vec<[f64; 3]> {
    let (start, end) = window(&band.x, from, to);
    let (x, low, high) = (&band.x[start..end], &band.low[start..end], &band.high[start..end]);
    if x.len() <= columns {
        return (0..x.len()).map(|index| [x[index], low[index], high[index]]).collect();
    }
    buckets(x, from, to, columns)
        .map(|(start, end)| {
            let middle = (x[start] + x[end - 1]) / 2.0;
            let low = low[start..end].iter().copied().fold(f64::INFINITY, f64::min);
            let high = high[start..end].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            [middle, low, high]
        })
        .collect()
}

/// Indices of what lies within `from..=to` and one point beyond on either side.
fn window(x: &[f64], from: f64, to: f64) -> (usize, usize) {
    let start = x.partition_point(|&at| at < from).saturating_sub(1);
    let end = (x.partition_point(|&at| at <= to) + 1).min(x.len());
    (start.min(end), end)
}

/// Runs of indices that fall into the same column; none is empty.
fn buckets(
    x: &[f64],
    from: f64,
    to: f64,
    columns: usize,
) -> impl Iterator<Item = (usize, usize)> + '_ {
    let scale = columns.max(1) as f64 / (to - from).max(f64::MIN_POSITIVE);
    let column = move |x: f64| ((x - from) * scale).floor();
    let mut start = 0;
    std::iter::from_fn(move || {
        let &first = x.get(start)?;
        // The right edge of this column, found by bisection: points are many, columns few.
        let edge = column(first);
        let end = start + x[start..].partition_point(|&x| column(x) <= edge);
        let run = (start, end.max(start + 1));
        start = run.1;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        let mut curve = Curve::default();
        for (index, &value) in values.iter().enumerate() {
            let at = index as f64;
            curve.push(Sample { step: at, epoch: at / 10.0, seconds: at * 2.0, value });
        }
        curve
    }

    #[test]
    fn smoothing_has_no_bias_at_the_start_and_grows_with_the_curve() {
        let mut grown = curve(&[3.0, 3.0]);
        grown.smooth(0.9);
        assert!((grown.smoothed()[0] - 3.0).abs() < 1e-12);
        grown.push(Sample { step: 2.0, epoch: 0.2, seconds: 4.0, value: 6.0 });
        grown.smooth(0.9);
        let mut whole = curve(&[3.0, 3.0, 6.0]);
        whole.smooth(0.9);
        assert_eq!(grown.smoothed(), whole.smoothed());
        whole.smooth(0.0);
        assert_eq!(whole.smoothed(), [3.0, 3.0, 6.0]);
    }

    #[test]
    fn a_loss_that_is_not_a_number_does_not_spoil_what_follows() {
        let mut curve = curve(&[1.0, f64::NAN, 1.0]);
        curve.smooth(0.5);
        assert_eq!(curve.smoothed(), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn the_mean_covers_seeds_as_far_as_they_got() {
        let (mut long, mut short) = (curve(&[1.0, 2.0, 3.0]), curve(&[3.0, 4.0]));
        long.smooth(0.0);
        short.smooth(0.0);
        let band = Band::over(&[&long, &short], Along::Step);
        assert_eq!(band.mean, [2.0, 3.0, 3.0]);
        // t(0.975, 1) = 12.706, sd = sqrt 2, n = 2: half the width is 12.706.
        assert!((band.high[0] - band.mean[0] - 12.706).abs() < 1e-3);
        assert_eq!(band.high[2], band.mean[2]);
    }

    #[test]
    fn seeds_measured_at_other_steps_are_read_between_their_points() {
        let mut long = curve(&[0.0, 1.0, 2.0, 3.0]);
        long.smooth(0.0);
        let mut sparse = Curve::default();
        for at in [0.0, 2.0] {
            sparse.push(Sample { step: at, epoch: at, seconds: at, value: at });
        }
        sparse.smooth(0.0);
        let band = Band::over(&[&long, &sparse], Along::Step);
        assert_eq!(band.mean, [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(band.at(0.5), Some((0.5, 0.0)));
        assert_eq!(band.at(9.0), None);
    }

    #[test]
    fn following_a_curve_gives_the_band_of_the_whole() {
        let mut grown = curve(&[1.0, 5.0]);
        grown.smooth(0.5);
        let mut band = Band::over(&[&grown], Along::Clock);
        grown.push(Sample { step: 2.0, epoch: 0.2, seconds: 4.0, value: 2.0 });
        grown.smooth(0.5);
        band.follow(&grown, Along::Clock);
        assert_eq!(band, Band::over(&[&grown], Along::Clock));
    }

    #[test]
    fn thinning_keeps_ends_and_spikes() {
        let x: Vec<f64> = (0..10_000).map(f64::from).collect();
        let mut y = vec![0.0; 10_000];
        y[4321] = 7.0;
        y[8765] = -7.0;
        let line = thin_line(&x, &y, 0.0, 9999.0, 500);
        assert!(line.len() <= 1004, "{}", line.len());
        assert_eq!(line.first(), Some(&[0.0, 0.0]));
        assert_eq!(line.last(), Some(&[9999.0, 0.0]));
        assert!(line.contains(&[4321.0, 7.0]) && line.contains(&[8765.0, -7.0]));
        assert!(line.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    }

    #[test]
    fn thinning_a_window_keeps_the_line_running_out_of_it() {
        let x: Vec<f64> = (0..100).map(f64::from).collect();
        let line = thin_line(&x, &x, 10.5, 12.5, 500);
        assert_eq!(line, [[10.0, 10.0], [11.0, 11.0], [12.0, 12.0], [13.0, 13.0]]);
    }
}
