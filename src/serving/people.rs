//! Real users to ask for: the held-out ones of a run.

use std::sync::Arc;

use super::traffic::Person;
use crate::data::Dataset;
use crate::data::split::Split;

/// The held-out users of `split` with the histories they had when asked, `most` of them at most,
/// evenly taken.
pub fn held_out(data: &Dataset, split: &Split, most: usize) -> Arc<[Person]> {
    let every = split.test.len().div_ceil(most.max(1)).max(1);
    split
        .test
        .iter()
        .step_by(every)
        .map(|query| {
            let start = query.start.max(query.target.saturating_sub(split.input_len));
            let history = start..query.target;
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
