//! Values as people write them.

use std::{fmt, time::Duration};

use serde::{
    Deserializer,
    de::{Error, MapAccess, SeqAccess, Unexpected, Visitor},
};

use super::DedupKeySettings;
use crate::OrderedBy;

pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    required_duration(from).map(Some)
}

pub(super) fn required_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_any(Written {
        expected: "a duration in words, such as \"250ms\", \"10s\" or \"15days\"",
        words: |words| humantime::parse_duration(words).ok(),
        number: |_| None,
    })
}

pub(super) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let written = Written {
        expected: "a number of bytes, such as 1024, \"64KiB\" or \"16MiB\"",
        words: in_units,
        number: whole,
    };
    from.deserialize_any(written).map(Some)
}

pub(super) fn count<'de, D, N>(from: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64>,
{
    let written = Written {
        expected: "a whole number, such as 5",
        words: |words| N::try_from(words.parse::<u64>().ok()?).ok(),
        number: whole,
    };
    from.deserialize_any(written).map(Some)
}

pub(super) fn ratio<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let written = Written {
        expected: "a number, such as 0.5",
        words: |words| words.parse().ok(),
        number: |number| match number {
            Number::Whole(number) => u32::try_from(number).ok().map(f64::from),
            Number::Real(number) => Some(number),
        },
    };
    from.deserialize_any(written).map(Some)
}

pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    from.deserialize_any(Flag).map(Some)
}

pub(super) fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_any(Names)
}

pub(super) fn ordered_by<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<OrderedBy>, D::Error> {
    let written = Identifying {
        expected: "\"key\", \"partition\", or `header` with its name",
        words: |word| match word {
            "key" => Some(OrderedBy::Key),
            "partition" => Some(OrderedBy::Partition),
            _ => None,
        },
        header: OrderedBy::Header,
    };
    from.deserialize_any(written).map(Some)
}

pub(super) fn dedup_key<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<DedupKeySettings>, D::Error> {
    let written = Identifying {
        expected: "\"message_id\", \"key\", or `header` with its name; a field or a function is code",
        words: |word| match word {
            "message_id" => Some(DedupKeySettings::MessageId),
            "key" => Some(DedupKeySettings::Key),
            _ => None,
        },
        header: DedupKeySettings::Header,
    };
    from.deserialize_any(written).map(Some)
}

/// A value in words or as a number.
struct Written<T> {
    expected: &'static str,
    words: fn(&str) -> Option<T>,
    number: fn(Number) -> Option<T>,
}

#[derive(Clone, Copy)]
enum Number {
    Whole(u64),
    Real(f64),
}

fn whole<N: TryFrom<u64>>(number: Number) -> Option<N> {
    match number {
        Number::Whole(number) => N::try_from(number).ok(),
        Number::Real(_) => None,
    }
}

fn in_units(words: &str) -> Option<usize> {
    const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)];
    let number_of = |(unit, shift): &(&str, u32)| Some((words.strip_suffix(unit)?, *shift));
    let (number, shift) = UNITS.iter().find_map(number_of).unwrap_or((words, 0));
    let number: usize = number.trim_end().parse().ok()?;
    number.checked_mul(1 << shift)
}

impl<T> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, words: &str) -> Result<T, E> {
        (self.words)(words).ok_or_else(|| E::invalid_value(Unexpected::Str(words), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        let value = (self.number)(Number::Whole(number));
        value.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        let value = (self.number)(Number::Real(number));
        value.ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Vec<String>, E> {
        Ok(vec![name.to_owned()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(names)
    }
}

struct Flag;

impl Visitor<'_> for Flag {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<bool, E> {
        Ok(flag)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<bool, E> {
        word.parse().map_err(|_| E::invalid_value(Unexpected::Str(word), &self))
    }
}

/// What tells messages apart: a word, or a header.
struct Identifying<T> {
    expected: &'static str,
    words: fn(&str) -> Option<T>,
    header: fn(String) -> T,
}

impl<'de, T> Visitor<'de> for Identifying<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        (self.words)(word).ok_or_else(|| E::invalid_value(Unexpected::Str(word), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        match map.next_entry::<String, String>()? {
            Some((word, name)) if word == "header" => Ok((self.header)(name)),
            Some((other, _)) => Err(A::Error::unknown_field(&other, &["header"])),
            None => Err(A::Error::missing_field("header")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let read = [("1024", 1024), ("7B", 7), ("2 KiB", 2048), ("64MiB", 64 << 20)];
        for (words, bytes) in read {
            assert_eq!(in_units(words), Some(bytes), "{words}");
        }
        for words in ["", "MiB", "1.5MiB", "-1", "64MB", "64mib", "18446744073709551615KiB"] {
            assert_eq!(in_units(words), None, "{words}");
        }
    }
}
