//! Counts the page faults taken while the kernel writes a program's signal frames.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use sigward_harness::frames::{self, Frame, FrameStack};

/// Run a program and count the page faults taken while the kernel writes its signal
/// frames
#[derive(Parser)]
struct Options {
    /// Print one JSON object per delivery instead of the table
    #[arg(long)]
    json: bool,
    /// Kill everything after this many seconds
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// The program and its arguments; sigward exits with its exit code
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Some((program, args)) = options.command.split_first() else {
        return ExitCode::from(125);
    };
    let mut command = Command::new(program);
    command.args(args);
    let trace = match frames::measure(command, Duration::from_secs(options.timeout)) {
        Ok(trace) => trace,
        Err(error) => {
            eprintln!("frame-faults: {}: {error}", program.display());
            return ExitCode::from(125);
        }
    };
    if options.json {
        for frame in &trace.frames {
            println!("{}", serde_json::to_string(frame).expect("a frame is plain data"));
        }
    } else {
        print_table(&trace.frames);
    }
    ExitCode::from(trace.outcome.code() as u8)
}

#[derive(Default)]
struct Sum {
    deliveries: u64,
    altstack: u64,
    faulting: u64,
    faults: u64,
}

impl Sum {
    fn add(&mut self, frame: &Frame) {
        self.deliveries += 1;
        self.altstack += u64::from(frame.stack == FrameStack::Altstack);
        self.faulting += u64::from(frame.faults > 0);
        self.faults += frame.faults;
    }

    fn print(&self, who: [&str; 3]) {
        let [pid, tid, name] = who;
        let Self { deliveries, altstack, faulting, faults } = self;
        println!(
            "{pid:>8} {tid:>8} {name:<16}{deliveries:>11}{altstack:>13}{faulting:>10}{faults:>8}"
        );
    }
}

fn print_table(frames: &[Frame]) {
    let mut threads: BTreeMap<(i32, i32), (&str, Sum)> = BTreeMap::new();
    let mut total = Sum::default();
    for frame in frames {
        let (_, sum) =
            threads.entry((frame.pid, frame.tid)).or_insert((&frame.name, Sum::default()));
        sum.add(frame);
        total.add(frame);
    }
    println!(
        "{:>8} {:>8} {:<16}{:>11}{:>13}{:>10}{:>8}",
        "PID", "TID", "NAME", "DELIVERIES", "ON ALTSTACK", "FAULTING", "FAULTS"
    );
    for ((pid, tid), (name, sum)) in &threads {
        sum.print([&pid.to_string(), &tid.to_string(), name]);
    }
    total.print(["", "", "total"]);
}
