//! What is wanted of a JSON document: some of its keys, and nothing of the others.

use jsonc_parser::cst::CstInputValue;
use serde_json::Value;

/// What is wanted of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// Exactly this.
    Is(Value),
    /// An object in which these keys are as they should be; others stay.
    Has(Vec<(String, Want)>),
    /// An object of these keys and no others.
    Only(Vec<(String, Want)>),
    /// An array of these objects in this order. An element that stands there is known by this key, and keeps its other
    /// keys.
    List(&'static str, Vec<Vec<(String, Want)>>),
    /// Nothing: the key is not there.
    Gone,
}

/// A key with what is wanted of it.
pub type Wants = Vec<(String, Want)>;

/// A key with a plain value.
pub fn is(key: &str, value: impl Into<Value>) -> (String, Want) {
    (key.to_owned(), Want::Is(value.into()))
}

/// A key with an object.
pub fn has(key: &str, wants: Wants) -> (String, Want) {
    (key.to_owned(), Want::Has(wants))
}

impl Want {
    /// Whether a value is as it should be; `None` where the key is not there.
    pub fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Gone, value) => value.is_none(),
            (Self::Is(wanted), Some(value)) => wanted == value,
            (Self::Has(wants), Some(Value::Object(_))) => all_hold(wants, value),
            (Self::Only(wants), Some(Value::Object(map))) => {
                all_hold(wants, value)
                    && map
                        .keys()
                        .all(|key| wants.iter().any(|(wanted, _)| wanted == key))
            }
            (Self::List(_, wanted), Some(Value::Array(items))) => {
                wanted.len() == items.len()
                    && wanted
                        .iter()
                        .zip(items)
                        .all(|(wants, item)| item.is_object() && all_hold(wants, Some(item)))
            }
            _ => false,
        }
    }

    /// The value where none is yet; `None` for what is not to be there.
    pub fn fresh(&self) -> Option<CstInputValue> {
        match self {
            Self::Gone => None,
            Self::Is(value) => Some(input(value)),
            Self::Has(wants) | Self::Only(wants) => Some(fresh_object(wants)),
            Self::List(_, items) => Some(CstInputValue::Array(items.iter().map(fresh_object).collect())),
        }
    }

    /// Lays something over it, key by key where both are objects; the order of keys is that of both, one after the
    /// other.
    pub fn lay_over(&mut self, over: Self) {
        match (self, over) {
            (Self::Has(own) | Self::Only(own), Self::Has(over)) => lay_over(own, over),
            (own, over) => *own = over,
        }
    }
}

/// Lays keys over keys.
pub fn lay_over(wants: &mut Wants, over: Wants) {
    for (key, want) in over {
        match wants.iter_mut().find(|(own, _)| *own == key) {
            Some((_, own)) => own.lay_over(want),
            None => wants.push((key, want)),
        }
    }
}

fn all_hold(wants: &Wants, value: Option<&Value>) -> bool {
    wants
        .iter()
        .all(|(key, want)| want.holds(value.and_then(|value| value.get(key))))
}

/// An object with what is wanted.
pub(super) fn fresh_object(wants: &Wants) -> CstInputValue {
    let entries = wants
        .iter()
        .filter_map(|(key, want)| Some((key.clone(), want.fresh()?)));
    CstInputValue::Object(entries.collect())
}

/// A value as the editor takes it; a number keeps its digits.
pub(super) fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(flag) => CstInputValue::Bool(*flag),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (key.clone(), input(value)));
            CstInputValue::Object(entries.collect())
        }
    }
}
