//! Whatever a kernel says about itself, there is a verdict, and it can be printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigward::verdict::{CpuTraits, KernelTexts, judge, judge_running};

// The texts, with a zero byte after each; the first byte says what the processor has.
fuzz_target!(|data: &[u8]| {
    let (traits, data) = data.split_first().unwrap_or((&7, b""));
    let mut parts = data.split(|byte| *byte == 0);
    let texts = KernelTexts {
        sysname: parts.next().unwrap_or(b""),
        release: parts.next().unwrap_or(b""),
        version: parts.next().unwrap_or(b""),
        machine: parts.next().unwrap_or(b""),
        proc_version: parts.next(),
        version_signature: parts.next(),
        cpu: CpuTraits { x86_64: traits & 1 > 0, xsave: traits & 2 > 0, avx: traits & 4 > 0 },
    };
    for verdict in [judge(&texts), judge_running(&texts)] {
        let words: Vec<String> = verdict.argument.iter().map(|step| step.to_string()).collect();
        assert!(!words.is_empty(), "a verdict without a reason");
    }
});
