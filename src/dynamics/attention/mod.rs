//! Attention in place of a state: SASRec and TiSASRec, forward and backward by hand on the CPU.
//!
//! SASRec (Kang & McAuley 2018) is a stack of causal self-attention and pointwise feed-forward layers
//! over a user's last items; TiSASRec (Li, Wang & McAuley 2020) adds embeddings of the times between
//! them to keys and values (Shaw, Uszkoreit & Vaswani 2018). Both are baselines here: what is known
//! to be strong, trained and judged as System 1 is.
//!
//! x ← √H·E\[item\] + P\[position\], then in each block x ← x + attention(norm x) and
//! x ← x + W₂·relu(W₁·norm x + b₁) + b₂, then a last norm with gain and bias, and the head. As in
//! the papers, with the loss over all items instead of one sampled negative, which is what makes
//! SASRec strong (Klenitskiy & Vasilev 2023; Petrov & Macdonald 2023). What differs besides:
//!
//! - norms within a block have no gain and bias, which the matrices behind them have anyway, and
//!   keys and values are taken of the normed input as well (pre-norm);
//! - heads are put together by a matrix, as in every transformer since;
//! - dropout is on the embedded items and on what each half of a block adds, not on attention;
//! - positions are counted back from the last event, so that they mean the same in every window;
//! - TiSASRec's times are measured as `intervals` says. Its query's time counts where
//!   `model.query_gap` asks for it: the model then knows how long ago each event is.
//!
//! A step is [`super::fused`]'s: the plan, the head, the loss and Adam are the same, and the
//! results are the same to the bit whatever the number of threads.
//!
//! | file | what |
//! |---|---|
//! | `rows` | norm, softmax and activation, row by row |
//! | `heads` | one sequence's attention and its derivative |
//! | `intervals` | times between events as rows of a table |
//! | `weights` | the parameters by name |
//! | `shard` | a few histories laid end to end without padding, and what is kept of them |
//! | `forward`, `backward` | a shard forward and back |
//! | `gradients` | the gradients of the weights |
//! | `step` | a batch, wave after wave |
//! | `reader` | the model that answers requests |

mod backward;
mod forward;
mod gradients;
pub(crate) mod heads;
mod intervals;
mod reader;
pub(crate) mod rows;
mod shard;
mod step;
mod weights;

#[cfg(test)]
mod tests;

pub use reader::{ROWS, Reader};
pub(in crate::dynamics) use step::{Attention, Task};
