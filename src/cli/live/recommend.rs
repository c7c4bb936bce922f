//! `deepm3 recommend`: one request through the whole engine, without a server.

use std::sync::Arc;

use anyhow::Result;

use super::{config_of, run_of, served};
use crate::cli::arguments::{Common, ForceMode, RecommendOptions, Usage};
use crate::cli::output;
use crate::routing::Force;
use crate::serving::wire::{ItemId, RecommendRequest, RecommendResponse};
use crate::serving::{Engine, EngineOptions};
use crate::training::TrainEvent;

pub fn recommend(options: &RecommendOptions, common: &Common) -> Result<()> {
    let context = output::context::<TrainEvent>(common, |_| ())?;
    let (store, entry) = run_of(&options.run, common, &context)?;
    let config = config_of(&options.run, &entry)?;
    let model = Arc::new(served((&store, &entry), options.adapter.as_deref(), &context)?);
    let engine = Engine::start(EngineOptions { model, config, impressions: None, threads: 1 })?;
    let given = |times: &[f64]| (!times.is_empty()).then(|| times.to_vec());
    let request = RecommendRequest {
        user_id: options.user.clone(),
        recent_items: options.items.iter().map(|id| ItemId::of(id)).collect(),
        recent_times: given(&options.times),
        recent_timestamps: given(&options.timestamps),
        count: options.count,
        ..Default::default()
    };
    let force = match options.force {
        None => Force::No,
        Some(ForceMode::Fast) => Force::Fast,
        Some(ForceMode::Slow) => Force::Slow,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(engine.recommend(request, force));
    let response = answer.map_err(|error| Usage(in_options(&error.message)))?;
    if common.json {
        return output::json(&response);
    }
    print(&response);
    Ok(())
}

/// What the API says of its fields, of the options that fill them.
fn in_options(message: &str) -> String {
    [
        ("`recent_items`", "`--items`"),
        ("`recent_times`", "`--times`"),
        ("`recent_timestamps`", "`--timestamps`"),
        ("`count`", "`--count`"),
    ]
    .into_iter()
    .fold(message.to_owned(), |message, (field, option)| message.replace(field, option))
}

fn print(response: &RecommendResponse) {
    let meta = &response.data.meta;
    let conflict = meta.conflict.map_or("not available".to_owned(), |bits| format!("{bits:.3}"));
    println!(
        "run {}, {} in {}: {}",
        meta.model,
        response.data.reasoning_source.as_str(),
        response.latency,
        meta.explanation
    );
    println!("entropy {:.3}, conflict {conflict}\n", meta.entropy);
    for (place, one) in response.data.recommendations.iter().enumerate() {
        let title = one.title.as_deref().unwrap_or("");
        println!(
            "{:>3}  {:<10} {:>7.4}  {title:<40}  {}",
            place + 1,
            one.item.to_string(),
            one.score,
            one.reason
        );
    }
    if let Some(used) = &meta.reasoner
        && used.simulated
    {
        println!("\nSystem 2 is the mock: its latency and tokens are simulated.");
    }
    for warning in &meta.warnings {
        println!("\nwarning: {}", warning.message);
    }
}
