//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::dynamics::device::DeviceChoice;
use crate::settings::Solver;

/// Wrong usage: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

#[derive(Debug, Parser)]
#[command(
    name = "deepm3",
    version,
    about = "DeepM3 Workbench: train, compare and understand recommender models with continuous-time user state",
    long_about = "Without a command the window opens. Every command runs on the same engine as the window."
)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Args)]
pub struct Common {
    /// Folder of the runs [default: the system's folder for application data]
    #[arg(long, global = true, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// auto, cpu, gpu, or a part of a device's name (see `deepm3 devices`)
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// Print one JSON object instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the devices that models can be trained on
    Devices,
    /// Look at data sets and get public ones
    #[command(subcommand)]
    Data(DataCommand),
    /// Train one model
    Train(TrainOptions),
    /// Train several models over several seeds and compare them
    Ablation(AblationOptions),
    /// Search for good settings on validation: random, or by successive halving
    Tune(TuneOptions),
    /// Rank the held-out items of a run's data with its model again
    Evaluate(EvaluateOptions),
    /// List, show, compare, export, merge and delete runs
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Serve a run's model, the router and System 2 as a local API
    Serve(ServeOptions),
    /// Answer one request with a run's model, the router and System 2
    Recommend(RecommendOptions),
    /// Replay a run's held-out requests under router settings: quality, latency, cost
    Route(RouteOptions),
    /// Find the attractors of a run's field: kind, relaxation time, basin, items
    Attractors(AttractorOptions),
    /// Send generated requests to a running server
    Traffic(TrafficOptions),
    /// Run an experiment of the original README and print its table; `list` and `report`
    Experiment(ExperimentOptions),
    /// Time a training step, or the forward pass, at DeepM3's size
    Bench(BenchOptions),
    /// List every setting with its range, default and meaning
    Settings,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// The built-in set and the catalogue of public ones
    List,
    /// What is in a set
    Inspect(DataOptions),
    /// Download a set of the catalogue
    Get {
        /// Name as in `deepm3 data list`
        name: String,
        /// Agree to the set's licence, which is shown first
        #[arg(long)]
        agree: bool,
    },
}

#[derive(Debug, Args)]
pub struct DataOptions {
    /// A path, a name of the catalogue, or `drift` [default: drift]
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Which column is what: user=NAME,item=NAME,time=NAME[,rating=NAME]; #1 is the first column
    #[arg(long, value_name = "MAP")]
    pub columns: Option<String>,
    /// File with titles and genres [default: found beside the events]
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ConfigOptions {
    #[command(flatten)]
    pub data: DataOptions,
    /// A preset's name or a TOML file [default: drift for the built-in data (tune: experiment-tuning), readme-ablation with --protocol readme, leave-one-out for other data]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// Change a setting, for example --set model.hidden=64 (see `deepm3 settings`)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// First seed
    #[arg(long, value_name = "N")]
    pub seed: Option<u32>,
    /// readme, leave-one-out or temporal
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<String>,
    /// Epochs at most
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
}

#[derive(Debug, Args)]
pub struct TrainOptions {
    #[command(flatten)]
    pub config: ConfigOptions,
    /// gru, euler, rk4, decay, cfc, gru-ode, sasrec or tisasrec
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Go on with an interrupted run (id, unique prefix, or `latest`)
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "set", "model", "seed", "epochs", "protocol"])]
    pub resume: Option<String>,
}

#[derive(Debug, Args)]
pub struct AblationOptions {
    #[command(flatten)]
    pub config: ConfigOptions,
    /// Models, separated by commas
    #[arg(long, value_name = "MODELS")]
    pub models: Option<String>,
    /// Seeds for each model
    #[arg(long, value_name = "N")]
    pub seeds: Option<usize>,
    /// Go on with the interrupted runs of a group (see `deepm3 runs list`), or of the `latest`
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["preset", "set", "models", "seeds", "seed", "epochs", "protocol"])]
    pub resume: Option<String>,
}

#[derive(Debug, Args)]
pub struct TuneOptions {
    #[command(flatten)]
    pub config: ConfigOptions,
    /// What is searched, for example "model.hidden=32|64, training.learning_rate=3e-4..1e-2 log"
    #[arg(long, value_name = "SPACE")]
    pub space: Option<String>,
    /// Points drawn from the space
    #[arg(long, value_name = "N")]
    pub trials: Option<usize>,
    /// random or halving
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// Write the best trial's settings as a preset
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Go on with a search that was stopped, by its group, or with the `latest`
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["preset", "set", "space", "trials", "method", "seed", "epochs", "protocol"])]
    pub resume: Option<String>,
}

#[derive(Debug, Args)]
pub struct EvaluateOptions {
    /// Run id, unique prefix, or `latest`
    #[arg(long, default_value = "latest", value_name = "RUN")]
    pub run: String,
    /// The run's data, where it has moved since
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Hold the run's solver, and others of its field, against adaptive steps (Tsit5)
    #[arg(long)]
    pub reference: bool,
    /// How large the error of an adaptive step may be, relative and absolute
    #[arg(long, default_value = "1e-6", value_name = "SIZE", requires = "reference")]
    pub tolerance: f64,
}

#[derive(Debug, Args)]
pub struct RunOptions {
    /// Run id, unique prefix, or `latest`, the newest finished one whose model has a state and that no
    /// experiment made for itself [default: latest; trains the built-in preset if there is none]
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Settings of router, reasoner and server from a preset or TOML file [default: the run's own]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// Change a setting, for example --set router.entropy=0.8 (see `deepm3 settings`)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ServeOptions {
    #[command(flatten)]
    pub run: RunOptions,
    /// Port to listen on; 0 takes any free one [default: server.port, 8000]
    #[arg(long)]
    pub port: Option<u16>,
    /// Address to listen on; anything but loopback needs a token (DEEPM3_TOKEN, or one is made)
    #[arg(long)]
    pub host: Option<String>,
    /// Serve with this adapter merged into the weights; the API takes it off or puts another on
    #[arg(long, value_name = "FILE")]
    pub adapter: Option<PathBuf>,
    /// Folder of the log of answers [default: .impressions beside the runs]
    #[arg(long, value_name = "DIR")]
    pub impressions: Option<PathBuf>,
}

/// A path forced for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ForceMode {
    Fast,
    Slow,
}

#[derive(Debug, Args)]
pub struct RecommendOptions {
    #[command(flatten)]
    pub run: RunOptions,
    /// Items of the history, oldest first, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    pub items: Vec<String>,
    /// When each was taken, in units of 10 days
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "TIMES")]
    pub times: Vec<f64>,
    /// When each was taken, in Unix seconds
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, conflicts_with = "times")]
    pub timestamps: Vec<f64>,
    /// Any name
    #[arg(long, default_value = "demo_user")]
    pub user: String,
    /// How many items to recommend [default: 10]
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
    /// Answer with this adapter merged into the weights
    #[arg(long, value_name = "FILE")]
    pub adapter: Option<PathBuf>,
    /// Take this path whatever the router would do
    #[arg(long, value_enum)]
    pub force: Option<ForceMode>,
}

#[derive(Debug, Args)]
pub struct RouteOptions {
    #[command(flatten)]
    pub run: RunOptions,
    /// Entropy threshold, 0 to 1
    #[arg(long)]
    pub entropy: Option<f64>,
    /// Conflict threshold, 0 to 1
    #[arg(long)]
    pub conflict: Option<f64>,
    /// Tokens that the bucket regains a second
    #[arg(long)]
    pub rate: Option<f64>,
    /// Tokens the bucket holds
    #[arg(long)]
    pub capacity: Option<f64>,
    /// Largest share of traffic, 0 to 1
    #[arg(long)]
    pub share: Option<f64>,
    /// Largest cost an hour, in dollars
    #[arg(long)]
    pub cost_per_hour: Option<f64>,
    /// Requests a second that are assumed [default: traffic.rate, 20]
    #[arg(long, value_name = "RATE")]
    pub traffic: Option<f64>,
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchWhat {
    /// A training step, and the forward pass
    Step,
    /// The forward pass alone, as requests are answered
    Request,
    /// Training steps of longer histories, larger batches and larger catalogues, with their memory
    Scale,
}

#[derive(Debug, Args)]
pub struct BenchOptions {
    #[arg(value_enum)]
    pub what: BenchWhat,
    /// Repeats of each, of which the median is printed
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub repeats: u32,
    /// Histories of a training step
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
    /// Only this solver, as in `deepm3 settings`; may be repeated [default: all]
    #[arg(long = "solver", value_name = "SOLVER")]
    pub solvers: Vec<Solver>,
}

#[derive(Debug, Args)]
pub struct ExperimentOptions {
    /// An experiment as in `list`; `list` shows them all, `report` writes up all results
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Run id, unique prefix, or `latest`, for experiments that look at one [default: latest; trains one if there is none]
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    #[command(flatten)]
    pub data: DataOptions,
    /// Settings from another preset or TOML file [default: the experiment's own]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// Change a setting, for example --set experiment.requests=500 (see `deepm3 settings`)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Also write the result; the ending says the format: .md, .csv, .json, .svg or .png. For
    /// `report` the .md and .html files to write
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AttractorOptions {
    /// Run id, unique prefix, or `latest` [default: latest; trains the built-in preset if there is none]
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// A user whose way is drawn and measured
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Visited states that fixed points are looked for from
    #[arg(long, default_value_t = 2000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(10..=100_000))]
    pub starts: usize,
    /// Fixes which states these are
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
    /// Principal components on x and y
    #[arg(long, default_value = "1,2", value_name = "X,Y")]
    pub plane: String,
    /// Analyse again, whatever is kept with the run
    #[arg(long)]
    pub fresh: bool,
    /// Draw the landscape into this PNG file
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// Draw the landscape into this SVG file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write the user's way into this CSV file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TrafficOptions {
    #[command(flatten)]
    pub run: RunOptions,
    /// Where the server is
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    pub url: String,
    /// mixed, stable, chaotic or replay [default: traffic.pattern, mixed]
    #[arg(long)]
    pub pattern: Option<String>,
    /// Requests a second [default: traffic.rate, 20]
    #[arg(long)]
    pub rate: Option<f64>,
    /// How long it lasts [default: traffic.seconds, 30]
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Requests in flight at once, at most
    #[arg(long, value_name = "N")]
    pub connections: Option<usize>,
    /// Fixes which requests these are
    #[arg(long)]
    pub seed: Option<u32>,
    /// Allow a server that is not on this machine
    #[arg(long)]
    pub allow_remote: bool,
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// All runs, newest first
    List {
        /// Include archived runs
        #[arg(long)]
        all: bool,
    },
    /// Everything known of a run
    Show {
        /// Id, unique prefix, or `latest`
        #[arg(default_value = "latest", value_name = "RUN")]
        which: String,
    },
    /// Compare runs: a table, and the settings that differ
    Compare {
        /// Ids, unique prefixes, or the group of an ablation
        #[arg(required = true, value_name = "RUN")]
        which: Vec<String>,
    },
    /// Write the ablation table of a group, or of some runs, to a file
    Export {
        /// Ids, unique prefixes, or the group of an ablation
        #[arg(required = true, value_name = "RUN")]
        which: Vec<String>,
        /// The ending says the format: .csv, .md, .svg, .png or .json
        #[arg(long, short)]
        output: PathBuf,
    },
    /// Merge an adapter into a run: a new run with the weights of both, tested again
    Merge {
        /// Id, unique prefix, or `latest`
        #[arg(default_value = "latest", value_name = "RUN")]
        which: String,
        /// An adapter that was trained on that run (see the result of `deepm3 experiment dora`)
        #[arg(long, value_name = "FILE")]
        adapter: PathBuf,
    },
    /// Move runs to the trash, from where `restore` brings them back
    Delete {
        /// Ids or unique prefixes
        #[arg(required = true, value_name = "RUN")]
        which: Vec<String>,
    },
    /// Bring deleted runs back
    Restore {
        /// Ids or unique prefixes
        #[arg(required = true, value_name = "RUN")]
        which: Vec<String>,
    },
}
