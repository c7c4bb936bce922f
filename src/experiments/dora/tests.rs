use burn::tensor::Device;

use super::*;
use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::model::System1;
use crate::dynamics::parameters::{self, upload};
use crate::dynamics::warp::TimeWarp;
use crate::jobs::{self, Control};
use crate::runs::{Origin, RunStore};
use crate::settings::{AdapterSettings, DomainShift};
use crate::training::adapter::AdapterFile;
use crate::training::evaluate::batch_of;

fn config() -> Config {
    let mut config = Config::load(ABOUT.preset).unwrap();
    config.model.hidden = 8;
    config.training.epochs = 6;
    config.training.batch_size = 32;
    config.adapter.epochs = 10;
    config.adapter.learning_rate = 0.03;
    config.adapter.rank = 4;
    config.adapter.alpha = 8.0;
    config
}

fn prepared(config: &Config) -> Prepared {
    let context = jobs::detached::<()>(Control::default(), |_, _| ());
    let options = DriftOptions { users: 400, items: 60, ..Default::default() };
    let data = drift(options, || Ok(())).unwrap();
    Prepared::from_dataset(&data, config, &context).unwrap()
}

#[test]
fn a_source_model_never_predicts_the_target_and_a_batch_never_asks_it_to() {
    let config = config();
    let prepared = prepared(&config);
    let of = |genre: &str| AdapterSettings { genre: genre.to_owned(), ..Default::default() };
    let shift = Shift::new(&prepared, &of("comedy")).unwrap();
    assert!(Shift::new(&prepared, &of("opera")).is_err());
    let data = &prepared.data;
    for target in [false, true] {
        let sequences = shift.sequences(&prepared.split.train, target);
        let shape = (sequences.len(), prepared.split.input_len);
        let batch = shift.batch(data, &sequences, shape, &config.model, target);
        let asked: Vec<usize> =
            batch.targets.iter().filter(|&&item| item > 0).map(|&item| item as usize - 1).collect();
        assert!(!asked.is_empty());
        let comedy = data.genres.iter().position(|genre| genre == "Comedy").unwrap() as u16;
        assert!(asked.iter().all(|&item| data.meta[item].genres.contains(&comedy) == target));
    }
}

#[test]
fn every_method_gains_on_the_target_over_a_model_that_never_saw_it() {
    let config = config();
    let prepared = prepared(&config);
    let shift = Shift::new(&prepared, &config.adapter).unwrap();
    let go_on = || Ok(());
    let tell = |_, _, _| ();
    let setting =
        Setting { config: &config, prepared: &prepared, shift: &shift, go_on: &go_on, tell: &tell };
    let outcome = one(&setting, 1, true, &|_, _| ()).unwrap();
    let frozen = outcome.ndcg[0][1];
    for (place, method) in Method::ALL.into_iter().enumerate().skip(1) {
        let adapted = outcome.ndcg[place][1];
        assert!(adapted > frozen + 0.05, "{}: {adapted} against {frozen}", method.title());
    }
    // A broken adaptation gains nothing: with no learning rate every method is the frozen model.
    let mut still = config.clone();
    still.adapter.learning_rate = 0.0;
    let setting = Setting { config: &still, ..setting };
    let unmoved = one(&setting, 1, false, &|_, _| ()).unwrap();
    for ndcg in &unmoved.ndcg {
        assert!((ndcg[1] - frozen).abs() < 1e-3, "{ndcg:?} against {frozen}");
    }
    assert_eq!(outcome.trained[0], 0);
    // From the source model on, a point an epoch.
    assert!(outcome.paths[1..].iter().all(|path| path.len() == 11 && path[0] == outcome.ndcg[0]));
    let names: Vec<&str> = outcome.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["adapter-lora.safetensors", "adapter-dora.safetensors"]);

    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(Some(folder.path())).unwrap();
    let context = jobs::detached::<()>(Control::default(), |_, _| ());
    let source = outcome.source.as_deref().unwrap();
    let run = keep(&store, (&config, &prepared, &shift), &outcome, source, &context).unwrap();
    let summary = store.find(&run).unwrap().summary.unwrap();
    assert!(matches!(&summary.origin, Some(Origin::Experiment { .. })));
    assert!(summary.hr10.mean > 0.0 && summary.train_loss == outcome.source_loss);
    assert!(store.find("latest").is_err(), "it is made for its adapters alone");
}

#[test]
fn a_shift_in_time_asks_for_what_came_later() {
    let mut config = config();
    config.adapter.shift = DomainShift::Later;
    let prepared = prepared(&config);
    let shift = Shift::new(&prepared, &config.adapter).unwrap();
    let data = &prepared.data;
    let times = |target: bool| {
        let all = data.time.iter().zip(&shift.is_target);
        all.filter(move |(_, is)| **is == target).map(|(time, _)| *time)
    };
    assert!(times(false).max() < times(true).min());
    let share = times(true).count() as f64 / data.events() as f64;
    assert!((share - 0.25).abs() < 0.01, "{share}");
    config.adapter.genre = "comedy".to_owned();
    assert!(Shift::new(&prepared, &config.adapter).is_err(), "one or the other");
}

#[test]
fn an_adapter_read_from_its_file_and_merged_scores_as_it_did_while_training() {
    let config = config();
    let prepared = prepared(&config);
    let shift = Shift::new(&prepared, &config.adapter).unwrap();
    let go_on = || Ok(());
    let tell = |_, _, _| ();
    let setting =
        Setting { config: &config, prepared: &prepared, shift: &shift, go_on: &go_on, tell: &tell };
    let (source, loss) = setting.source(1).unwrap();
    assert!(loss > 0.0 && loss < 5.0, "{loss}");
    let adapted = setting.adapt(Method::Dora, &source, 1).unwrap();
    let bytes = adapted.adapter.unwrap();
    let file = AdapterFile::decode("dora", &bytes, &config.model, &source).unwrap();
    assert_eq!(file.domain, shift.name);
    let (adapter, merged) = (&file.adapter, file.merge(&source));
    // As it is composed for training.
    let device = Device::flex();
    let named: Vec<_> =
        source.iter().map(|m| m.name.clone()).zip(upload(&source, &device)).collect();
    let composed = adapter.compose(&named, &upload(&file.parts, &device));
    let queries = &prepared.split.test[..20];
    let batch = batch_of(&prepared.data, queries, 20, prepared.split.input_len, TimeWarp::LINEAR);
    let scores = |tensors: &[burn::tensor::Tensor<2>]| {
        parameters::values(&System1::new(&config.model, tensors).forward(&batch))
    };
    let (a, b) = (scores(&composed), scores(&upload(&merged, &device)));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4));
    // And not as the source does.
    let c = scores(&upload(&source, &device));
    assert!(a.iter().zip(&c).any(|(a, c)| (a - c).abs() > 0.1));
}

#[test]
fn scoring_only_what_is_asked_gives_the_loss_of_the_whole_batch() {
    let config = config();
    let prepared = prepared(&config);
    let shift = Shift::new(&prepared, &config.adapter).unwrap();
    let sequences = &shift.sequences(&prepared.split.train, true)[..30];
    let shape = (30, prepared.split.input_len);
    let batch = shift.batch(&prepared.data, sequences, shape, &config.model, true);
    let weights = parameters::initial(&config.model, prepared.data.items(), 1);
    let model = System1::new(&config.model, &upload(&weights, &Device::flex()));
    let [ours, whole] = [learn::loss(&model, &batch), model.loss(&batch, None)]
        .map(|loss| loss.into_scalar::<f32>());
    assert!((ours - whole).abs() < 1e-4, "{ours} {whole}");
}
