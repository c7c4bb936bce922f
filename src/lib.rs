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
//! | [`training`] | trainer, ablation over models × seeds, checkpoints, baselines | data, dynamics, evaluation, runs |
//! | [`figures`] | charts as SVG and PNG without a window | nobody |
//! | [`runs`] | the run store on disk: write, list, compare, export | evaluation, settings |
//! | [`dynamics`] | System 1 in plain tensors: cell, field, solvers, model, devices | burn, settings |
//! | [`evaluation`] | ranking metrics, intervals, significance | nobody |
//! | [`data`] | events, importers, the built-in set, catalogue, filters, splits | jobs, settings |
//! | [`jobs`] | long work: progress, events, pause, cancel | nobody |
//! | [`settings`] | every setting once; presets and config files | nobody |
//!
//! A training flows like this: `data::load` → `data::filter` → `data::split` → `training::ablation`
//! starts one `training::trainer` a run, which turns sequences into `dynamics::batch`es, steps
//! `dynamics::model`, and writes a folder through `runs` → `runs::AblationTable` compares them with
//! `evaluation`. The window starts the same as a [`jobs::Job`] and drains its events each frame;
//! the command line drains them to stderr.

pub mod cli;
pub mod data;
pub mod dynamics;
pub mod evaluation;
pub mod figures;
pub mod jobs;
pub mod runs;
pub mod settings;
pub mod training;
pub mod workbench;
