//! What is known of items besides System 1's scores: what is taken together, genres, and what is
//! alive now. Counted over training events only.

/// Neighbours kept for each item.
const NEIGHBOURS: usize = 50;
/// An item this many events later in a sequence still counts as taken together.
const REACH: usize = 5;
/// Half-life of an event's weight in an item's recency, as a share of the span of the data.
const RECENT_SHARE: f64 = 0.05;

/// Evidence for ranking candidates. Immutable.
pub struct Evidence {
    genre_names: Vec<String>,
    genre_offsets: Vec<u32>,
    genres: Vec<u16>,
    /// CSR: for each item its neighbours in the order of their indices.
    offsets: Vec<u32>,
    neighbours: Vec<(u32, f32)>,
    /// 0..=1 for each item: its decayed count at the end of the data over its plain count.
    recency: Vec<f32>,
}

impl Evidence {
    /// Count `sequences` of items and times (Unix milliseconds, never falling).
    pub fn build<'a>(
        items: usize,
        genre_names: Vec<String>,
        item_genres: impl Fn(usize) -> &'a [u16],
        sequences: impl Iterator<Item = (&'a [u32], &'a [i64])>,
    ) -> Self {
        let (mut genre_offsets, mut genres) = (vec![0u32], Vec::new());
        for item in 0..items {
            genres.extend_from_slice(item_genres(item));
            genre_offsets.push(genres.len() as u32);
        }
        let mut pairs: Vec<(u32, u32, f32)> = Vec::new();
        let mut counts = vec![0f32; items];
        let mut events: Vec<(u32, i64)> = Vec::new();
        for (sequence, times) in sequences {
            for (place, &item) in sequence.iter().enumerate() {
                counts[item as usize] += 1.0;
                let later = sequence[place + 1..].iter().take(REACH).enumerate();
                pairs.extend(later.map(|(gap, &next)| (item, next, 1.0 / (gap + 1) as f32)));
            }
            events.extend(sequence.iter().copied().zip(times.iter().copied()));
        }
        let recency = recency(&events, &counts);
        pairs.sort_unstable_by_key(|&(item, next, _)| (item, next));
        pairs.dedup_by(|later, first| {
            let same = (later.0, later.1) == (first.0, first.1);
            if same {
                first.2 += later.2;
            }
            same
        });
        let (mut offsets, mut neighbours) = (vec![0u32], Vec::new());
        let mut rest = pairs.as_slice();
        for item in 0..items as u32 {
            let own = rest.partition_point(|pair| pair.0 <= item);
            let (of, after) = rest.split_at(own);
            rest = after;
            // Cosine-like: popular items are everybody's neighbours and say little.
            let mut of: Vec<(u32, f32)> = of
                .iter()
                .map(|&(_, next, weight)| {
                    let size = counts[item as usize] * counts[next as usize];
                    (next, weight / size.sqrt().max(1.0))
                })
                .collect();
            of.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            of.truncate(NEIGHBOURS);
            of.sort_unstable_by_key(|&(next, _)| next);
            neighbours.extend(of);
            offsets.push(neighbours.len() as u32);
        }
        Self { genre_names, genre_offsets, genres, offsets, neighbours, recency }
    }

    /// How strongly `next` is taken after `item`: 0 where it is not among its neighbours.
    pub fn covisit(&self, item: u32, next: u32) -> f32 {
        let range = self.offsets[item as usize] as usize..self.offsets[item as usize + 1] as usize;
        let of = &self.neighbours[range];
        of.binary_search_by_key(&next, |&(known, _)| known).map_or(0.0, |place| of[place].1)
    }

    /// How much of an item's life is recent: 0..=1.
    pub fn recency(&self, item: u32) -> f32 {
        self.recency[item as usize]
    }

    pub fn genres(&self, item: u32) -> &[u16] {
        let range = self.genre_offsets[item as usize] as usize
            ..self.genre_offsets[item as usize + 1] as usize;
        &self.genres[range]
    }

    pub fn genre_names(&self) -> &[String] {
        &self.genre_names
    }
}

fn recency(events: &[(u32, i64)], counts: &[f32]) -> Vec<f32> {
    let first = events.iter().map(|event| event.1).min().unwrap_or_default();
    let last = events.iter().map(|event| event.1).max().unwrap_or_default();
    let half_life = ((last - first) as f64 * RECENT_SHARE).max(1.0);
    let mut decayed = vec![0f32; counts.len()];
    for &(item, time) in events {
        decayed[item as usize] += (-((last - time) as f64) / half_life).exp2() as f32;
    }
    decayed.iter().zip(counts).map(|(decayed, count)| decayed / count.max(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 0, 1, 2 in two sequences; item 2 only at the end of time.
    fn evidence() -> Evidence {
        let sequences: [(&[u32], &[i64]); 2] =
            [(&[0, 1, 0], &[0, 100, 200]), (&[0, 1, 2], &[0, 500, 1000])];
        let genres: [&[u16]; 3] = [&[0], &[0, 1], &[]];
        let names = vec!["Drama".to_owned(), "Comedy".to_owned()];
        Evidence::build(3, names, |item| genres[item], sequences.into_iter())
    }

    #[test]
    fn neighbours_are_weighted_by_distance_and_by_how_common_they_are() {
        let evidence = evidence();
        // 0 → 1 directly, twice; counts 3 and 2.
        assert!((evidence.covisit(0, 1) - 2.0 / 6f32.sqrt()).abs() < 1e-6);
        // 0 → 0 and 0 → 2 over one event, once each.
        assert!((evidence.covisit(0, 0) - 0.5 / 3.0).abs() < 1e-6);
        assert!((evidence.covisit(0, 2) - 0.5 / 3f32.sqrt()).abs() < 1e-6);
        assert_eq!(evidence.covisit(2, 0), 0.0, "nothing came after 2");
    }

    #[test]
    fn an_item_taken_at_the_end_of_time_is_recent() {
        let evidence = evidence();
        assert_eq!(evidence.recency(2), 1.0);
        assert!(evidence.recency(0) < 1e-3);
        // Half-life 50 ms: 1 was taken 500 and 900 ms before the end.
        assert!((evidence.recency(1) - (2f32.powi(-10) + 2f32.powi(-18)) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn only_the_strongest_neighbours_are_kept() {
        let sequences: Vec<[u32; 2]> = (1..=80).map(|next| [0, next]).collect();
        let times = [0i64, 1];
        let evidence = Evidence::build(
            81,
            Vec::new(),
            |_| &[],
            sequences.iter().map(|items| (&items[..], &times[..])),
        );
        let kept = (1..=80).filter(|&next| evidence.covisit(0, next) > 0.0).count();
        assert_eq!(kept, NEIGHBOURS);
    }
}
