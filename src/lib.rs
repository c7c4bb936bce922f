//! DeepM3 Workbench: train, compare, understand and route recommender models whose user state is
//! discrete or flows in continuous time.
//!
//! # ARCHITECTURE
//!
//! One package, a library and a thin binary. Dependencies point one way, down this list:
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | [`workbench`], [`cli`] | the window and the headless commands, on the same engine | all below |
//! | [`experiments`] | the original README's experiments, measured, and studies beyond them: tables, figures, write-up | all below |
//! | [`analysis`] | what a finished run has learned: attractors, users' ways, their pictures | all below |
//! | [`serving`] | the engine that answers requests, its HTTP API, telemetry, traffic, replay | all below |
//! | [`reasoning`] | System 2: the trait, the mock, the LLM client, the local model, the circuit breaker | settings, language |
//! | [`training`] | trainer, ablation over models × seeds, tuning, checkpoints, adapters' files, baselines | data, dynamics, evaluation, runs |
//! | [`language`] | a small language model that answers requests in JSON: tokens, transformer, decoding, strict check | dynamics' matrix products, runs' files |
//! | [`figures`] | charts as SVG and PNG without a window | nobody |
//! | [`runs`] | the run store on disk: write, list, compare, export | evaluation, settings |
//! | [`dynamics`] | System 1: in plain tensors, in CPU and GPU kernels for training, in CPU kernels for serving; adapters; attractors; devices | burn, settings |
//! | [`evaluation`] | ranking metrics, intervals, significance, calibration, the quality–cost frontier | routing |
//! | [`routing`] | uncertainty, budget, the router's decision: no tensors, no I/O, no clock | settings |
//! | [`data`] | events, importers, the built-in set, catalogue, filters, splits | jobs, settings |
//! | `remote` | what servers of others say, and why they cannot be asked | nobody |
//! | `exponential` | eˣ that vectorises, for scores and activations | nobody |
//! | [`jobs`] | long work: progress, events, pause, cancel | nobody |
//! | [`settings`] | every setting once; presets and config files | nobody |
//!
//! A training flows like this: `data::load` → `data::filter` → `data::split` → `training::ablation`
//! starts one `training::trainer` a run, which turns sequences into `dynamics::batch`es, steps
//! `dynamics::fused` on the CPU, `dynamics::gpu` on a GPU (where that cannot, `dynamics::model`), and writes a folder through `runs` → `runs::AblationTable` compares them with
//! `evaluation`. A request flows like this: `serving::http` reads it → `serving::Engine` checks it,
//! looks into its cache, lets System 1 (`dynamics::packed`) score all items, asks `routing` which
//! path to take, perhaps asks `reasoning`, and tells `serving::telemetry` and
//! `serving::impressions`; `serving::replay` does the same to held-out requests. The window starts the same as a [`jobs::Job`] and drains its events each frame;
//! the command line drains them to stderr.

pub mod analysis;
pub mod cli;
pub mod data;
pub mod dynamics;
pub mod evaluation;
pub mod experiments;
mod exponential;
pub mod figures;
pub mod jobs;
pub mod language;
pub mod reasoning;
mod remote;
pub mod routing;
pub mod runs;
pub mod serving;
pub mod settings;
pub mod training;
pub mod workbench;
