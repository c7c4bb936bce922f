//! From values to pixels, and the ticks between.

/// An axis' range of values and of pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Values, or their log₁₀ where `log`.
    low: f64,
    high: f64,
    log: bool,
    /// Pixels of `low` and `high`.
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale that shows all `values`, with `margin` (share of the range) on either side. Values
    /// that have no place, such as 0 on a logarithmic axis, are not counted.
    pub fn over(
        values: impl Iterator<Item = f64>,
        log: bool,
        margin: f64,
        [from, to]: [f64; 2],
    ) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter_map(|value| inner(value, log)) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let range = high - low;
        // All values alike, or nearly: show some room around them.
        let room = if range > 1e-9 * low.abs().max(high.abs()) {
            range * margin
        } else if log || low == 0.0 {
            0.5
        } else {
            low.abs() * 0.1
        };
        Self { low: low - room, high: high + room, log, from, to }
    }

    /// The pixel of `value`; `None` where it has no place.
    pub fn place(&self, value: f64) -> Option<f64> {
        let share = (inner(value, self.log)? - self.low) / (self.high - self.low);
        Some(self.from + share * (self.to - self.from))
    }

    /// The pixel of `value`, drawn at the low end where it has no place: for the foot of a band
    /// that reaches 0 on a logarithmic axis.
    pub fn place_or_low(&self, value: f64) -> f64 {
        self.place(value).unwrap_or(self.from)
    }

    /// About `wanted` round values within the range, with their labels.
    pub fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let log_ticks = self.log.then(|| self.log_ticks(wanted));
        if let Some(ticks) = log_ticks.filter(|ticks| ticks.len() >= 3) {
            return ticks;
        }
        // Less than a decade has too few powers: divide it evenly in values.
        let outer = |value: f64| {
            if self.log { 10.0_f64.powf(value) } else { value }
        };
        linear_ticks(outer(self.low), outer(self.high), wanted)
    }

    fn log_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let decades = self.high - self.low;
        let multiples: &[f64] = if decades <= 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = (decades / wanted.max(1) as f64).ceil().max(1.0) as usize;
        (first..=last)
            .step_by(every)
            .flat_map(|power| multiples.iter().map(move |m| m * 10.0_f64.powi(power)))
            .filter(|value| (self.low..=self.high).contains(&value.log10()))
            .map(|value| (value, label(value, value)))
            .collect()
    }
}

/// The value as the scale measures it.
fn inner(value: f64, log: bool) -> Option<f64> {
    let value = if log { value.log10() } else { value };
    value.is_finite().then_some(value)
}

fn linear_ticks(low: f64, high: f64, wanted: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / wanted.max(1) as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return Vec::new();
    }
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|multiple| multiple * power)
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    // The tolerance keeps a tick at the very end of the range.
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    (0..=(last - first).max(0.0) as usize)
        .map(|index| (first + index as f64) * step)
        .map(|value| (value, label(value, step)))
        .collect()
}

/// A tick's label, with as many decimals as `step` needs.
fn label(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let largest = value.abs().max(step);
    if !(1e-3..1e7).contains(&largest) {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{digits}e{power}").replace('-', "−");
    }
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{grouped}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, log: bool) -> Vec<String> {
        let scale = Scale::over([low, high].into_iter(), log, 0.0, [0.0, 100.0]);
        scale.ticks(5).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(0.0, 10.0, false), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(0.0, 0.2, false), ["0", "0.05", "0.10", "0.15", "0.20"]);
        assert_eq!(labels(-1.0, 1.0, false), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        assert_eq!(
            labels(0.0, 50_000.0, false),
            ["0", "10,000", "20,000", "30,000", "40,000", "50,000"]
        );
    }

    #[test]
    fn log_ticks_are_powers() {
        assert_eq!(labels(1.0, 10.0, true), ["1", "2", "5", "10"]);
        assert_eq!(labels(1e-4, 1.0, true), ["1e−4", "0.001", "0.01", "0.1", "1"]);
        // Within one step of 1-2-5 the values are divided evenly.
        assert!(labels(6.0, 8.4, true).len() >= 4);
    }

    #[test]
    fn values_without_a_place_are_left_out() {
        let values = [f64::NAN, 0.0, 1.0, 100.0, f64::INFINITY];
        let scale = Scale::over(values.into_iter(), true, 0.0, [0.0, 100.0]);
        assert_eq!(scale.place(10.0), Some(50.0));
        assert_eq!(scale.place(0.0), None);
        assert_eq!(scale.place(-1.0), None);
        assert_eq!(scale.place_or_low(0.0), 0.0);
    }

    #[test]
    fn one_value_or_none_still_makes_a_scale() {
        for values in [vec![], vec![0.0], vec![5.0], vec![f64::NAN], vec![-3.0]] {
            for log in [false, true] {
                let scale = Scale::over(values.iter().copied(), log, 0.05, [0.0, 100.0]);
                assert!(!scale.ticks(5).is_empty(), "{values:?} {log}");
                let inside = scale
                    .ticks(5)
                    .iter()
                    .all(|(value, _)| (-1e-6..=100.000_001).contains(&scale.place_or_low(*value)));
                assert!(inside, "{values:?} {log}");
            }
        }
    }
}
