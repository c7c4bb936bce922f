//! On real data, where it is at hand.

use std::path::PathBuf;

use crate::program::json;

/// The MovieTweetings 100K files, from `DEEPM3_SHARED_DATA` or `../shared/data`.
fn movietweetings() -> Option<PathBuf> {
    let folder = std::env::var_os("DEEPM3_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let file = folder.join("movietweetings-100k/ratings.dat");
    file.exists().then_some(file)
}

/// DeepM3's own protocol and model. The original's GRU reaches HR@10 0.178 to 0.182 there.
#[test]
fn the_gru_reaches_the_original_on_movietweetings() {
    let Some(file) = movietweetings() else {
        println!("skipped: MovieTweetings 100K is not at hand; set DEEPM3_SHARED_DATA");
        return;
    };
    let runs = tempfile::tempdir().unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["train", "--preset", "readme-ablation", "--model", "gru", "--data", file];
    let result = json(runs.path(), &arguments);
    assert_eq!(result["data"]["users"], 4692);
    assert_eq!(result["n"], 939);
    let hr10 = result["hr10"].as_f64().unwrap();
    assert!((0.155..=0.205).contains(&hr10), "{result}");
    // Counted apart, over the whole histories of the training users: 112 hits of 939.
    let popularity = &result["baselines"][0]["hr10"]["mean"];
    assert!((popularity.as_f64().unwrap() - 112.0 / 939.0).abs() < 0.003, "{popularity}");
}
