//! Whatever `LD_PRELOAD` contains: our entries are taken out, all others stay, in their order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigward::config::preload::{is_ours, take_out_ours};

fn entries(value: &[u8]) -> Vec<Vec<u8>> {
    let parts = value.split(|byte| matches!(byte, b' ' | b':'));
    parts.filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect()
}

fuzz_target!(|data: &[u8]| {
    // A value of the environment has no zero byte.
    let mut value: Vec<u8> = data.iter().copied().filter(|byte| *byte != 0).collect();
    let mut expected = entries(&value);
    expected.retain(|entry| !is_ours(entry));
    let length = value.len();
    take_out_ours(&mut value);
    assert_eq!(value.len(), length);
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(length);
    assert!(value[end..].iter().all(|byte| *byte == 0));
    assert_eq!(entries(&value[..end]), expected);
});
