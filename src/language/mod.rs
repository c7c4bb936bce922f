//! A small language model that turns a request in words into a JSON answer.
//!
//! | file | what |
//! |---|---|
//! | `vocabulary` | text to tokens and back |
//! | `request` | what is asked: history, numbered candidates, an override; templates |
//! | `answer` | the right answer, and the strict check of a given one |
//! | `transformer` | the model: forward, backward, keys and values kept |
//! | `grammar` | the answer's schema as an automaton over tokens |
//! | `decode` | sampled and greedy answers, free or held to the grammar |
//! | `files` | the model on disk |
//!
//! `experiments::alignment` trains it; `reasoning::Local` asks it.

pub mod answer;
pub mod decode;
pub mod files;
pub mod grammar;
pub mod request;
pub mod transformer;
pub mod vocabulary;
