//! A space of settings to search, in words: `model.hidden=32|64, training.learning_rate=1e-4..1e-2
//! log`.

use super::{Config, Kind, Setting, SettingError, Value};

/// Settings of these sections that say nothing of what is learned, or that the search needs itself.
const RESERVED: [(&str, &str); 5] = [
    ("training.epochs", "it is what a search spends on a trial: set it, and tuning.least_epochs"),
    ("training.seed", "a lucky seed is no better setting: compare seeds with `deepm3 ablation`"),
    ("training.keep_best", "trials are judged by their best epoch where it is on"),
    ("training.checkpoint_seconds", "it changes nothing that is learned"),
    ("training.parallel", "it changes nothing that is learned"),
];

/// What is searched: an axis a setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// In the order in which they were written, each setting once; never empty.
    pub axes: Vec<Axis>,
}

/// One setting and the values it may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub setting: Setting,
    pub range: Range,
}

/// Values of an axis; each of them is valid for its setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Range {
    /// One of these, none of them twice.
    Choices(Vec<Value>),
    /// Whole numbers, both ends included.
    Integer { low: i64, high: i64, log: bool },
    /// Numbers between the ends.
    Number { low: f64, high: f64, log: bool },
}

/// Why a space was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpaceError {
    #[error("the space is empty; write for example `model.hidden=32|64|128` into tuning.space")]
    Empty,
    #[error(
        "`{0}` is not of the form KEY=a|b|c or KEY=low..high, for example `training.learning_rate=1e-4..1e-2 log`"
    )]
    Form(String),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("`{key}` cannot be searched: only settings of model.* and training.* are")]
    Section { key: String },
    #[error("`{key}` cannot be searched: {why}")]
    Reserved { key: &'static str, why: &'static str },
    #[error("`{0}` is in the space twice; write all its values in one place")]
    Twice(&'static str),
    #[error("`{key}` has no range from low to high; list its values, as in `{key}={example}`")]
    NotARange { key: &'static str, example: String },
    #[error("`{key}={low}..{high}` runs backwards or stands still; write the lower end first")]
    Backwards { key: &'static str, low: String, high: String },
    #[error("`{key}={low}..{high} log` has no logarithm at {low}; begin above 0")]
    NoLogarithm { key: &'static str, low: String, high: String },
}

impl Space {
    /// Read a space from text: axes separated by commas or lines.
    ///
    /// # Errors
    /// [`SpaceError`]: an unknown key or a value outside the setting's own range is refused with
    /// the nearest valid one.
    pub fn parse(text: &str) -> Result<Self, SpaceError> {
        let mut axes: Vec<Axis> = Vec::new();
        let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
        for part in parts {
            let axis = Axis::parse(part)?;
            if axes.iter().any(|other| other.setting.key == axis.setting.key) {
                return Err(SpaceError::Twice(axis.setting.key));
            }
            axes.push(axis);
        }
        if axes.is_empty() { Err(SpaceError::Empty) } else { Ok(Self { axes }) }
    }

    /// How many different points it has, where that is known to be below `limit`.
    pub fn points_below(&self, limit: usize) -> Option<usize> {
        let mut points: usize = 1;
        for axis in &self.axes {
            let values = match &axis.range {
                Range::Choices(values) => values.len(),
                Range::Integer { low, high, .. } => usize::try_from(high - low + 1).ok()?,
                Range::Number { .. } => return None,
            };
            points = points.checked_mul(values)?;
        }
        (points < limit).then_some(points)
    }
}

impl Axis {
    fn parse(part: &str) -> Result<Self, SpaceError> {
        let form = || SpaceError::Form(part.to_owned());
        let (key, values) = part.split_once('=').ok_or_else(form)?;
        let (key, values) = (key.trim(), values.trim());
        let setting = Config::describe(key)?;
        if !["model", "training"].iter().any(|section| key.starts_with(&format!("{section}."))) {
            return Err(SpaceError::Section { key: key.to_owned() });
        }
        if let Some((key, why)) = RESERVED.into_iter().find(|(reserved, _)| *reserved == key) {
            return Err(SpaceError::Reserved { key, why });
        }
        let (values, log) = match values.strip_suffix("log") {
            Some(before) if before.ends_with(char::is_whitespace) => (before.trim_end(), true),
            _ => (values, false),
        };
        let range = match values.split_once("..") {
            Some((low, high)) => ends(&setting, low.trim(), high.trim(), log)?,
            None if log => return Err(form()),
            None => choices(&setting, values).and_then(|range| range.ok_or_else(form))?,
        };
        Ok(Self { setting, range })
    }
}

/// `a|b|c`; none where a value is empty.
fn choices(setting: &Setting, text: &str) -> Result<Option<Range>, SpaceError> {
    let mut values = Vec::new();
    for word in text.split('|').map(str::trim) {
        if word.is_empty() {
            return Ok(None);
        }
        let value = setting.kind.parse(setting.key, word)?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(Some(Range::Choices(values)))
}

/// `low..high`.
fn ends(setting: &Setting, low: &str, high: &str, log: bool) -> Result<Range, SpaceError> {
    let key = setting.key;
    let example = match &setting.kind {
        Kind::Choice(words) => Some(words.join("|")),
        Kind::Switch => Some("true|false".to_owned()),
        Kind::Text => Some("a|b".to_owned()),
        Kind::Integer { .. } | Kind::Number { .. } => None,
    };
    if let Some(example) = example {
        return Err(SpaceError::NotARange { key, example });
    }
    let value = |text: &str| setting.kind.parse(key, text);
    let text = |end: &str| end.to_owned();
    let range = match (value(low)?, value(high)?) {
        (Value::Integer(low), Value::Integer(high)) => Range::Integer { low, high, log },
        (Value::Number(low), Value::Number(high)) => Range::Number { low, high, log },
        // Both ends are of the setting's kind.
        _ => return Err(SpaceError::Form(format!("{key}={low}..{high}"))),
    };
    let (rises, positive) = match range {
        Range::Integer { low, high, .. } => (low < high, low > 0),
        Range::Number { low, high, .. } => (low < high, low > 0.0),
        Range::Choices(_) => (true, true),
    };
    if !rises {
        return Err(SpaceError::Backwards { key, low: text(low), high: text(high) });
    }
    if log && !positive {
        return Err(SpaceError::NoLogarithm { key, low: text(low), high: text(high) });
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Space::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn values_and_ranges_are_read_as_they_are_written() {
        let space = Space::parse(
            "model.hidden=32|64|32, model.dropout=0.1..0.6,\n training.learning_rate=3e-4..1e-2 log, \
             model.max_substeps = 1..8 log, model.solver=gru|rk4, model.query_gap=on|off",
        )
        .unwrap();
        let integers = |values: &[i64]| {
            Range::Choices(values.iter().map(|&value| Value::Integer(value)).collect())
        };
        let ranges: Vec<&Range> = space.axes.iter().map(|axis| &axis.range).collect();
        assert_eq!(*ranges[0], integers(&[32, 64]));
        assert_eq!(*ranges[1], Range::Number { low: 0.1, high: 0.6, log: false });
        assert_eq!(*ranges[2], Range::Number { low: 3e-4, high: 1e-2, log: true });
        assert_eq!(*ranges[3], Range::Integer { low: 1, high: 8, log: true });
        assert_eq!(space.axes[4].setting.key, "model.solver");
        assert_eq!(*ranges[5], Range::Choices(vec![Value::Switch(true), Value::Switch(false)]));
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused_with_the_nearest() {
        assert!(refused("model.hiden=32|64").contains("model.hidden"));
        assert!(refused("model.hidden=32|100000").contains("the nearest is 1024"));
        assert!(refused("model.dropout=0.1..0.95").contains("the nearest is 0.9"));
        assert!(refused("model.solver=gru|rk5").contains("rk4"));
        assert!(refused("training.learning_rate=fast..slow").contains("a number"));
    }

    #[test]
    fn what_cannot_be_searched_says_why() {
        assert!(refused("data.max_len=10|20").contains("only settings of model.* and training.*"));
        assert!(refused("training.epochs=1..5").contains("what a search spends"));
        assert!(refused("training.seed=1|2").contains("lucky seed"));
        assert!(refused("model.solver=gru..rk4").contains("model.solver=gru|euler"));
        assert!(refused("model.dropout=0.5..0.1").contains("lower end first"));
        assert!(refused("model.dropout=0..0.5 log").contains("begin above 0"));
        assert!(refused("model.hidden=32, model.hidden=64").contains("twice"));
        assert!(refused("model.hidden=32||64").contains("not of the form"));
        assert!(refused("model.hidden").contains("not of the form"));
        assert_eq!(Space::parse(" , "), Err(SpaceError::Empty));
    }

    #[test]
    fn points_are_counted_where_there_are_finitely_many() {
        let points = |text: &str| Space::parse(text).unwrap().points_below(100);
        assert_eq!(points("model.hidden=8|16, model.max_substeps=1..3"), Some(6));
        assert_eq!(points("model.hidden=8|16, model.dropout=0..0.5"), None);
        assert_eq!(points("model.hidden=4..1024"), None);
    }
}
