//! Sums over a few among many items, as a look gathers them.

/// Values of a few among many items, added up; empty again once they are taken out.
#[derive(Default)]
pub(super) struct Sums<const N: usize> {
    /// Of every item: 0 but for those that are present.
    values: Vec<[f32; N]>,
    /// A bit for every item, set where something was added.
    present: Vec<u64>,
}

impl<const N: usize> Sums<N> {
    /// Make room for so many items.
    pub fn fit(&mut self, items: usize) {
        if self.values.len() < items {
            self.values.resize(items, [0.0; N]);
            self.present.resize(items.div_ceil(u64::BITS as usize), 0);
        }
    }

    #[inline]
    pub fn add(&mut self, item: u32, by: [f32; N]) {
        let values = &mut self.values[item as usize];
        values.iter_mut().zip(by).for_each(|(value, by)| *value += by);
        self.present[(item / u64::BITS) as usize] |= 1 << (item % u64::BITS);
    }

    /// Take out the items that are present, in their order.
    pub fn take(&mut self, mut each: impl FnMut(u32, [f32; N])) {
        for (word, bits) in self.present.iter_mut().enumerate() {
            while *bits != 0 {
                let item = word as u32 * u64::BITS + bits.trailing_zeros();
                *bits &= *bits - 1;
                each(item, std::mem::replace(&mut self.values[item as usize], [0.0; N]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_comes_out_in_the_order_of_items_and_only_once() {
        let mut sums = Sums::default();
        sums.fit(130);
        for (item, value) in [(128, 1.0), (3, 2.0), (128, 4.0), (63, 8.0), (64, 16.0), (0, 32.0)] {
            sums.add(item, [value, -value]);
        }
        let out = |sums: &mut Sums<2>| {
            let mut out = Vec::new();
            sums.take(|item, values| out.push((item, values)));
            out
        };
        let expected = [(0, 32.0), (3, 2.0), (63, 8.0), (64, 16.0), (128, 5.0)];
        assert_eq!(out(&mut sums), expected.map(|(item, value)| (item, [value, -value])));
        assert!(out(&mut sums).is_empty());
        // Room that was used before is empty.
        sums.fit(200);
        sums.add(128, [1.0, 1.0]);
        sums.add(199, [2.0, 2.0]);
        assert_eq!(out(&mut sums), [(128, [1.0, 1.0]), (199, [2.0, 2.0])]);
    }
}
