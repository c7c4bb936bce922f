//! A setting's value, its kind and range, and the errors a user can act on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value of any setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Integer(i64),
    Number(f64),
    Switch(bool),
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Switch(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl Value {
    /// As JSON: a number, a switch or text.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Integer(value) => (*value).into(),
            Self::Number(value) => (*value).into(),
            Self::Switch(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
        }
    }
}

/// Type and range of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Whole number in `min..=max`.
    Integer { min: i64, max: i64, logarithmic: bool },
    /// Finite number in `min..=max`.
    Number { min: f64, max: f64, logarithmic: bool },
    /// On or off.
    Switch,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Free text.
    Text,
}

/// Why a setting was refused; the message says what to write instead.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingError {
    #[error("there is no setting `{key}`; the nearest is `{nearest}`")]
    Unknown { key: String, nearest: String },
    #[error("`{0}` is not of the form KEY=VALUE, for example `model.hidden=64`")]
    NotAnAssignment(String),
    #[error("`{key}` must be {expected}, not `{given}`")]
    WrongType { key: String, expected: &'static str, given: String },
    #[error("`{key}` must be between {min} and {max}, not {given}; the nearest is {nearest}")]
    OutOfRange { key: String, min: String, max: String, given: String, nearest: String },
    #[error("`{key}` must be one of {choices}, not `{given}`; the nearest is `{nearest}`")]
    NotAChoice { key: String, choices: String, given: String, nearest: String },
    #[error("{path}: {message}")]
    File { path: String, message: String },
}

impl Kind {
    /// Parse text given on the command line or typed into a field.
    pub(super) fn parse(&self, key: &str, text: &str) -> Result<Value, SettingError> {
        let wrong = |expected| SettingError::WrongType {
            key: key.to_owned(),
            expected,
            given: text.to_owned(),
        };
        let value = match self {
            Self::Integer { .. } => {
                Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?)
            }
            Self::Number { .. } => Value::Number(text.parse().map_err(|_| wrong("a number"))?),
            Self::Switch => Value::Switch(match text {
                "true" | "on" | "yes" => true,
                "false" | "off" | "no" => false,
                _ => return Err(wrong("true or false")),
            }),
            Self::Choice(_) | Self::Text => Value::Text(text.to_owned()),
        };
        self.check(key, value)
    }

    /// Check type and range; whole numbers are accepted where a number is asked for.
    pub(super) fn check(&self, key: &str, value: Value) -> Result<Value, SettingError> {
        let out_of_range = |min: String, max: String, given: String, nearest: String| {
            SettingError::OutOfRange { key: key.to_owned(), min, max, given, nearest }
        };
        match (self, value) {
            (Self::Integer { min, max, .. }, Value::Integer(given)) => {
                if (*min..=*max).contains(&given) {
                    return Ok(Value::Integer(given));
                }
                let nearest = given.clamp(*min, *max).to_string();
                Err(out_of_range(min.to_string(), max.to_string(), given.to_string(), nearest))
            }
            (Self::Number { .. }, Value::Integer(given)) => {
                self.check(key, Value::Number(given as f64))
            }
            (Self::Number { min, max, .. }, Value::Number(given)) => {
                if (*min..=*max).contains(&given) {
                    return Ok(Value::Number(given));
                }
                let nearest = if given.is_nan() { *min } else { given.clamp(*min, *max) };
                Err(out_of_range(
                    min.to_string(),
                    max.to_string(),
                    given.to_string(),
                    nearest.to_string(),
                ))
            }
            (Self::Switch, Value::Switch(given)) => Ok(Value::Switch(given)),
            (Self::Choice(choices), Value::Text(given)) => {
                if choices.contains(&given.as_str()) {
                    return Ok(Value::Text(given));
                }
                let nearest = choices
                    .iter()
                    .max_by(|a, b| {
                        strsim::jaro_winkler(a, &given).total_cmp(&strsim::jaro_winkler(b, &given))
                    })
                    .copied()
                    .unwrap_or_default();
                Err(SettingError::NotAChoice {
                    key: key.to_owned(),
                    choices: choices.join(", "),
                    given,
                    nearest: nearest.to_owned(),
                })
            }
            (Self::Text, Value::Text(given)) => Ok(Value::Text(given)),
            (kind, given) => Err(SettingError::WrongType {
                key: key.to_owned(),
                expected: kind.expected(),
                given: given.to_string(),
            }),
        }
    }

    fn expected(&self) -> &'static str {
        match self {
            Self::Integer { .. } => "a whole number",
            Self::Number { .. } => "a number",
            Self::Switch => "true or false",
            Self::Choice(_) => "one of its choices",
            Self::Text => "text",
        }
    }
}

/// A Rust type that can stand behind a setting.
pub trait SettingValue: Sized {
    fn to_value(&self) -> Value;
    /// `None` where the value is of another type.
    fn from_value(value: Value) -> Option<Self>;
}

impl SettingValue for usize {
    fn to_value(&self) -> Value {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Integer(value) => Self::try_from(value).ok(),
            _ => None,
        }
    }
}

impl SettingValue for f64 {
    fn to_value(&self) -> Value {
        Value::Number(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Number(value) => Some(value),
            _ => None,
        }
    }
}

impl SettingValue for bool {
    fn to_value(&self) -> Value {
        Value::Switch(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Switch(value) => Some(value),
            _ => None,
        }
    }
}

impl SettingValue for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }
}
