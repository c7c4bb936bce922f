//! Clocks: which one a file keeps, and its readings as Unix milliseconds.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// How a file writes its times; the same in all of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeKind {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    /// Days written as one number: `20130401`.
    CompactDate,
    /// Minutes or seconds written as one number: `201304011230`, `20130401123000`.
    CompactDateTime,
    /// `2013-04-01`, `2013-04-01 12:30:00`, `2013-04-01T12:30:00Z` and the like; UTC unless said.
    Iso,
}

impl fmt::Display for TimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "Unix seconds",
            Self::Milliseconds => "Unix milliseconds",
            Self::Microseconds => "Unix microseconds",
            Self::Nanoseconds => "Unix nanoseconds",
            Self::CompactDate => "dates such as 20130401, in UTC",
            Self::CompactDateTime => "dates such as 20130401123000, in UTC",
            Self::Iso => "ISO dates, in UTC where they name no zone",
        })
    }
}

/// Why a single time is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadTime {
    NotANumber,
    NotADate,
    /// Not after 1970-01-01, or more than a year ahead.
    OutOfRange,
    /// A Unix time in a coarser unit than that of the others, or none.
    OtherUnit,
}

/// Smallest median, in seconds, of a clock that counts from 1970: April 1973.
///
/// Below it times count from some other start (a session, an experiment), and nothing says in
/// which unit. They are refused: continuous time on a made-up clock would teach nothing.
const SMALLEST_UNIX_SECONDS: f64 = 1e8;
/// Smallest median, in seconds, of a clock finer than that: 1992. .NET ticks of our days read as
/// nanoseconds of 1990.
const EARLIEST_FINE_SECONDS: f64 = 694_224_000.0;
/// How far ahead a time may be: a year, for clocks that are wrong and events that are planned.
const AHEAD_MS: i64 = 366 * 86_400_000;

/// The clock of a file, from some of its times.
///
/// # Errors
/// What these times are, where they are none.
pub(super) fn recognise<'a>(samples: impl Iterator<Item = &'a [u8]>) -> Result<TimeKind, String> {
    let (mut numbers, mut dates, mut other) = (Vec::new(), 0, None);
    for sample in samples {
        if let Some(number) = number(sample) {
            numbers.push(number);
        } else if iso(sample).is_some() {
            dates += 1;
        } else {
            other = other.or(Some(sample));
        }
    }
    if numbers.is_empty() && dates == 0 {
        let example = String::from_utf8_lossy(other.unwrap_or_default()).into_owned();
        return Err(format!(
            "`{example}` is neither a Unix time nor a date like 2013-04-01, 2013-04-01 12:30:00 or \
             2013-04-01T12:30:00Z; where the column is the right one, write its dates like that (in pandas \
             pd.to_datetime reads most others)"
        ));
    }
    if dates > numbers.len() {
        return Ok(TimeKind::Iso);
    }
    if numbers.iter().all(|number| compact_date(*number as i64).is_some()) {
        return Ok(TimeKind::CompactDate);
    }
    if numbers.iter().all(|number| compact_time(*number as i64).is_some()) {
        return Ok(TimeKind::CompactDateTime);
    }
    let middle = numbers.len() / 2;
    let (_, &mut median, _) = numbers.select_nth_unstable_by(middle, f64::total_cmp);
    if median < SMALLEST_UNIX_SECONDS {
        return Err(format!(
            "times such as {median} are too small for Unix times (seconds since 1970), and their \
             unit is unknown; where the column is the right one, count in seconds and add a start \
             such as 1600000000"
        ));
    }
    // A finer unit's numbers are a thousand times larger, so these ranges do not meet until 5138.
    let (kind, unit) = match median / SMALLEST_UNIX_SECONDS {
        ..1e3 => (TimeKind::Seconds, 1.0),
        ..1e6 => (TimeKind::Milliseconds, 1e3),
        ..1e9 => (TimeKind::Microseconds, 1e6),
        _ => (TimeKind::Nanoseconds, 1e9),
    };
    if kind != TimeKind::Seconds && median / unit < EARLIEST_FINE_SECONDS {
        let year = 1970 + (median / unit / 31_556_952.0) as i64;
        return Err(format!(
            "times such as {median} would be {kind} of {year}, before anybody counted in them; where they \
             are dates without separators, .NET ticks or Windows file times, write them as \
             2013-04-01 12:30:00"
        ));
    }
    Ok(kind)
}

/// Reads the times of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub kind: TimeKind,
    latest: i64,
}

impl Clock {
    pub fn new(kind: TimeKind) -> Self {
        Self { kind, latest: Timestamp::now().as_millisecond().saturating_add(AHEAD_MS) }
    }

    /// Unix milliseconds.
    pub fn read(&self, field: &[u8]) -> Result<i64, BadTime> {
        let time = match self.kind {
            TimeKind::Iso => iso(field).ok_or(BadTime::NotADate)?,
            TimeKind::CompactDate => {
                let number = number(field).ok_or(BadTime::NotANumber)?;
                compact_date(number as i64).ok_or(BadTime::NotADate)?
            }
            TimeKind::CompactDateTime => {
                let number = number(field).ok_or(BadTime::NotANumber)?;
                compact_time(number as i64).ok_or(BadTime::NotADate)?
            }
            TimeKind::Seconds => scaled(field, 1e3)?,
            TimeKind::Milliseconds => scaled(field, 1.0)?,
            TimeKind::Microseconds => scaled(field, 1e-3)?,
            TimeKind::Nanoseconds => scaled(field, 1e-6)?,
        };
        let counted =
            !matches!(self.kind, TimeKind::Iso | TimeKind::CompactDate | TimeKind::CompactDateTime);
        match time {
            _ if time <= 0 || time >= self.latest => Err(BadTime::OutOfRange),
            _ if counted && (time as f64) < 1e3 * SMALLEST_UNIX_SECONDS => Err(BadTime::OtherUnit),
            _ => Ok(time),
        }
    }
}

/// A number in units of `unit` milliseconds, as milliseconds.
fn scaled(field: &[u8], unit: f64) -> Result<i64, BadTime> {
    if unit >= 1.0
        && let Some(whole) = digits(field)
    {
        return Ok(whole.saturating_mul(unit as i64));
    }
    // A cast saturates, so absurd numbers stay absurd.
    number(field).map(|number| (number * unit).round() as i64).ok_or(BadTime::NotANumber)
}

/// A number of digits only that fits.
fn digits(field: &[u8]) -> Option<i64> {
    if field.is_empty() || field.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for byte in field {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// A finite number, `NaN` and `inf` not being numbers that anything happened at.
pub(super) fn number(field: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(field).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

fn compact_date(number: i64) -> Option<i64> {
    let year = i16::try_from(number / 10_000).ok().filter(|year| (1900..2100).contains(year))?;
    let month = i8::try_from(number / 100 % 100).ok()?;
    let day = i8::try_from(number % 100).ok()?;
    let date = Date::new(year, month, day).ok()?;
    utc(date.to_datetime(jiff::civil::Time::midnight()))
}

/// A day with hours and minutes, and seconds or not, as one number of 12 or 14 digits.
fn compact_time(number: i64) -> Option<i64> {
    let number = match number {
        190_000_000_000..210_000_000_000 => number * 100,
        19_000_000_000_000..21_000_000_000_000 => number,
        _ => return None,
    };
    let part = |by: i64| i8::try_from(number / by % 100).ok();
    let time = jiff::civil::Time::new(part(10_000)?, part(100)?, part(1)?, 0).ok()?;
    let midnight = compact_date(number / 1_000_000)?;
    let since = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60;
    Some(midnight + 1000 * (since + i64::from(time.second())))
}

/// A date with the year first, with or without a time of day and a zone, as Unix milliseconds.
pub(super) fn iso(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field).ok()?;
    // Ids such as `2013` are no dates; the shortest date is 2013-04-01.
    let zone = text.get(10..)?;
    // The name of a zone would be passed over; beside an offset it adds nothing.
    let (text, zone) = match text.split_once('[') {
        None => (text, zone),
        Some((time, _)) => {
            let zone = time.get(10..)?;
            if !zone.contains(['+', '-', 'Z']) {
                return None;
            }
            (time, zone)
        }
    };
    let slashes = text.as_bytes()[4] == b'/' && text.as_bytes()[7] == b'/';
    let spaced = zone.contains(" +") || zone.contains(" -");
    let tidied = (slashes || spaced).then(|| {
        let (date, rest) = text.split_at(10);
        date.replace('/', "-") + &rest.replace(" +", "+").replace(" -", "-")
    });
    let text = tidied.as_deref().unwrap_or(text);
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")).unwrap_or(text);
    if zone.ends_with(['Z', 'z']) || zone.contains(['+', '-']) {
        return text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    }
    utc(text.parse::<DateTime>().ok()?)
}

fn utc(time: DateTime) -> Option<i64> {
    Offset::UTC.to_timestamp(time).ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_365_029_107;

    fn kind(samples: &[&str]) -> Result<TimeKind, String> {
        recognise(samples.iter().map(|sample| sample.as_bytes()))
    }

    #[test]
    fn units_are_told_by_magnitude() {
        assert_eq!(kind(&["1365029107", "881250949"]), Ok(TimeKind::Seconds));
        assert_eq!(kind(&["1365029107.25"]), Ok(TimeKind::Seconds));
        assert_eq!(kind(&["1.365029107e9"]), Ok(TimeKind::Seconds));
        assert_eq!(kind(&["1365029107000"]), Ok(TimeKind::Milliseconds));
        assert_eq!(kind(&["1365029107000000"]), Ok(TimeKind::Microseconds));
        assert_eq!(kind(&["1365029107000000000"]), Ok(TimeKind::Nanoseconds));
        assert_eq!(kind(&["20130401", "20141231"]), Ok(TimeKind::CompactDate));
        assert_eq!(kind(&["201304012259"]), Ok(TimeKind::CompactDateTime));
        assert_eq!(kind(&["20130401225930"]), Ok(TimeKind::CompactDateTime));
        assert_eq!(kind(&["2013-04-01", "x", "2013-04-02 10:00:00"]), Ok(TimeKind::Iso));
        assert_eq!(
            kind(&["0", "-1", "1365029107", "1365029107", "1365029107"]),
            Ok(TimeKind::Seconds)
        );
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        assert!(kind(&["0", "17", "10000"]).unwrap_err().contains("such as 17 are too small"));
        assert!(kind(&["-5"]).unwrap_err().contains("too small"));
        assert!(kind(&["yesterday"]).unwrap_err().contains("`yesterday`"));
        // Year in two digits, .NET ticks, Windows file times.
        for (text, year) in [
            ("130401225930", "1974"),
            ("635684000000000000", "1990"),
            ("130800000000000000", "1974"),
        ] {
            assert!(kind(&[text]).unwrap_err().contains(&format!("of {year}")), "{text}");
        }
        assert!(kind(&["2013-04-01T12:30:00[Europe/Rome]"]).is_err());
        assert!(kind(&[]).is_err());
    }

    #[test]
    fn all_ways_to_write_a_time_give_milliseconds() {
        let read = |kind, text: &str| Clock::new(kind).read(text.as_bytes());
        assert_eq!(read(TimeKind::Seconds, "1365029107"), Ok(SECOND * 1000));
        assert_eq!(read(TimeKind::Seconds, "1365029107.25"), Ok(SECOND * 1000 + 250));
        assert_eq!(read(TimeKind::Milliseconds, "1365029107250"), Ok(SECOND * 1000 + 250));
        assert_eq!(read(TimeKind::Microseconds, "1365029107250000"), Ok(SECOND * 1000 + 250));
        assert_eq!(read(TimeKind::Nanoseconds, "1365029107250000000"), Ok(SECOND * 1000 + 250));
        assert_eq!(read(TimeKind::CompactDate, "20130403"), Ok(1_364_947_200_000));
        assert_eq!(read(TimeKind::CompactDateTime, "20130403224507"), Ok(SECOND * 1000));
        assert_eq!(read(TimeKind::CompactDateTime, "201304032245"), Ok((SECOND - 7) * 1000));
        assert_eq!(read(TimeKind::CompactDateTime, "201304032460"), Err(BadTime::NotADate));
        for text in [
            "2013-04-03T22:45:07Z",
            "2013-04-03 22:45:07",
            "2013-04-03 22:45:07 UTC",
            "2013-04-03T22:45:07.000",
            "2013-04-04T00:45:07+02:00",
            "2013-04-03 18:45:07-04",
            "2013/04/03 22:45:07",
            "2013-04-04T00:45:07+02:00[Europe/Rome]",
            "2013-04-04 00:45:07 +0200",
        ] {
            assert_eq!(read(TimeKind::Iso, text), Ok(SECOND * 1000), "{text}");
        }
        assert_eq!(read(TimeKind::Iso, "2013-04-03"), Ok(1_364_947_200_000));
    }

    #[test]
    fn bad_times_are_told_apart() {
        let clock = Clock::new(TimeKind::Seconds);
        for text in ["", "x", "NaN", "inf", "2013-04-01"] {
            assert_eq!(clock.read(text.as_bytes()), Err(BadTime::NotANumber), "{text}");
        }
        // A row of pandas' column numbers, a flag.
        assert_eq!(clock.read(b"3"), Err(BadTime::OtherUnit));
        for text in ["0", "-1", "99999999999", "999999999999999999", "1e300"] {
            assert_eq!(clock.read(text.as_bytes()), Err(BadTime::OutOfRange), "{text}");
        }
        let clock = Clock::new(TimeKind::Iso);
        assert_eq!(clock.read(b"2013-02-30"), Err(BadTime::NotADate));
        assert_eq!(clock.read(b"1969-12-31"), Err(BadTime::OutOfRange));
        assert_eq!(clock.read("2013-04-0é".as_bytes()), Err(BadTime::NotADate));
    }
}
