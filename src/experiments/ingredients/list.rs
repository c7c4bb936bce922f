//! The ingredients, and what the settings are without each of them.

use crate::experiments::ExperimentError;
use crate::settings::{Config, EmbeddingStart, Head, ItemDynamics, Solver, Targets, Warp};

/// Something of a model that can be taken away or exchanged.
pub struct Ingredient {
    /// As in `study.ingredients`.
    pub word: &'static str,
    /// What is done, for people.
    pub about: &'static str,
    /// Another model altogether, and not this one without something.
    pub rival: bool,
    /// Change the settings and say what that makes of the model; none where it changes nothing.
    pub change: fn(&mut Config) -> Option<&'static str>,
}

pub const INGREDIENTS: [Ingredient; 16] = [
    Ingredient {
        word: "item-dynamics",
        about: "The item dynamics are taken away: the user's state alone decides",
        rival: false,
        change: |config| {
            let had = has_dynamics(config);
            config.model.item_dynamics = ItemDynamics::None;
            had.then_some("Without item dynamics")
        },
    },
    Ingredient {
        word: "intensity",
        about: "Of the item dynamics only the intensity stays",
        rival: false,
        change: |config| {
            let both = config.model.item_dynamics == ItemDynamics::Both;
            config.model.item_dynamics = ItemDynamics::Intensity;
            both.then_some("Intensity only")
        },
    },
    Ingredient {
        word: "company",
        about: "Of the item dynamics only the company of the history's items stays",
        rival: false,
        change: |config| {
            let both = config.model.item_dynamics == ItemDynamics::Both;
            config.model.item_dynamics = ItemDynamics::Company;
            both.then_some("Company only")
        },
    },
    Ingredient {
        word: "mask-seen",
        about: "Items of the sequence so far take part in the loss",
        rival: false,
        change: |config| {
            let masked = std::mem::replace(&mut config.training.mask_seen, false);
            masked.then_some("Seen items in the loss")
        },
    },
    Ingredient {
        word: "factors",
        about: "Item embeddings begin as random numbers, not as factors of shared users",
        rival: false,
        change: |config| {
            let began = std::mem::replace(&mut config.training.embedding, EmbeddingStart::Random);
            (began == EmbeddingStart::Factors).then_some("Random embeddings at first")
        },
    },
    Ingredient {
        word: "averaging",
        about: "Weights are validated and kept as the last step left them",
        rival: false,
        change: |config| {
            let averaged = std::mem::replace(&mut config.training.averaging, 0.0);
            (averaged > 0.0).then_some("Weights not averaged")
        },
    },
    Ingredient {
        word: "query-gap",
        about: "The model does not know how long ago the last event was",
        rival: false,
        change: |config| {
            let reads = !matches!(config.model.solver, Solver::Gru | Solver::SasRec);
            let gap = std::mem::replace(&mut config.model.query_gap, false);
            (gap && reads).then_some("Without the query gap")
        },
    },
    Ingredient {
        word: "gru",
        about: "The state waits for the next event instead of flowing",
        rival: false,
        change: |config| {
            let flowed = config.model.solver.flows();
            config.model.solver = Solver::Gru;
            flowed.then_some("GRU instead of the flow")
        },
    },
    Ingredient {
        word: "warp",
        about: "Linear time in place of logarithmic, or the other way round",
        rival: false,
        change: |config| {
            let (other, title) = match config.model.warp {
                Warp::Log1p => (Warp::Linear, "Linear time"),
                Warp::Linear => (Warp::Log1p, "Logarithmic time"),
            };
            config.model.warp = other;
            config.model.solver.flows().then_some(title)
        },
    },
    Ingredient {
        word: "time-scale",
        about: "Logarithmic time bends at a day, whatever scale suits the data",
        rival: false,
        change: |config| {
            let scale = std::mem::replace(&mut config.model.time_scale, 1.0);
            let scaled = config.model.warp == Warp::Log1p && scale != 1.0;
            (scaled && config.model.solver.flows() && !config.model.learn_time_scale)
                .then_some("A time scale of one day")
        },
    },
    Ingredient {
        word: "learned-scale",
        about: "The time scale stays as it is set",
        rival: false,
        change: |config| {
            let learned = config.model.learns_time_scale();
            config.model.learn_time_scale = false;
            learned.then_some("A fixed time scale")
        },
    },
    Ingredient {
        word: "head",
        about: "The head has weights of its own instead of the item embedding's",
        rival: false,
        change: |config| {
            let tied = config.model.head == Head::Tied;
            config.model.head = Head::Linear;
            tied.then_some("A head of its own")
        },
    },
    Ingredient {
        word: "targets",
        about: "The loss is at the last event only instead of at every position",
        rival: false,
        change: |config| {
            let all = config.model.targets == Targets::All;
            config.model.targets = Targets::Last;
            all.then_some("Last event as only target")
        },
    },
    Ingredient {
        word: "dropout",
        about: "Nothing is dropped in training",
        rival: false,
        change: |config| {
            let dropped = std::mem::replace(&mut config.model.dropout, 0.0);
            (dropped > 0.0).then_some("Without dropout")
        },
    },
    Ingredient {
        word: "sasrec",
        about: "Attention in place of the whole state, without item dynamics: a rival",
        rival: true,
        change: |config| {
            let had = has_dynamics(config);
            config.model.item_dynamics = ItemDynamics::None;
            let title = if had { "SASRec, without dynamics" } else { "SASRec" };
            becomes_sasrec(config).then_some(title)
        },
    },
    Ingredient {
        word: "sasrec-dynamics",
        about: "Attention in place of the state, beside the same item dynamics: a rival",
        rival: true,
        change: |config| {
            let has = has_dynamics(config);
            (becomes_sasrec(config) && has).then_some("SASRec, with dynamics")
        },
    },
];

fn has_dynamics(config: &Config) -> bool {
    config.model.item_dynamics != ItemDynamics::None
}

/// Put SASRec in the solver's place; whether that is another kind of model.
fn becomes_sasrec(config: &mut Config) -> bool {
    !std::mem::replace(&mut config.model.solver, Solver::SasRec).is_attention()
}

/// Those that `text` names, separated by commas, in the order of [`INGREDIENTS`]; all of them where
/// it names none.
///
/// # Errors
/// [`ExperimentError::Ingredient`] with those there are, where one is not known.
pub fn asked(text: &str) -> Result<Vec<&'static Ingredient>, ExperimentError> {
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    let is_known = |word: &str| INGREDIENTS.iter().any(|one| one.word == word);
    if let Some(given) = words.iter().find(|word| !is_known(word)) {
        let known: Vec<&str> = INGREDIENTS.iter().map(|one| one.word).collect();
        let (given, known) = ((*given).to_owned(), known.join(", "));
        return Err(ExperimentError::Ingredient { given, known });
    }
    let named = |one: &&Ingredient| words.is_empty() || words.contains(&one.word);
    Ok(INGREDIENTS.iter().filter(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an ingredient makes of `set`.
    fn without(word: &str, set: &[&str]) -> Option<(&'static str, Config)> {
        let mut config = Config::default();
        for assignment in set {
            config.set_text(assignment).unwrap();
        }
        let one = INGREDIENTS.iter().find(|one| one.word == word).unwrap();
        (one.change)(&mut config).map(|title| (title, config))
    }

    #[test]
    fn what_is_not_there_cannot_be_taken_away() {
        let absent = ["item-dynamics", "intensity", "mask-seen", "factors", "averaging"];
        assert!(without("learned-scale", &["model.warp=log1p"]).is_none());
        for word in absent.into_iter().chain(["query-gap", "head", "dropout"]) {
            assert!(without(word, &[]).is_none(), "{word}");
        }
        assert!(without("time-scale", &["model.time_scale=7"]).is_none(), "linear time has none");
        for word in ["gru", "warp", "time-scale", "query-gap"] {
            assert!(without(word, &["model.solver=gru", "model.query_gap=true"]).is_none());
        }
        assert!(without("sasrec", &["model.solver=tisasrec"]).is_none());
        assert!(without("intensity", &["model.item_dynamics=company"]).is_none());
        assert!(without("sasrec-dynamics", &[]).is_none());
    }

    #[test]
    fn one_setting_changes_and_the_title_says_what_that_makes() {
        let (title, config) = without("company", &["model.item_dynamics=both"]).unwrap();
        assert_eq!((title, config.model.item_dynamics), ("Company only", ItemDynamics::Company));
        assert_eq!(without("warp", &["model.warp=log1p"]).unwrap().0, "Linear time");
        assert_eq!(without("warp", &["model.warp=linear"]).unwrap().0, "Logarithmic time");
        let scaled = ["model.warp=log1p", "model.time_scale=7"];
        let (title, config) = without("time-scale", &scaled).unwrap();
        assert_eq!((title, config.model.time_scale), ("A time scale of one day", 1.0));
        let learned = ["model.warp=log1p", "model.time_scale=7", "model.learn_time_scale=true"];
        assert!(without("time-scale", &learned).is_none(), "it only starts there");
        let (title, config) = without("learned-scale", &learned).unwrap();
        assert_eq!((title, config.model.learn_time_scale), ("A fixed time scale", false));
        assert_eq!(without("sasrec", &[]).unwrap().0, "SASRec");
        let (title, config) = without("sasrec", &["model.item_dynamics=both"]).unwrap();
        assert_eq!(title, "SASRec, without dynamics");
        assert_eq!(config.model.item_dynamics, ItemDynamics::None);
    }

    #[test]
    fn an_unknown_word_is_refused_with_those_there_are() {
        let words =
            |text| -> Vec<&str> { asked(text).unwrap().iter().map(|one| one.word).collect() };
        assert_eq!(words("gru, item-dynamics,"), ["item-dynamics", "gru"]);
        assert_eq!(words(" ").len(), INGREDIENTS.len());
        let error = asked("gru,salt").err().unwrap().to_string();
        assert!(error.contains("`salt`") && error.contains("query-gap"), "{error}");
    }
}
