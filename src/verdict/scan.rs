//! Finding numbers and words in bytes.

/// The decimal number at the start of `text`, and how many digits it has.
/// Saturates.
pub(super) fn number(text: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0_u32;
    let mut digits = 0_usize;
    for byte in text.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = byte.wrapping_sub(b'0');
        value = value.saturating_mul(10).saturating_add(u32::from(digit));
        digits = digits.saturating_add(1);
    }
    (digits > 0).then_some((value, digits))
}

/// The position of the first `needle`.
pub(super) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let mut rest = text;
    while !rest.starts_with(needle) {
        rest = rest.get(1..)?;
    }
    text.len().checked_sub(rest.len())
}

/// The text after the first `needle`.
pub(super) fn after<'a>(text: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, needle)?.checked_add(needle.len())?..)
}
