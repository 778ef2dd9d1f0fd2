//! Which sequences a log has, in little memory.

/// Sequences, a bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sequences(Vec<u64>);

impl Sequences {
    pub(crate) fn note(&mut self, sequence: u64) {
        let (word, bit) = (sequence as usize / 64, sequence % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    pub(crate) fn holds(&self, sequence: u64) -> bool {
        self.0
            .get(sequence as usize / 64)
            .is_some_and(|word| word & (1 << (sequence % 64)) != 0)
    }

    /// Those below an end that are not held, the first of them.
    pub(crate) fn missing(&self, end: u64) -> Option<u64> {
        (0..end).find(|sequence| !self.holds(*sequence))
    }
}
