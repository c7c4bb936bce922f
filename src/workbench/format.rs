//! Numbers and times as people read them: `41,200`, `1.0e-3`, `2.1 days`.

/// A whole number with a comma between thousands.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with about three significant figures: plain where that is short, else as `1.0e-3`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "–".to_owned()
    } else if size == 0.0 {
        "0".to_owned()
    } else if size >= 1000.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        format!("{sign}{}", count(size.round() as u64))
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 {
        format!("{value:.2}")
    } else if size >= 0.01 {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    }
}

/// A number without places that say nothing: `24`, `24.5`.
pub fn plain(value: f64) -> String {
    let text = number(value);
    match text.split_once('.') {
        Some((_, places)) if !places.contains('e') => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text,
    }
}

/// A metric in 0..=1, with four places.
pub fn metric(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { "–".to_owned() }
}

/// A share in 0..=1 as a percentage.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value.abs() {
        size if size == 0.0 || size >= 9.95 => format!("{value:.0} %"),
        size if size >= 0.995 => format!("{value:.1} %"),
        size if size >= 0.01 => format!("{value:.2} %"),
        _ => "< 0.01 %".to_owned(),
    }
}

/// A p-value, never shown as an exact zero.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// A length of time in the unit that fits: `640 ms`, `37 s`, `2 min 5 s`, `2.1 days`.
pub fn duration(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 3600.0;
    const DAY: f64 = 86_400.0;
    const MONTH: f64 = 30.44 * DAY;
    const YEAR: f64 = 365.25 * DAY;
    let plural = |value: f64, unit: &str| {
        let text = if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") };
        let text = text.strip_suffix(".0").unwrap_or(&text).to_owned();
        let s = if text == "1" { "" } else { "s" };
        format!("{text} {unit}{s}")
    };
    match seconds {
        s if !s.is_finite() => "–".to_owned(),
        s if s < 0.0 => format!("-{}", duration(-s)),
        0.0 => "0 s".to_owned(),
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 0.9995 => format!("{} ms", number(s * 1e3)),
        s if s < 9.95 => format!("{} s", trim(format!("{s:.1}"))),
        s if s.round() < MINUTE => format!("{s:.0} s"),
        s if s.round() < HOUR => {
            let s = s.round();
            let (minutes, rest) = ((s / MINUTE).floor(), s % MINUTE);
            if rest == 0.0 { format!("{minutes} min") } else { format!("{minutes} min {rest} s") }
        }
        s if s < DAY => {
            let (hours, rest) = ((s / HOUR).floor(), (s % HOUR / MINUTE).floor());
            if rest == 0.0 { format!("{hours} h") } else { format!("{hours} h {rest} min") }
        }
        s if s < 3.0 * MONTH => plural(s / DAY, "day"),
        s if s < 2.0 * YEAR => plural(s / MONTH, "month"),
        // Whoever reads it does not wait.
        s if s >= 1000.0 * YEAR => "over 1,000 years".to_owned(),
        s => plural(s / YEAR, "year"),
    }
}

/// Whether nobody waits for so many days: 20 years.
pub fn is_long(days: f64) -> bool {
    days > 20.0 * 365.25
}

/// Days, as far as anybody would count them.
pub fn days(days: f64) -> String {
    if is_long(days) { "> 20 y".to_owned() } else { format!("{} d", number(days)) }
}

/// A short tick label for a length of time: `1 s`, `1 min`, `1 h`, `1 d`, `1 mo`, `1 y`.
pub fn tick_duration(seconds: f64) -> String {
    let units = [
        (365.25 * 86_400.0, "y"),
        (30.44 * 86_400.0, "mo"),
        (86_400.0, "d"),
        (3600.0, "h"),
        (60.0, "min"),
        (1.0, "s"),
    ];
    for (size, unit) in units {
        if seconds >= size * 0.999 {
            return format!("{} {unit}", trim(format!("{:.1}", seconds / size)));
        }
    }
    format!("{} ms", trim(format!("{:.1}", seconds * 1e3)))
}

/// A number of bytes: `5.2 MB`.
pub fn bytes(size: u64) -> String {
    match size as f64 {
        s if s >= 1e9 => format!("{:.1} GB", s / 1e9),
        s if s >= 1e6 => format!("{:.1} MB", s / 1e6),
        s if s >= 1e3 => format!("{:.0} kB", s / 1e3),
        s => format!("{s:.0} B"),
    }
}

/// A Unix time in milliseconds as `2013-08-24 17:05:09`, in UTC.
pub fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_else(|_| "–".to_owned())
}

fn trim(text: String) -> String {
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(count(7), "7");
        assert_eq!(count(999), "999");
        assert_eq!(count(41_200), "41,200");
        assert_eq!(count(20_000_263), "20,000,263");
    }

    #[test]
    fn numbers_keep_three_figures() {
        assert_eq!(number(1e-3), "1.0e-3");
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(0.015), "0.015");
        assert_eq!(number(17_304.4), "17,304");
        assert_eq!(number(-2000.0), "-2,000");
        assert_eq!(number(f64::NAN), "–");
    }

    #[test]
    fn places_that_say_nothing_are_left_out() {
        assert_eq!([10.0, 1.0, 4.5, 1e-3].map(plain), ["10", "1", "4.5", "1.0e-3"]);
        assert_eq!([0.0, 2.6e-5, 0.0018, 0.5].map(percent), ["0 %", "< 0.01 %", "0.18 %", "50 %"]);
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        assert_eq!(duration(0.0), "0 s");
        assert_eq!(duration(0.64), "640 ms");
        assert_eq!(duration(37.4), "37 s");
        assert_eq!(duration(59.7), "1 min");
        assert_eq!(duration(125.0), "2 min 5 s");
        assert_eq!(duration(86_400.0), "1 day");
        assert_eq!(duration(2.1 * 86_400.0), "2.1 days");
        assert_eq!(duration(f64::INFINITY), "–");
    }

    #[test]
    fn ticks_of_time_are_short() {
        let labels: Vec<_> = [1.0, 60.0, 3600.0, 86_400.0].map(tick_duration).into();
        assert_eq!(labels, ["1 s", "1 min", "1 h", "1 d"]);
    }

    #[test]
    fn a_tiny_p_value_is_never_zero() {
        assert_eq!(p_value(0.0), "p < 0.001");
        assert_eq!(p_value(0.0312), "p = 0.031");
    }
}
