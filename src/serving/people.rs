//! Real users to ask for: the held-out ones of a run.

use std::sync::Arc;

use super::traffic::Person;
use crate::data::Dataset;
use crate::data::split::Split;

/// Users that are taken, at most.
const MOST: usize = 20_000;

/// The held-out users of `split` with the histories they had when asked; of very many, some evenly
/// taken.
pub fn held_out(data: &Dataset, split: &Split) -> Arc<[Person]> {
    let every = split.test.len().div_ceil(MOST).max(1);
    split
        .test
        .iter()
        .step_by(every)
        .map(|query| {
            let history = query.start..query.target;
            let ids = data.item[history.clone()].iter();
            Person {
                user_id: data.user_ids[query.user].clone(),
                items: ids.map(|&item| data.item_ids[item as usize].clone()).collect(),
                times: data.time[history].to_vec(),
                query_time: data.time[query.target],
            }
        })
        .collect()
}
