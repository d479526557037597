//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the command worked and found something wrong (errors in a protocol, unformatted text, a refused request)
  2  wrong usage: arguments, or a deployment file that asks for something impossible
  3  failure: a file, a port, a node or the network stood in the way
  4  vacuous: nothing wrong was found, but something that was to be tried never happened
  5  incomplete: a search was stopped by a bound before it had seen everything";

/// Write, check, draw, run and measure distributed protocols.
///
/// A protocol is a `protocol! { … }` block in a Rust file. `check`, `fmt` and `graph` read such files;
/// `node`, `deploy`, `call`, `inspect` and `bench` work on the protocols that this program was built with.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a crate with a small protocol, its test and its main.rs
    New(New),
    /// Report mistakes in protocols, as rustc would
    ///
    /// Unlike the compiler, which can point a macro's error at one place only, this shows every rule that
    /// is involved. Warnings alone do not make it fail.
    Check(Check),
    /// Lay out `protocol!` blocks, keeping comments and touching nothing else
    Fmt(Fmt),
    /// Draw a protocol: roles, rules, relations and messages
    Graph(Graph),
    /// Say how each role could be split and partitioned: what applies and why, what is refused and by which rule
    Explain(Explain),
    /// Carry out a plan of rewrites, or find one, and write the scaled protocol with its deployment
    Rewrite(Rewrite),
    /// Run one node of a deployment: what a service manager would start
    Node(Node),
    /// Start all nodes of a deployment on this machine and follow them until Ctrl-C or SIGTERM
    Deploy(Deploy),
    /// Give the instances of a role another number of partitions, while no node runs
    ///
    /// Moves durable rows to the partitions that their tables' `routed by` now names, and writes the number into
    /// the deployment file. The folders as they were stay in `before-rescaling`, in the data directory.
    Rescale(Rescale),
    /// Send one request to a running deployment and print the answer
    Call(Call),
    /// Show tables and counters of running nodes
    Inspect(Inspect),
    /// Deploy on loopback, drive with closed-loop clients, print throughput, latency and CPU time
    ///
    /// With several protocols, the first is the base and the others are scaled forms of it: they are measured in
    /// turn, and what they cost is compared by throughput as it ran and by the busiest node.
    Bench(Bench),
    /// Simulate a protocol over many seeds, with faults, and look for violated properties
    ///
    /// The compiled nodes run in a simulated world: time, network, disks and crashes follow from a seed. What
    /// fails is made small, saved, and shown by `anabranch replay`.
    Verify(Verify),
    /// Run a saved counterexample again and tell it step by step
    Replay(Replay),
}

/// Output for people or programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document, or one object a line where output goes on.
    Json,
}

/// `anabranch new`
#[derive(Debug, Args)]
pub struct New {
    /// Where to make it; the last part is the crate's name
    pub name: PathBuf,
    /// Depend on this checkout of Anabranch instead of the published crates
    #[arg(long, env = "ANABRANCH_PATH", value_name = "DIR")]
    pub path: Option<PathBuf>,
}

/// `anabranch check`
#[derive(Debug, Args)]
pub struct Check {
    /// Rust files with `protocol!` blocks, or files with the text of one protocol
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to print diagnostics; json gives one object a line
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `anabranch fmt`
#[derive(Debug, Args)]
pub struct Fmt {
    /// Rust files with `protocol!` blocks; `-` formats standard input to standard output
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Change nothing; name the files that would change and exit with 1 if there are any
    #[arg(long)]
    pub check: bool,
}

/// Kinds of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Picture {
    /// A picture of its own, laid out by this program.
    #[default]
    Svg,
    /// For Graphviz.
    Dot,
    /// For Markdown pages.
    Mermaid,
}

/// `anabranch graph`
#[derive(Debug, Args)]
pub struct Graph {
    /// A Rust file with `protocol!` blocks
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which protocol, if the file holds several
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
    /// What to write
    #[arg(long, value_enum, default_value_t)]
    pub format: Picture,
    /// Where to write it; standard output if absent
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
}

/// `anabranch explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// A Rust file with `protocol!` blocks
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which protocol, if the file holds several
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
    /// Only this role
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `anabranch rewrite`
#[derive(Debug, Args)]
pub struct Rewrite {
    /// A Rust file with `protocol!` blocks
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which protocol, if the file holds several
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
    /// The rewrites, in order, with their arguments
    #[arg(long, value_name = "PLAN.toml", conflicts_with = "auto")]
    pub plan: Option<PathBuf>,
    /// Find a plan: split off what may be split off, partition what may be partitioned by the finest key
    #[arg(long)]
    pub auto: bool,
    /// Where to write NAME.rs and the deployment NAME.toml; nothing is written if absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write every step as a diff, too
    #[arg(long, requires = "out")]
    pub steps: bool,
}

/// `anabranch node`
#[derive(Debug, Args)]
pub struct Node {
    /// The deployment file, with all addresses
    #[arg(value_name = "DEPLOYMENT.toml", required_unless_present = "launched")]
    pub deployment: Option<PathBuf>,
    /// Which node, such as `participant.2`
    #[arg(value_name = "NODE", required_unless_present = "launched")]
    pub node: Option<String>,
    /// Take orders over standard input, as `deploy` gives them
    #[arg(long, hide = true, conflicts_with_all = ["deployment", "node"])]
    pub launched: bool,
}

/// `anabranch deploy`
#[derive(Debug, Args)]
pub struct Deploy {
    /// The deployment file
    #[arg(value_name = "DEPLOYMENT.toml")]
    pub deployment: PathBuf,
    /// How to report; json prints one object a line
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `anabranch rescale`
#[derive(Debug, Args)]
pub struct Rescale {
    /// The deployment file; none of its nodes may run
    #[arg(value_name = "DEPLOYMENT.toml")]
    pub deployment: PathBuf,
    /// The role and how many partitions each of its instances is to have
    #[arg(long, value_name = "ROLE=N")]
    pub partitions: String,
    /// How to report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `anabranch call`
#[derive(Debug, Args)]
pub struct Call {
    /// The deployment file of a running deployment
    #[arg(value_name = "DEPLOYMENT.toml")]
    pub deployment: PathBuf,
    /// The request's name
    #[arg(value_name = "REQUEST")]
    pub request: String,
    /// Its arguments, written as in Rust: 42, "text", Some(3), (1, true), b"\x00"
    #[arg(value_name = "ARGS", allow_negative_numbers = true)]
    pub args: Vec<String>,
    /// Give up after so long: 500ms, 5s, 1min
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub timeout: String,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `anabranch inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// The deployment file of a running deployment
    #[arg(value_name = "DEPLOYMENT.toml")]
    pub deployment: PathBuf,
    /// Which node, such as `participant.2`; all if absent
    #[arg(value_name = "NODE")]
    pub node: Option<String>,
    /// Which table's rows; the node's counters if absent
    #[arg(value_name = "TABLE")]
    pub table: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `anabranch bench`
#[derive(Debug, Args)]
pub struct Bench {
    /// The protocol's name, and those of scaled forms to compare it with
    #[arg(value_name = "PROTOCOL", required = true)]
    pub protocols: Vec<String>,
    /// How many nodes, which params: at most one file for each protocol; without one, one instance of each role
    /// that takes requests and three of each other, as many as its base has of roles with the same names, not
    /// durable
    #[arg(long, value_name = "FILE")]
    pub deployment: Vec<PathBuf>,
    /// Partitions of each instance of a role, or of all partitioned roles, where no file says it
    #[arg(long, value_name = "[ROLE=]N", value_delimiter = ',', default_values_t = [String::from("3")])]
    pub partitions: Vec<String>,
    /// How often each measurement is repeated when protocols are compared
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub rounds: usize,
    /// Which request to send; the protocol's first if absent
    #[arg(long, value_name = "NAME")]
    pub request: Option<String>,
    /// Length of byte strings in requests
    #[arg(long, value_name = "BYTES", default_value_t = 16)]
    pub payload: usize,
    /// Numbers of closed-loop clients, one measurement each
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = [1, 64, 1024])]
    pub clients: Vec<usize>,
    /// Seconds per measurement
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub duration: f64,
    /// Where to write results as JSON
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How to print; json prints all runs and comparisons as one document
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `anabranch verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// The protocol's name
    #[arg(value_name = "PROTOCOL")]
    pub protocol: String,
    /// How many runs; 1000 if absent. With --against: random runs instead of all
    #[arg(long, value_name = "N", conflicts_with = "exhaustive")]
    pub seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub first_seed: u64,
    /// What may go wrong: none, delay, all, or kinds, each with its number a run if not the usual:
    /// crash,power,partition=0.5,oneway,break,slow,lag,reorder,skew,disk
    #[arg(long, value_name = "KINDS", default_value = "all")]
    pub faults: String,
    /// How many nodes and which params; if absent one node for each role that takes requests and three for
    /// each other role
    #[arg(long, value_name = "FILE")]
    pub deployment: Option<PathBuf>,
    /// How many nodes of a role, such as participant=3
    #[arg(long, value_name = "ROLE=N,…", value_delimiter = ',', conflicts_with = "deployment")]
    pub nodes: Vec<String>,
    /// Partitions of each instance of a role, such as ender=2
    #[arg(long, value_name = "ROLE=N,…", value_delimiter = ',', conflicts_with = "deployment")]
    pub partitions: Vec<String>,
    /// Clients in each run; 8, or 2 in a search
    #[arg(long, value_name = "N")]
    pub clients: Option<u32>,
    /// Requests in each run, of all clients together; 60, or 2 in a search
    #[arg(long, value_name = "N")]
    pub requests: Option<u32>,
    /// Threads; as many as there are cores if absent
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Compare every so many runs with the reference interpreter, tick by tick; 0 for none
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub compare: u64,
    /// So many faults must happen in each run: runs in which fewer did are given more
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub least_faults: u64,
    /// So many requests must be answered in each run, else the campaign is vacuous
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub least_answered: u64,
    /// Requests that nothing stands in the way of may stay unanswered
    #[arg(long)]
    pub unanswered: bool,
    /// Search every order of events of a small scope, instead of many seeds of a large one
    #[arg(long)]
    pub exhaustive: bool,
    /// The protocol that this one was made from: whatever this one shows its clients, that one must be able to show
    #[arg(long, value_name = "BASE")]
    pub against: Option<String>,
    /// Exhaustive: at most so many crashes
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub crashes: u32,
    /// Exhaustive: at most so many timer rows that fire while anything else is under way
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub timers: u32,
    /// Exhaustive: at most so many rows of a timer fire in all; without it a timer whose firings are counted, such as one
    /// that draws ballots, makes the search endless
    #[arg(long, value_name = "TIMER=N,…", value_delimiter = ',')]
    pub firings: Vec<String>,
    /// Exhaustive: how often a client repeats a request declared `resend` that waits while nothing is under way
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub repeats: u32,
    /// Exhaustive: a tick takes at most so many messages, requests and timer rows
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub together: usize,
    /// Exhaustive: stop after so many states, which makes the search incomplete
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    pub max_states: usize,
    /// Where to save what fails
    #[arg(long, value_name = "DIR", default_value = "counterexamples")]
    pub out: PathBuf,
    /// Print the report as one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `anabranch replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// The counterexample
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Draw it as a space-time diagram: an SVG picture, or a page if the name ends in .html
    #[arg(long, value_name = "OUT")]
    pub diagram: Option<PathBuf>,
    /// Write a test that fails as long as the run goes wrong
    #[arg(long, value_name = "OUT")]
    pub test: Option<PathBuf>,
    /// Tell all facts, not only what changes
    #[arg(long)]
    pub verbose: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}
