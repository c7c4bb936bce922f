//! The settings themselves. One line each: type, default, range, label, unit, help.

use serde::{Deserialize, Serialize};

use super::{Kind, Setting, SettingError, SettingValue, Value};

/// An enum whose variants are the words of a [`Kind::Choice`].
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// The words a user writes, in order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word a user writes for this variant.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = SettingError;
            fn from_str(text: &str) -> Result<Self, SettingError> {
                let kind = Kind::Choice(Self::WORDS);
                let value = kind.check(stringify!($name), Value::Text(text.to_owned()))?;
                Self::from_value(value).ok_or_else(|| SettingError::NotAnAssignment(text.to_owned()))
            }
        }

        impl SettingValue for $name {
            fn to_value(&self) -> Value { Value::Text(self.word().to_owned()) }
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Text(text) => Self::ALL.iter().copied().find(|v| v.word() == text),
                    _ => None,
                }
            }
        }
    };
}

choice! {
    /// How a history becomes a state: a GRU whose state flows over the gaps between events by a
    /// solver, or attention over the events, which has no state that flows.
    Solver {
        /// No flow: the state waits for the next event.
        Gru = "gru",
        /// Explicit Euler, order 1.
        Euler = "euler",
        /// Classical Runge–Kutta, order 4.
        Rk4 = "rk4",
        /// Every unit decays towards a rest of its own, in closed form.
        Decay = "decay",
        /// Closed-form continuous time: one evaluation a gap, with gates and a rest that depend on
        /// the state.
        Cfc = "cfc",
        /// The field of GRU-ODE, integrated by Runge–Kutta of order 4.
        GruOde = "gru-ode",
        /// Self-attention over the items (Kang & McAuley 2018).
        SasRec = "sasrec",
        /// The same, aware of the times between events (Li, Wang & McAuley 2020).
        TiSasRec = "tisasrec",
    }
}

impl Solver {
    /// Name as shown to people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Gru => "GRU",
            Self::Euler => "Euler",
            Self::Rk4 => "RK4",
            Self::Decay => "Decay",
            Self::Cfc => "CfC",
            Self::GruOde => "GRU-ODE",
            Self::SasRec => "SASRec",
            Self::TiSasRec => "TiSASRec",
        }
    }

    /// Those with a state that is updated at each event and may flow between events.
    pub const WITH_STATE: &'static [Self] =
        &[Self::Gru, Self::Euler, Self::Rk4, Self::Decay, Self::Cfc, Self::GruOde];

    /// Whether it attends to the whole history anew each time, and so has no state to go on from,
    /// no field and no attractors.
    pub fn is_attention(self) -> bool {
        matches!(self, Self::SasRec | Self::TiSasRec)
    }

    /// Whether its state moves between events.
    pub fn flows(self) -> bool {
        self != Self::Gru && !self.is_attention()
    }

    /// Whether it integrates a field by steps, which can be longer or shorter.
    pub fn takes_steps(self) -> bool {
        matches!(self, Self::Euler | Self::Rk4 | Self::GruOde)
    }

    /// Whether there are kernels for GPUs: for a state that waits, and one that a free field moves.
    pub fn on_gpus(self) -> bool {
        matches!(self, Self::Gru | Self::Euler | Self::Rk4)
    }
}

choice! {
    /// How a time between two events becomes one of TiSASRec's intervals.
    IntervalScale {
        /// Multiples of the shortest time between two events of the history so far, as the paper
        /// has them.
        Shortest = "shortest",
        /// By its logarithm, from a second to ten years, the same for everybody.
        Logarithmic = "log",
    }
}

choice! {
    /// How a gap in days becomes model time.
    Warp {
        /// gap / 10 days, as DeepM3 does.
        Linear = "linear",
        /// κ·ln(1 + gap in days / κ).
        Log1p = "log1p",
    }
}

choice! {
    /// Which positions of a history carry a loss.
    Targets {
        /// The last event only, as DeepM3 does.
        Last = "last",
        /// The next event at every position.
        All = "all",
    }
}

choice! {
    /// How a state becomes scores.
    Head {
        /// Its own weights and bias.
        Linear = "linear",
        /// The item embedding, transposed, and a bias.
        Tied = "tied",
    }
}

choice! {
    /// What of the item dynamics enters the scores.
    ItemDynamics {
        /// Nothing: the user's state alone decides.
        None = "none",
        /// How often each item was chosen lately, at several half-lives.
        Intensity = "intensity",
        /// How much the items of the history excite each item.
        Company = "company",
        /// Both.
        Both = "both",
    }
}

impl ItemDynamics {
    /// Whether intensities count.
    pub fn intensity(self) -> bool {
        matches!(self, Self::Intensity | Self::Both)
    }

    /// Whether the company of the history's items counts.
    pub fn company(self) -> bool {
        matches!(self, Self::Company | Self::Both)
    }
}

choice! {
    /// How data is split and what is ranked.
    Protocol {
        /// DeepM3's own: users split 80/20 by id, last event of each test user.
        Readme = "readme",
        /// Last event of every user is the test, last but one the validation.
        LeaveOneOut = "leave-one-out",
        /// One global time cut, 80/10/10.
        Temporal = "temporal",
    }
}

choice! {
    /// How the learning rate moves over a training.
    Schedule {
        /// The same rate throughout.
        Constant = "constant",
        /// Half a cosine from the full rate to a hundredth of it.
        Cosine = "cosine",
        /// Linear warm-up over the first tenth of the steps, then the cosine.
        WarmupCosine = "warmup-cosine",
    }
}

choice! {
    /// What item embeddings begin as.
    EmbeddingStart {
        /// Normal random numbers.
        Random = "random",
        /// Factors of the information that items' users have in common.
        Factors = "factors",
    }
}

choice! {
    /// Which path a request takes before its uncertainty is looked at.
    RouterMode {
        /// Uncertainty and budget decide.
        Auto = "auto",
        /// System 1 answers everything.
        Fast = "fast",
        /// System 2 answers everything, whatever the budget.
        Slow = "slow",
    }
}

choice! {
    /// Whether a limit denies requests or only counts those it would have denied.
    LimitMode {
        Enforced = "enforced",
        Observed = "observed",
    }
}

choice! {
    /// Who reasons for System 2.
    ReasonerKind {
        /// Deterministic evidence, no network; labelled mock wherever its numbers show.
        Mock = "mock",
        /// A chat model behind an OpenAI-compatible endpoint.
        Llm = "llm",
        /// The small model that the alignment experiment trained, on this machine.
        Local = "local",
    }
}

choice! {
    /// How a search spends its epochs on its trials.
    TuningMethod {
        /// Every trial is trained to the end (Bergstra & Bengio 2012).
        Random = "random",
        /// All trials train a little, the best go on for longer (Jamieson & Talwalkar 2016).
        Halving = "halving",
    }
}

choice! {
    /// Which weights an adapter changes.
    AdapterParts {
        /// The head alone.
        Head = "head",
        /// The head, the GRU's matrices and the field's.
        Recurrent = "head+recurrent",
    }
}

choice! {
    /// What an adapter's target domain is.
    DomainShift {
        /// The items of a genre.
        Genre = "genre",
        /// The last quarter of all events in time.
        Later = "later",
    }
}

choice! {
    /// Who asks, in generated traffic.
    TrafficPattern {
        /// Half the requests repeat one of a few users, half come from new ones.
        Mixed = "mixed",
        /// A few users who never change.
        Stable = "stable",
        /// Every request is a new user with a random history, in bursts.
        Chaotic = "chaotic",
        /// Held-out users in the order of their real times.
        Replay = "replay",
    }
}

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max, logarithmic: false }
}
const fn integer_log(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max, logarithmic: true }
}
const fn number(min: f64, max: f64) -> Kind {
    Kind::Number { min, max, logarithmic: false }
}
const fn number_log(min: f64, max: f64) -> Kind {
    Kind::Number { min, max, logarithmic: true }
}

macro_rules! config {
    ($($(#[$sdoc:meta])* $section:ident: $struct:ident {
        $($name:ident: $type:ty = $default:expr, $kind:expr, $label:literal, $unit:literal, $help:literal;)+
    })+) => {
        $(
            $(#[$sdoc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(default, deny_unknown_fields)]
            pub struct $struct { $(#[doc = $help] pub $name: $type,)+ }

            impl Default for $struct {
                fn default() -> Self { Self { $($name: $default,)+ } }
            }
        )+

        /// Every setting of a run. The same shape in `config.toml`, presets and `--set`.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config { $($(#[$sdoc])* pub $section: $struct,)+ }

        impl Config {
            pub(super) fn registry() -> Vec<Setting> {
                vec![$($(Setting {
                    key: concat!(stringify!($section), ".", stringify!($name)),
                    label: $label, unit: $unit, help: $help, kind: $kind,
                },)+)+]
            }

            pub(super) fn read(&self, key: &str) -> Option<Value> {
                match key {
                    $($(concat!(stringify!($section), ".", stringify!($name)) =>
                        Some(self.$section.$name.to_value()),)+)+
                    _ => None,
                }
            }

            pub(super) fn write(&mut self, key: &str, value: Value) -> Result<(), SettingError> {
                match key {
                    $($(concat!(stringify!($section), ".", stringify!($name)) => {
                        let given = value.to_string();
                        self.$section.$name = <$type>::from_value(value).ok_or_else(|| {
                            SettingError::WrongType {
                                key: key.to_owned(), expected: "of its type", given,
                            }
                        })?;
                        Ok(())
                    })+)+
                    _ => Err(SettingError::Unknown { key: key.to_owned(), nearest: String::new() }),
                }
            }
        }
    };
}

config! {
    /// Where events come from and which of them are kept.
    data: DataSettings {
        source: String = "drift".to_owned(), Kind::Text, "Source", "",
            "A path, a name of the catalogue, or `drift`, the built-in set.";
        columns: String = String::new(), Kind::Text, "Columns", "",
            "Which column is what, as user=NAME,item=NAME,time=NAME,rating=NAME; empty guesses.";
        items_file: String = String::new(), Kind::Text, "Items file", "",
            "File with titles and genres; empty looks beside the events.";
        min_user_events: usize = 5, integer(2, 1000), "Events per user, at least", "",
            "Users with fewer events are left out.";
        min_item_events: usize = 1, integer(1, 1000), "Events per item, at least", "",
            "Items with fewer events are left out.";
        k_core: bool = false, Kind::Switch, "Repeat until both hold (k-core)", "",
            "Filter users and items in turn until every one left has enough events.";
        max_len: usize = 20, integer(3, 200), "History length", "events",
            "The model sees at most this many of a user's last events.";
        whole_histories: bool = false, Kind::Switch, "Train on whole histories", "",
            "Under the readme protocol with loss at every position: train on all events of the training users, as the other protocols do, not on each one's last data.max_len alone, as DeepM3 does.";
    }

    /// System 1: the sequence model.
    model: ModelSettings {
        solver: Solver = Solver::Rk4, Kind::Choice(Solver::WORDS), "Solver", "",
            "How the state flows over a gap: gru (it does not); euler or rk4 of a free field; decay towards a learned rest; cfc (closed-form continuous time); gru-ode. Or attention in its place, a baseline: sasrec or tisasrec.";
        hidden: usize = 128, integer_log(4, 1024), "Hidden size", "",
            "Width of the embedding and of the user state.";
        warp: Warp = Warp::Linear, Kind::Choice(Warp::WORDS), "Time warp", "",
            "How a gap becomes model time: linear is gap / 10 days, log1p is κ·ln(1 + days/κ).";
        time_scale: f64 = 1.0, number_log(0.01, 1000.0), "Time scale κ", "days",
            "Of the log1p warp: gaps short against it count in days, longer ones by their logarithm. Worth tuning: it decides which gaps the flow tells apart.";
        learn_time_scale: bool = false, Kind::Switch, "Learn κ", "",
            "Train the time scale κ of the log1p warp along with the weights, from model.time_scale on. On the CPU.";
        max_step: f64 = 1.0, number_log(0.01, 100.0), "Longest step", "dt",
            "A gap longer than this, in model time, is integrated in several substeps.";
        max_substeps: usize = 1, integer(1, 64), "Substeps, at most", "",
            "Cap on the substeps of one gap; 1 is DeepM3's single step. gru-ode takes as many as keep it stable, decay and cfc need none.";
        decay: f64 = 0.0, number(0.0, 10.0), "State decay", "/dt",
            "Rate at which the field of euler and rk4 pulls the state to 0, beside what it learns; 0 is DeepM3's field. A long gap then needs substeps: decay times substep must stay below 2.";
        targets: Targets = Targets::All, Kind::Choice(Targets::WORDS), "Targets", "",
            "Loss at the last event only, or at every position.";
        head: Head = Head::Linear, Kind::Choice(Head::WORDS), "Head", "",
            "Own weights, or the item embedding transposed.";
        query_gap: bool = false, Kind::Switch, "Flow to the query time", "",
            "Integrate on from the last event to the moment of the request.";
        dropout: f64 = 0.0, number(0.0, 0.9), "Dropout", "",
            "Share of the embedding and of the state before the head that is dropped in training; with attention, of the embedding and of what each half of a block adds.";
        blocks: usize = 2, integer(1, 8), "Blocks", "",
            "Attention and feed-forward layers, one after the other: sasrec and tisasrec.";
        heads: usize = 1, integer(1, 64), "Heads", "",
            "Attentions side by side, each over a share of the hidden units: sasrec and tisasrec. Must divide model.hidden.";
        intervals: usize = 64, integer_log(1, 1024), "Time intervals", "",
            "Longest interval told apart by tisasrec; longer ones count as this one.";
        interval_scale: IntervalScale = IntervalScale::Logarithmic, Kind::Choice(IntervalScale::WORDS), "Interval scale", "",
            "How tisasrec measures the time between events: in multiples of the history's shortest (shortest), or by its logarithm (log).";
        item_dynamics: ItemDynamics = ItemDynamics::None, Kind::Choice(ItemDynamics::WORDS), "Item dynamics", "",
            "intensity: what everybody chose lately, at several half-lives learned from the data; company: what others chose along with this history; both as of the time of the request, weighted by the user's state. On the CPU.";
    }

    /// The optimiser and its stopping rule.
    training: TrainingSettings {
        epochs: usize = 10, integer_log(1, 1000), "Epochs", "",
            "Passes over the training sequences, at most.";
        batch_size: usize = 64, integer_log(1, 4096), "Batch size", "sequences",
            "Sequences in one step.";
        learning_rate: f64 = 1e-3, number_log(1e-6, 1.0), "Learning rate", "",
            "Adam's step size.";
        schedule: Schedule = Schedule::Constant, Kind::Choice(Schedule::WORDS), "Schedule", "",
            "How the learning rate moves over the training.";
        weight_decay: f64 = 0.0, number(0.0, 1.0), "Weight decay", "",
            "Decoupled decay (AdamW) per unit of learning rate.";
        clip_norm: f64 = 1.0, number(0.0, 1000.0), "Gradient clip", "norm",
            "Longest global gradient norm; 0 switches clipping off.";
        patience: usize = 0, integer(0, 1000), "Patience", "epochs",
            "Stop after this many epochs without a better validation NDCG@10; 0 never stops early.";
        seed: usize = 42, integer(0, 4_294_967_295), "Seed", "",
            "Fixes initial weights, batch order and dropout.";
        embedding: EmbeddingStart = EmbeddingStart::Random, Kind::Choice(EmbeddingStart::WORDS), "Embeddings begin as", "",
            "random: random numbers. factors: of which items share users in the training events, more than chance would have it (positive pointwise mutual information, Levy & Goldberg 2014), so that training goes on from there; helps most where events are few.";
        averaging: f64 = 0.0, number(0.0, 20.0), "Average the weights", "",
            "Validate and keep averages of the weights over the steps so far, of which about the last 1/n counts, as 4 for the last quarter (polynomial decay, Shamir & Zhang 2013); 0 keeps the weights as they are. On the CPU.";
        keep_best: bool = true, Kind::Switch, "Keep the best epoch", "",
            "Keep the weights of the best validation epoch instead of the last.";
        negatives: usize = 0, Kind::Integer { min: 0, max: 1_000_000, logarithmic: false }, "Sampled items", "a step",
            "Score so many drawn items a step instead of the whole catalogue (sampled softmax), and update only the rows in use; 0 scores all. On the CPU, for catalogues of some 10,000 items and more; 1,024 is a good start.";
        mask_seen: bool = false, Kind::Switch, "Train without seen items", "",
            "Leave items of the sequence so far out of the loss, for models that are ranked without them (evaluation.mask_seen).";
        checkpoint_seconds: f64 = 10.0, number(0.0, 3600.0), "Checkpoint every", "s",
            "A killed training loses at most this much; 0 saves after every step.";
        parallel: usize = 0, integer(0, 64), "Trainings at once", "",
            "Trainings side by side; 0 is one a core on the CPU and one on a GPU.";
    }

    /// How a model is judged.
    evaluation: EvaluationSettings {
        protocol: Protocol = Protocol::LeaveOneOut, Kind::Choice(Protocol::WORDS), "Protocol", "",
            "readme (DeepM3's own split), leave-one-out or temporal. Ranking is always full.";
        mask_seen: bool = false, Kind::Switch, "Mask seen items", "",
            "Leave items of the user's own history out of the ranking.";
        batch_size: usize = 256, integer_log(1, 4096), "Evaluation batch", "queries",
            "Queries scored at once, at most.";
    }

    /// Several models and seeds compared under one config.
    ablation: AblationSettings {
        models: String = "gru,euler,rk4".to_owned(), Kind::Text, "Models", "",
            "Models to compare, separated by commas: gru, euler, rk4, decay, cfc, gru-ode, sasrec, tisasrec.";
        seeds: usize = 3, integer(1, 20), "Seeds", "",
            "Trainings of each model, with seeds counted up from the first.";
        group: String = String::new(), Kind::Text, "Group", "",
            "Name shared by the runs of one comparison; empty makes one from date and time.";
    }

    /// Which requests are escalated to System 2, and under which budget.
    router: RouterSettings {
        mode: RouterMode = RouterMode::Auto, Kind::Choice(RouterMode::WORDS), "Mode", "",
            "auto routes by uncertainty and budget; fast and slow force one path for everyone.";
        entropy: f64 = 0.7, number(0.0, 1.0), "Entropy threshold", "",
            "Requests whose normalised entropy is above this are uncertain: 0 sure, 1 lost.";
        conflict: f64 = 0.55, number(0.0, 1.0), "Conflict threshold", "",
            "Requests whose predicted genres are further than this from the user's own are in conflict.";
        half_life: f64 = 30.0, number_log(0.01, 3650.0), "Profile half-life", "days",
            "How fast an event fades from the user's own genre profile.";
        rate: f64 = 0.2, number(0.0, 1000.0), "Refill rate", "/s",
            "Tokens that the budget regains a second; one escalated request costs one token.";
        capacity: f64 = 1.0, number_log(1.0, 10_000.0), "Capacity (burst)", "tokens",
            "Most tokens the budget holds, and so the most requests escalated at once.";
        rate_limit: LimitMode = LimitMode::Enforced, Kind::Choice(LimitMode::WORDS), "Token bucket", "",
            "enforced denies requests over the budget; observed only counts them.";
        share: f64 = 0.05, number(0.0, 1.0), "Share of traffic", "",
            "At most this share of the requests is escalated. Answers of the cache do not count: they ask nobody.";
        share_limit: LimitMode = LimitMode::Enforced, Kind::Choice(LimitMode::WORDS), "Share cap", "",
            "enforced denies requests over the share; observed only counts them.";
        cost_per_hour: f64 = 0.5, number(0.0, 10_000.0), "Cost per hour", "$",
            "At most this much is spent on System 2 in any hour.";
        cost_limit: LimitMode = LimitMode::Enforced, Kind::Choice(LimitMode::WORDS), "Cost cap", "",
            "enforced denies requests over the cost; observed only counts them.";
    }

    /// System 2: who reasons, at what price, and how failures are met.
    reasoner: ReasonerSettings {
        kind: ReasonerKind = ReasonerKind::Mock, Kind::Choice(ReasonerKind::WORDS), "Reasoner", "",
            "mock reranks by evidence without a network; llm asks an OpenAI-compatible endpoint; local asks the model that `deepm3 experiment alignment` trained, on this machine.";
        candidates: usize = 100, integer(10, 500), "Candidates", "items",
            "System 1's best items that System 2 chooses from.";
        mock_latency: bool = true, Kind::Switch, "Simulate latency", "",
            "The mock waits as long as DeepM3's mock does: Gaussian, clipped to 0.2–2 s.";
        latency_mean: f64 = 0.8, number(0.0, 60.0), "Mock latency, mean", "s",
            "Mean of the simulated latency before clipping.";
        latency_sd: f64 = 0.3, number(0.0, 60.0), "Mock latency, deviation", "s",
            "Standard deviation of the simulated latency before clipping.";
        seed: usize = 42, integer(0, 4_294_967_295), "Mock seed", "",
            "Fixes the mock's simulated latency.";
        local_folder: String = String::new(), Kind::Text, "Local model's folder", "",
            "Where the aligned model of the local reasoner lies; empty takes the one that the last alignment experiment published.";
        base_url: String = "https://api.deepseek.com/v1".to_owned(), Kind::Text, "Base URL", "",
            "Where `/chat/completions` is; any OpenAI-compatible server, a local one too.";
        model: String = "deepseek-chat".to_owned(), Kind::Text, "Model", "",
            "Name of the chat model.";
        key_variable: String = "DEEPSEEK_API_KEY".to_owned(), Kind::Text, "Key variable", "",
            "Environment variable that holds the API key; the key itself is never stored.";
        timeout: f64 = 10.0, number_log(0.1, 300.0), "Timeout", "s",
            "Longest wait for one attempt.";
        retries: usize = 2, integer(0, 10), "Retries", "",
            "Attempts after the first where the failure may pass: 429, 5xx, a lost connection.";
        breaker_failures: usize = 5, integer(1, 100), "Breaker trips after", "failures",
            "So many failures in a row open the circuit breaker.";
        breaker_seconds: f64 = 30.0, number_log(0.1, 3600.0), "Breaker stays open", "s",
            "After this, one request may try whether the endpoint is back.";
        input_price: f64 = 0.28, number(0.0, 1000.0), "Input price", "$/M tokens",
            "Price of a million prompt tokens.";
        output_price: f64 = 0.42, number(0.0, 1000.0), "Output price", "$/M tokens",
            "Price of a million completion tokens.";
    }

    /// The local API.
    server: ServerSettings {
        host: String = "127.0.0.1".to_owned(), Kind::Text, "Address", "",
            "Address to listen on; anything but loopback needs a token.";
        port: usize = 8000, integer(0, 65_535), "Port", "",
            "Port to listen on; 0 takes any free one.";
        concurrency: usize = 256, integer_log(1, 65_536), "Requests at once", "",
            "Requests over this are answered 503 at once instead of waiting.";
        body_limit: usize = 256, integer_log(1, 65_536), "Largest body", "KiB",
            "Longer requests are refused with 413.";
        max_history: usize = 1000, integer_log(1, 100_000), "Longest history accepted", "events",
            "Longer histories are refused; the model sees the last data.max_len of them.";
        timeout: f64 = 60.0, number_log(0.1, 600.0), "Request timeout", "s",
            "Longest time from the first byte to the answer.";
        shutdown: f64 = 10.0, number(0.0, 300.0), "Shutdown deadline", "s",
            "How long accepted requests may take to finish when the server stops.";
        cache_size: usize = 10_000, integer(0, 10_000_000), "Cache size", "answers",
            "Answers kept; 0 switches the cache off.";
        cache_seconds: f64 = 60.0, number_log(0.1, 86_400.0), "Cache lifetime", "s",
            "An answer older than this is computed anew.";
    }

    /// Generated requests for trying the server out.
    traffic: TrafficSettings {
        pattern: TrafficPattern = TrafficPattern::Mixed, Kind::Choice(TrafficPattern::WORDS), "Pattern", "",
            "mixed, stable, chaotic, or replay of held-out users.";
        rate: f64 = 20.0, number_log(0.1, 100_000.0), "Rate", "requests/s",
            "Requests a second; also the traffic that the Router page assumes.";
        seconds: f64 = 30.0, number_log(0.1, 86_400.0), "Duration", "s",
            "How long requests are sent.";
        concurrency: usize = 16, integer_log(1, 1024), "Connections", "",
            "Requests in flight at once, at most.";
        seed: usize = 42, integer(0, 4_294_967_295), "Traffic seed", "",
            "Fixes which users ask and in which order.";
    }

    /// Experiments on held-out requests.
    experiment: ExperimentSettings {
        requests: usize = 5000, integer_log(20, 20_000), "Requests replayed, at most", "",
            "Held-out requests, taken evenly; an LLM is asked for each of them, which costs money.";
        budgets: String = "0.02,0.05,0.1,0.2,0.5".to_owned(), Kind::Text, "Budgets", "shares",
            "Shares of traffic that the router may escalate, one row of the efficiency table each.";
        resamples: usize = 1000, integer_log(100, 100_000), "Bootstrap resamples", "",
            "Resamples of the requests behind each bootstrap interval.";
        seed: usize = 1, integer(0, 4_294_967_295), "Seed", "",
            "Fixes which requests are learned from, the coin, and the resamples.";
    }

    /// Studies beyond the README's experiments.
    study: StudySettings {
        ingredients: String = String::new(), Kind::Text, "Ingredients", "",
            "What the ingredients study takes away or exchanges, separated by commas; empty takes every one that the full model has.";
    }

    /// The small language model that is aligned by DPO.
    alignment: AlignmentSection {
        sft_steps: usize = 2400, integer_log(1, 1_000_000), "Fine-tuning steps", "",
            "Steps of supervised fine-tuning on answers of which a known share is spoilt.";
        pair_prompts: usize = 4000, integer_log(1, 1_000_000), "Prompts for pairs", "",
            "Training prompts that the fine-tuned model answers to make pairs of its own answers.";
        pair_samples: usize = 12, integer_log(2, 1000), "Answers to each", "",
            "Answers drawn to each of these prompts; good ones are preferred to bad ones.";
        dpo_steps: usize = 1000, integer_log(1, 1_000_000), "DPO steps", "",
            "Steps of direct preference optimisation, and of the baseline that is fine-tuned on.";
        dpo_rate: f64 = 3e-4, number_log(1e-6, 1.0), "DPO learning rate", "",
            "Adam's largest step size in DPO.";
        beta: f64 = 0.1, number_log(1e-3, 10.0), "Beta", "",
            "How dearly leaving the reference is paid.";
        cut_rejected: bool = true, Kind::Switch, "Cut rejected answers", "",
            "A rejected answer counts up to the token in which it leaves the chosen one; off is DPO on whole answers.";
        temperature: f64 = 1.0, number(0.01, 10.0), "Temperature", "",
            "At which answers are drawn, for pairs and for evaluation.";
        held_out: usize = 1000, integer_log(10, 1_000_000), "Held-out prompts", "",
            "Prompts of other templates, which every contender answers.";
        seed: usize = 42, integer(0, 4_294_967_295), "Seed", "",
            "Fixes weights, prompts and draws.";
    }

    /// Fine-tuning on a shifted domain: the DoRA experiment.
    adapter: AdapterSettings {
        rank: usize = 16, integer_log(1, 256), "Rank", "",
            "Columns of an adapter's two thin matrices.";
        alpha: f64 = 32.0, number_log(0.1, 1024.0), "Alpha", "",
            "An adapter's product is scaled by alpha / rank.";
        parts: AdapterParts = AdapterParts::Head, Kind::Choice(AdapterParts::WORDS), "Adapted weights", "",
            "The head alone, or the GRU's and the field's matrices as well.";
        epochs: usize = 5, integer_log(1, 1000), "Epochs", "",
            "Passes over the target domain, the same for every method.";
        learning_rate: f64 = 0.01, number_log(1e-6, 1.0), "Learning rate", "",
            "Adam's step size on the target domain, the same for every method.";
        seeds: usize = 5, integer(2, 50), "Seeds", "",
            "Source models, each adapted by every method.";
        shift: DomainShift = DomainShift::Genre, Kind::Choice(DomainShift::WORDS), "Target domain", "",
            "A genre held out, or the last quarter of all events in time; data without genres is cut in time.";
        genre: String = String::new(), Kind::Text, "Genre held out", "",
            "The target domain; empty takes the genre nearest to a quarter of all events.";
    }

    /// A search for good settings, judged on validation only.
    tuning: TuningSettings {
        method: TuningMethod = TuningMethod::Halving, Kind::Choice(TuningMethod::WORDS), "Method", "",
            "random trains every trial to the end; halving trains all a little and goes on with the best.";
        trials: usize = 27, integer_log(1, 1000), "Trials", "",
            "Points drawn from the space.";
        reduction: usize = 3, integer(2, 10), "Reduction", "",
            "Of n trials, halving goes on with n / reduction, for reduction times the epochs.";
        least_epochs: usize = 1, integer_log(1, 1000), "Epochs, at least", "",
            "What halving gives every trial before it drops any; training.epochs is what the last ones reach.";
        space: String = "training.learning_rate=1e-3..1e-1 log, model.hidden=16|24|32, model.dropout=0..0.4, model.decay=0..1.5, training.batch_size=64|128|256".to_owned(),
            Kind::Text, "Space", "",
            "Settings of model and training, each with values a|b|c or a range low..high, with log where it is even in the logarithm.";
        seed: usize = 1, integer(0, 4_294_967_295), "Seed", "",
            "Fixes which points are drawn.";
    }
}
