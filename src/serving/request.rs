//! From a request's body to what the model understands, with everything unusual said.

use super::wire::{RecommendRequest, Warning};
use super::{RequestError, ServedModel};

const MS_PER_DAY: f64 = 86_400_000.0;
/// DeepM3's unit of time, in days.
const UNIT_DAYS: f64 = 10.0;
/// Times further than this from the epoch are refused: 10,000 years in milliseconds.
const FARTHEST_MS: f64 = 3.2e14;
const LONGEST_USER_ID: usize = 256;
const MOST_RECOMMENDATIONS: usize = 100;

/// A checked request: known items only, in time order.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub user: String,
    /// Dense indices, at most as many as the model sees.
    pub items: Vec<u32>,
    /// Those before them, where nothing that was seen is recommended again.
    pub older: Vec<u32>,
    /// Unix milliseconds (or DeepM3's units, turned into milliseconds), never falling.
    pub times: Vec<i64>,
    /// When the answer is for, not before the last event.
    pub query: i64,
    /// Whether times are given and are those of the calendar, and not DeepM3's units from a start unknown.
    pub calendar: bool,
    pub count: usize,
    pub warnings: Vec<Warning>,
}

fn warning(code: &str, message: String) -> Warning {
    Warning { code: code.to_owned(), message }
}

/// A time in the request's unit as milliseconds.
fn milliseconds(value: f64, scale: f64, name: &str) -> Result<i64, RequestError> {
    let time = value * scale;
    if !time.is_finite() || time.abs() > FARTHEST_MS {
        return Err(RequestError::unprocessable(
            "absurd_time",
            format!(
                "`{name}` holds {value}, which is no time: `recent_timestamps` are Unix seconds, not \
                 milliseconds, and `recent_times` units of 10 days, within 10,000 years of 1970"
            ),
        ));
    }
    Ok(time.round() as i64)
}

/// Check `request` against the catalogue of `model`.
///
/// # Errors
/// [`RequestError`] with status 422 for what cannot be answered. Unknown items, disorder and long
/// histories are met and told in the warnings.
pub fn check(
    request: &RecommendRequest,
    model: &ServedModel,
    max_history: usize,
) -> Result<Asked, RequestError> {
    let refuse = |code, message: String| RequestError::unprocessable(code, message);
    let named = request.user_id.chars().count();
    if !(1..=LONGEST_USER_ID).contains(&named) {
        let message = format!("`user_id` is {named} characters long; give 1 to {LONGEST_USER_ID}");
        return Err(refuse("user_id_length", message));
    }
    let count = request.count.unwrap_or(10);
    if !(1..=MOST_RECOMMENDATIONS).contains(&count) {
        let message = format!("`count` is {count}; give 1 to {MOST_RECOMMENDATIONS}");
        return Err(refuse("count_range", message));
    }
    let events = request.recent_items.len();
    if events > max_history {
        return Err(refuse(
            "history_too_long",
            format!(
                "`recent_items` holds {events} items; send the last {max_history} at most \
                 (server.max_history)"
            ),
        ));
    }
    let (given, scale, name) = match (&request.recent_times, &request.recent_timestamps) {
        (Some(_), Some(_)) => {
            return Err(refuse(
                "two_clocks",
                "both `recent_times` and `recent_timestamps` are given; send one of them"
                    .to_owned(),
            ));
        }
        (Some(times), None) => (times.as_slice(), UNIT_DAYS * MS_PER_DAY, "recent_times"),
        (None, Some(times)) => (times.as_slice(), 1000.0, "recent_timestamps"),
        (None, None) if events == 0 => (&[][..], 1000.0, "recent_timestamps"),
        (None, None) => {
            return Err(refuse(
                "no_times",
                "the items have no times; send `recent_times` (units of 10 days) or \
                 `recent_timestamps` (Unix seconds), one for each item"
                    .to_owned(),
            ));
        }
    };
    if given.len() != events {
        let message = format!(
            "`recent_items` holds {events} items and `{name}` {} times; send one for each",
            given.len()
        );
        return Err(refuse("lengths_differ", message));
    }
    let mut warnings = Vec::new();
    if request.image_input.is_some() {
        let message = "`image_input` was not looked at: no image model ships".to_owned();
        warnings.push(warning("image_ignored", message));
    }
    let mut known = Vec::with_capacity(events);
    let mut unknown = Vec::new();
    // Of the unknown ones as well: the user was there.
    let mut last = None;
    for (id, &time) in request.recent_items.iter().zip(given) {
        let time = milliseconds(time, scale, name)?;
        last = last.max(Some(time));
        match model.item(&id.to_string()) {
            Some(item) => known.push((time, item)),
            None => unknown.push(id.to_string()),
        }
    }
    if let Some(first) = unknown.first() {
        let short: String = first.chars().take(40).collect();
        let message = format!(
            "{} of {events} items are not in the catalogue and were left out; the first is `{short}`",
            unknown.len()
        );
        warnings.push(warning("unknown_items", message));
    }
    if !known.is_sorted_by_key(|(time, _)| *time) {
        known.sort_by_key(|(time, _)| *time);
        let message = "the times run backwards; the events were put in time order".to_owned();
        warnings.push(warning("unordered_times", message));
    }
    let equal = known.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
    if equal > 0 {
        let message = format!("{equal} events share the time of the one before; their gap is zero");
        warnings.push(warning("equal_times", message));
    }
    let seen = model.split.input_len;
    if known.len() > seen {
        let message = format!("the model sees the last {seen} of {} events", known.len());
        warnings.push(warning("history_truncated", message));
    }
    let mut older: Vec<u32> =
        known.drain(..known.len().saturating_sub(seen)).map(|(_, item)| item).collect();
    if !model.config.evaluation.mask_seen {
        older.clear();
    }
    if known.is_empty() {
        let message = "there is no known event; the answer is the same for every such user";
        warnings.push(warning("empty_history", message.to_owned()));
    }
    let (times, items): (Vec<i64>, Vec<u32>) = known.into_iter().unzip();
    let query = match request.query_time {
        Some(time) => Some(milliseconds(time, scale, "query_time")?),
        None => last,
    };
    if query < last {
        let message = "`query_time` lies before the last event; it counts as that event's time";
        warnings.push(warning("query_before_history", message.to_owned()));
    }
    let user = request.user_id.clone();
    let calendar = request.recent_times.is_none() && query.is_some();
    let query = query.max(last).unwrap_or_default();
    Ok(Asked { user, items, older, times, query, calendar, count, warnings })
}
