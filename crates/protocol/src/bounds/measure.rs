//! How much memory a value takes at the other end, found out before it is sent.

use std::fmt::Display;
use std::mem::size_of;

use serde::{Serialize, ser};

use super::budget::{Budget, Exceeded, Limits};
use crate::facts::{Bson, RespValue, SsdbReply, Term};
use crate::{Fact, FactError, FactQuery};

/// What an element takes whose type is not among those of which there are many.
const LARGEST: usize = 256;
const _: () = assert!(size_of::<Result<Fact, FactError>>() <= LARGEST && size_of::<FactQuery>() <= LARGEST);

/// The bytes that a value takes at most once it is decoded, its texts included; or the limit that it is over. A value is
/// not walked further than the limits, so one that nests without a bound is safe to ask for.
pub fn measure<T: Serialize + ?Sized>(value: &T, limits: Limits) -> Result<usize, Exceeded> {
    let budget = Budget::new(limits);
    let scale = Scale {
        budget: &budget,
        is_element: false,
    };
    match value.serialize(scale) {
        Ok(()) => Ok(limits.bytes - budget.bytes.get()),
        Err(Over) => Err(budget.exceeded.get().unwrap_or(Exceeded::Size(limits.bytes))),
    }
}

/// A serializer that writes nothing.
struct Scale<'b> {
    budget: &'b Budget,
    /// Whether the value stands in a list. Serde does not tell its type, but for the name.
    is_element: bool,
}

/// The size of an element by the name of its type.
fn size(name: &str) -> usize {
    match name {
        "Term" => size_of::<Term>(),
        "Bson" => size_of::<Bson>(),
        "RespValue" => size_of::<RespValue>(),
        "SsdbReply" => size_of::<SsdbReply>(),
        _ => LARGEST,
    }
}

impl<'b> Scale<'b> {
    /// Counts the value itself where it stands in a list; what is in it does not.
    fn weigh(self, size: usize) -> Result<Self, Over> {
        if self.is_element {
            self.budget.element(size)?;
        }
        Ok(self.inside())
    }

    fn inside(self) -> Self {
        Self {
            is_element: false,
            ..self
        }
    }

    fn parts(self) -> Parts<'b> {
        let Self { budget, is_element } = self;
        Parts { budget, is_element }
    }

    fn many(self) -> Result<Parts<'b>, Over> {
        let Self { budget, .. } = self.weigh(size_of::<Vec<()>>())?;
        budget.enter()?;
        Ok(Parts {
            budget,
            is_element: true,
        })
    }
}

/// The walk has ended; the budget has the reason.
#[derive(Debug)]
struct Over;

impl From<Exceeded> for Over {
    fn from(_: Exceeded) -> Self {
        Self
    }
}

impl Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("over the limit")
    }
}

impl std::error::Error for Over {}

impl ser::Error for Over {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

/// What a value consists of.
struct Parts<'b> {
    budget: &'b Budget,
    /// Whether they are elements of a list, or parts of a tuple that is one.
    is_element: bool,
}

impl Parts<'_> {
    fn part<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Over> {
        value.serialize(Scale {
            budget: self.budget,
            is_element: self.is_element,
        })
    }
}

macro_rules! numbers {
    ($($name:ident: $type:ty,)+) => {
        $(fn $name(self, _: $type) -> Result<(), Over> {
            self.weigh(size_of::<$type>()).map(drop)
        })+
    };
}

impl<'b> ser::Serializer for Scale<'b> {
    type Ok = ();
    type Error = Over;
    type SerializeSeq = List<'b>;
    type SerializeTuple = Parts<'b>;
    type SerializeTupleStruct = Parts<'b>;
    type SerializeTupleVariant = Parts<'b>;
    type SerializeMap = List<'b>;
    type SerializeStruct = Parts<'b>;
    type SerializeStructVariant = Parts<'b>;

    numbers! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
    }

    fn serialize_str(self, text: &str) -> Result<(), Over> {
        Ok(self.weigh(size_of::<String>())?.budget.take(text.len())?)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Over> {
        Ok(self.weigh(size_of::<Vec<u8>>())?.budget.take(bytes.len())?)
    }

    fn serialize_none(self) -> Result<(), Over> {
        self.weigh(LARGEST).map(drop)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Over> {
        value.serialize(self.weigh(LARGEST)?)
    }

    fn serialize_unit(self) -> Result<(), Over> {
        self.weigh(0).map(drop)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Over> {
        self.weigh(0).map(drop)
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, _: &'static str) -> Result<(), Over> {
        self.weigh(size(name)).map(drop)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Over> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Over> {
        value.serialize(self.weigh(size(name))?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'b>, Over> {
        self.many().map(List)
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'b>, Over> {
        Ok(self.parts())
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Parts<'b>, Over> {
        Ok(self.weigh(size(name))?.parts())
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'b>, Over> {
        Ok(self.weigh(size(name))?.parts())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<List<'b>, Over> {
        self.many().map(List)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'b>, Over> {
        Ok(self.weigh(size(name))?.parts())
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'b>, Over> {
        Ok(self.weigh(size(name))?.parts())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// A list or a map: a level of its own.
struct List<'b>(Parts<'b>);

impl ser::SerializeSeq for List<'_> {
    type Ok = ();
    type Error = Over;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Over> {
        self.0.part(value)
    }

    fn end(self) -> Result<(), Over> {
        self.0.budget.leave();
        Ok(())
    }
}

impl ser::SerializeMap for List<'_> {
    type Ok = ();
    type Error = Over;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Over> {
        self.0.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Over> {
        self.0.part(value)
    }

    fn end(self) -> Result<(), Over> {
        self.0.budget.leave();
        Ok(())
    }
}

macro_rules! parts {
    ($($traits:ident $name:ident $($key:ty)?,)+) => {
        $(impl ser::$traits for Parts<'_> {
            type Ok = ();
            type Error = Over;

            fn $name<T: Serialize + ?Sized>(&mut self, $(_: $key,)? value: &T) -> Result<(), Over> {
                self.part(value)
            }

            fn end(self) -> Result<(), Over> {
                Ok(())
            }
        })+
    };
}

parts! {
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
    SerializeStruct serialize_field &'static str,
    SerializeStructVariant serialize_field &'static str,
}
