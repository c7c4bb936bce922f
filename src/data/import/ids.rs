//! Ids as text, numbered in the order in which they are first met.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Numeric ids below this take a table instead of the hash map: at most 16 MiB.
const DIRECT: usize = 1 << 22;

/// Ids met so far.
#[derive(Default)]
pub(super) struct Ids {
    /// One more than the number of the id that reads as this index; 0 where it was not met.
    direct: Vec<u32>,
    hashed: HashMap<Box<str>, u32, RandomState>,
    len: u32,
}

impl Ids {
    /// How many different ids were met.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The number of `id`, a new one where it is met for the first time.
    ///
    /// Numbers are u32: a caller meets fewer than `u32::MAX` ids.
    pub fn intern(&mut self, id: &str) -> u32 {
        if let Some(value) = plain_number(id) {
            if value >= self.direct.len() {
                self.direct.resize((value + 1).next_power_of_two(), 0);
            }
            if self.direct[value] == 0 {
                self.len += 1;
                self.direct[value] = self.len;
            }
            return self.direct[value] - 1;
        }
        if let Some(&number) = self.hashed.get(id) {
            return number;
        }
        let number = self.len;
        self.hashed.insert(id.into(), number);
        self.len += 1;
        number
    }

    /// The number of `id` where it was met.
    pub fn get(&self, id: &str) -> Option<u32> {
        match plain_number(id) {
            Some(value) => self.direct.get(value)?.checked_sub(1),
            None => self.hashed.get(id).copied(),
        }
    }

    /// The ids, by number.
    pub fn into_names(self) -> Vec<String> {
        let mut names = vec![String::new(); self.len as usize];
        for (value, number) in self.direct.iter().enumerate().filter(|(_, number)| **number > 0) {
            names[*number as usize - 1] = value.to_string();
        }
        for (id, number) in self.hashed {
            names[number as usize] = id.into_string();
        }
        names
    }
}

/// The value of an id that is exactly how a number below [`DIRECT`] is written: `007` is not.
fn plain_number(id: &str) -> Option<usize> {
    let bytes = id.as_bytes();
    if bytes.is_empty() || bytes.len() > 7 || (bytes[0] == b'0' && bytes.len() > 1) {
        return None;
    }
    let mut value = 0usize;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + usize::from(digit);
    }
    (value < DIRECT).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_as_written() {
        let mut ids = Ids::default();
        let texts = ["7", "007", "0", "tt7", "4194303", "4194304", "99999999999", "-1", "7"];
        let numbers: Vec<u32> = texts.iter().map(|id| ids.intern(id)).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 0]);
        assert_eq!(ids.len(), 8);
        assert_eq!(ids.get("007"), Some(1));
        assert_eq!(ids.get("8"), None);
        assert_eq!(ids.get("3000000"), None);
        assert_eq!(ids.into_names(), texts[..8]);
    }
}
